"""How fresh the store is: per connection and stream, from the published file and the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector.clover.lists.streams import STREAMS
from connector.config import Company, Config, Connection
from connector.ledger.connection_state import ConnectionState, connection_states
from connector.schedule.advice import next_command
from connector.schedule.planner import Job, next_tick
from connector.sync.spans import CLOCK_TOLERANCE

if TYPE_CHECKING:
    import duckdb

DISABLED = "disabled"


@dataclass(slots=True)
class StreamState:
    """One list of Clover. cursor: read up to here, aware UTC. rows: records of it that are kept."""

    stream: str
    cursor: datetime | None = None
    rows: int = 0


@dataclass(slots=True)
class Freshness:
    """One connection, by ``connection_state`` as far as its dates are not in the future.

    dated_until: the latest date that any run, cursor or stamp of it carries.
    """

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
    dated_until: datetime | None = None

    def wrong_clock(self, now: datetime) -> str | None:
        """What to say when something is dated after now: a run, a cursor or a stamp of a clock that was wrong."""
        if self.dated_until is None or self.dated_until - now <= CLOCK_TOLERANCE:
            return None
        return (
            f"something is dated {self.dated_until:%Y-%m-%d %H:%M:%S} UTC, which is in the future: a clock was or is"
            " wrong. The next sync goes on from the last success that is not."
        )

    def is_stale(self, now: datetime, max_age: timedelta) -> bool:
        """Whether nothing has succeeded within ``max_age``; what is disabled is not expected to."""
        if not self.connection.enabled:
            return False
        return self.last_success is None or now - self.last_success > max_age


def freshness(
    config: Config,
    published: "duckdb.DuckDBPyConnection | None",
    *,
    now: datetime,
    states: Mapping[str, ConnectionState] | None = None,
) -> list[Freshness]:
    """Every connection of the configuration, synced or not.

    published: None before the first publish, and in a fleet, whose states are given: it has no lists then.
    """
    found = [
        Freshness(
            company,
            connection,
            status="never synced" if connection.enabled else DISABLED,
            next_run=_next_run(config, connection, now),
        )
        for company, connection in config.pairs()
    ]
    by_id = {one.connection.id: one for one in found}
    for one in found:
        one.streams = [StreamState(stream.name) for stream in STREAMS.values() if states is None]
    if states is None and published is not None:
        states = connection_states(published, at=now)
    for connection_id, state in (states or {}).items():
        if known := by_id.get(connection_id):
            _take_in(known, state)
    if published is not None:
        _read_streams(published, by_id)
    return found


def _next_run(config: Config, connection: Connection, now: datetime) -> datetime | None:
    """The next tick with the connection's own delay; the scheduler may run sooner, after a failure or when asked."""
    if connection.schedule is None or not connection.enabled:
        return None
    jitter = timedelta(seconds=config.scheduler.jitter_seconds)
    return next_tick(Job(connection.id, connection.schedule, connection.timezone, jitter), now)


def _take_in(one: Freshness, state: ConnectionState) -> None:
    one.last_success, one.dated_until = state.last_success, state.dated_until
    one.orders, one.held_back, one.open_issues = state.orders, state.held_back, state.open_issues
    if state.last_run is None or state.last_status is None:
        return
    if one.status != DISABLED:
        one.status, one.error = state.last_status.replace("_", " "), state.last_error
    if one.status == "failed":
        one.next_command = next_command(state.last_error_kind, company_id=one.company.id)
    one.last_run = {
        "runId": state.last_run,
        "kind": state.last_kind,
        "status": state.last_status,
        "startedAt": state.last_started,
        "finishedAt": state.last_finished,
        "error": None
        if state.last_error is None
        else {"kind": state.last_error_kind, "message": state.last_error},
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
        if (stream := STREAMS.get(kind)) and (state := states.get((connection_id, stream.name))):
            state.rows = rows


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
