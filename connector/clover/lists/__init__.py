"""Clover's lists: windows, pages, rows, and records by id."""
