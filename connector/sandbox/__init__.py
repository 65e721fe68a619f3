"""A stand-in Clover with its own shop and its own books. Imports nothing of the connector."""
