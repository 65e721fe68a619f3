"""The published file, opened the way an analyst would: read-only, and with no way out of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import duckdb

FILE_NAME = "commerce.duckdb"


def published_file(store: str) -> Path:
    """The immutable file behind ``<store>/commerce.duckdb``. StoreError when nothing was published yet."""
    if store.startswith("ducklake:"):
        raise ConfigError(
            "This command reads a store that is a directory.", hint="Query the lake with its own tools."
        )
    link = Path(store) / FILE_NAME
    try:
        return link.resolve(strict=True)
    except FileNotFoundError:
        raise StoreError(
            f"Nothing has been published in {store} yet.", hint="Run: connector sync   (or connector demo)"
        ) from None


@contextmanager
def open_published(store: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A read-only connection that can reach no other file and no network, and cannot be told to.

    Raises StoreError when there is nothing to open or it cannot be opened.
    """
    import duckdb

    from connector.ledger.database import damage_in

    for attempt in (1, 2):
        path = published_file(store)
        try:
            connection = duckdb.connect(str(path), read_only=True)
            break
        except duckdb.IOException as error:
            # Three publishes between resolving the link and opening: the file was cleaned away.
            if attempt == 2 or path.exists():
                if damage_in(error) is not None:
                    raise
                raise StoreError(
                    f"{path} cannot be opened: {str(error).splitlines()[0]}",
                    hint="Check the file's owner and mode; connector check says more.",
                ) from None
    try:
        for setting in (
            "SET TimeZone = 'UTC'",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            connection.execute(setting)
        yield connection
    finally:
        connection.close()
