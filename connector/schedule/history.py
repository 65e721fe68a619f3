"""What the published file knows about past runs, as the planner and the alerts need it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connector.config import Config
from connector.errors import StoreError
from connector.ledger.connection_state import ConnectionState, connection_states
from connector.ledger.interface import Store
from connector.ledger.published import newest_file
from connector.schedule.planner import LastRun, is_past

if TYPE_CHECKING:
    import duckdb

# These move the data on; a reconciliation only compares.
_KINDS = "kind = 'sync'"


@dataclass(frozen=True, slots=True)
class Past:
    """One connection. last_success: end of the newest run that succeeded, in part or whole; aware UTC.

    run_id, error: of the newest run.
    """

    last: LastRun | None = None
    last_success: datetime | None = None
    run_id: str | None = None
    error: str | None = None


def read_past(store: Store, now: datetime) -> Mapping[str, Past]:
    """Connection id -> its past. Empty before anything was published, or when the file cannot be read.

    Runs that are dated after now are of a clock that was wrong; they are left out.
    """
    try:
        with store.open_reader() as reader:
            return _read(reader.connection, now)
    except StoreError:
        return {}


def past_of(config: Config, store: Store, now: datetime) -> Mapping[str, Past]:
    """``read_past`` of a store in a directory; of a fleet what its companies' summaries say."""
    if config.fleet is None:
        return read_past(store, now)
    try:
        states = store.states(at=now)
    except StoreError:
        return {}
    return {
        one.connection_id: Past(_last_run(one), one.last_success, one.last_run, one.last_error)
        for one in states.values()
        if one.last_started is None or one.last_started <= now
    }


def _last_run(state: ConnectionState) -> LastRun | None:
    if state.last_started is None or state.last_status is None:
        return None
    failures = int(state.last_status == "failed")  # how many in a row is kept with the turns
    return LastRun(
        state.last_started, state.last_finished, state.last_status, state.last_error_kind, failures
    )


@dataclass(slots=True)
class PastReader:
    """Reads the past again only when something new was published, or when the clock was set back behind it."""

    store: Store
    _seen: Path | None = None
    _past: Mapping[str, Past] = field(default_factory=dict)
    _read_at: datetime | None = None

    def read(self, now: datetime) -> Mapping[str, Past]:
        """See ``read_past``."""
        try:
            newest: Path | None = newest_file(self.store.directory)
        except StoreError:
            newest = None
        was_set_back = self._read_at is not None and now < self._read_at
        if newest is None:
            self._past, self._seen = self._past and {}, None
        elif newest != self._seen or was_set_back:
            self._past, self._seen, self._read_at = read_past(self.store, now), newest, now
        return self._past


def _read(published: "duckdb.DuckDBPyConnection", now: datetime) -> dict[str, Past]:
    # Only the newest run that did not fail and what came after it: the whole history grows by a row a run.
    rows = published.execute(
        f"""
        WITH ends AS (
          SELECT connection_id, max(started_at) FILTER (status <> 'failed') AS did_not_fail
          FROM ledger.sync_runs WHERE {_KINDS} AND started_at <= $now GROUP BY connection_id)
        SELECT connection_id, started_at, finished_at, status, error_kind, run_id, error
        FROM ledger.sync_runs JOIN ends USING (connection_id)
        WHERE {_KINDS} AND started_at <= $now AND (did_not_fail IS NULL OR started_at >= did_not_fail)
        ORDER BY connection_id, started_at, run_id
        """,  # noqa: S608
        {"now": now.astimezone(UTC).replace(tzinfo=None)},
    ).fetchall()
    found: dict[str, Past] = {}
    states = connection_states(published, at=now)
    for connection_id, started, finished, status, kind, run_id, error in rows:
        before = found.get(connection_id, Past()).last
        failures = (before.failures if before else 0) + 1 if status == "failed" else 0
        last = LastRun(_utc(started), None if finished is None else _utc(finished), status, kind, failures)
        found[connection_id] = Past(last, states[connection_id].last_success, run_id, error)
    return found


def newest(
    past: Mapping[str, Past], here: Iterable[tuple[str, LastRun]], now: datetime
) -> dict[str, LastRun]:
    """The newest run of each connection that is not dated after now, from the file and from this process.

    A run that could not be recorded, because the disk is full for one, is known only here.
    """
    found = {connection_id: one.last for connection_id, one in past.items() if one.last is not None}
    for connection_id, run in here:
        if not is_past(run, now):
            continue
        known = found.get(connection_id)
        if known is None or known.started_at < run.started_at:
            failures = run.failures
            if run.status == "failed" and known is not None:
                failures = max(failures, known.failures + 1)
            found[connection_id] = LastRun(
                run.started_at, run.finished_at, run.status, run.error_kind, failures
            )
    return found


@dataclass(slots=True)
class KnownRuns:
    """The newest run of each connection, from the published file and from this process."""

    _past: PastReader
    _here: dict[str, LastRun] = field(default_factory=dict)
    _last: Mapping[str, LastRun] = field(default_factory=dict)
    _made_of: Mapping[str, Past] | None = None
    _made_at: datetime | None = None
    _holds_until: datetime | None = None

    def note(self, connection_id: str, run: LastRun) -> None:
        """A run of this process has ended."""
        before = self._here.get(connection_id)
        failures = (before.failures if before else 0) + 1 if run.status == "failed" else 0
        self._here[connection_id] = replace(run, failures=failures)
        self._made_of = None

    def last(self, now: datetime) -> Mapping[str, LastRun]:
        """By connection; the same object while nothing has changed. Runs that are dated after now are left out."""
        past = self._past.read(now)
        is_same = past is self._made_of and self._made_at is not None and self._made_at <= now
        if not is_same or (self._holds_until is not None and now >= self._holds_until):
            self._last = newest(past, self._here.items(), now)
            self._made_of, self._made_at = past, now
            ahead = (run.started_at for run in self._here.values() if run.started_at > now)
            self._holds_until = min(ahead, default=None)
        return self._last


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
