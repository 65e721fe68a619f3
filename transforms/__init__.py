"""Clover in, Codat out: pure functions, no network, no database, no clock."""
