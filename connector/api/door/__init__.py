"""Who is let in: keys, limits, connections, and what every answer passes through."""
