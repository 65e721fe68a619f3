"""Who read what: one row for each request that was let in, written in batches by one thread, kept for some days.

A row holds what was asked and how much was answered, never a record, a key or an address of the books. What was
refused at the door (no good key, or too many requests) is counted by day, so that nobody without a key fills the disk.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from connector.control.database import ControlDatabase
from connector.control.file import FILE, stamp
from connector.control.place import Place, rows_if_there
from connector.errors import StoreError
from connector.logs import get_logger

TABLES = """
CREATE TABLE IF NOT EXISTS access_log (
  at TEXT NOT NULL, correlation_id TEXT NOT NULL, key_id TEXT, method TEXT NOT NULL, route TEXT NOT NULL,
  company_id TEXT, connection_id TEXT, query TEXT, rows INTEGER, snapshot_id INTEGER, status INTEGER NOT NULL,
  milliseconds REAL NOT NULL, address TEXT) STRICT;
CREATE INDEX IF NOT EXISTS access_log_at ON access_log (at);
CREATE TABLE IF NOT EXISTS access_refused (
  day TEXT NOT NULL, key_id TEXT NOT NULL, status INTEGER NOT NULL, requests INTEGER NOT NULL,
  PRIMARY KEY (day, key_id, status)) STRICT;
"""
KEPT = timedelta(days=90)
_INSERT = "INSERT INTO access_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT = (
    "INSERT INTO access_refused VALUES (?, ?, ?, ?)"
    " ON CONFLICT (day, key_id, status) DO UPDATE SET requests = access_refused.requests + excluded.requests"
)
_COLUMNS = (
    "at, correlation_id, key_id, method, route, company_id, connection_id, query, rows, snapshot_id, status,"
    " milliseconds, address"
)
_BATCH = 500  # rows
_MOST_WAITING = 20_000  # rows; more are lost, and said to be, rather than make readers wait
_PRUNE_EVERY = 3600.0  # seconds
_PRUNED_AT_ONCE = 5000  # rows; the file is locked for writing meanwhile
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """One answered request.

    ``at``: instant as text. ``rows``: records in the answer, None where there are none.
    """

    at: str
    correlation_id: str
    key_id: str | None
    method: str
    route: str
    company_id: str | None
    connection_id: str | None
    query: str | None
    rows: int | None
    snapshot_id: int | None
    status: int
    milliseconds: float
    address: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """``requests`` refused at the door on a UTC day. ``key_id``: empty where there was no good key."""

    day: str
    key_id: str
    status: int
    requests: int


@dataclass(frozen=True, slots=True)
class LogSize:
    """``rows``: since ``oldest``, an instant as text, None when there is none. ``size``: bytes of the whole file,
    or of the log in PostgreSQL.

    ``refused``: requests refused at the door since the time asked for.
    """

    rows: int
    oldest: str | None
    size: int
    refused: int


class AccessLog:
    """Takes accesses without making the reader wait; ``close`` writes what is left."""

    def __init__(
        self,
        control: ControlDatabase,
        *,
        keep: timedelta = KEPT,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._control = control
        self._keep = keep
        self._clock = clock
        self._waiting: queue.Queue[Access | None] = queue.Queue(maxsize=_MOST_WAITING)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._refused: Counter[tuple[str, str, int]] = Counter()
        self._lost = 0
        # What could not be written waits for the next batch.
        self._unwritten: list[Access] = []
        self._pruned_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def add(self, access: Access) -> None:
        """One request that was let in."""
        try:
            self._waiting.put_nowait(access)
        except queue.Full:
            self._lost += 1

    def refused(self, at: datetime, key_id: str | None, status: int) -> None:
        """One request that was refused at the door."""
        with self._lock:
            self._refused[at.astimezone(UTC).date().isoformat(), key_id or "", status] += 1

    def flush(self) -> None:
        """Wait until everything added so far is written."""
        self._waiting.join()
        self._write_refused()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        last = False
        while not last:
            taken: list[Access | None] = []
            try:
                taken.append(self._waiting.get(timeout=1.0))
                while len(taken) < _BATCH:
                    taken.append(self._waiting.get_nowait())
            except queue.Empty:
                pass
            last = None in taken
            rows = [access for access in taken if access is not None]
            self._guarded(partial(self._write, rows))
            for _ in taken:
                self._waiting.task_done()
            self._guarded(self._write_refused)
            self._guarded(self._prune)
        if self._unwritten:
            log.error("access_log.overrun", rows_lost=len(self._unwritten))

    def _guarded(self, work: Callable[[], None]) -> None:
        # Whatever is wrong with the file or the disk, the next batch may succeed: this thread never ends by itself.
        try:
            work()
        except StoreError as exc:
            log.error("access_log.failed", rows_waiting=len(self._unwritten), error=str(exc))

    def _write(self, rows: list[Access]) -> None:
        rows = self._unwritten + rows
        self._unwritten = rows[-_MOST_WAITING:]
        self._lost += len(rows) - len(self._unwritten)
        if rows:
            self._control.write_many(_INSERT, [astuple(access) for access in self._unwritten])
            self._unwritten = []
        if self._lost:
            lost, self._lost = self._lost, 0
            log.error("access_log.overrun", rows_lost=lost)

    def _write_refused(self) -> None:
        with self._writing:
            with self._lock:
                counted, self._refused = self._refused, Counter()
            try:
                if counted:
                    self._control.write_many(_COUNT, [(*of, requests) for of, requests in counted.items()])
            except BaseException:
                with self._lock:
                    self._refused.update(counted)
                raise

    def _prune(self) -> None:
        now = time.monotonic()
        if now - self._pruned_at >= _PRUNE_EVERY and prune_access_log(
            self._control, before=self._clock() - self._keep
        ):
            self._pruned_at = now


def prune_access_log(control: ControlDatabase, *, before: datetime) -> bool:
    """Remove the oldest rows and counts from before a time, some at once; whether that was all of them."""
    removed = control.write(
        "DELETE FROM access_log WHERE rowid IN (SELECT rowid FROM access_log WHERE at < ? LIMIT ?)",
        (stamp(before), _PRUNED_AT_ONCE),
    )
    control.write("DELETE FROM access_refused WHERE day < ?", (stamp(before)[:10],))
    return removed < _PRUNED_AT_ONCE


def read_access_log(
    control: ControlDatabase, *, key_id: str | None = None, since: str | None = None, most: int = 1000
) -> list[Access]:
    """The newest accesses first."""
    rows = control.rows(
        f"SELECT {_COLUMNS} FROM access_log WHERE (? IS NULL OR key_id = ?) AND (? IS NULL OR at >= ?)"  # noqa: S608
        " ORDER BY at DESC, rowid DESC LIMIT ?",
        (key_id, key_id, since, since, most),
    )
    return [Access(*tuple(row)) for row in rows]


def read_refused(
    control: ControlDatabase, *, key_id: str | None = None, since: str | None = None, most: int = 100
) -> list[Refused]:
    """The newest counts first."""
    rows = control.rows(
        "SELECT day, key_id, status, requests FROM access_refused"
        " WHERE (? IS NULL OR key_id = ?) AND (? IS NULL OR day >= substr(?, 1, 10))"
        " ORDER BY day DESC, requests DESC LIMIT ?",
        (key_id, key_id, since, since, most),
    )
    return [Refused(*tuple(row)) for row in rows]


def access_log_size(place: Place, *, since: datetime) -> LogSize | None:
    """How large the log is, without changing anything; None where there is none. Raises StoreError."""
    kept = rows_if_there(place, "access_log", "SELECT count(*) AS n, min(at) AS oldest FROM access_log")
    refused = rows_if_there(
        place,
        "access_refused",
        "SELECT coalesce(sum(requests), 0) AS n FROM access_refused WHERE day >= ?",
        (stamp(since)[:10],),
    )
    if not kept or not refused:
        return None  # never served, or not since this version
    if isinstance(place, Path):
        size = sum(part.stat().st_size for part in place.glob(f"{FILE}*"))
    else:
        (row,) = rows_if_there(place, "access_log", "SELECT pg_total_relation_size('access_log') AS bytes")
        size = int(row["bytes"])
    return LogSize(int(kept[0]["n"]), kept[0]["oldest"], size, int(refused[0]["n"]))
