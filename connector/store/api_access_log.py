"""Who read what: one row for each answered request, written in batches by one thread.

A row holds what was asked and how much was answered, never a record, a key or an address of the books.
"""

import queue
import threading
from dataclasses import astuple, dataclass

from connector.errors import StoreError
from connector.logs import get_logger
from connector.store.api_control import ControlFile

TABLES = """
CREATE TABLE IF NOT EXISTS access_log (
  at TEXT NOT NULL, correlation_id TEXT NOT NULL, key_id TEXT, method TEXT NOT NULL, route TEXT NOT NULL,
  company_id TEXT, connection_id TEXT, query TEXT, rows INTEGER, snapshot_id INTEGER, status INTEGER NOT NULL,
  milliseconds REAL NOT NULL, address TEXT) STRICT;
CREATE INDEX IF NOT EXISTS access_log_at ON access_log (at);
"""
_INSERT = "INSERT INTO access_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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


class AccessLog:
    """Takes accesses without making the reader wait; ``close`` writes what is left."""

    def __init__(self, control: ControlFile, *, batch: int = 500) -> None:
        self._control = control
        self._batch = batch
        self._waiting: queue.Queue[Access | None] = queue.Queue(maxsize=100_000)
        self._thread = threading.Thread(target=self._write, name="access-log", daemon=True)
        self._thread.start()

    def add(self, access: Access) -> None:
        self._waiting.put(access)

    def flush(self) -> None:
        """Wait until everything added so far is written."""
        self._waiting.join()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _write(self) -> None:
        last = False
        while not last:
            taken = [self._waiting.get()]
            while len(taken) < self._batch:
                try:
                    taken.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            last = None in taken
            rows = [astuple(access) for access in taken if access is not None]
            try:
                if rows:
                    self._control.write_many(_INSERT, rows)
            except (StoreError, OSError) as exc:
                log.error("access_log.lost", rows=len(rows), error=str(exc))
            finally:
                for _ in taken:
                    self._waiting.task_done()


def read_access_log(
    control: ControlFile, *, key_id: str | None = None, since: str | None = None, most: int = 1000
) -> list[Access]:
    """The newest accesses first."""
    rows = control.rows(
        "SELECT * FROM access_log WHERE (? IS NULL OR key_id = ?) AND (? IS NULL OR at >= ?)"
        " ORDER BY at DESC, rowid DESC LIMIT ?",
        (key_id, key_id, since, since, most),
    )
    return [Access(*tuple(row)) for row in rows]
