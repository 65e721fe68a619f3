"""The OAuth token of a connection, renewed where needed, its newest pair kept encrypted beside the store."""

from connector.clover.credentials import EncryptedCredentials, load_keys
from connector.clover.hosts import hosts_for
from connector.clover.oauth import OAuthToken
from connector.config import Config, Connection


def credentials_of(config: Config) -> EncryptedCredentials:
    """Where OAuth pairs are kept. Raises ConfigError when there is no key to encrypt them with."""
    return EncryptedCredentials(config.store_directory / "credentials", load_keys(config.key_file))


def oauth_source(config: Config, connection: Connection) -> OAuthToken:
    """A token that renews itself before it expires and after a 401."""
    oauth = connection.oauth
    assert oauth is not None, "only connections with an oauth section get here"
    hosts = hosts_for(connection.environment, connection.base_url, region=connection.region)
    return OAuthToken(
        connection.id,
        credentials_of(config),
        client_id=oauth.client_id,
        refresh_url=oauth.refresh_url or hosts.refresh_url,
        seed=oauth.refresh_token.get_secret_value() if oauth.refresh_token else None,
    )
