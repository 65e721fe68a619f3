"""The file ``control.sqlite``, which several processes write: WAL mode, a few connections for all threads.

Each module here keeps its own tables and hands its DDL to ``ControlFile``. Times are text, ``YYYY-MM-DDTHH:MM:SSZ``,
so that they sort; lists are JSON. Whatever SQLite says is raised as StoreError, with the file, its owner and the cure.
"""

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from connector.control.migrations import bring_up_to_date
from connector.errors import StoreBusy, StoreError
from connector.files import refuse_foreign, user_name
from schemas.times import second_text

FILE = "control.sqlite"
# Says that the file was made once: without it a lost file could not be told from one that nobody needed yet.
MADE = "control.made"
# Three descriptors each. A statement takes microseconds, so more than this are in use at once only for moments.
MOST_IDLE = 4


class ControlFile:
    """Opens ``control.sqlite`` in ``directory``, making it and the tables when they are missing.

    A connection belongs to one statement or transaction at a time and to no thread: threads come and go by the
    dozen in a server, and what each of them left open would never be closed.
    """

    def __init__(self, directory: Path, *ddl: str, durable: bool = False) -> None:
        self._path = directory / FILE
        self._is_durable = durable
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._inside = threading.local()
        refuse_foreign(directory)
        with control_errors(self._path):
            directory.mkdir(parents=True, exist_ok=True)
            refuse_if_lost(directory)
            with self._connection() as connection:
                bring_up_to_date(connection)
                for statement in ddl:
                    connection.executescript(statement)
            (directory / MADE).touch()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._cursor(sql, parameters) as cursor:
            return cursor.fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Row | None:
        """The first row of a query."""
        with self._cursor(sql, parameters) as cursor:
            found = cursor.fetchone()
        assert found is None or isinstance(found, sqlite3.Row)
        return found

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """One statement in a transaction of its own; how many rows it changed."""
        with self._cursor(sql, parameters) as cursor:
            return cursor.rowcount

    def write_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """One statement over many rows, all or none."""
        with self.transaction() as connection:
            connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several statements, all or none; the write lock is taken at the start."""
        with control_errors(self._path), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._inside.connection = connection
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise
            finally:
                del self._inside.connection
            connection.execute("COMMIT")

    def beside_others(self) -> AbstractContextManager[sqlite3.Connection]:
        """A file has one writer at a time."""
        return self.transaction()

    def erase_deleted(self) -> None:
        """Have what was deleted leave the file and its log."""
        for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            self.write(statement)

    def close(self) -> None:
        """Close every connection; one still in use is closed by its user."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    @contextmanager
    def _cursor(self, sql: str, parameters: Sequence[object]) -> Iterator[sqlite3.Cursor]:
        """The statement, executed; inside a transaction of this thread it belongs to that."""
        with control_errors(self._path), self._connection() as connection:
            cursor = connection.execute(sql, tuple(parameters))
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for the caller alone, back to the idle ones afterwards."""
        held = getattr(self._inside, "connection", None)
        if isinstance(held, sqlite3.Connection):
            yield held
            return
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._open()
        try:
            yield connection
        finally:
            with self._lock:
                kept = len(self._idle) < MOST_IDLE and not connection.in_transaction
                if kept:
                    self._idle.append(connection)
            if not kept:
                connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._is_durable else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys = ON")
            self._path.chmod(0o600)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def control_errors(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system as StoreError, with the file, its owner and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    except OSError as error:
        raise StoreError(
            f"{path}{_owner(path)} cannot be used: {error.strerror or error}.", hint=_AS_OWNER
        ) from error


def examine(directory: Path) -> None:
    """Read the file through and take its lock for writing, changing nothing. Raises StoreError; fine when missing."""
    refuse_if_lost(directory)
    path = directory / FILE
    if not path.exists():
        return
    with (
        control_errors(path),
        closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as connection,
    ):
        refuse_damaged(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def refuse_damaged(connection: sqlite3.Connection) -> None:
    """Read a whole file through. Raises sqlite3.DatabaseError when its pages do not fit together."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"malformed: {said}")


def refuse_if_lost(directory: Path) -> None:
    """Raises StoreError when there was a file and it is gone: an empty one would say that nobody has a key."""
    path = directory / FILE
    if (directory / MADE).exists() and not path.exists():
        raise StoreError(
            f"{path} is gone, and with it the API keys, webhooks, alerts and the log of who read what."
            " The sales are in other files and unharmed.",
            hint=f"{_FROM_BACKUP} To begin with an empty one: rm {directory / MADE}",
        )


_FROM_BACKUP = (
    "Bring it back from a backup: connector restore BACKUP --to NEW-DIRECTORY, then copy"
    f" NEW-DIRECTORY/{FILE} here."
)
_AS_OWNER = (
    "Run as the user who owns the store, or change the owner and mode of the file and of its directory."
)


def _explained(error: sqlite3.Error, path: Path) -> StoreError:
    said = str(error).rstrip(".")
    where = f"{path}{_owner(path)}"
    lower = said.lower()
    if "locked" in lower or "busy" in lower:
        return StoreBusy(f"{where} is being written by another process: {said}.", hint="Run it again.")
    if "full" in lower or ("disk i/o" in lower and _is_full(path)):
        return StoreError(
            f"{where} cannot be written: {said}.", hint="Free disk space, then run it again. Nothing is lost."
        )
    if "readonly" in lower or "read-only" in lower or "unable to open" in lower or "disk i/o" in lower:
        return StoreError(f"{where} cannot be written: {said}.", hint=_AS_OWNER)
    if "not a database" in lower or "malformed" in lower or "corrupt" in lower:
        return StoreError(
            f"{where} is damaged: {said}. It holds API keys, webhooks, alerts and the log of who read what; the sales"
            " are in other files and unharmed.",
            hint=f"Set it aside: mv {path} {path}.damaged; rm -f {path}-wal {path}-shm. {_FROM_BACKUP}",
        )
    return StoreError(f"{where} cannot be used: {said}.", hint="connector check says more.")


def _is_full(path: Path) -> bool:
    """SQLite's files beside the file grow in pages of 32 KiB, and a full disk is an I/O error to it there."""
    try:
        return shutil.disk_usage(path.parent).free < 64 << 10
    except OSError:
        return False


def _owner(path: Path) -> str:
    """Whose file or, where it is missing, whose directory it is."""
    for found in (path, path.parent):
        try:
            number = found.stat().st_uid
        except OSError:
            continue
        whose = "file" if found is path else "directory"
        return f" (owner of the {whose}: {user_name(number)})"
    return ""


def stamp(moment: datetime) -> str:
    """An aware time as this file keeps it."""
    return second_text(moment)


def moment_of(text: str) -> datetime:
    """The aware time of ``stamp``'s text."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
