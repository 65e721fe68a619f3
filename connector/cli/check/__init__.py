"""What `connector check` and `connector status` look at."""
