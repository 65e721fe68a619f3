"""A published file, opened the way every reader of ours opens it: by its real path, read-only, in UTC."""

from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import duckdb

from connector.errors import ConfigError, StoreError
from connector.ledger.database import THREADS, quoted, store_errors
from connector.ledger.publish import LINK


class DuckReader:
    """One published state. See ``interface.Reader``."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._path = path
        self._connection = connection
        self._snapshot_id: int | None = None

    @property
    def path(self) -> Path:
        return self._path

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return self._connection

    @property
    def snapshot_id(self) -> int:
        if self._snapshot_id is None:
            self._snapshot_id = self._number("SELECT coalesce(max(snapshot_id), 0) FROM ledger.snapshots")
        return self._snapshot_id or 0

    def as_of(self, moment: int | datetime | None) -> int:
        if moment is None:
            return self.snapshot_id
        if isinstance(moment, datetime):
            found = self._number(
                "SELECT max(snapshot_id) FROM ledger.snapshots WHERE loaded_at <= ?",
                moment.astimezone(UTC).replace(tzinfo=None),
            )
            if found is None:
                raise ConfigError(f"Nothing had been loaded by {moment:%Y-%m-%dT%H:%M:%SZ}.")
            return found
        if not 0 <= moment <= self.snapshot_id:
            raise ConfigError(
                f"There is no snapshot {moment}; the newest is {self.snapshot_id}.",
                hint='connector query "SELECT * FROM snapshots ORDER BY snapshot_id"',
            )
        return moment

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _number(self, sql: str, *values: object) -> int | None:
        row = self._connection.execute(sql, list(values)).fetchone()
        return None if row is None or row[0] is None else int(row[0])


class PublishedSession:
    """The newest published file, kept open as long as it is the newest: opening takes longer than most questions.

    Every reader gets a connection of its own. Safe to share between threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._file: tuple[Path, int, int] | None = None
        self._held: duckdb.DuckDBPyConnection | None = None

    def attached(self, path: Path) -> duckdb.DuckDBPyConnection:
        """A connection whose default catalog is the file."""
        found = path.stat()
        file = (path, found.st_ino, found.st_mtime_ns)  # a restored file may bear the name of another
        with self._lock:
            if self._held is None or self._file != file:
                # Not closed: that would close the readers that still use it. The last of them lets go of the file.
                self._held, self._file = _attached(path), file
            connection = self._held.cursor()
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("USE commerce")
        return connection


def open_published(directory: Path, session: PublishedSession | None = None) -> DuckReader:
    """The newest published file. StoreError when nothing was published, or it cannot be opened.

    session: holds the file open between readers; without one it is opened for this reader alone.
    """
    attached = _attached if session is None else session.attached
    link = directory / LINK
    for attempt in (1, 2):
        try:
            path = link.resolve(strict=True)
        except (OSError, RuntimeError):
            raise StoreError(
                f"Nothing has been published in {directory} yet.",
                hint="Run: connector sync   (or connector demo)",
            ) from None
        try:
            with store_errors(path, "open the published file"):
                return DuckReader(path, attached(path))
        except StoreError:
            # Three publications since the link was looked at: the file was cleaned away. Look again.
            if attempt == 2 or path.exists():
                raise
    raise AssertionError("unreachable")


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    # Attached to a database of its own: duckdb.connect(path) would share the instance, and so the settings,
    # with whoever else in this process has the file open.
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH {quoted(path)} AS commerce (READ_ONLY)")
        connection.execute("USE commerce")
    except BaseException:
        connection.close()
        raise
    return connection
