"""How fresh the store is: per connection and stream, from the published file and the configuration."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector.config import Company, Config, Connection
from connector.schedule.advice import next_command
from connector.schedule.planner import Job, next_tick

if TYPE_CHECKING:
    import duckdb

STREAMS = ("charges", "orders", "refunds")


@dataclass(slots=True)
class StreamState:
    """One list of Clover. cursor: read up to here, aware UTC. rows: records of it that are kept."""

    stream: str
    cursor: datetime | None = None
    rows: int = 0


@dataclass(slots=True)
class Freshness:
    """One connection. last_success: when a run last moved the data on, with or without held-back records."""

    company: Company
    connection: Connection
    status: str = "never synced"
    last_success: datetime | None = None
    last_run: dict[str, Any] | None = None
    error: str | None = None
    next_run: datetime | None = None
    next_command: str | None = None
    orders: int = 0
    held_back: int = 0
    open_issues: int = 0
    streams: list[StreamState] = field(default_factory=list)

    def is_stale(self, now: datetime, max_age: timedelta) -> bool:
        """Whether nothing has succeeded within ``max_age``."""
        return self.last_success is None or now - self.last_success > max_age


def freshness(
    config: Config, published: "duckdb.DuckDBPyConnection | None", *, now: datetime
) -> list[Freshness]:
    """Every connection of the configuration, synced or not. published: None before the first publish."""
    found = [
        Freshness(company, connection, next_run=_next_run(config, connection, now))
        for company, connection in config.pairs()
    ]
    by_id = {one.connection.id: one for one in found}
    for one in found:
        one.streams = [StreamState(stream) for stream in STREAMS]
    if published is not None:
        _read_runs(published, by_id)
        _read_streams(published, by_id)
        _read_counts(published, by_id)
    return found


def _next_run(config: Config, connection: Connection, now: datetime) -> datetime | None:
    """The next tick with the connection's own delay; the scheduler may run sooner, after a failure or when asked."""
    if connection.schedule is None:
        return None
    jitter = timedelta(seconds=config.scheduler.jitter_seconds)
    return next_tick(Job(connection.id, connection.schedule, connection.timezone, jitter), now)


def _read_runs(published: "duckdb.DuckDBPyConnection", by_id: dict[str, Freshness]) -> None:
    for connection_id, success in published.execute(
        "SELECT connection_id, max(finished_at) FROM ledger.sync_runs"
        " WHERE kind = 'sync' AND status IN ('succeeded', 'partly_done') GROUP BY ALL"
    ).fetchall():
        if one := by_id.get(connection_id):
            one.last_success = _utc(success)
    for row in published.execute(
        "SELECT connection_id, run_id, kind, status, started_at, finished_at, error_kind, error"
        " FROM ledger.sync_runs WHERE kind IN ('sync', 'resync', 'rebuild')"
        " QUALIFY row_number() OVER (PARTITION BY connection_id ORDER BY started_at DESC, run_id DESC) = 1"
    ).fetchall():
        connection_id, run_id, kind, status, started, finished, error_kind, error = row
        if one := by_id.get(connection_id):
            one.status, one.error = status.replace("_", " "), error
            if status == "failed":
                one.next_command = next_command(error_kind, company_id=one.company.id)
            one.last_run = {
                "runId": run_id,
                "kind": kind,
                "status": status,
                "startedAt": _utc(started),
                "finishedAt": _utc(finished),
                "error": None if error is None else {"kind": error_kind, "message": error},
            }


def _read_streams(published: "duckdb.DuckDBPyConnection", by_id: dict[str, Freshness]) -> None:
    states = {(one.connection.id, state.stream): state for one in by_id.values() for state in one.streams}
    for connection_id, stream, cursor in published.execute(
        "SELECT connection_id, stream, cursor FROM ledger.sync_state"
    ).fetchall():
        if state := states.get((connection_id, stream)):
            state.cursor = _utc(cursor)
    for connection_id, kind, rows in published.execute(
        "SELECT connection_id, kind, count(*) FROM ledger.source_records"
        " WHERE replaced_by IS NULL AND NOT is_deleted GROUP BY ALL"
    ).fetchall():
        if state := states.get((connection_id, f"{kind}s")):
            state.rows = rows


def _read_counts(published: "duckdb.DuckDBPyConnection", by_id: dict[str, Freshness]) -> None:
    for name, sql in (
        ("orders", "SELECT connection_id, count(*) FROM orders GROUP BY ALL"),
        (
            "held_back",
            "SELECT connection_id, count(*) FROM ledger.held_back WHERE resolved_run IS NULL GROUP BY ALL",
        ),
        (
            "open_issues",
            "SELECT connection_id, count(*) FROM data_issues WHERE resolved_snapshot IS NULL GROUP BY ALL",
        ),
    ):
        for connection_id, count in published.execute(sql).fetchall():
            if one := by_id.get(connection_id):
                setattr(one, name, count)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
