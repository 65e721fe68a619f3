"""How ``connector check`` reaches Clover: few tries, short waits, and no token where none is needed."""

import httpx

from connector.clover import CloverClient, RetryPolicy
from connector.config import Config, Connection
from connector.sync.connecting import token_source


def host_date(connection: Connection) -> str | None:
    """The Date header of the host's answer to a request without a token; None when there is none."""
    try:
        date: str | None = httpx.get(
            connection.ecommerce_url, timeout=10, follow_redirects=False
        ).headers.get("date")
    except httpx.HTTPError:
        return None
    return date


def probing_client(config: Config, connection: Connection) -> CloverClient:
    """A client that gives up after a few seconds: a check should say that Clover is away, not wait for it."""
    policy = RetryPolicy(attempts=2, total_seconds=20)
    return CloverClient(connection.ecommerce_url, token_source(config, connection), policy=policy)
