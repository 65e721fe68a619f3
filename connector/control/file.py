"""The API's file ``control.sqlite``, which several processes write: WAL mode, a few connections for all threads.

Each ``api_`` module keeps its own tables and hands its DDL to ``ControlFile``. Times are text,
``YYYY-MM-DDTHH:MM:SSZ``, so that they sort; lists are JSON.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from connector.errors import StoreError
from schemas.times import second_text

FILE = "control.sqlite"
# Three descriptors each. A statement takes microseconds, so more than this are in use at once only for moments.
MOST_IDLE = 4


class ControlFile:
    """Opens ``control.sqlite`` in ``directory``, making it and the tables when they are missing.

    A connection belongs to one statement or transaction at a time and to no thread: threads come and go by the
    dozen in a server, and what each of them left open would never be closed.
    """

    def __init__(self, directory: Path, *ddl: str) -> None:
        self._path = directory / FILE
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._inside = threading.local()
        directory.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            for statement in ddl:
                connection.executescript(statement)

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
        with self._connection() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as exc:
                raise StoreError(f"{FILE} cannot be written: {exc}") from exc
            self._inside.connection = connection
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            finally:
                del self._inside.connection
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection; one still in use is closed by its user."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    @contextmanager
    def _cursor(self, sql: str, parameters: Sequence[object]) -> Iterator[sqlite3.Cursor]:
        """The statement, executed; inside a transaction of this thread it belongs to that."""
        try:
            with self._connection() as connection:
                cursor = connection.execute(sql, tuple(parameters))
                try:
                    yield cursor
                finally:
                    cursor.close()
        except sqlite3.Error as exc:
            raise StoreError(f"{FILE} cannot be used: {exc}") from exc

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
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._path.chmod(0o600)
        except BaseException:
            connection.close()
            raise
        return connection


def stamp(moment: datetime) -> str:
    """An aware time as this file keeps it."""
    return second_text(moment)
