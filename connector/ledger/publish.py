"""Makes what was committed visible: an immutable copy in a directory of its own, and a link swapped to it.

``commerce.duckdb`` always leads to a complete file, which was verified before the link moved. Readers that hold an
older copy keep it as long as they like; the last three copies stay on disk. Where they lie is in ``places``. The
writer's file is copied by a child process, because closing a descriptor of it in this process would free DuckDB's lock.

A small load is no reason to copy all that was there before: DuckDB keeps it in a log beside the writer's file, and
whoever opens a file reads its log too. So the copy before is published once more, under the name of the new commit and
as another name of the same blocks, with the log beside it. When the log has grown, it is written into the writer's
file, and that is copied.
"""

import os
import shutil
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import duckdb

from connector.errors import StoreError
from connector.ledger.database import WORK, file_state, log_of, quoted, store_errors, unwritten_log
from connector.ledger.failpoints import failpoint
from connector.ledger.places import Place, all_places, clear_others, commit_of, published_file
from connector.ledger.verify import refuse_damaged
from connector.logs import get_logger

notes = get_logger(__name__)
VERIFIED = "locks/verified"
BASE = "locks/base"
KEPT = 3
# Bytes. Everybody who opens a published file reads its log through first: a log of this size in some 20 ms.
MOST_LOG = 1 << 20
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


def publish_copy(directory: Path, commit: int, place: Place | None = None) -> Path:
    """Copy the writer's file, which must be checkpointed and closed, and lead readers to it. The new file.

    place: where to; inside the store when None. Only under the store's lock. Raises StoreError; what was published
    before stays in place then.
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
            copy_in_child(work, temporary)
            failpoint("publish.after_copy")
            refuse_damaged(temporary, like=verified_copy(directory))
            target = place.let_read(temporary, commit)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _note_base(directory, target)
        _lead_to(directory, place, target)
        _remove_strangers(place, target, is_new_here=is_new_here)
    return target


def publish_log(directory: Path, commit: int, place: Place) -> Path | None:
    """Publish the writer's log with the copy that it goes with; the new file, which is that copy under another name.

    None when a copy has to be made: there is no such copy, the log is large, or the file system has no second names.
    Only under the store's lock, with the writer's file closed. Raises StoreError.
    """
    work = directory / WORK
    log, base = unwritten_log(work), _base(directory, place)
    if log is None or base is None or log.stat().st_size > MOST_LOG:
        return None
    with store_errors(directory, "publish"):
        remove_leftovers(directory)
        temporary = place.directory / f"publishing-{commit:09d}.tmp"
        try:
            failpoint("publish.before_copy")
            temporary.mkdir(mode=0o700)
            draft = temporary / base.name
            copy_in_child(log, log_of(draft))
            draft.hardlink_to(base)
            failpoint("publish.after_copy")
            if _number(draft, "SELECT commit_id FROM examined.ledger.publication") != commit:
                raise StoreError(f"The log beside {work} does not go with {base}.")  # a copy is made instead
            place.remove(place.copy_of(commit))  # what a killed process made and did not lead to
            target = place.let_read_linked(draft, commit)
        except (OSError, duckdb.Error, StoreError) as error:
            notes.warning("store.log_not_published", error=type(error).__name__)
            return None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _lead_to(directory, place, target)
    return target


def copy_whole(published: Path, target: Path) -> None:
    """A copy of a published file that holds its log too, readable by its owner only. Raises OSError, StoreError."""
    copy_in_child(published, target)
    target.chmod(0o600)
    if (log := unwritten_log(published)) is None:
        return
    copy_in_child(log, log_of(target))
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute(f"ATTACH {quoted(target)} AS whole")
        connection.execute("CHECKPOINT whole")
        connection.execute("DETACH whole")


def forget_base(directory: Path) -> None:
    """Let the next publication make a copy: the one before is not to be published again. Only under the lock."""
    (directory / BASE).unlink(missing_ok=True)


def publish_made(directory: Path, commit: int, place: Place, made: Path) -> Path:
    """Publish a verified file that was made in the place. Only under the store's lock. Raises OSError, StoreError."""
    target = place.let_read(made, commit)
    _lead_to(directory, place, target)
    return target


def _lead_to(directory: Path, place: Place, target: Path) -> None:
    _note_verified(directory, target)
    failpoint("publish.before_link")
    place.lead_to(target)
    failpoint("publish.after_link")
    clear_others(directory, place)
    remove_old(directory, target)


def leftovers(directory: Path) -> list[Path]:
    """Files that a process is making, or did not finish before it was killed."""
    found = [path for path in directory.iterdir() if any(path.match(pattern) for pattern in _LEFTOVERS)]
    return found + [
        path for place in all_places(directory) for path in place.leftovers() if path not in found
    ]


def remove_leftovers(directory: Path) -> None:
    """Remove half-made files of a killed process. Only under the store's lock."""
    for path in leftovers(directory):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
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


def _note_base(directory: Path, path: Path) -> None:
    """Remember that the writer's file, as it is now, is the same as a copy of it; not of one that holds no load yet.

    What grows out of an empty file is to be copied once it holds something, or all there is lies in the log.
    """
    if _number(path, "SELECT count(*) FROM examined.ledger.snapshots") == 0:
        forget_base(directory)
        return
    states = (*(file_state(directory / WORK) or ()), *_state(path))
    # Only a hint that spares copying: without it, or where a figure does not fit what is there, a copy is made.
    with suppress(OSError):
        (directory / BASE).write_text(" ".join(map(str, states)), "utf-8")


def _base(directory: Path, place: Place) -> Path | None:
    """A copy with the same bytes as the writer's file, if there is one where the store publishes."""
    try:
        noted = [int(part) for part in (directory / BASE).read_text("utf-8").split()]
    except (OSError, ValueError):
        return None
    work = file_state(directory / WORK) or ()
    for path in place.copies() if place.is_led_to() else ():
        if [*work, *_state(path)] == noted and place.lets_read(path):
            return path
    return None


def _number(path: Path, question: str) -> int:
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute(f"ATTACH {quoted(path)} AS examined (READ_ONLY)")
        row = connection.execute(question).fetchone()
    assert row is not None
    return int(row[0])


def _note_verified(directory: Path, path: Path) -> None:
    note = " ".join([*(str(part) for part in _state(path)), os.path.relpath(path, directory)])
    # Only a hint that spares reading: without it the next copy is read through.
    with suppress(OSError):
        (directory / VERIFIED).write_text(note, "utf-8")


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def remove_old(directory: Path, newest: Path, *, keep: int = KEPT) -> None:
    """Remove all published copies but the newest few. Who has one open keeps reading it.

    Of several, one is kept that has blocks of its own, so that not all of them are lost with one.
    """
    found = copies(directory)
    kept = found[:keep]
    files = {path.stat().st_ino for path in kept}
    if keep > 1 and len(files) == 1:
        kept += [path for path in found[keep:] if path.stat().st_ino not in files][:1]
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
