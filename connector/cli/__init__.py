"""The ``connector`` command."""
