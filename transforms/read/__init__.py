"""From Clover's records to a group that can be mapped."""
