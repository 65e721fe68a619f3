"""What the published file knows about past runs, as the planner and the alerts need it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import StoreError
from connector.schedule.planner import LastRun
from connector.store.interface import Store

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


def read_past(store: Store) -> Mapping[str, Past]:
    """Connection id -> its past. Empty before anything was published, or when the file cannot be read."""
    try:
        with store.open_reader() as reader:
            return _read(reader.connection)
    except StoreError:
        return {}


@dataclass(slots=True)
class PastReader:
    """Reads the past again only when something new was published."""

    store: Store
    _seen: Path | None = None
    _past: Mapping[str, Past] = field(default_factory=dict)

    def read(self) -> Mapping[str, Past]:
        """See ``read_past``."""
        link = self.store.directory / "commerce.duckdb"
        newest_file = link.resolve() if link.exists() else None
        if newest_file is None or newest_file != self._seen:
            self._past, self._seen = read_past(self.store), newest_file
        return self._past


def _read(published: "duckdb.DuckDBPyConnection") -> dict[str, Past]:
    successes = dict(
        published.execute(
            f"SELECT connection_id, max(finished_at) FROM ledger.sync_runs WHERE {_KINDS}"  # noqa: S608
            " AND status IN ('succeeded', 'partly_done') GROUP BY ALL"
        ).fetchall()
    )
    found = {}
    for connection_id, started, finished, status, kind, failures, run_id, error in published.execute(
        f"""
        WITH runs AS (
          SELECT *, row_number() OVER newest AS place,
            sum(CASE WHEN status = 'failed' THEN 0 ELSE 1 END) OVER newest AS successes_since
          FROM ledger.sync_runs WHERE {_KINDS}
          WINDOW newest AS (PARTITION BY connection_id ORDER BY started_at DESC, run_id DESC))
        SELECT connection_id, any_value(started_at) FILTER (place = 1), any_value(finished_at) FILTER (place = 1),
          any_value(status) FILTER (place = 1), any_value(error_kind) FILTER (place = 1),
          count(*) FILTER (successes_since = 0), any_value(run_id) FILTER (place = 1),
          any_value(error) FILTER (place = 1)
        FROM runs GROUP BY connection_id
        """  # noqa: S608
    ).fetchall():
        last = LastRun(_utc(started), None if finished is None else _utc(finished), status, kind, failures)
        success = successes.get(connection_id)
        found[connection_id] = Past(last, None if success is None else _utc(success), run_id, error)
    return found


def newest(past: Mapping[str, Past], here: Iterable[tuple[str, LastRun]]) -> dict[str, LastRun]:
    """The newest run of each connection, from the file and from this process.

    A run that could not be recorded, because the disk is full for one, is known only here.
    """
    found = {connection_id: one.last for connection_id, one in past.items() if one.last is not None}
    for connection_id, run in here:
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
