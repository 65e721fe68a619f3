"""Linking: the notebook of a run, and to which order each record belongs."""
