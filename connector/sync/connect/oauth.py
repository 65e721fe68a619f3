"""The OAuth token of a connection, renewed where needed, its newest pair kept encrypted.

Pairs of connections of the configuration are files beside an embedded store; those of merchants kept as data, and all
of a fleet, are rows of the control data.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from connector.clover.auth.credentials import EncryptedCredentials, PairStore, ensure_key_file, load_keys
from connector.clover.auth.kept_pairs import KeptPairs
from connector.clover.auth.oauth import OAuthToken
from connector.clover.hosts import hosts_for
from connector.clover.http.reach import Patience
from connector.config import Config, Connection, OAuth
from connector.control.pairs import any_pair
from connector.control.place import control_place
from connector.errors import ConfigError

_SEND_THE_LINK = "The merchant must connect again: send the linkUrl of the connection."


def credentials_of(config: Config) -> PairStore:
    """Where OAuth pairs are kept. The key that encrypts them is made when the first pair comes; not for a fleet.

    Raises ConfigError when pairs are kept already, or hosts must share them, and there is no key to open them with.
    """
    keys = _keys_of(config)
    kept = KeptPairs(control_place(config), keys)
    if config.fleet is not None:
        return kept
    in_files = frozenset(one.id for _, one in config.pairs() if one.oauth is not None)
    return _ByConnection(EncryptedCredentials(config.store_directory / "credentials", keys), kept, in_files)


class _ByConnection:
    """A ``PairStore`` of an embedded store: files for connections of the configuration, rows for the others."""

    save_again_seconds = 0.0

    def __init__(self, files: PairStore, rows: PairStore, in_files: frozenset[str]) -> None:
        self._files, self._rows, self._in_files = files, rows, in_files

    def load(self, connection_id: str) -> dict[str, object] | None:
        return self._of(connection_id).load(connection_id)

    def save(self, connection_id: str, values: Mapping[str, object]) -> None:
        self._of(connection_id).save(connection_id, values)

    def lock(self, connection_id: str) -> AbstractContextManager[None]:
        return self._of(connection_id).lock(connection_id)

    def _of(self, connection_id: str) -> PairStore:
        return self._files if connection_id in self._in_files else self._rows


def _keys_of(config: Config) -> list[str]:
    key_file = key_file_of(config)
    keys = load_keys(key_file)
    if keys:
        return keys
    if config.fleet is not None:
        raise ConfigError(
            "The hosts of a fleet need one key for the OAuth tokens they share.",
            hint="Make one, and set CONNECTOR_KEY (or key_file) to it on every host: python -c 'from"
            " cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
        )
    if not any((config.store_directory / "credentials").glob("*.fernet")) and not any_pair(
        control_place(config)
    ):
        ensure_key_file(key_file)
    return load_keys(key_file)


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
        cure=_SEND_THE_LINK if connection.oauth is None else None,
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
