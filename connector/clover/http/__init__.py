"""One request to Clover: pace, retries, deadline, and what an answer may be."""
