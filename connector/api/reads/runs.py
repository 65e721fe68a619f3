"""What the published file knows about connections, runs and snapshots; remembered for each publication."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from connector.ledger.connection_state import ConnectionState, connection_states
from connector.ledger.published import Publication

SUCCEEDED = ("succeeded", "partly_done")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one connection. Times are UTC without zone. ``error_kind``: a ConnectorError's kind."""

    run_id: str
    company_id: str
    connection_id: str
    kind: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    error_kind: str | None
    snapshot_id: int | None
    changed: int
    held_back: int

    @property
    def succeeded(self) -> bool:
        return self.status in SUCCEEDED


_COLUMNS = """run_id, company_id, connection_id, kind, started_at, finished_at, status, error_kind, snapshot_id,
  coalesce(orders_inserted, 0) + coalesce(orders_updated, 0), coalesce(orders_held_back, 0)"""


def states_of(publication: Publication) -> Mapping[str, ConnectionState]:
    """State by connection id, for all connections of the publication."""
    known = publication.cache.get("connection_states")
    if known is None:
        with publication.cursor.cursor() as cursor:
            known = publication.cache["connection_states"] = connection_states(cursor)
    return cast("Mapping[str, ConnectionState]", known)


def reads_of(publication: Publication, company_id: str, *, most: int = 1000) -> list[Run]:
    """The newest runs of one company that loaded something, newest first. A reconciliation only compares."""
    rows = publication.cursor.execute(
        f"SELECT {_COLUMNS} FROM ledger.sync_runs WHERE company_id = ? AND kind <> 'reconcile'"  # noqa: S608
        " ORDER BY started_at DESC, run_id LIMIT ?",
        [company_id, most],
    ).fetchall()
    return [Run(*row) for row in rows]


def snapshot_at(publication: Publication, connection_id: str, moment: datetime) -> int | None:
    """The newest snapshot of the connection loaded at or before ``moment`` (UTC without zone)."""
    row = publication.cursor.execute(
        "SELECT max(snapshot_id) FROM ledger.snapshots WHERE connection_id = ? AND loaded_at <= ?",
        [connection_id, moment],
    ).fetchone()
    return None if row is None else row[0]


def snapshot_up_to(publication: Publication, connection_id: str, snapshot_id: int) -> int | None:
    """The newest snapshot of the connection that is not newer than ``snapshot_id``."""
    row = publication.cursor.execute(
        "SELECT max(snapshot_id) FROM ledger.snapshots WHERE connection_id = ? AND snapshot_id <= ?",
        [connection_id, snapshot_id],
    ).fetchone()
    return None if row is None else row[0]


def epoch_of(publication: Publication) -> str:
    """Which numbering the snapshots are of: another one after a store was restored."""
    known = publication.cache.get("epoch")
    if known is None:
        with publication.cursor.cursor() as cursor:
            row = cursor.execute("SELECT epoch FROM ledger.publication").fetchone()
        known = publication.cache["epoch"] = "" if row is None else str(row[0])
    return str(known)


def loaded_at(publication: Publication, snapshot_id: int) -> datetime | None:
    """When a snapshot was loaded (UTC without zone): nothing in it was modified later."""
    row = publication.cursor.execute(
        "SELECT loaded_at FROM ledger.snapshots WHERE snapshot_id = ?", [snapshot_id]
    ).fetchone()
    return None if row is None else row[0]


def orders_deleted(publication: Publication, company_id: str) -> dict[str, int]:
    """Run id -> orders it found deleted; runs that found none are left out."""
    rows = publication.cursor.execute(
        "SELECT run_id, sum(orders_deleted)::BIGINT FROM ledger.snapshots"
        " WHERE company_id = ? AND orders_deleted > 0 GROUP BY 1",
        [company_id],
    ).fetchall()
    return dict(rows)


def read_up_to(publication: Publication, connection_id: str, snapshot_id: int) -> datetime | None:
    """When the newest run began whose reading a snapshot holds (UTC without zone): it asked for nothing later."""
    row = publication.cursor.execute(
        "SELECT max(r.started_at) FROM ledger.snapshots s JOIN ledger.sync_runs r USING (run_id, connection_id)"
        " WHERE s.connection_id = ? AND s.snapshot_id <= ? AND r.kind IN ('sync', 'resync')",
        [connection_id, snapshot_id],
    ).fetchone()
    return None if row is None else row[0]


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run with what it cost; the columns of the view ``sync_runs``. Times are UTC without zone."""

    run_id: str
    connection_id: str
    kind: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    requests: int | None
    retries: int | None
    throttled: int | None
    waited_seconds: float | None
    orders_inserted: int | None
    orders_updated: int | None
    orders_held_back: int | None
    error: str | None
    snapshot_id: int | None

    @property
    def seconds(self) -> float | None:
        return None if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()


def run_reports(publication: Publication, company_id: str, *, most: int = 100) -> list[RunReport]:
    """The newest runs of one company, reconciliations in, newest first."""
    rows = publication.cursor.execute(
        "SELECT run_id, connection_id, kind, started_at, finished_at, status, requests, retries, throttled,"
        " waited_seconds, orders_inserted, orders_updated, orders_held_back, error, snapshot_id"
        " FROM ledger.sync_runs WHERE company_id = ? ORDER BY started_at DESC, run_id LIMIT ?",
        [company_id, most],
    ).fetchall()
    return [RunReport(*row) for row in rows]
