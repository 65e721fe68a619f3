"""A store whose publications are gathered: runs that end together become visible in one copy of the file.

Each run still commits by itself. What one has committed waits for whoever owns the gathering to ``publish``, which
must be soon; the same connection's next run, and one that follows another process, do not wait for that.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Lock

from connector.ledger.connection_state import ConnectionState
from connector.ledger.interface import Reader, Store
from connector.ledger.keep.forget_proof import Trace
from connector.ledger.load.batch import Applied, Batch

# How long a committed run may wait for others of its burst before it is published.
LATEST = timedelta(seconds=5)


class Gathering:
    """See ``interface.Store``. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._ends = count()
        # Connections whose newest run is committed and not published yet -> which end of a run that was.
        self._waiting: dict[str, int] = {}

    @property
    def directory(self) -> Path:
        return self._store.directory

    def store_of(self, company_id: str) -> Store:
        own = self._store.store_of(company_id)
        # A company with a store of its own is published by itself.
        return self if own is self._store else own

    def states(self, *, at: datetime | None = None) -> Mapping[str, ConnectionState]:
        return self._store.states(at=at)

    def is_there(self) -> bool:
        return self._store.is_there()

    def run_lock(self, connection_id: str) -> AbstractContextManager[None]:
        return self._store.run_lock(connection_id)

    def begin_run(self, run_id: str) -> Path:
        return self._store.begin_run(run_id)

    def end_run(self, run_id: str) -> None:
        self._store.end_run(run_id)

    def apply(self, batch: Batch) -> Applied:
        return self._store.apply(batch)

    def publish(self, *, wait: float | None = None) -> Path:
        with self._lock:
            seen = dict(self._waiting)
        published = self._store.publish() if wait is None else self._store.publish(wait=wait)
        with self._lock:
            # What ended meanwhile may have come too late for this copy.
            self._waiting = {name: end for name, end in self._waiting.items() if seen.get(name) != end}
        return published

    def publish_soon(self, connection_id: str) -> None:
        with self._lock:
            self._waiting[connection_id] = next(self._ends)

    def repair(self, connection_id: str | None = None) -> None:
        with self._lock:
            is_others = (
                bool(self._waiting) and connection_id is not None and connection_id not in self._waiting
            )
        if is_others:
            self._store.repair_after_others()
        else:
            self._store.repair(connection_id)

    def repair_after_others(self) -> None:
        self._store.repair_after_others()

    def forget(self, company_id: str) -> Mapping[str, int]:
        return self._store.forget(company_id)

    def traces(self, company_id: str) -> list[Trace]:
        return self._store.traces(company_id)

    def mend(self) -> list[str]:
        return self._store.mend()

    def bring_raw(self, connection_id: str) -> None:
        self._store.bring_raw(connection_id)

    def delete_raw(self, connection_id: str, before: datetime) -> int:
        return self._store.delete_raw(connection_id, before)

    def open_reader(self) -> Reader:
        return self._store.open_reader()
