"""What data looks like: Clover's records as they come, Codat's records as they are served."""
