"""The address that a server listens on."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from connector.errors import ConfigError


def listen(host: str, port: int, *, hint: str) -> socket.socket:
    """A socket that listens; port 0 takes a free one. ConfigError with the hint where that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with listening_errors(host, port, hint=hint):
        server = socket.create_server((host, port), family=family, backlog=2048)
    # Accepted connections take this over. asyncio sets it only where the socket names its protocol, and this one does
    # not; without it each small answer on a kept-alive connection waits 40 ms for the client's acknowledgement.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server


@contextmanager
def listening_errors(host: str, port: int, *, hint: str) -> Iterator[None]:
    """An address that cannot be had, as a ConfigError that names it."""
    try:
        yield
    except OSError as error:
        # Python puts the address once more behind the system's words.
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise ConfigError(f"Could not listen on {host}, port {port}: {reason}.", hint=hint) from error
