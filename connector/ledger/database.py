"""Opens the writer's file, and turns what can go wrong with files into errors a person can act on.

DuckDB keeps others out by a POSIX lock, and such a lock dies as soon as the process closes *any* descriptor
of the file. So ``work.duckdb`` is opened here and nowhere else, and never by ``open()``: copies are made by
a child process.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from connector.errors import StoreBusy, StoreDamaged, StoreError

WORK = "work.duckdb"
CATALOG = "work"
TEMPORARY = Path("staging/duckdb.tmp")
# Readable by DuckDB 1.4 and later, so that older command lines and DBeaver open what is published.
STORAGE_VERSION = "v1.4.0"
# A question that takes long would draw one on standard output, which may be somebody's JSON.
NO_PROGRESS_BAR = "SET enable_progress_bar = false"
THREADS = min(4, os.cpu_count() or 1)
MEMORY_LIMIT = 256 << 20
_MAKE_ROOM = "Free disk space, then run it again. What was published before is unharmed."
_RAISE_LIMIT = "Raise the limit on file size (ulimit -f), then run it again. What was published is unharmed."


def private_directory(path: Path) -> Path:
    """Make a directory only its owner can enter. One that is there keeps its mode: somebody chose it."""
    with store_errors(path, "make the directory"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


class WorkSession:
    """A session of the writer's that outlives the times the file is open: starting one takes longer than a small load.

    Between two uses the file is detached, so that it can be copied and other processes may open it. A session in
    which anything went wrong is thrown away. One use at a time: the store's lock sees to that.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._idle: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def work(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writer's file, which must be there, as the default catalog. Only under the store's lock."""
        path = self._directory / WORK
        connection, self._idle = self._idle, None
        try:
            with store_errors(path, "open"):
                connection = connection or self._begun()
                connection.execute(f"ATTACH {quoted(path)} AS {CATALOG}")
                connection.execute(f"USE {CATALOG}")
            yield connection
            with store_errors(path, "close"):
                connection.execute("USE memory")
                connection.execute(f"DETACH {CATALOG}")
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self._idle = connection

    def _begun(self) -> duckdb.DuckDBPyConnection:
        connection = memory_database(self._directory)
        # What a small load wrote stays in the log beside the file, so that only the log has to be published.
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        return connection


@contextmanager
def work_database(directory: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The writer's file as the default catalog, for one use. Only under the store's lock."""
    session = WorkSession(directory)
    with session.work() as connection:
        yield connection


def attach_new(
    connection: duckdb.DuckDBPyConnection, path: Path, catalog: str, *, has_log: bool = True
) -> None:
    """Make an empty database file that only its owner can read, as a catalog with an empty ledger.

    has_log: whether commits go to a log first; without one nothing is in the file before a CHECKPOINT.
    """
    # duckdb.connect(path) would make a file in the newest format; ATTACH can choose.
    log = "" if has_log else ", RECOVERY_MODE no_wal_writes"
    connection.execute(f"ATTACH {quoted(path)} AS {catalog} (STORAGE_VERSION '{STORAGE_VERSION}'{log})")
    path.chmod(0o600)
    connection.execute(f"CREATE SCHEMA {catalog}.ledger")


def log_of(path: Path) -> Path:
    """Where DuckDB keeps what it has committed and not yet written into a file. Whoever opens the file reads both."""
    return path.with_name(path.name + ".wal")


def unwritten_log(path: Path) -> Path | None:
    """The log beside a database file when it holds something that is not in the file yet."""
    log = log_of(path)
    return log if log.exists() and log.stat().st_size > 0 else None


FileState = tuple[int, int, int, int]


def file_state(path: Path) -> FileState | None:
    """What tells whether a file was written to: equal only if nobody did. None when it is not there.

    Looks, and never opens: closing a descriptor would free the writer's lock.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


WrittenState = tuple[FileState, FileState | None]


def written_state(path: Path) -> WrittenState | None:
    """The same of a database file and its log. None when there is no file."""
    state = file_state(path)
    return None if state is None else (state, file_state(log_of(path)))


def make_work_database(directory: Path) -> None:
    """An empty writer's file, complete before it gets its name."""
    path, temporary = directory / WORK, directory / "making-work.tmp"
    with store_errors(path, "make"):
        connection = memory_database(directory)
        try:
            attach_new(connection, temporary, CATALOG)
        finally:
            connection.close()
        temporary.replace(path)


def memory_database(directory: Path) -> duckdb.DuckDBPyConnection:
    """A session of the writer's, with nothing in it yet."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            # Beside the store, where there is room for it; the default would be the current directory.
            "temp_directory": str(directory / TEMPORARY),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{_memory_limit(connection)}B'")
    connection.execute(NO_PROGRESS_BAR)
    return connection


def _memory_limit(connection: duckdb.DuckDBPyConnection) -> int:
    """Bytes: 256 MiB (what is larger goes to disk beside the store), or half of what DuckDB itself would take.

    DuckDB knows the limits of containers.
    """
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    found = re.fullmatch(r"([\d.]+) (KiB|MiB|GiB|TiB)", str(row[0]) if row else "")
    if found is None:
        return MEMORY_LIMIT
    return min(MEMORY_LIMIT, int(float(found[1]) * 1024 ** (1 + "KMGT".index(found[2][0])) / 2))


@contextmanager
def store_errors(
    path: Path, doing: str, *, otherwise: str = "Nothing of this load was kept. connector check says more."
) -> Iterator[None]:
    """Errors of DuckDB and of the file system as StoreError, saying what to do; of an unknown kind ``otherwise``."""
    try:
        yield
    except duckdb.Error as error:
        raise _explained_duckdb(error, path, doing, otherwise) from error
    except OSError as error:
        raise _explained_os(error, path, doing) from error


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """What the disk, the memory or a damaged file did to a question, as StoreError; other errors are the question's."""
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.OutOfMemoryException,
        duckdb.InternalException,
        duckdb.FatalException,
    ) as error:
        raise _explained_duckdb(error, path, "read", "connector check says more.") from error
    except duckdb.Error as error:
        if damage_in(error) is None:
            raise
        raise _explained_duckdb(error, path, "read", "") from error


def _explained_os(error: OSError, path: Path, doing: str) -> StoreError:
    where = error.filename or path
    what = f"Could not {doing}: {where}: {os.strerror(error.errno) if error.errno else error}."
    hints = {
        errno.ENOSPC: _MAKE_ROOM,
        errno.EDQUOT: _MAKE_ROOM,
        errno.EFBIG: _RAISE_LIMIT,
        errno.EACCES: "Run as the user who owns the store, or change the owner. Nothing was changed.",
        errno.EPERM: "Run as the user who owns the store, or change the owner. Nothing was changed.",
        errno.EROFS: "The disk is mounted read-only; mount it for writing. Nothing was changed.",
        errno.ENOTDIR: "Set `store` to a directory.",
    }
    return StoreError(what, hint=hints.get(error.errno or 0, "connector check says more."))


# What DuckDB says of a file whose bytes are not as it wrote them.
_DAMAGE = re.compile(
    r"corrupt|checksum|not a valid duckdb|deserializ|serializ\w+ error|enough bytes|read all data|end of file"
    r"|invalidated because of a previous fatal|failed to load metadata|failure while replaying|salt|invalid block",
    re.IGNORECASE,
)


def damage_in(error: duckdb.Error) -> str | None:
    """What an error of DuckDB says about a damaged file, in a line without figures of its inside; None for others."""
    text = str(error).splitlines()[0]
    if not _DAMAGE.search(text):
        return None
    return (
        "a block is not as it was written"
        if "checksum" in text
        else re.sub(r"\s+", " ", text).rstrip(".")[:160]
    )


def _explained_duckdb(error: duckdb.Error, path: Path, doing: str, otherwise: str) -> StoreError:
    text = str(error).splitlines()[0]
    lower = text.lower()
    if (why := damage_in(error)) is not None:
        return StoreDamaged(
            f"Could not {doing}: {path} is damaged: {why}.",
            hint="connector sync makes it anew from what is good; connector check says what that is.",
        )
    if "conflicting lock" in lower or "could not set lock" in lower:
        found = re.search(r"PID (\d+)", text)
        pid = int(found[1]) if found else None
        return StoreBusy(
            f"Could not {doing}: {path} is open in another program{f' (process {pid})' if pid else ''}.",
            pid=pid,
            hint="Close it there. Analysts open commerce.duckdb, never work.duckdb.",
        )
    if "checkpoint" in lower:
        # Committed to the log beside the file already.
        return StoreError(
            f"Could not write out {path}, most likely because the disk is full. What was committed before is kept,"
            " in the log beside it.",
            hint="Free disk space, then run it again: that is published then. connector check says more.",
        )
    if "no space left" in lower or "disk full" in lower or "max_temp_directory_size" in lower:
        return StoreError(
            f"Could not {doing}: {path}: the disk is full. Nothing of this load was kept.",
            hint=_MAKE_ROOM,
        )
    if "file too large" in lower:
        return StoreError(
            f"Could not {doing}: {path}: the file may not grow further. Nothing of this load was kept.",
            hint=_RAISE_LIMIT,
        )
    if "permission denied" in lower or "read-only file system" in lower:
        return StoreError(
            f"Could not {doing}: {path}: permission denied. Nothing was changed.",
            hint="Run as the user who owns the store, or change the owner.",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return StoreError(
            f"Could not {doing}: {path}: not enough memory. Nothing of this load was kept.",
            hint="Load a shorter span at a time: connector sync --until ...",
        )
    return StoreError(f"Could not {doing}: {path}: {text}", hint=otherwise)


def quoted(path: Path) -> str:
    """A path as a SQL string."""
    return "'" + str(path).replace("'", "''") + "'"
