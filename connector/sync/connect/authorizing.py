"""Connects a merchant through the browser and keeps the pair of tokens encrypted, ready for the next sync."""

import webbrowser
from collections.abc import Callable

import httpx

from connector.clover.auth.authorize import authorize
from connector.clover.auth.credentials import ensure_key_file, load_keys
from connector.clover.auth.oauth import save_pair
from connector.clover.hosts import hosts_for
from connector.config import Config, Connection
from connector.errors import ConfigError
from connector.sync.connect.oauth import credentials_of, key_file_of


def authorize_connection(
    config: Config,
    connection: Connection,
    *,
    port: int = 8912,
    timeout: float = 300.0,
    show: Callable[[str], object],
    open_browser: Callable[[str], object] = webbrowser.open,
    transport: httpx.BaseTransport | None = None,
) -> str:
    """Walk one merchant through Clover's consent page; the merchant id that came back.

    The pair is stored durably before this returns. Raises ConfigError without an oauth section or a key, Deauthorized
    when the merchant does not agree.
    """
    oauth = connection.oauth
    if oauth is None:
        raise ConfigError(
            f"Connection {connection.id} has no oauth section, so there is nothing to authorise.",
            hint="Write oauth: {client_id: …} instead of token in the configuration.",
        )
    if config.fleet is None and not load_keys(key_file_of(config)):
        ensure_key_file(
            key_file_of(config)
        )  # also where pairs lie that a lost key had closed: this one is new
    credentials = credentials_of(config)
    hosts = hosts_for(connection.environment, connection.base_url, region=connection.region)
    found = authorize(
        authorize_url=oauth.authorize_url or hosts.authorize_url,
        token_url=oauth.token_url or hosts.token_url,
        client_id=oauth.client_id,
        client_secret=oauth.client_secret.get_secret_value() if oauth.client_secret else None,
        expected_merchant=connection.merchant_id,
        port=port,
        timeout=timeout,
        show=show,
        open_browser=open_browser,
        transport=transport,
    )
    seed = oauth.refresh_token.get_secret_value() if oauth.refresh_token else None
    save_pair(credentials, connection.id, found.pair, seed=seed, merchant_id=found.merchant_id)
    return found.merchant_id or connection.merchant_id
