"""Questions over all companies of a fleet, answered from their rows: a small ledger in memory, without any order.

It holds how current each connection is, its cursors, how many records are kept of it, and its newest runs; so what asks
a store's file for these asks this in the same words. Whoever asks for orders has to name a company, or ask the lake.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import orjson

from connector.ledger.connection_state import ConnectionState
from connector.ledger.database import quoted
from connector.ledger.published import DuckReader

_COLUMNS = {"INTEGER": ("newest_snapshot", "orders", "held_back", "open_issues")}
_TIMES = (
    "last_success",
    "last_success_began",
    "last_started",
    "last_finished",
    "newest_sale",
    "cursor",
    "dated_until",
)
_RUNS = {
    "company_id": "VARCHAR", "connection_id": "VARCHAR", "run_id": "VARCHAR", "kind": "VARCHAR",
    "started_at": "TIMESTAMP", "finished_at": "TIMESTAMP", "status": "VARCHAR", "error_kind": "VARCHAR",
    "error": "VARCHAR",
}  # fmt: skip
_STREAMS = {"connection_id": "VARCHAR", "stream": "VARCHAR", "cursor": "TIMESTAMP"}
_RECORDS = {"connection_id": "VARCHAR", "kind": "VARCHAR", "records": "BIGINT"}


class Roll(DuckReader):
    """See ``interface.Reader``. Only the newest runs of each company are in it."""

    is_whole = False

    @property
    def snapshot_id(self) -> int:
        return 0

    @property
    def epoch(self) -> str:
        return ""


def open_roll(summaries: Iterable[Mapping[str, Any]], directory: Path) -> Roll:
    """The rows of all companies as they are now. directory: has room for a draft of them."""
    found = list(summaries)
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA ledger")
    _fill(
        connection,
        directory,
        "connection_states",
        _state_columns(),
        (s for one in found for s in one["states"]),
    )
    _fill(connection, directory, "sync_runs", _RUNS, (run for one in found for run in one["runs"]))
    _fill(connection, directory, "sync_state", _STREAMS, (row for one in found for row in one["streams"]))
    _fill(connection, directory, "record_counts", _RECORDS, (row for one in found for row in one["records"]))
    connection.execute(
        "CREATE VIEW ledger.source_records AS SELECT connection_id, kind, NULL AS replaced_by, false AS is_deleted"
        " FROM (SELECT connection_id, kind, unnest(range(records)) FROM ledger.record_counts)"
    )
    return Roll(directory, connection)


def _fill(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Mapping[str, Any]],
) -> None:
    described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    connection.execute(f"CREATE TABLE ledger.{table} ({described})")
    draft = directory / f"roll-{uuid.uuid4().hex}.tmp"
    lines = [orjson.dumps({name: row[name] for name in columns}) for row in rows]
    if not lines:
        return
    draft.write_bytes(b"\n".join(lines))
    try:
        kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        connection.execute(
            f"INSERT INTO ledger.{table} SELECT * FROM read_json({quoted(draft)}, columns = {{{kinds}}},"  # noqa: S608
            " format = 'newline_delimited')"
        )
    finally:
        draft.unlink()


def _state_columns() -> dict[str, str]:
    """Times as DuckDB reads a zone out of text: those of the rows are in UTC."""
    kinds = {name: kind for kind, names in _COLUMNS.items() for name in names} | dict.fromkeys(
        _TIMES, "TIMESTAMP"
    )
    return {field.name: kinds.get(field.name, "VARCHAR") for field in fields(ConnectionState)}
