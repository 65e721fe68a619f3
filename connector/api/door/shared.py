"""What several workers of one server have to know together: a key's quota, and the snapshot a reader pages on.

In a small SQLite file that lives as long as the server. One process alone keeps both in memory; so does a worker that
cannot use the file, rather than refuse who has a key.
"""

from collections.abc import Callable
from datetime import datetime

from connector.api.answer.paging import PIN_SECONDS, Pins
from connector.api.door.limits import RequestQuota
from connector.control.file import ControlFile, stamp
from connector.errors import StoreError
from connector.logs import get_logger

TABLES = (
    "CREATE TABLE IF NOT EXISTS quota"
    " (key_id TEXT PRIMARY KEY, minute TEXT NOT NULL, used INTEGER NOT NULL) STRICT;",
    "CREATE TABLE IF NOT EXISTS pins (reader BLOB PRIMARY KEY, snapshot INTEGER NOT NULL, at REAL NOT NULL) STRICT;",
)
_WRITTEN_AGAIN_AFTER = 60.0  # seconds; a pin that says the same need not be written for each page
_PRUNED_EVERY = 1000  # pins
log = get_logger(__name__)


class SharedQuota(RequestQuota):
    """Counts the requests of each key over all workers."""

    def __init__(self, control: ControlFile, per_minute: int, *, clock: Callable[[], datetime]) -> None:
        super().__init__(per_minute, clock=clock)
        self._control = control

    def _used(self, window: datetime, key_id: str) -> int:
        try:
            row = self._control.row(
                "INSERT INTO quota VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET"
                " used = CASE WHEN minute = excluded.minute THEN used + 1 ELSE 1 END, minute = excluded.minute"
                " RETURNING used",
                (key_id, stamp(window)),
            )
        except StoreError as error:
            log.error("workers.apart", error=str(error))
            return super()._used(window, key_id)
        assert row is not None
        return int(row["used"])


class SharedPins(Pins):
    """Remembers for all workers; the clock is the machine's, the same in each of them."""

    def __init__(self, control: ControlFile) -> None:
        super().__init__()
        self._control = control
        self._written = 0

    def _held(self, reader: bytes) -> tuple[int, float] | None:
        try:
            row = self._control.row("SELECT snapshot, at FROM pins WHERE reader = ?", (reader,))
        except StoreError:
            return super()._held(reader)
        return None if row is None else (int(row["snapshot"]), float(row["at"]))

    def _keep(self, reader: bytes, snapshot: int, now: float) -> None:
        held = self._held(reader)
        if held is not None and held[0] == snapshot and now - held[1] < _WRITTEN_AGAIN_AFTER:
            return
        try:
            self._control.write("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", (reader, snapshot, now))
        except StoreError as error:
            log.error("workers.apart", error=str(error))
            super()._keep(reader, snapshot, now)
        self._written += 1
        if self._written % _PRUNED_EVERY == 0:
            self._control.write("DELETE FROM pins WHERE at < ?", (now - PIN_SECONDS,))
