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
_THEIRS = "of this company"
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
    return _write(source, target, f"NOT ({_THEIRS})", company_id, at, room)


def write_only(source: Path, target: Path, company_id: str, *, at: datetime, room: Path) -> Mapping[str, int]:
    """Write what a ledger holds of one company into a new file, one commit further; table -> rows left out."""
    return _write(source, target, _THEIRS, company_id, at, room)


def _write(
    source: Path, target: Path, condition: str, company_id: str, at: datetime, room: Path
) -> Mapping[str, int]:
    with store_errors(source, "write a company's rows"):
        _remove(target)
        connection = memory_database(room)
        try:
            connection.execute(
                f"ATTACH {quoted(source)} AS {CATALOG}{'' if source.name == WORK else ' (READ_ONLY)'}"
            )
            attach_new(connection, target, _FRESH, has_log=False)  # which would take the room twice
            connection.execute(f"USE {_FRESH}")
            migrate(connection, at=at)
            removed = _copy_some(connection, condition, company_id)
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


def _copy_some(connection: duckdb.DuckDBPyConnection, condition: str, company_id: str) -> Mapping[str, int]:
    left_out: dict[str, int] = {}
    for table in kept_tables(connection):
        theirs = _OF_THEIR_CONNECTIONS if table in _BY_CONNECTION else "company_id = $company"
        source, taken = f"{CATALOG}.ledger.{table}", condition.replace(_THEIRS, theirs)
        rest = connection.execute(
            f"SELECT count(*) FROM {source} WHERE NOT ({taken})",  # noqa: S608
            {"company": company_id},
        ).fetchall()
        connection.execute(
            f"INSERT INTO ledger.{table} BY NAME SELECT * FROM {source} WHERE {taken} ORDER BY rowid",  # noqa: S608
            {"company": company_id},
        )
        if rest[0][0]:
            left_out[table] = int(rest[0][0])
    connection.execute("DELETE FROM ledger.publication")
    connection.execute(
        "INSERT INTO ledger.publication BY NAME"  # noqa: S608
        f" SELECT * REPLACE (commit_id + 1 AS commit_id) FROM {CATALOG}.ledger.publication"
    )
    return left_out


def kept_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of the ledger in the default catalog whose rows belong to companies."""
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'ledger'"
        " ORDER BY table_name"
    ).fetchall()
    return [table for (table,) in tables if table not in _MADE]
