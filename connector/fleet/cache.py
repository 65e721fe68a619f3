"""One company's store in the cache of this host: a directory as the embedded store keeps it, and what it came from.

The note beside it says which object of the bucket the directory went out from. It is written before and after every
step, so that a killed process leaves either a directory that fits its note or one that is fetched anew.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from connector.errors import StoreError
from connector.files import replace_private
from connector.fleet.bucket import Bucket
from connector.fleet.pointers import Pointer
from connector.ledger import locks
from connector.ledger.database import WORK, log_of, private_directory, store_errors
from connector.ledger.failpoints import failpoint
from connector.ledger.interface import LINK
from connector.ledger.places import Place
from connector.ledger.publish import publish_made, remove_old

_NOTE = "fleet.json"
_LOCK_WAIT = 600.0


@dataclass(frozen=True, slots=True)
class Note:
    """What a company's directory on this host is.

    fetched: changes whenever it is made anew; a run that began before may not go on. base: the state in the bucket that
    it went out from; None before the first. offered: the state that was about to be pointed at when this was written.
    waits: whether something was loaded that is not published. copy: the published file that base was uploaded from, as
    ``publish`` tells files apart. replacing: the directory is being emptied, so nothing in it counts.
    """

    fetched: str
    base: Pointer | None = None
    offered: Pointer | None = None
    waits: bool = False
    copy: tuple[int, int, int] | None = None
    replacing: bool = False


class Cache:
    """The directory of one company. Everything but ``directory`` only under ``held``."""

    def __init__(self, directory: Path, company_id: str) -> None:
        self.directory = directory
        self.company_id = company_id

    @contextmanager
    def held(self, now: datetime, wait: float = _LOCK_WAIT) -> Iterator[None]:
        """One thread of one process of this host at a time; StoreBusy after ``wait`` seconds."""
        what = f"The cache of company {self.company_id}"
        with locks.held(self.directory, "fleet", what=what, since=now, wait=wait):
            yield

    def note(self) -> Note:
        """A directory without one is new, or of another purpose: nothing in it counts."""
        try:
            found = json.loads((self.directory / _NOTE).read_text("utf-8"))
        except FileNotFoundError:
            return Note(fetched="", replacing=True)
        except (OSError, ValueError):
            return Note(fetched=uuid.uuid4().hex, replacing=True)
        pointers = {name: _pointer(found.pop(name)) for name in ("base", "offered")}
        return Note(**found | pointers | {"copy": tuple(found["copy"]) if found["copy"] else None})

    def write(self, note: Note) -> Note:
        with store_errors(self.directory / _NOTE, "note"):
            private_directory(self.directory)
            replace_private(self.directory / _NOTE, json.dumps(asdict(note), default=str).encode())
        return note

    def begin(self, now: datetime) -> Note:
        """An empty directory, for a company of which nothing was ever published."""
        self._empty(now)
        return self.write(Note(fetched=uuid.uuid4().hex))

    def fetch(self, pointer: Pointer, bucket: Bucket, now: datetime) -> Note:
        """The directory made anew from the bucket. Whatever was loaded here on top of another state is dropped.

        Raises FileNotFoundError when the object is gone, because the pointer moved on; FleetAway, StoreDamaged.
        """
        copy = downloaded(self.directory, pointer, bucket)
        failpoint("fleet.fetched")
        self._empty(now)
        made = placed(self.directory, pointer, copy)
        return self.write(Note(fetched=uuid.uuid4().hex, base=pointer, copy=file_of(made)))

    def remove(self, now: datetime) -> None:
        """Nothing of the company stays here."""
        self._empty(now)
        for name in ("raw", "staging"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        (self.directory / _NOTE).unlink(missing_ok=True)

    def _empty(self, now: datetime) -> None:
        note = self.note()
        self.write(replace(note, replacing=True, base=None, offered=None, waits=False, copy=None))
        with (
            locks.held(self.directory, "store", what="The store", since=now, wait=_LOCK_WAIT),
            store_errors(self.directory, "empty the cache"),
        ):
            for link in (LINK, log_of(Path(LINK)).name):
                (self.directory / link).unlink(missing_ok=True)
            (self.directory / WORK).unlink(missing_ok=True)
            log_of(self.directory / WORK).unlink(missing_ok=True)
            for name in ("verified", "base"):
                (self.directory / "locks" / name).unlink(missing_ok=True)
            shutil.rmtree(self.directory / "published", ignore_errors=True)
            if (self.directory / "published").exists():
                raise StoreError(f"{self.directory / 'published'} cannot be removed. Nothing was loaded.")


def fetched_copy(directory: Path, pointer: Pointer, bucket: Bucket) -> Path:
    """A state of the bucket as the newest published file of a directory, whose readers miss nothing meanwhile."""
    return placed(directory, pointer, downloaded(directory, pointer, bucket))


def downloaded(directory: Path, pointer: Pointer, bucket: Bucket) -> Path:
    """A state of the bucket, whole, in a directory of its own on the same disk. FileNotFoundError, FleetAway."""
    draft = private_directory(directory / "staging") / "fetched"
    with store_errors(draft, "make room"):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
    copy = draft / LINK
    bucket.get(pointer.object, copy, sha256=pointer.object_sha256)
    if pointer.log is not None:
        bucket.get(pointer.log, log_of(copy), sha256=pointer.log_sha256)
    return copy


def placed(directory: Path, pointer: Pointer, copy: Path) -> Path:
    """Lead the readers of a directory to a downloaded state."""
    place = Place(directory)
    with store_errors(directory, "fill the cache"):
        private_directory(directory / "locks")
        place.make()
        if pointer.log is None:
            return publish_made(directory, pointer.generation, place, copy)
        copy.chmod(0o444)
        place.remove(place.copy_of(pointer.generation))
        made = place.let_read_linked(copy, pointer.generation)
        place.lead_to(made)
        remove_old(directory, made)
        return made


def file_of(path: Path) -> tuple[int, int, int]:
    """Tells a published file from another of its name; two names of the same blocks are one."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _pointer(found: dict[str, object] | None) -> Pointer | None:
    if found is None:
        return None
    return Pointer(**found | {"published_at": datetime.fromisoformat(str(found["published_at"]))})  # type: ignore[arg-type]
