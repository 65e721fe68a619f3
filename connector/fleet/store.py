"""The store of a fleet: ``store_of`` a company is what a run works with; questions over all are answered from rows."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from connector.config import FleetPlace
from connector.fleet.bucket import Bucket, safe_name
from connector.fleet.cache import Cache
from connector.fleet.company import CompanyStore, Shared
from connector.fleet.database import FleetDatabase
from connector.fleet.pointers import Pointers
from connector.fleet.roll import open_roll
from connector.fleet.summary import states_in
from connector.ledger.connection_state import ConnectionState
from connector.ledger.database import private_directory
from connector.ledger.interface import Reader
from connector.ledger.keep.forget_proof import Trace
from connector.ledger.load.batch import Applied, Batch
from connector.ledger.store import DuckStore


class FleetStore:
    """See ``interface.Store``. Safe to share between threads. clock: aware UTC."""

    def __init__(self, place: FleetPlace, *, clock: Callable[[], datetime]) -> None:
        self.place = place
        self.database = FleetDatabase(place)
        self.pointers = Pointers(self.database)
        self.bucket = Bucket(place.bucket)
        self._shared = Shared(self.pointers, self.bucket, clock)
        self._ducks: dict[str, DuckStore] = {}

    @property
    def directory(self) -> Path:
        return self.place.cache

    def store_of(self, company_id: str) -> CompanyStore:
        """A company's own store, for one run or one reader."""
        directory = self.place.cache / "companies" / safe_name(company_id)
        duck = self._ducks.get(company_id)
        if duck is None:
            duck = self._ducks.setdefault(company_id, DuckStore(directory, clock=self._shared.clock))
        return CompanyStore(self._shared, Cache(directory, company_id), duck)

    def states(self, *, at: datetime | None = None) -> Mapping[str, ConnectionState]:  # noqa: ARG002 - as published
        return {
            state.connection_id: state for _, summary in self.pointers.all() for state in states_in(summary)
        }

    def lost_objects(self) -> list[str]:
        """What the newest states are made of and the bucket does not have in that length; empty where all is well."""
        there = dict(self.bucket.list("companies"))
        lost = []
        for pointer, _ in self.pointers.all():
            parts = [name for name in (pointer.object, pointer.log) if name is not None]
            if sum(there.get(name, -1) for name in parts) != pointer.bytes:
                lost += parts
        return lost

    def is_there(self) -> bool:
        return bool(self.pointers.changed(0)[1])

    def publish(self, *, wait: float | None = None) -> Path:  # noqa: ARG002 - each company's run has done it
        return self.directory

    def publish_soon(self, connection_id: str) -> None: ...

    def repair(self, connection_id: str | None = None) -> None:  # noqa: ARG002 - a run repairs its company's
        """Remove what this host keeps of companies that were forgotten on another."""
        newest = {pointer.company_id for pointer, _ in self.pointers.all()}
        for directory in (self.place.cache / name for name in ("companies", "readers")):
            for found in directory.glob("*"):
                cache = Cache(found, found.name)
                base = cache.note().base
                if base is not None and base.company_id not in newest:
                    with cache.held(self._shared.clock()):
                        cache.remove(self._shared.clock())

    def repair_after_others(self) -> None: ...

    def forget(self, company_id: str) -> Mapping[str, int]:
        return self.store_of(company_id).forget(company_id)

    def traces(self, company_id: str) -> list[Trace]:
        return self.store_of(company_id).traces(company_id)

    def mend(self) -> list[str]:
        return []

    def run_lock(self, connection_id: str) -> AbstractContextManager[None]:
        _of_one_company(connection_id)

    def begin_run(self, run_id: str) -> Path:
        _of_one_company(run_id)

    def end_run(self, run_id: str) -> None:
        _of_one_company(run_id)

    def apply(self, batch: Batch) -> Applied:
        return self.store_of(batch.run.company_id).apply(batch)

    def open_reader(self) -> Reader:
        directory = private_directory(self.place.cache)
        return open_roll((summary for _, summary in self.pointers.all()), directory)

    def bring_raw(self, connection_id: str) -> None:
        _of_one_company(connection_id)

    def delete_raw(self, connection_id: str, before: datetime) -> int:
        _of_one_company(f"{connection_id} before {before}")

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def _of_one_company(name: str) -> NoReturn:
    raise AssertionError(f"{name}: ask the store of its company")
