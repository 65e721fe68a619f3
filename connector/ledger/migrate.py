"""Brings a store up to this version: numbered SQL files, each applied once and recorded; then the views.

Forward only. A store that knows a migration we do not was written by a newer version and is left alone. A large store
is told about as it goes on, for one of the oldest schema takes minutes.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb

from connector.errors import StoreError, StoreTooNew
from connector.ledger.load.bookings import book
from connector.ledger.load.postings import post
from connector.ledger.views import define_views
from connector.logs import get_logger

DIRECTORY = Path(__file__).parent / "migrations"
_FIGURES = 7  # with which bookings and postings have all their figures
_TELLS_FROM = 100_000  # versions; fewer are done before anybody wonders
notes = get_logger(__name__)


def migrations(directory: Path = DIRECTORY) -> list[tuple[int, str, Path]]:
    """(version, name, file) in order: ``0001_ledger.sql`` is version 1."""
    return [(int(f.stem[:4]), f.stem[5:], f) for f in sorted(directory.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def refuse_other_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Raises StoreError when a published file has an older schema than this version's, StoreTooNew for a newer one."""
    try:
        row = connection.execute("SELECT max(version) FROM ledger.migrations").fetchone()
    except duckdb.CatalogException:
        return
    found, known = (row[0] if row else None) or 0, max(version for version, _, _ in migrations())
    if found > known:
        raise _too_new(found, known)
    if found < known:
        raise StoreError(
            f"What is published has schema {found}; this version of the connector reads {known}.",
            hint="connector sync brings it up to date and publishes it.",
        )


def _too_new(found: int, known: int) -> StoreTooNew:
    return StoreTooNew(
        f"The store was written by a newer version of the connector (schema {found}; this one knows {known})."
        " Nothing was changed.",
        hint="Upgrade the connector: pip install --upgrade clover-codat-connector",
    )


def migrate(connection: duckdb.DuckDBPyConnection, *, at: datetime, directory: Path = DIRECTORY) -> bool:
    """Apply what is missing; whether anything was. Each migration is a transaction. Raises StoreTooNew."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS ledger.migrations"
        " (version INTEGER NOT NULL, name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)"
    )
    done = {version for (version,) in connection.execute("SELECT version FROM ledger.migrations").fetchall()}
    known = migrations(directory)
    newest = max((version for version, _, _ in known), default=0)
    if max(done, default=0) > newest:
        raise _too_new(max(done), newest)
    changed = False
    for version, name, file in known:
        if version in done:
            continue
        connection.execute("BEGIN")
        try:
            connection.execute(file.read_text(encoding="utf-8"))
            if version == _FIGURES:
                _fill(connection)
            connection.execute(
                "INSERT INTO ledger.migrations VALUES (?, ?, ?)", [version, name, at.replace(tzinfo=None)]
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        changed = True
    if define_views(connection):
        changed = True
    return changed


def _fill(connection: duckdb.DuckDBPyConnection) -> None:
    """Book and post what was loaded before there were bookings or postings; what a load computes has one place."""
    row = connection.execute("SELECT count(*) FROM ledger.order_versions").fetchone()
    versions = int(row[0]) if row else 0
    if connection.execute("SELECT 1 FROM ledger.order_versions WHERE bookings IS NULL LIMIT 1").fetchone():
        book(connection, "ledger.order_versions", advance=_teller("bookings", versions))
    if not connection.execute("SELECT 1 FROM ledger.postings LIMIT 1").fetchone():
        post(connection, advance=_teller("postings", versions))


def _teller(step: str, total: int) -> Callable[[int], None]:
    """Says at every tenth of a large store how far a step is."""
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        before, done = done, done + rows
        if total >= _TELLS_FROM and before * 10 // total < done * 10 // total:
            notes.info("store.upgrading", step=step, done=done, total=total)

    return advance
