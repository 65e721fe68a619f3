"""Mapping: a batch of complete orders becomes rows for the ledger."""
