"""The published file for commands: opened when it is asked for, so that starting up loads no DuckDB."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from connector.config import Config
    from connector.ledger import Reader, Store


@contextmanager
def open_reads(config: "Config", company: str | None = None) -> "Iterator[duckdb.DuckDBPyConnection]":
    """The published file of a configuration's store; in a fleet that of a company, else what the rows of all tell.

    company: its name or id. Raises as ``open_published``.
    """
    if config.fleet is None:
        with open_published(config.store) as connection:
            yield connection
        return
    from connector.fleet.store import FleetStore
    from connector.ledger.interface import now_utc
    from connector.ledger.published import locked

    fleet = FleetStore(config.fleet, clock=now_utc)
    try:
        if company is None:
            with fleet.open_reader() as reader:
                yield reader.connection
            return
        known = {one.name: one.id for one in config.companies}
        with (
            fleet.store_of(known.get(company, company)).open_reader() as reader,
            closing(locked(reader.path)) as own,
        ):
            yield own
    finally:
        fleet.close()


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
def open_company(store: "Store", company_id: str | None) -> "Iterator[Reader]":
    """A reader of orders: in a fleet a company has to be named, else ConfigError; a store on one disk holds all."""
    own = store if company_id is None else store.store_of(company_id)
    with own.open_reader() as reader:
        if not reader.is_whole:
            from connector.errors import ConfigError

            raise ConfigError(
                "A fleet keeps a file a company, and this asks for one file with all of them.",
                hint="Name one with --company.",
            )
        yield reader
