"""Runs syncs by themselves: when each connection is due, many side by side, and who is told when it goes wrong."""
