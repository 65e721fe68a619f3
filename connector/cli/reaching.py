"""How ``connector check`` reaches Clover: few tries, short waits, and no token where none is needed."""

import httpx

from connector.clover import CloverClient, RetryPolicy, StaticToken, TokenSource, hosts_for
from connector.config import Connection
from connector.errors import ConfigError


def host_date(connection: Connection) -> str | None:
    """The Date header of the host's answer to a request without a token; None when there is none."""
    host = hosts_for(connection.environment, connection.base_url, region=connection.region).scl
    try:
        date: str | None = httpx.get(host, timeout=10, follow_redirects=False).headers.get("date")
    except httpx.HTTPError:
        return None
    return date


def probing_client(connection: Connection) -> CloverClient:
    """A client that gives up after a few seconds: a check should say that Clover is away, not wait for it."""
    host = hosts_for(connection.environment, connection.base_url, region=connection.region).scl
    return CloverClient(host, _token(connection), policy=RetryPolicy(attempts=2, total_seconds=20))


def _token(connection: Connection) -> TokenSource:
    if connection.token is not None:
        return StaticToken(connection.token.get_secret_value(), connection_id=connection.id)
    raise ConfigError(
        f"The OAuth token of merchant {connection.merchant_id} cannot be checked yet.",
        hint=f"Run connector sync --connection {connection.id}; it says whether Clover accepts it.",
    )
