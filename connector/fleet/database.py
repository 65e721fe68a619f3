"""The fleet's PostgreSQL for pointers and locks; what it says is told as ``control.postgres`` tells it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool

from connector.config import FleetPlace
from connector.control.postgres import fleet_errors

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]

# Seconds. A database that is away is told soon: the next tick tries again.
PATIENCE = 5.0
# A host that is cut off loses its session, and with it its locks, within a minute.
_OPTIONS = (
    "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
    " -c statement_timeout=30000"
)


class FleetDatabase:
    """Opened with the first question. Safe to share between threads."""

    def __init__(self, place: FleetPlace, *, patience: float = PATIENCE) -> None:
        self.place = place
        self._patience = patience
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end. Raises FleetAway, StoreError."""
        with fleet_errors(self.place), self._opened().connection(timeout=self._patience) as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A connection of the caller's own, committing each statement, closed at the end: for locks."""
        with fleet_errors(self.place):
            connection = self._connected()
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _arguments(self) -> dict[str, Any]:
        password = {} if self.place.password is None else {"password": self.place.password}
        return {
            "connect_timeout": int(self._patience),
            "options": _OPTIONS,
            "row_factory": tuple_row,
            **password,
        }

    def _connected(self) -> Connection:
        return psycopg.connect(self.place.database_url, autocommit=True, **self._arguments())

    def _opened(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._pool is None:
                # One try without the pool says why at once; the pool would only say that it took too long.
                self._connected().close()
                self._pool = ConnectionPool(
                    self.place.database_url,
                    kwargs=self._arguments(),
                    min_size=1,
                    max_size=8,
                    timeout=self._patience,
                    reconnect_timeout=1,
                    max_idle=60,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool
