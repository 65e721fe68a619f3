"""What the published file knows about past runs, as the planner and the alerts need it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import StoreError
from connector.ledger.connection_state import connection_states
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


@dataclass(slots=True)
class PastReader:
    """Reads the past again only when something new was published, or when the clock was set back behind it."""

    store: Store
    _seen: Path | None = None
    _past: Mapping[str, Past] = field(default_factory=dict)

    def read(self, now: datetime) -> Mapping[str, Past]:
        """See ``read_past``."""
        try:
            newest: Path | None = newest_file(self.store.directory)
        except StoreError:
            newest = None
        is_ahead = any(one.last is not None and not is_past(one.last, now) for one in self._past.values())
        if newest is None or newest != self._seen or is_ahead:
            self._past, self._seen = read_past(self.store, now), newest
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


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
