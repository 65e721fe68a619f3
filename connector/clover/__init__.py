"""Talks HTTP to Clover: listing, reading by id, retries, pacing, tokens, the raw archive."""
