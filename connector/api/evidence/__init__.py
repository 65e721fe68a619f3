"""Sealed evidence: a connection at one snapshot in one signed file, and how it is checked offline."""
