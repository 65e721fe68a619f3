"""Tokens: where they come from, how they are renewed and kept."""
