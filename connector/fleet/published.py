"""What an API host reads: each company's newest file, fetched when its pointer has moved, a few dozen kept open.

Any number of hosts read so. A host that cannot reach the database or the bucket answers from what it has.
"""

import shutil
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from connector.config import FleetPlace
from connector.control.postgres import FleetAway
from connector.errors import StoreError
from connector.fleet.bucket import Bucket, safe_name
from connector.fleet.cache import Cache, fetched_copy
from connector.fleet.database import FleetDatabase
from connector.fleet.pointers import Pointer, Pointers
from connector.fleet.summary import states_in
from connector.ledger.connection_state import ConnectionState
from connector.ledger.database import private_directory
from connector.ledger.interface import now_utc
from connector.ledger.published import (
    DuckReader,
    NothingPublishedError,
    Publication,
    Published,
    open_published,
)
from connector.logs import get_logger

log = get_logger(__name__)

MOST_OPEN = 48
"""Companies whose files stay open: some 10 MB each. Others are opened when they are asked for."""
LOOK_EVERY = 1.0
"""Seconds. A company's pointer is asked for at most that often: one SELECT by key."""
_AFTER_AN_OUTAGE = 5.0
_ATTEMPTS = 3


@dataclass(slots=True)
class _Shelf:
    """One company's file on this host."""

    directory: Path
    published: Published
    lock: threading.Lock = field(default_factory=threading.Lock)
    looked: float = float("-inf")
    has: str | None = None
    users: int = 0


class FleetPublished:
    """The newest file of each company. See ``ledger.published.Published``. Safe to share between threads."""

    def __init__(
        self,
        place: FleetPlace,
        *,
        threads: int = 2,
        memory_limit: str = "2GB",
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._database = FleetDatabase(place, patience=2.0)
        self._pointers = Pointers(self._database)
        self._bucket = Bucket(place.bucket)
        self._directory = place.cache / "readers"
        self._limits = (threads, memory_limit)
        self._clock = clock
        self._lock = threading.Lock()
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()
        self._away_until = float("-inf")
        self._states_lock = threading.Lock()
        self._asked = float("-inf")
        self._change = 0
        self._states: dict[str, ConnectionState] = {}

    @property
    def exists(self) -> bool:
        """Whether anything was ever published."""
        return bool(self.states())

    @property
    def damaged(self) -> bool:
        """A damaged file is fetched anew, so none stays so."""
        return False

    def changed(self, after: int) -> tuple[int, list[str]]:
        """See ``Pointers.changed``."""
        return self._pointers.changed(after)

    def states(self) -> Mapping[str, ConnectionState]:
        """Connection id -> state, of all companies, from their rows; a second old at most."""
        now = time.monotonic()
        with self._states_lock:
            if now - self._asked >= LOOK_EVERY and now >= self._away_until:
                try:
                    newest, companies = self._pointers.changed(self._change)
                    for _, summary in self._pointers.all(companies) if companies else ():
                        self._states |= {state.connection_id: state for state in states_in(summary)}
                    self._asked, self._change = now, newest
                except FleetAway as error:
                    self._note_away(error)
            return dict(self._states)

    @contextmanager
    def open(self, company_id: str | None = None) -> Iterator[Publication]:
        """A company's newest state for the time of one request. Raises NothingPublishedError, StoreError."""
        if company_id is None:
            raise NothingPublishedError("A fleet has no file with all companies.")
        with self._used(company_id) as shelf, shelf.published.open() as publication:
            yield publication

    @contextmanager
    def reader(self, company_id: str) -> Iterator[DuckReader]:
        """The same on a connection of its own, which may write files."""
        with self._used(company_id) as shelf, closing(open_published(shelf.directory)) as reader:
            yield reader

    def close(self) -> None:
        """Close every file; used when the server stops."""
        with self._lock:
            for shelf in self._shelves.values():
                shelf.published.close()
            self._shelves.clear()
        self._database.close()

    @contextmanager
    def _used(self, company_id: str) -> Iterator[_Shelf]:
        with self._lock:
            shelf = self._shelves.pop(company_id, None)
            if shelf is None:
                directory = self._directory / safe_name(company_id)
                threads, memory = self._limits
                shelf = _Shelf(directory, Published(directory, threads=threads, memory_limit=memory))
            self._shelves[company_id] = shelf
            shelf.users += 1
            self._close_idle()
        try:
            self._bring(company_id, shelf)
            yield shelf
        finally:
            with self._lock:
                shelf.users -= 1
                self._close_idle()

    def _close_idle(self) -> None:
        for company_id in [one for one, shelf in self._shelves.items() if shelf.users == 0]:
            if len(self._shelves) <= MOST_OPEN:
                return
            self._shelves.pop(company_id).published.close()

    def _bring(self, company_id: str, shelf: _Shelf) -> None:
        """Have the newest file on this host; where that cannot be, the one that is here."""
        if time.monotonic() - shelf.looked < LOOK_EVERY or time.monotonic() < self._away_until:
            return
        if not shelf.lock.acquire(blocking=shelf.has is None):
            return  # another request looks; this one reads what is here
        try:
            self._look(company_id, shelf)
        except FleetAway as error:
            self._note_away(error)
        finally:
            shelf.looked = time.monotonic()
            shelf.lock.release()

    def _look(self, company_id: str, shelf: _Shelf) -> None:
        for attempt in range(_ATTEMPTS):
            pointer = self._pointers.get(company_id)
            if pointer is None:
                shelf.published.close()
                shutil.rmtree(shelf.directory, ignore_errors=True)
                shelf.has = None
                raise NothingPublishedError(f"Nothing has been published of company {company_id} yet.")
            if pointer.name == shelf.has:
                return
            try:
                self._fetch(company_id, pointer, shelf)
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise StoreError(
                        f"{pointer.object} is gone from the bucket.", hint="connector check"
                    ) from None
            else:
                shelf.has = pointer.name
                return

    def _fetch(self, company_id: str, pointer: Pointer, shelf: _Shelf) -> None:
        cache = Cache(private_directory(shelf.directory), company_id)
        with cache.held(self._clock()):  # workers of one server share the directory
            note = cache.note()
            if note.base is not None and note.base.name == pointer.name:
                return
            is_another = note.base is not None and note.base.generation >= pointer.generation
            if is_another:
                shelf.published.close()
                shutil.rmtree(shelf.directory / "published", ignore_errors=True)
            fetched_copy(shelf.directory, pointer, self._bucket)
            cache.write(type(note)(fetched=uuid.uuid4().hex, base=pointer))

    def _note_away(self, error: FleetAway) -> None:
        self._away_until = time.monotonic() + _AFTER_AN_OUTAGE
        log.warning("fleet.away", error=error.message, effect="answers are made of what this host has")
