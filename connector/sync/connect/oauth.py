"""The OAuth token of a connection, renewed where needed, its newest pair kept encrypted beside the store."""

from pathlib import Path

from connector.clover.auth.credentials import EncryptedCredentials, ensure_key_file, load_keys
from connector.clover.auth.oauth import OAuthToken
from connector.clover.hosts import hosts_for
from connector.clover.http.reach import Patience
from connector.config import Config, Connection, OAuth
from connector.errors import ConfigError


def credentials_of(config: Config) -> EncryptedCredentials:
    """Where OAuth pairs are kept. The key that encrypts them is made when the first pair comes.

    Raises ConfigError when pairs are kept already and there is no key to open them with.
    """
    directory = config.store_directory / "credentials"
    key_file = key_file_of(config)
    keys = load_keys(key_file)
    if not keys and not any(directory.glob("*.fernet")):
        ensure_key_file(key_file)
        keys = load_keys(key_file)
    return EncryptedCredentials(directory, keys)


def key_file_of(config: Config) -> Path:
    """Where the key lies unless CONNECTOR_KEY holds it: beside the store, so that a copy of the store lacks it."""
    store = config.store_directory
    return config.key_file or store.with_name(f"{store.name}.key")


def oauth_source(config: Config, connection: Connection, patience: Patience | None = None) -> OAuthToken:
    """A token that renews itself before it expires and after a 401. patience: for Clover's first answer.

    Raises ConfigError for a connection that its merchant linked, when the app left the configuration.
    """
    oauth = connection.oauth or _of_the_app(config, connection)
    hosts = hosts_for(connection.environment, connection.base_url, region=connection.region)
    return OAuthToken(
        connection.id,
        credentials_of(config),
        client_id=oauth.client_id,
        refresh_url=oauth.refresh_url or hosts.refresh_url,
        seed=oauth.refresh_token.get_secret_value() if oauth.refresh_token else None,
        patience=patience,
        named_in=connection.place,
    )


def _of_the_app(config: Config, connection: Connection) -> OAuth:
    """A merchant who connected through a link agreed to the app of his region."""
    app = config.link.app_of(connection.region) if config.link is not None else None
    if app is None:
        raise ConfigError(
            f"Connection {connection.id} was linked by its merchant, and the configuration has no app for the region"
            f" {connection.region} any more.",
            hint="Write the app into link.apps again: its client_id is needed to renew the merchant's token.",
        )
    return OAuth(client_id=app.client_id)
