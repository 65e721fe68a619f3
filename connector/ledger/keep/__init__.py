"""Keeping and removing a whole store: backup, restore, and forgetting a company with proof."""
