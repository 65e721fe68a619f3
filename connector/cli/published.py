"""The published file for commands: opened when it is asked for, so that starting up loads no DuckDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@contextmanager
def open_published(store: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A read-only connection that can reach no other file and no network, and cannot be told to.

    Raises NothingPublishedError, StoreError when it cannot be opened, ConfigError for a store that is no directory.
    """
    from connector.ledger import open_store
    from connector.ledger.published import open_locked

    with open_locked(open_store(store).directory) as connection:
        yield connection
