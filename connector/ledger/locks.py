"""Who may write: one run a connection, one writer a store. Locks are files of their own, never the database.

A lock is held by the kernel for a live process (flock), so a killed one leaves nothing to clean up. Who holds it is
written beside it, for the message only; what a dead process wrote there is ignored. Everything that writes into a store
holds a lock, so root is refused here in a store of somebody else.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from connector.errors import StoreBusy
from connector.files import refuse_foreign
from connector.ledger.database import private_directory, store_errors


def lock_file(directory: Path, name: str) -> Path:
    """The lock file of a name; ids of any shape are safe as file names."""
    safe = (
        name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", name) else sha256(name.encode()).hexdigest()
    )
    return directory / "locks" / f"{safe}.lock"


@contextmanager
def held(directory: Path, name: str, *, what: str, since: datetime, wait: float) -> Iterator[None]:
    """Hold a lock; wait up to ``wait`` seconds for it, then StoreBusy. ``what`` is held, for the message."""
    path = lock_file(directory, name)
    refuse_foreign(directory)
    private_directory(path.parent)
    # Not bound to a thread: the run of one connection may end in another thread than it began in.
    lock = FileLock(path, mode=0o600, thread_local=False)
    with store_errors(path, f"lock {what}"):
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            raise _busy(path, what) from None
    try:
        _note_holder(path, since)
        yield
    finally:
        _holder(path).unlink(missing_ok=True)
        lock.release()


def is_held(directory: Path, name: str) -> bool:
    """Whether somebody holds the lock now."""
    lock = FileLock(lock_file(directory, name), mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def held_since(directory: Path, name: str) -> datetime | None:
    """Since when a live process of this machine holds the lock, by its own note; the lock itself is left alone."""
    try:
        noted = json.loads(_holder(lock_file(directory, name)).read_text())
        since = datetime.fromisoformat(noted["since"])
        return since if _is_alive(int(noted["pid"])) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note_holder(path: Path, since: datetime) -> None:
    """Only for a message: what is held is held on a full disk as well, where a company can still be forgotten."""
    with suppress(OSError):
        _holder(path).write_text(json.dumps({"pid": os.getpid(), "since": since.isoformat()}))


def _holder(path: Path) -> Path:
    return path.with_suffix(".holder")


def _busy(path: Path, what: str) -> StoreBusy:
    pid, since = None, None
    try:
        noted = json.loads(_holder(path).read_text())
        if _is_alive(int(noted["pid"])):
            pid, since = int(noted["pid"]), str(noted["since"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # being written, or left by a dead process: the message does without
    who = f"process {pid}, since {since}" if pid else "another process"
    return StoreBusy(
        f"{what} is locked by {who}. Nothing was changed.",
        pid=pid,
        hint="Wait until that run has ended, then run it again.",
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
