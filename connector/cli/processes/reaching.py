"""How ``connector check`` reaches Clover: few tries, short waits, and no token where none is needed."""

import httpx

from connector.clover.hosts import hosts_for
from connector.clover.http.client import CloverClient
from connector.clover.http.reach import Patience
from connector.clover.http.retry import RetryPolicy
from connector.config import Config, Connection
from connector.sync.connect.connecting import FIRST_ANSWER, token_source


def host_date(connection: Connection) -> str | None:
    """The Date header of the host's answer to a request without a token; None when there is none."""
    try:
        date: str | None = httpx.get(connection.ecommerce_url, timeout=5, follow_redirects=False).headers.get(
            "date"
        )
    except httpx.HTTPError:
        return None
    return date


def probing_client(config: Config, connection: Connection) -> CloverClient:
    """A client that gives up after a few seconds: a check should say that Clover is away, not wait for it."""
    return _client(config, connection, connection.ecommerce_url)


def platform_client(config: Config, connection: Connection) -> CloverClient:
    """The same for the merchant's platform API."""
    hosts = hosts_for(connection.environment, connection.base_url, region=connection.region)
    return _client(config, connection, hosts.platform)


def _client(config: Config, connection: Connection, base_url: str) -> CloverClient:
    policy = RetryPolicy(attempts=2, total_seconds=20)
    patience = Patience(FIRST_ANSWER)
    return CloverClient(
        base_url,
        token_source(config, connection, patience),
        policy=policy,
        patience=patience,
        named_in=connection.place,
    )
