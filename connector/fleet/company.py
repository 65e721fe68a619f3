"""One company of a fleet, as one caller sees it: the embedded store in this host's cache, published to the bucket.

A run brings the cache to the pointer's generation, loads into it and publishes it as it does everywhere. Then the new
file goes to the bucket under a name of its own, and the pointer is moved, if it still is where this run read it. Where
it is not, another host was first: what was loaded here is dropped, and the run is done again on what that host stored.
"""

import socket
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import StoreDamaged, StoreError, StoreMoved
from connector.fleet.bucket import Bucket, company_prefix
from connector.fleet.cache import Cache, Note, file_of
from connector.fleet.pointers import Pointer, Pointers
from connector.fleet.raw import RawKeeping
from connector.fleet.summary import summary_of
from connector.ledger.connection_state import ConnectionState, connection_states
from connector.ledger.database import WORK, log_of, unwritten_log
from connector.ledger.failpoints import failpoint
from connector.ledger.interface import Reader
from connector.ledger.keep.backup import figures
from connector.ledger.keep.forget import kept_tables
from connector.ledger.keep.forget_proof import Trace
from connector.ledger.load.batch import Applied, Batch
from connector.ledger.places import Place, commit_of
from connector.ledger.publish import publish_made
from connector.ledger.store import DuckStore
from connector.ledger.verify import damage
from connector.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

log = get_logger(__name__)

LARGE = 256 << 20
"""Bytes. A file of this size takes seconds to upload, so it is uploaded at most every ``OFTEN``."""
OFTEN = timedelta(minutes=3)
_ATTEMPTS = 3
_SWEEP_EVERY = 16


@dataclass(frozen=True, slots=True)
class Shared:
    """What all companies of a process share."""

    pointers: Pointers
    bucket: Bucket
    clock: Callable[[], datetime]


class CompanyStore:
    """See ``interface.Store``. One a run: it notices when the cache is made anew under it."""

    def __init__(self, shared: Shared, cache: Cache, duck: DuckStore) -> None:
        self._shared, self._cache, self._duck = shared, cache, duck
        self._company_id = cache.company_id
        self._raw = RawKeeping(shared.bucket, cache.directory / "raw", company_prefix(self._company_id))
        # Which filling of the cache this caller has begun on; None before it looked.
        self._begun_on: str | None = None
        self._connection_id: str | None = None
        self._changed_orders = False

    @property
    def directory(self) -> Path:
        return self._cache.directory

    def store_of(self, company_id: str) -> "CompanyStore":  # noqa: ARG002 - it is this one
        return self

    def states(self, *, at: datetime | None = None) -> Mapping[str, ConnectionState]:
        with self.open_reader() as reader:
            return connection_states(reader.connection, at=at)

    def is_there(self) -> bool:
        return self._shared.pointers.get(self._company_id) is not None

    @contextmanager
    def run_lock(self, connection_id: str) -> "Iterator[None]":
        with ExitStack() as held:
            held.enter_context(self._duck.run_lock(connection_id))
            name = f"run {self._company_id} {connection_id}"
            held.enter_context(self._shared.pointers.locked(name, f"Connection {connection_id}"))
            self._connection_id = connection_id
            yield

    def begin_run(self, run_id: str) -> Path:
        return self._duck.begin_run(run_id)

    def end_run(self, run_id: str) -> None:
        self._duck.end_run(run_id)
        try:
            self._keep_raw()
        except StoreError as error:
            # They stay on this host, and go with the next run here.
            log.warning("fleet.raw_waits", company_id=self._company_id, error=error.message)

    def apply(self, batch: Batch) -> Applied:
        with self._held():
            note = self._begun()
            if not note.waits:
                self._cache.write(replace(note, waits=True))
            applied = self._duck.apply(batch)
            self._changed_orders = self._changed_orders or applied.snapshot_id is not None
        failpoint("fleet.applied")
        return applied

    def publish(self, *, wait: float | None = None) -> Path:
        with self._held(wait):
            return self._publish(may_wait=True)

    def publish_soon(self, connection_id: str) -> None:  # noqa: ARG002 - the whole company is
        with self._held():
            self._publish(may_wait=not self._changed_orders)

    def repair(self, connection_id: str | None = None) -> None:
        with self._held():
            note = self._up_to_date()
            self._duck.repair(connection_id)
            self._begun_on = note.fetched
            if note.waits:
                # Loaded by a process that was killed before it could publish; nobody was faster meanwhile.
                self._publish(may_wait=True)
        self._keep_raw()

    def repair_after_others(self) -> None:
        self.repair()

    def forget(self, company_id: str) -> Mapping[str, int]:
        removed: dict[str, int] = {}
        with self._held():
            if self._shared.pointers.get(company_id) is not None:
                self._up_to_date()
                with self._duck.open_reader() as reader:
                    rows = figures(reader.path).tables
                    removed = {table: rows[table] for table in kept_tables(reader.connection) if rows[table]}
            self._shared.pointers.remove(company_id)
            self._shared.bucket.remove(
                [key for key, _ in self._shared.bucket.list(company_prefix(company_id))]
            )
            self._cache.remove(self._shared.clock())
        return removed

    def adopt(self, made: Path) -> None:
        """Publish a whole file that was made on the cache's disk as the company's first state; it is moved there."""
        with self._held():
            if self._shared.pointers.get(self._company_id) is not None:
                raise StoreError(f"Company {self._company_id} is in the fleet already. Nothing was changed.")
            note = self._cache.begin(self._shared.clock())
            self._begun_on = note.fetched
            place = Place(self.directory)
            place.make()
            publish_made(self.directory, figures(made).commit, place, made)
            self._cache.write(replace(note, waits=True))
            self._publish(may_wait=False)

    def traces(self, company_id: str) -> list[Trace]:
        """Objects below its prefix, and rows of any table of the fleet's database in which its id stands."""
        objects = self._shared.bucket.list(company_prefix(company_id))
        rows = self._shared.pointers.rows_that_hold(company_id)
        return [
            *(Trace(f"an object below {company_prefix(company_id)} in the bucket") for _ in objects),
            *(Trace(f"the table {table} of the fleet's database") for table in rows),
        ]

    def mend(self) -> list[str]:
        with self._held():
            published = self._published()
            parts = [self.directory / WORK, *([published] if published else [])]
            wrong = {path: why for path in parts if (why := damage(path)) is not None}
            if not wrong:
                return []
            pointer = self._shared.pointers.get(self._company_id)
            if pointer is None:
                raise StoreDamaged(
                    f"{next(iter(wrong))} is damaged, and nothing of company {self._company_id} was published.",
                    hint="connector sync reads it anew.",
                )
            self._cache.fetch(pointer, self._shared.bucket, self._shared.clock())
            return [
                f"{path} was damaged ({why}). It is made anew from the bucket; what came later is read again."
                for path, why in wrong.items()
            ]

    def open_reader(self) -> Reader:
        if self._begun_on is None:
            with self._held():
                self._begun()
        return self._duck.open_reader()

    def bring_raw(self, connection_id: str) -> None:
        self._raw.bring(connection_id)

    def delete_raw(self, connection_id: str, before: datetime) -> int:
        return self._raw.delete_older_than(connection_id, before)

    def _held(self, wait: float | None = None) -> AbstractContextManager[None]:
        now = self._shared.clock()
        return self._cache.held(now) if wait is None else self._cache.held(now, wait)

    def _keep_raw(self, *, leave: bool = False) -> None:
        if self._connection_id is not None:
            self._raw.keep(self._connection_id, leave=leave)

    def _begun(self) -> Note:
        """The cache as this caller began on it. Raises StoreMoved when it was made anew since."""
        if self._begun_on is None:
            note = self._up_to_date()
            self._begun_on = note.fetched
            return note
        note = self._cache.note()
        if note.replacing or note.fetched != self._begun_on:
            raise self._moved("the cache of this host was made anew meanwhile")
        if note.offered is not None:
            # The database went away during a swap: whether it was made is known now.
            pointer = self._shared.pointers.get(self._company_id)
            is_made = pointer is not None and pointer.name == note.offered.name
            note = self._cache.write(replace(note, base=pointer if is_made else note.base, offered=None))
        return note

    def _up_to_date(self) -> Note:
        """Have the cache stand on the newest state; what was loaded on top of another one is dropped."""
        for attempt in range(_ATTEMPTS):
            pointer, note = self._shared.pointers.get(self._company_id), self._cache.note()
            name = None if pointer is None else pointer.name
            if pointer is not None and note.offered is not None and note.offered.name == name:
                # Killed, or cut off, between the swap and the note of it.
                return self._cache.write(replace(note, base=pointer, offered=None))
            if not note.replacing and (note.base.name if note.base else None) == name:
                return note
            now = self._shared.clock()
            if pointer is None:
                return self._cache.begin(now)
            try:
                return self._cache.fetch(pointer, self._shared.bucket, now)
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise StoreDamaged(
                        f"{pointer.object} is gone from the bucket, and the database still points at it.",
                        hint="connector check --company names what is there; connector restore a backup of it.",
                    ) from None
        raise AssertionError("unreachable")

    def _publish(self, *, may_wait: bool) -> Path:
        note = self._begun()
        path = self._duck.publish()
        commit = commit_of(path) or 0
        if note.base is not None and commit <= note.base.generation:
            self._cache.write(replace(note, waits=False))
            return path
        now = self._shared.clock()
        if may_wait and self._may_wait(path, note, now):
            return path  # what was read stays here; a host that is lost only reads it again
        offered = self._upload(path, commit, note, now)
        with self._duck.open_reader() as reader:
            summary = summary_of(reader)
        note = self._cache.write(replace(note, offered=offered, copy=None))
        failpoint("fleet.before_swap")
        gone = self._shared.pointers.swap(note.base, offered, summary)
        if gone is None:
            self._lost(note, offered)
        failpoint("fleet.after_swap")
        self._cache.write(replace(note, base=offered, offered=None, waits=False, copy=file_of(path)))
        self._changed_orders = False
        self._sweep(gone or [], offered)
        return path

    def _upload(self, path: Path, commit: int, note: Note, now: datetime) -> Pointer:
        """The state in the bucket, under names that nothing points at yet."""
        self._keep_raw(leave=True)
        written_log = unwritten_log(path)
        key = f"{company_prefix(self._company_id)}/{commit:09d}-{uuid.uuid4().hex[:8]}.duckdb"
        if note.base is not None and self._is_uploaded(path, note):
            name, digest = note.base.object, note.base.object_sha256
        else:
            name, digest = key, self._shared.bucket.put(path, key)
        log_name = log_digest = None
        if written_log is not None:
            log_name = log_of(Path(key)).as_posix()
            log_digest = self._shared.bucket.put(written_log, log_name)
        failpoint("fleet.uploaded")
        size = path.stat().st_size + (written_log.stat().st_size if written_log else 0)
        return Pointer(
            self._company_id, commit, name, digest, log_name, log_digest, size, socket.gethostname(), now
        )

    def _may_wait(self, path: Path, note: Note, now: datetime) -> bool:
        """Whether a publication takes seconds to upload, and the one before is not old."""
        is_large = path.stat().st_size > LARGE and not self._is_uploaded(path, note)
        return is_large and note.base is not None and now - note.base.published_at < OFTEN

    def _is_uploaded(self, path: Path, note: Note) -> bool:
        """Whether the blocks of a published file are those of the object it went out from; its log is another."""
        return note.copy == file_of(path)

    def _lost(self, note: Note, offered: Pointer) -> None:
        """Another host was first."""
        known = {note.base.object, note.base.log} if note.base else set()
        self._shared.bucket.remove(
            name for name in (offered.object, offered.log) if name and name not in known
        )
        self._cache.write(replace(note, offered=None, replacing=True))
        raise self._moved("another host published it first")

    def _moved(self, why: str) -> StoreMoved:
        return StoreMoved(
            f"Company {self._company_id}: {why}. What this run loaded on top of the state before was dropped.",
            hint="connector sync reads it again, on top of what the other stored.",
        )

    def _sweep(self, gone: list[str], newest: Pointer) -> None:
        """Remove objects of old generations, and now and then what killed hosts left.

        An object that bears a generation up to the newest one, and that no kept generation is made of, can never be
        pointed at: its host's swap fails. Later ones may be on their way.
        """
        try:
            if newest.generation % _SWEEP_EVERY == 0:
                kept = self._shared.pointers.kept(self._company_id)
                prefix = company_prefix(self._company_id)
                gone += [
                    key
                    for key, _ in self._shared.bucket.list(prefix)
                    if key not in kept
                    and (number_of(key, prefix) or newest.generation + 1) <= newest.generation
                ]
            self._shared.bucket.remove(gone)
        except StoreError as error:
            log.warning("fleet.not_swept", company_id=self._company_id, error=error.message)

    def _published(self) -> Path | None:
        try:
            with self._duck.open_reader() as reader:
                return reader.path
        except StoreError:
            return None


def number_of(key: str, prefix: str) -> int | None:
    """The generation that an object was made for, by its name; None for other objects."""
    number = key.removeprefix(f"{prefix}/").partition("-")[0]
    return int(number) if number.isdigit() else None
