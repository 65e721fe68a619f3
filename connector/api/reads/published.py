"""The published file as the read API opens it: the newest copy, read-only, one cursor a request.

``commerce.duckdb`` is a link that a sync swaps; each request looks at it again, so a new publication is
served from the next request on, and a request in flight keeps the file it began with. Opened by its real
path, because DuckDB hands out the old instance for a path it has open already. What is asked of the file is
in the other ``api_`` modules.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from connector.errors import StoreError

LINK = "commerce.duckdb"


@dataclass(slots=True)
class _Open:
    path: Path
    connection: duckdb.DuckDBPyConnection
    users: int = 0
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """One published file during one request.

    ``cursor`` is this request's own; ``cache`` lives with the file.
    """

    path: Path
    cursor: duckdb.DuckDBPyConnection
    cache: dict[str, object]


class NothingPublishedError(StoreError):
    """No sync has published anything yet."""


class Published:
    """Opens publications and closes them when a newer one is there and nobody reads them any more."""

    def __init__(self, directory: Path, *, threads: int = 2, memory_limit: str = "2GB") -> None:
        self._link = directory / LINK
        self._settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory_limit,
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._lock = threading.Lock()
        self._files: dict[Path, _Open] = {}

    @property
    def exists(self) -> bool:
        """Whether anything was ever published."""
        return self._link.exists()

    def newest(self) -> Path:
        """The real path of the newest publication. Raises NothingPublishedError."""
        try:
            return self._link.resolve(strict=True)
        except OSError as exc:
            raise NothingPublishedError("nothing has been published yet", hint="connector sync") from exc

    @contextmanager
    def open(self) -> Iterator[Publication]:
        """The newest publication for the time of one request. Raises NothingPublishedError, StoreError."""
        held = self._acquire()
        try:
            cursor = held.connection.cursor()
            try:
                yield Publication(held.path, cursor, held.extra)
            finally:
                cursor.close()
        finally:
            self._release(held)

    def close(self) -> None:
        """Close every file; used when the server stops."""
        with self._lock:
            for held in self._files.values():
                held.connection.close()
            self._files.clear()

    def _acquire(self) -> _Open:
        for attempt in (1, 2, 3):
            path = self.newest()
            with self._lock:
                held = self._files.get(path)
                if held is None:
                    try:
                        held = self._files[path] = _Open(path, self._connect(path))
                    except (duckdb.IOException, duckdb.Error) as exc:
                        # Two newer publications may have come between looking at the link and opening.
                        if attempt == 3 or path.exists():
                            raise StoreError(
                                f"the published file {path.name} cannot be opened: {exc}",
                                hint="connector sync publishes it again",
                            ) from exc
                        continue
                    self._close_idle(path)
                held.users += 1
                return held
        raise AssertionError("unreachable")

    def _connect(self, path: Path) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(path), read_only=True, config=self._settings)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        return connection

    def _release(self, held: _Open) -> None:
        with self._lock:
            held.users -= 1
            newest = max(self._files, default=None)
            self._close_idle(newest)

    def _close_idle(self, newest: Path | None) -> None:
        for path in [p for p, held in self._files.items() if held.users == 0 and p != newest]:
            self._files.pop(path).connection.close()
