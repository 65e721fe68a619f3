"""Makes what was committed visible: an immutable copy in a directory of its own, and a link swapped to it.

``commerce.duckdb`` always leads to a complete file, which was verified before the link moved. Readers that hold an
older copy keep it as long as they like; the last three copies stay on disk. Where they lie is in ``places``. The
writer's file is copied by a child process, because closing a descriptor of it in this process would free DuckDB's lock.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb

from connector.errors import StoreError
from connector.ledger.database import WORK, store_errors, unwritten_log
from connector.ledger.failpoints import failpoint
from connector.ledger.places import Place, all_places, clear_others, commit_of, published_file
from connector.ledger.verify import refuse_damaged

VERIFIED = "locks/verified"
KEPT = 3
_LEFTOVERS = ("publishing-*.tmp", "link-*.tmp", "making-*.tmp*")


def published_commit(directory: Path) -> int | None:
    """The commit the link leads to; None when there is no link, or it leads to nothing."""
    published = published_file(directory)
    return None if published is None else commit_of(published)


def newest_copy(directory: Path) -> Path | None:
    """The newest published file on disk, linked or not."""
    return next(iter(copies(directory)), None)


def copies(directory: Path) -> list[Path]:
    """The published files on disk, the newest first."""
    found = [path for place in all_places(directory) for path in place.copies()]
    # Of two copies of one commit the last is where the store publishes now: the store moved.
    return [path for _, path in sorted(enumerate(found), key=_by_commit, reverse=True)]


def _by_commit(numbered: tuple[int, Path]) -> tuple[int, int]:
    return commit_of(numbered[1]) or 0, numbered[0]


def verified_copy(directory: Path) -> Path | None:
    """The published file that was read through last, if it is still what it was then."""
    try:
        *state, name = (directory / VERIFIED).read_text("utf-8").split(" ", 3)
        path = directory / name
        return path if [str(part) for part in _state(path)] == state else None
    except (OSError, ValueError):
        return None


def committed(connection: duckdb.DuckDBPyConnection) -> int:
    """How many commits the writer's file has."""
    row = connection.execute("SELECT commit_id FROM ledger.publication").fetchone()
    assert row is not None
    return int(row[0])


def publish_copy(
    directory: Path,
    commit: int,
    place: Place | None = None,
    *,
    make: Callable[[Path], object] | None = None,
) -> Path:
    """Copy the writer's file, which must be checkpointed and closed, and lead readers to it. The new file.

    place: where to; inside the store when None. make: writes the file that is published, instead of copying. Only under
    the store's lock. Raises StoreError; what was published before stays in place then.
    """
    work, place = directory / WORK, place or Place(directory)
    with store_errors(directory, "publish"):
        if log := unwritten_log(work):
            raise StoreError(
                f"{work} was not written out completely ({log.name} is not empty). Nothing was published.",
                hint="Run it again. If that does not help, keep both files and report it.",
            )
        remove_leftovers(directory)
        place.make()
        is_new_here = not place.is_led_to()
        temporary = place.directory / f"publishing-{commit:09d}.tmp"
        try:
            failpoint("publish.before_copy")
            if make is None:
                copy_in_child(work, temporary)
            else:
                make(temporary)
            failpoint("publish.after_copy")
            refuse_damaged(temporary, like=verified_copy(directory))
            target = place.let_read(temporary, commit)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        failpoint("publish.before_link")
        _note_verified(directory, target)
        place.lead_to(target)
        failpoint("publish.after_link")
        clear_others(directory, place)
        _remove_strangers(place, target, is_new_here=is_new_here)
        remove_old(directory, target)
    return target


def leftovers(directory: Path) -> list[Path]:
    """Files that a process is making, or did not finish before it was killed."""
    found = [path for path in directory.iterdir() if any(path.match(pattern) for pattern in _LEFTOVERS)]
    return found + [
        path for place in all_places(directory) for path in place.leftovers() if path not in found
    ]


def remove_leftovers(directory: Path) -> None:
    """Remove half-made files of a killed process. Only under the store's lock."""
    for path in leftovers(directory):
        path.unlink(missing_ok=True)


def copy_in_child(source: Path, target: Path) -> None:
    """Copy a file in another process; shares blocks where the file system can. Raises OSError, StoreError."""
    ways = [[sys.executable, "-c", "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"]]
    if sys.platform == "linux" and (cp := shutil.which("cp")):
        ways.insert(0, [cp, "--reflink=auto", "--"])
    for way in ways:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [*way, str(source), str(target)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # Ctrl-C is for this process, which finishes what it publishes
        )
        if done.returncode == 0:
            return
    is_full = "No space left" in done.stderr
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    reason = "no space left on the disk" if is_full else said[-1]
    raise StoreError(
        f"Could not copy {source.name} for publishing: {reason}. What was published before is unharmed.",
        hint="Free disk space: publishing needs room for a second copy of the store."
        if is_full
        else "Run it again.",
    )


def _note_verified(directory: Path, path: Path) -> None:
    note = " ".join([*(str(part) for part in _state(path)), os.path.relpath(path, directory)])
    # Only a hint that spares reading: without it the next copy is read through.
    with suppress(OSError):
        (directory / VERIFIED).write_text(note, "utf-8")


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def remove_old(directory: Path, newest: Path, *, keep: int = KEPT) -> None:
    """Remove all published copies but the newest few. Who has one open keeps reading it."""
    kept = copies(directory)[:keep]
    for place in all_places(directory):
        for path in place.copies():
            if path != newest and path not in kept:
                place.remove(path)


def _remove_strangers(place: Place, newest: Path, *, is_new_here: bool) -> None:
    """Remove what another history left here: a store that was restored counts its commits from an earlier one."""
    commit = commit_of(newest) or 0
    for path in place.copies():
        if path != newest and (is_new_here or (commit_of(path) or 0) > commit):
            place.remove(path)
