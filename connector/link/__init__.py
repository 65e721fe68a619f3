"""Merchants connect themselves: a page that asks, Clover's consent, and the first sync without an operator."""
