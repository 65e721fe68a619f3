"""The published file, opened for everybody who reads it: by its real path, read-only, in UTC.

``commerce.duckdb`` is a link that a publication swaps (``places``). Whoever opens it looks at it again, so a new state
is read from then on, and who reads an older file keeps it. There are two kinds of connection. ``locked`` can reach no
other file and no network, and no statement can change that: for questions that others write (the API, ``query``).
``attached`` may write files of its own (exports) and lends its session to several readers.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

import duckdb

from connector.errors import ConfigError, StoreDamaged, StoreError
from connector.ledger.connection_state import ConnectionState
from connector.ledger.database import NO_PROGRESS_BAR, THREADS, quoted, reading_errors, store_errors
from connector.ledger.interface import LINK
from connector.ledger.migrate import refuse_other_schema
from connector.ledger.places import commit_of, published_file

_Opened = TypeVar("_Opened")
_Setting = str | bool | int | float | list[str]
_NO_EXTENSIONS: dict[str, _Setting] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


_File = tuple[int, int, int]


def _file(path: Path) -> _File:
    """Tells a file from another of its name, as a restored store has."""
    state = path.stat()
    return state.st_dev, state.st_ino, state.st_mtime_ns


# DuckDB notes every block that it took out of memory, and keeps the notes until the file is closed: some 20 MB after as
# many requests. Opening it again takes as long as a few questions.
MOST_USES = 50_000

_ANEW = "connector sync publishes it anew; connector check says more."
_LOOK = "Check the file's owner and mode; connector check says more."


class NothingPublishedError(StoreError):
    """No sync has published anything yet."""


def newest_file(directory: Path) -> Path:
    """The immutable file behind the link.

    Raises NothingPublishedError, StoreDamaged when there is a link and no file, StoreError when it cannot be followed.
    """
    if (found := published_file(directory)) is not None:
        return found
    link = directory / LINK
    with store_errors(link, "find the published file", otherwise=_LOOK):
        try:
            link.lstat()
        except FileNotFoundError:
            raise NothingPublishedError(
                f"Nothing has been published in {directory} yet.",
                hint="Run: connector sync   (or connector demo)",
            ) from None
    raise StoreDamaged(
        f"The published file is gone: {link} leads to no file that can be reached.", hint=_ANEW
    )


def opened(directory: Path, way: Callable[[Path], _Opened]) -> tuple[Path, _Opened]:
    """The newest published file, opened. Raises NothingPublishedError, StoreError."""
    attempts = 3
    while True:
        path = None
        try:
            path = newest_file(directory)
            with store_errors(path, "open the published file", otherwise=_LOOK):
                return path, way(path)
        except NothingPublishedError:
            raise
        except StoreError:
            # Three publications since the link was looked at: the file was cleaned away. Look again.
            attempts -= 1
            if not attempts or (path is not None and path.exists()):
                raise


def locked(path: Path, **limits: _Setting) -> duckdb.DuckDBPyConnection:
    """A connection that can reach nothing but the file, and cannot be told to. limits: settings of DuckDB."""
    connection = duckdb.connect(
        str(path), read_only=True, config={**_NO_EXTENSIONS, "enable_external_access": False, **limits}
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(NO_PROGRESS_BAR)
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def attached(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection whose default catalog is the file, and whose settings are its own."""
    # Attached to a database of its own: duckdb.connect(path) would share the instance, and so the settings,
    # with whoever else in this process has the file open.
    connection = duckdb.connect(":memory:", config={**_NO_EXTENSIONS, "threads": THREADS})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(NO_PROGRESS_BAR)
        connection.execute(f"ATTACH {quoted(path)} AS commerce (READ_ONLY)")
        connection.execute("USE commerce")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def open_locked(directory: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The newest published file, for one question of a person. Raises NothingPublishedError, StoreError."""
    _, connection = opened(directory, locked)
    with closing(connection):
        yield connection


class DuckReader:
    """One published state. See ``interface.Reader``."""

    is_whole = True

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

    @property
    def epoch(self) -> str:
        row = self._connection.execute("SELECT epoch FROM ledger.publication").fetchone()
        return "" if row is None else str(row[0])

    def as_of(self, moment: int | datetime | None) -> int:
        if moment is None:
            return self.snapshot_id
        if isinstance(moment, datetime):
            snapshot = self._number(
                "SELECT max(snapshot_id) FROM ledger.snapshots WHERE loaded_at <= ?",
                moment.astimezone(UTC).replace(tzinfo=None),
            )
            if snapshot is None:
                raise ConfigError(f"Nothing had been loaded by {moment:%Y-%m-%dT%H:%M:%SZ}.")
            return snapshot
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
        self._lock = threading.Lock()
        self._file: tuple[Path, _File] | None = None
        self._held: duckdb.DuckDBPyConnection | None = None

    def attached(self, path: Path) -> duckdb.DuckDBPyConnection:
        """A connection whose default catalog is the file."""
        file = (path, _file(path))
        with self._lock:
            if self._held is None or self._file != file:
                # Not closed: that would close the readers that still use it. The last of them lets go of the file.
                self._held, self._file = attached(path), file
            connection = self._held.cursor()
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(NO_PROGRESS_BAR)
        connection.execute("USE commerce")
        return connection


def open_published(directory: Path, session: PublishedSession | None = None) -> DuckReader:
    """The newest published file for a reader. Raises NothingPublishedError, StoreError.

    session: holds the file open between readers; without one it is opened for this reader alone.
    """
    return DuckReader(*opened(directory, attached if session is None else session.attached))


@dataclass(slots=True)
class _Open:
    path: Path
    file: _File
    connection: duckdb.DuckDBPyConnection
    users: int = 0
    extra: dict[str, object] = field(default_factory=dict)
    times_used: int = 0


@dataclass(frozen=True, slots=True)
class Publication:
    """One published file during one request.

    ``cursor`` is this request's own; ``cache`` lives with the file.
    """

    path: Path
    cursor: duckdb.DuckDBPyConnection
    cache: dict[str, object]


class PublishedFiles(Protocol):
    """What requests read: one file with all companies, or one a company."""

    @property
    def exists(self) -> bool:
        """Whether anything was ever published."""

    @property
    def damaged(self) -> bool:
        """Whether a request found a part of the newest publication damaged."""

    def states(self) -> Mapping[str, ConnectionState] | None:
        """Connection id -> state over all companies, where no single file tells; None where one does."""

    def changed(self, after: int) -> tuple[int, list[str]]:
        """The number of the newest publication, and whose it was since an earlier one; none are named in one file."""

    def open(self, company_id: str | None = None) -> AbstractContextManager[Publication]:
        """The newest publication for one request. Raises NothingPublishedError, StoreError."""

    def reader(self, company_id: str) -> AbstractContextManager[DuckReader]:
        """The same on a connection of its own, which may write files."""

    def close(self) -> None:
        """Close every file; used when the server stops."""


class Published:
    """The published files that requests read: locked, one cursor a request, closed when a newer one is there."""

    def __init__(self, directory: Path, *, threads: int = 2, memory_limit: str = "2GB") -> None:
        self._directory = directory
        self._limits: dict[str, _Setting] = {"threads": threads, "memory_limit": memory_limit}
        self._lock = threading.Lock()
        self._files: dict[Path, _Open] = {}
        self._newest: Path | None = None
        self._damaged: tuple[Path, _File] | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever published, be it there or not."""
        return (self._directory / LINK).is_symlink()

    @property
    def damaged(self) -> bool:
        """Whether a request found a part of the newest publication damaged; others may still be answered from it."""
        path = self.newest()
        return self._damaged is not None and self._damaged == (path, _file(path))

    def states(self) -> Mapping[str, ConnectionState] | None:
        return None

    def changed(self, after: int) -> tuple[int, list[str]]:  # noqa: ARG002 - the newest is known by its name
        return commit_of(self.newest()) or 0, []

    def reader(self, company_id: str) -> DuckReader:  # noqa: ARG002 - all companies are in it
        return open_published(self._directory)

    def newest(self) -> Path:
        """The real path of the newest publication. Raises NothingPublishedError, StoreError."""
        return newest_file(self._directory)

    @contextmanager
    def open(self, company_id: str | None = None) -> Iterator[Publication]:  # noqa: ARG002 - all are in it
        """The newest publication for the time of one request. Raises NothingPublishedError, StoreError."""
        held = self._open_newest()
        try:
            with reading_errors(held.path), closing(held.connection.cursor()) as cursor:
                yield Publication(held.path, cursor, held.extra)
        except StoreDamaged:
            self._damaged = held.path, held.file
            raise
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            # A table or column that is not there: the file is another version's, or the question is wrong.
            with closing(held.connection.cursor()) as cursor:
                refuse_other_schema(cursor)
            raise error
        finally:
            self._let_go(held)

    def close(self) -> None:
        """Close every file; used when the server stops."""
        with self._lock:
            for held in self._files.values():
                held.connection.close()
            self._files.clear()

    def _open_newest(self) -> _Open:
        try:
            return opened(self._directory, self._hold)[1]
        except NothingPublishedError as error:
            if not self._files:
                raise
            raise StoreDamaged(
                f"{self._directory / LINK} was read before and is gone.", hint=_ANEW
            ) from error

    def _hold(self, path: Path) -> _Open:
        with self._lock:
            self._newest = path
            file = _file(path)
            held = self._files.get(path)
            if held is not None and held.file != file:
                # DuckDB would give the old one to whoever opens the name while somebody still reads it.
                if held.users:
                    raise StoreError(f"{path} was replaced by another file while it is still being read.")
                self._files.pop(path).connection.close()
                held = None
            if held is None:
                held = self._files[path] = _Open(path, file, locked(path, **self._limits))
                self._close_idle()
            elif held.users == 0 and held.times_used >= MOST_USES:
                held = self._files[path] = self._opened_again(held)
            held.users += 1
            held.times_used += 1
            return held

    def _opened_again(self, held: _Open) -> _Open:
        """The same file in another instance of DuckDB; what was found out about it stays true."""
        held.connection.close()
        del self._files[held.path]
        return _Open(held.path, held.file, locked(held.path, **self._limits), extra=held.extra)

    def _let_go(self, held: _Open) -> None:
        with self._lock:
            held.users -= 1
            self._close_idle()

    def _close_idle(self) -> None:
        for path in [p for p, held in self._files.items() if held.users == 0 and p != self._newest]:
            self._files.pop(path).connection.close()
