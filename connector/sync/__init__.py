"""Puts it together: windows, one connection from start to end, many companies, reconciliation."""
