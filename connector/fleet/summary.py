"""What the row of a company says of its newest file, so that questions over all companies open none of them."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connector.ledger.connection_state import ConnectionState, connection_states
from connector.ledger.database import store_errors
from connector.ledger.interface import Reader

if TYPE_CHECKING:
    import duckdb

_NEWEST_RUNS = 30
"""Runs of a company that its row tells: those since the last one that did not fail are wanted, for alerts."""

_RUNS = """SELECT company_id, connection_id, run_id, kind, started_at, finished_at, status, error_kind, error
FROM ledger.sync_runs ORDER BY started_at DESC, run_id LIMIT ?"""
_STREAMS = 'SELECT connection_id, stream, "cursor" FROM ledger.sync_state ORDER BY ALL'
_RECORDS = """SELECT connection_id, kind, count(*) AS records FROM ledger.source_records
WHERE replaced_by IS NULL AND NOT is_deleted GROUP BY ALL ORDER BY ALL"""
_SUMS = """SELECT company_id, currency, count(*) AS orders, sum(total_amount)::VARCHAR AS total_amount,
  sum(total_refund)::VARCHAR AS total_refund
FROM ledger.order_versions WHERE replaced_by IS NULL AND NOT is_deleted GROUP BY ALL ORDER BY ALL"""


def summary_of(reader: Reader) -> dict[str, Any]:
    """states: rows of ``connection_state``; runs: the newest, newest first; streams: their cursors.

    records: how many are kept, by kind; sums: of current orders, by currency.
    """
    connection = reader.connection
    with store_errors(reader.path, "sum up"):
        states = connection_states(connection).values()
        return {
            "states": [
                dict(zip(asdict(state), _texts(asdict(state).values()), strict=True)) for state in states
            ],
            "runs": _told(connection.execute(_RUNS, [_NEWEST_RUNS])),
            "streams": _told(connection.execute(_STREAMS)),
            "records": _told(connection.execute(_RECORDS)),
            "sums": _told(connection.execute(_SUMS)),
            "snapshot_id": reader.snapshot_id,
            "epoch": reader.epoch,
        }


def states_in(summary: Mapping[str, Any]) -> list[ConnectionState]:
    """The states of a company's connections, as they were written."""
    times = {field.name for field in fields(ConnectionState) if "datetime" in str(field.type)}
    return [_state(row, times) for row in summary["states"]]


def _state(row: Mapping[str, Any], times: set[str]) -> ConnectionState:
    values: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in times and value is not None else value
        for name, value in row.items()
    }
    return ConnectionState(**values)


def _told(rows: "duckdb.DuckDBPyConnection") -> list[dict[str, Any]]:
    names = [column[0] for column in rows.description or []]
    return [dict(zip(names, _texts(row), strict=True)) for row in rows.fetchall()]


def _texts(values: Any) -> list[Any]:
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]
