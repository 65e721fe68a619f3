"""The published file for commands: opened when it is asked for, so that starting up loads no DuckDB."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from connector.cli.invocation import Invocation
from connector.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from connector.config import Config
    from connector.ledger.connection_state import ConnectionState
    from connector.ledger.interface import Reader


@contextmanager
def open_published(store: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A read-only connection that can reach no other file and no network, and cannot be told to.

    Raises NothingPublishedError, StoreError when it cannot be opened, ConfigError for a store that is no directory.
    """
    from connector.ledger import open_store
    from connector.ledger.published import open_locked

    with open_locked(open_store(store).directory) as connection:
        yield connection


@contextmanager
def published_of(
    invocation: Invocation, config: "Config", company_id: str | None
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """``open_published`` of the store; in a fleet the file of one company. Raises ConfigError when none is named."""
    if config.fleet is None:
        with open_published(config.store) as connection:
            yield connection
        return
    from connector.ledger.published import locked

    with (
        reader_of(invocation, config, company_id) as reader,
        closing(locked(reader.path)) as connection,
    ):
        yield connection


def reader_of(invocation: Invocation, config: "Config", company_id: str | None) -> "Reader":
    """The newest published state of the store; in a fleet of one company. Raises ConfigError when none is named."""
    store = invocation.store(config)
    if config.fleet is None:
        return store.open_reader()
    if company_id is None:
        raise ConfigError(
            "A fleet keeps a file a company, and this reads one file.", hint="Name the company: --company ID"
        )
    return store.store_of(company_id).open_reader()


def states_now(invocation: Invocation, config: "Config", now: datetime) -> "Mapping[str, ConnectionState]":
    """Connection id -> how current it is; none before the first publish."""
    from connector.ledger.published import NothingPublishedError

    try:
        return invocation.store(config).states(at=now)
    except NothingPublishedError:
        return {}
