"""Comparing what is stored with what Clover says, record by record and to the minor unit."""
