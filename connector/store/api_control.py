"""The API's file ``control.sqlite``, which several processes write: WAL mode, one connection a thread.

Each ``api_`` module keeps its own tables and hands its DDL to ``ControlFile``. Times are text,
``YYYY-MM-DDTHH:MM:SSZ``, so that they sort; lists are JSON.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.errors import StoreError

FILE = "control.sqlite"


class ControlFile:
    """Opens ``control.sqlite`` in ``directory``, making it and the tables when they are missing."""

    def __init__(self, directory: Path, *ddl: str) -> None:
        self._path = directory / FILE
        self._local = threading.local()
        self._ddl = ddl
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        connection = self._connection()
        for statement in ddl:
            connection.executescript(statement)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return list(self._run(sql, parameters))

    def row(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Row | None:
        """The first row of a query."""
        found = self._run(sql, parameters).fetchone()
        assert found is None or isinstance(found, sqlite3.Row)
        return found

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """One statement in a transaction of its own; how many rows it changed."""
        return self._run(sql, parameters).rowcount

    def write_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """One statement over many rows, all or none."""
        with self.transaction() as connection:
            connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several statements, all or none; the write lock is taken at the start."""
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            raise StoreError(f"{FILE} cannot be written: {exc}") from exc
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
            self._local = threading.local()

    def _run(self, sql: str, parameters: Sequence[object]) -> sqlite3.Cursor:
        try:
            return self._connection().execute(sql, tuple(parameters))
        except sqlite3.Error as exc:
            raise StoreError(f"{FILE} cannot be used: {exc}") from exc

    def _connection(self) -> sqlite3.Connection:
        connection: Any = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=5.0, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._path.chmod(0o600)
            self._local.connection = connection
            with self._lock:
                self._all.append(connection)
        assert isinstance(connection, sqlite3.Connection)
        return connection


def stamp(moment: datetime) -> str:
    """An aware time as this file keeps it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
