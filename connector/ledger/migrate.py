"""Brings a store up to this version: numbered SQL files, each applied once and recorded; then the views.

Forward only. A store that knows a migration we do not was written by a newer version and is left alone.
"""

from datetime import datetime
from pathlib import Path

import duckdb

from connector.errors import StoreTooNew
from connector.ledger.load.bookings import book
from connector.ledger.load.postings import post
from connector.ledger.views import define_views

DIRECTORY = Path(__file__).parent / "migrations"
_BOOKINGS, _POSTINGS = 3, 4


def migrations(directory: Path = DIRECTORY) -> list[tuple[int, str, Path]]:
    """(version, name, file) in order: ``0001_ledger.sql`` is version 1."""
    return [(int(f.stem[:4]), f.stem[5:], f) for f in sorted(directory.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


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
        raise StoreTooNew(
            "The store was written by a newer version of the connector"
            f" (schema {max(done)}; this one knows {newest}). Nothing was changed.",
            hint="Upgrade the connector: pip install --upgrade clover-codat-connector",
        )
    changed = False
    for version, name, file in known:
        if version in done:
            continue
        connection.execute("BEGIN")
        try:
            connection.execute(file.read_text(encoding="utf-8"))
            if version == _BOOKINGS:
                # What a load computes has one place; orders that were loaded before get it here.
                book(connection, "ledger.order_versions")
            if version == _POSTINGS:
                post(connection)
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
