"""The command line, ``connector``. Each command is a thin file of its own; the layers below do the work."""

from connector.cli.entry import main

__all__ = ["main"]
