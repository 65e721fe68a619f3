"""Removes a company from the ledger for good: every version, every trace of its runs, and the bytes themselves.

Deleting rows leaves their bytes in a DuckDB file, so the file is written anew without them. Readers that hold an
older published copy keep it until they close it; on disk nothing of it is left.
"""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import duckdb

from connector.errors import StoreError
from connector.ledger.database import (
    CATALOG,
    WORK,
    attach_new,
    log_of,
    memory_database,
    quoted,
    store_errors,
    unwritten_log,
)
from connector.ledger.failpoints import failpoint
from connector.ledger.migrate import migrate

_FRESH = "fresh"
# Bytes. For what DuckDB and SQLite write beside their files.
_MARGIN = 4 << 20
# These are made by the migrations of the new file itself.
_MADE = ("migrations", "view_definitions", "view_grains", "publication")
_BY_CONNECTION = ("open_orders", "deep_scans")
_OF_THEIR_CONNECTIONS = (
    f"connection_id IN (SELECT connection_id FROM {CATALOG}.ledger.connections"  # noqa: S608
    " WHERE company_id = $company)"
)


def room_to_forget(directory: Path) -> tuple[int, int]:
    """Bytes of disk that forgetting takes while it runs, at most, and bytes that are free.

    The ledger is written anew beside the old one; what is published afterwards has the room of the old one.
    """
    work = directory / WORK
    size = work.stat().st_size if work.exists() else 0
    return size + _MARGIN, shutil.disk_usage(directory).free


def rewrite_without(work: Path, company_id: str, *, at: datetime) -> Mapping[str, int]:
    """Write the writer's file anew without a company; table -> rows removed. Only under the store's lock.

    The new file takes the old one's place at the very end: until then nothing has changed.
    """
    temporary = work.with_name("making-forget.tmp")
    removed = write_without(work, temporary, company_id, at=at, room=work.parent)
    with store_errors(work, "forget the company"):
        if log := unwritten_log(work):
            temporary.unlink(missing_ok=True)
            raise StoreError(
                f"{log.name} was not written out. Nothing was removed.",
                hint="Run it again when no sync runs.",
            )
        failpoint("forget.before_replace")
        temporary.replace(work)
    return removed


def write_without(
    source: Path, target: Path, company_id: str, *, at: datetime, room: Path
) -> Mapping[str, int]:
    """Write what a ledger holds of other companies into a new file, one commit further; table -> rows left out.

    room: the store, whose directory for temporary files is used.
    """
    with store_errors(source, "forget the company"):
        _remove(target)
        connection = memory_database(room)
        try:
            connection.execute(
                f"ATTACH {quoted(source)} AS {CATALOG}{'' if source.name == WORK else ' (READ_ONLY)'}"
            )
            attach_new(connection, target, _FRESH, has_log=False)  # which would take the room twice
            connection.execute(f"USE {_FRESH}")
            migrate(connection, at=at)
            removed = _copy_others(connection, company_id)
            connection.execute(f"CHECKPOINT {_FRESH}")
            if source.name == WORK:
                connection.execute(f"CHECKPOINT {CATALOG}")
        except BaseException:
            connection.close()
            _remove(target)
            raise
        connection.close()
        if log := unwritten_log(target):
            _remove(target)
            raise StoreError(
                f"{log.name} was not written out. Nothing was removed.",
                hint="Run it again when no sync runs.",
            )
    return removed


def _remove(path: Path) -> None:
    for one in (path, log_of(path)):
        one.unlink(missing_ok=True)


def _copy_others(connection: duckdb.DuckDBPyConnection, company_id: str) -> Mapping[str, int]:
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'ledger'"
        " ORDER BY table_name"
    ).fetchall()
    removed: dict[str, int] = {}
    for (table,) in tables:
        if table in _MADE:
            continue
        theirs = _OF_THEIR_CONNECTIONS if table in _BY_CONNECTION else "company_id = $company"
        source = f"{CATALOG}.ledger.{table}"
        gone = connection.execute(
            f"SELECT count(*) FROM {source} WHERE {theirs}",  # noqa: S608
            {"company": company_id},
        ).fetchall()
        connection.execute(
            f"INSERT INTO ledger.{table} BY NAME SELECT * FROM {source}"  # noqa: S608
            f" WHERE NOT ({theirs}) ORDER BY rowid",
            {"company": company_id},
        )
        if gone[0][0]:
            removed[table] = int(gone[0][0])
    connection.execute("DELETE FROM ledger.publication")
    connection.execute(
        "INSERT INTO ledger.publication BY NAME"  # noqa: S608
        f" SELECT * REPLACE (commit_id + 1 AS commit_id) FROM {CATALOG}.ledger.publication"
    )
    return removed
