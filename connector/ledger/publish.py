"""Makes what was committed visible: an immutable copy under a new name, and a link swapped to it.

``commerce.duckdb`` always leads to a complete file, which was verified before the link moved. Readers that hold an
older copy keep it as long as they like; the last three copies stay on disk. The writer's file is copied by a child
process, because closing a descriptor of it in this process would free DuckDB's lock.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb

from connector.errors import StoreError
from connector.files import flush
from connector.ledger.database import WORK, store_errors, unwritten_log
from connector.ledger.failpoints import failpoint
from connector.ledger.interface import LINK
from connector.ledger.verify import refuse_damaged

VERIFIED = "locks/verified"
KEPT = 3
_NAME = re.compile(r"^serve-(\d{9,})\.duckdb$")
_LEFTOVERS = ("publishing-*.tmp", "link-*.tmp", "making-*.tmp*")


def published_commit(directory: Path) -> int | None:
    """The commit the link leads to; None when there is no link, or it leads to nothing."""
    link = directory / LINK
    try:
        found = _NAME.match(link.resolve(strict=True).name)
    except (OSError, RuntimeError):  # missing, dangling, or a loop
        return None
    return int(found[1]) if found else None


def newest_copy(directory: Path) -> Path | None:
    """The newest published file on disk, linked or not."""
    return max(_copies(directory), default=(0, None), key=lambda copy: copy[0])[1]


def copies(directory: Path) -> list[Path]:
    """The published files on disk, the newest first."""
    return [path for _, path in sorted(_copies(directory), key=lambda copy: copy[0], reverse=True)]


def verified_copy(directory: Path) -> Path | None:
    """The published file that was read through last, if it is still what it was then."""
    try:
        name, *state = (directory / VERIFIED).read_text().split()
        path = directory / name
        return path if [str(part) for part in _state(path)] == state else None
    except (OSError, ValueError):
        return None


def committed(connection: duckdb.DuckDBPyConnection) -> int:
    """How many commits the writer's file has."""
    row = connection.execute("SELECT commit_id FROM ledger.publication").fetchone()
    assert row is not None
    return int(row[0])


def publish_copy(directory: Path, commit: int) -> Path:
    """Copy the writer's file, which must be checkpointed and closed, and lead readers to it. The new file.

    Only under the store's lock. Raises StoreError; what was published before stays in place then.
    """
    work, target = directory / WORK, directory / f"serve-{commit:09d}.duckdb"
    with store_errors(directory, "publish"):
        if log := unwritten_log(work):
            raise StoreError(
                f"{work} was not written out completely ({log.name} is not empty). Nothing was published.",
                hint="Run it again. If that does not help, keep both files and report it.",
            )
        remove_leftovers(directory)
        temporary = directory / f"publishing-{commit:09d}.tmp"
        try:
            failpoint("publish.before_copy")
            copy_in_child(work, temporary)
            failpoint("publish.after_copy")
            refuse_damaged(temporary, like=verified_copy(directory))
            lead_readers_to(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        remove_old(directory, target)
    return target


def lead_readers_to(made: Path, target: Path) -> None:
    """Give a verified file its published name, and readers to it. Only under the store's lock. OSError, StoreError."""
    directory = target.parent
    made.chmod(0o444)
    flush(made)
    made.replace(target)
    flush(directory)
    failpoint("publish.before_link")
    _note_verified(directory, target)
    _lead_to(directory, target)
    failpoint("publish.after_link")


def leftovers(directory: Path) -> list[Path]:
    """Files that a process is making, or did not finish before it was killed."""
    return [path for path in directory.iterdir() if any(path.match(pattern) for pattern in _LEFTOVERS)]


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
    note = " ".join([path.name, *(str(part) for part in _state(path))])
    # Only a hint that spares reading: without it the next copy is read through.
    with suppress(OSError):
        (directory / VERIFIED).write_text(note)


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _lead_to(directory: Path, target: Path) -> None:
    temporary = directory / f"link-{os.getpid()}.tmp"
    temporary.unlink(missing_ok=True)
    # Relative, so that the directory can be moved or mounted elsewhere.
    temporary.symlink_to(target.name)
    temporary.replace(directory / LINK)
    flush(directory)


def remove_old(directory: Path, newest: Path, *, keep: int = KEPT) -> None:
    """Remove all published copies but the newest few. Who has one open keeps reading it."""
    for path in copies(directory)[keep:]:
        if path != newest:
            path.unlink(missing_ok=True)


def _copies(directory: Path) -> list[tuple[int, Path]]:
    found = ((_NAME.match(path.name), path) for path in directory.glob("serve-*.duckdb"))
    return [(int(name[1]), path) for name, path in found if name]
