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
    from connector.ledger import Reader, Store
    from connector.ledger.connection_state import ConnectionState


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
    if company_id is None:
        raise ConfigError(
            "A fleet keeps a file a company, and this reads one file.", hint="Name the company: --company ID"
        )
    from connector.ledger.published import locked

    with (
        invocation.store(config).store_of(company_id).open_reader() as reader,
        closing(locked(reader.path)) as connection,
    ):
        yield connection


def states_now(invocation: Invocation, config: "Config", now: datetime) -> "Mapping[str, ConnectionState]":
    """Connection id -> how current it is; none before the first publish."""
    from connector.ledger.published import NothingPublishedError

    try:
        return invocation.store(config).states(at=now)
    except NothingPublishedError:
        return {}


@contextmanager
def open_company(store: "Store", company_id: str | None) -> "Iterator[Reader]":
    """A reader of orders: in a fleet a company has to be named, else ConfigError; a store on one disk holds all."""
    own = store if company_id is None else store.store_of(company_id)
    with own.open_reader() as reader:
        if not reader.is_whole:
            raise ConfigError(
                "A fleet keeps a file a company, and this asks for one file with all of them.",
                hint="Name the company: --company ID",
            )
        yield reader
