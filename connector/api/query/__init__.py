"""Codat's query language: its grammar, its fields, and the SQL it becomes."""
