"""Reading: what Clover lists, what has to be read by id, and what the platform knows."""
