"""Control data of a fleet in PostgreSQL: the same statements as in ``control.sqlite``, for any number of hosts.

One pool a process, shared by everybody in it; connections that PostgreSQL has dropped are replaced when they are asked
for. Whatever it says is raised as StoreError, with database and host, and never with a password.
"""

import atexit
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from connector.config.fleet import FleetPlace
from connector.errors import StoreBusy, StoreError

MOST_CONNECTIONS = 8
"""Of one process; a statement takes a millisecond."""
_WAIT = 5.0  # seconds for a connection; then PostgreSQL is away
_OPTIONS = "-c statement_timeout=60s -c lock_timeout=30s -c idle_in_transaction_session_timeout=300s"
# Locks of the whole database: of who makes tables, so that two hosts do not make one at once; of who writes.
_SETTING_UP, _WRITING = 7_240_119, 7_240_120
_pools: dict[tuple[int, FleetPlace], "ConnectionPool[Connection]"] = {}
_made: set[tuple[int, FleetPlace, str]] = set()
_lock = threading.Lock()
# It repeats what we raise, once for each attempt.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class NamedRow(tuple[Any, ...]):
    """Values in order, and by column's name, as ``sqlite3.Row`` has them."""

    __slots__ = ()
    names: dict[str, int] = {}  # noqa: RUF012 - of the subclass that each question makes

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names[key] if isinstance(key, str) else key)


Connection = psycopg.Connection[NamedRow]


class FleetAway(StoreError):
    """PostgreSQL or the bucket did not answer, or takes nothing now; nothing is lost by trying again later."""


class PostgresStatements:
    """Statements on one connection; ``?`` for parameters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> "psycopg.Cursor[NamedRow]":
        # Values go into the text here: PostgreSQL does not guess the type of a parameter that is compared with NULL.
        cursor: psycopg.ClientCursor[NamedRow] = psycopg.ClientCursor(self._connection, row_factory=_by_name)
        return cursor.execute(_taken(sql), tuple(parameters))

    def executemany(self, sql: str, rows: Sequence[Sequence[object]], /) -> None:
        if rows:
            self._connection.cursor().executemany(_taken(sql), rows)


class PostgresControl:
    """The five ways on a fleet's database, which is made whole with these tables."""

    def __init__(self, place: FleetPlace, *ddl: str) -> None:
        self._place = place
        self._inside = threading.local()
        for text in ddl:
            self._make(text)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[NamedRow]:
        with self._statements() as db:
            return db.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> NamedRow | None:
        with self._statements() as db:
            return db.execute(sql, parameters).fetchone()

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        with self._statements() as db:
            return db.execute(sql, parameters).rowcount

    def write_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        with self.beside_others() as db:
            db.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[PostgresStatements]:
        # As in a file: one writer of several statements at a time, so that what was read still holds when it writes.
        with self.beside_others() as db:
            db.execute("SELECT pg_advisory_xact_lock(?)", (_WRITING,))
            yield db

    @contextmanager
    def beside_others(self) -> Iterator[PostgresStatements]:
        with fleet_errors(self._place), pool_of(self._place).connection() as connection:
            self._inside.statements = PostgresStatements(connection)
            try:
                yield self._inside.statements
            finally:
                del self._inside.statements

    def erase_deleted(self) -> None:
        with fleet_errors(self._place), pool_of(self._place).connection() as connection:
            connection.set_autocommit(True)
            try:
                connection.execute("VACUUM")
            finally:
                connection.set_autocommit(False)

    def close(self) -> None:
        """Nothing is held: the pool is the process's."""

    @contextmanager
    def _statements(self) -> Iterator[PostgresStatements]:
        held = getattr(self._inside, "statements", None)
        if held is not None:
            with fleet_errors(self._place):
                yield held
            return
        with fleet_errors(self._place), pool_of(self._place).connection() as connection:
            yield PostgresStatements(connection)

    def _make(self, text: str) -> None:
        key = (os.getpid(), self._place, text)
        if key in _made:
            return
        with self.beside_others() as db:
            db.execute("SELECT pg_advisory_xact_lock(?)", (_SETTING_UP,))
            for statement in filter(None, (part.strip() for part in text.split(";"))):
                db.execute(_ddl(statement))
        _made.add(key)


def pool_of(place: FleetPlace) -> "ConnectionPool[Connection]":
    """This process's pool for a fleet; a forked process makes its own."""
    key = (os.getpid(), place)
    with _lock:
        if key not in _pools:
            named = {} if place.password is None else {"password": place.password}
            _pools[key] = ConnectionPool(
                place.database_url,
                kwargs={"options": _OPTIONS, "connect_timeout": 5, "application_name": "connector", **named},
                min_size=0,
                max_size=MOST_CONNECTIONS,
                timeout=_WAIT,
                max_idle=120.0,
                reconnect_timeout=_WAIT,
                check=ConnectionPool.check_connection,
                open=True,
            )
        return _pools[key]


@contextmanager
def fleet_errors(place: FleetPlace) -> Iterator[None]:
    """What PostgreSQL says as StoreError, with where it is and what to do."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise _explained(error, place) from None


def _close_pools() -> None:
    for (process, _), pool in _pools.items():
        if process == os.getpid():
            pool.close(timeout=1.0)


atexit.register(_close_pools)


def _explained(error: Exception, place: FleetPlace) -> StoreError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    where = f"The fleet's database (PostgreSQL, {place.host})"
    match error:
        case errors.InvalidPassword() | errors.InvalidAuthorizationSpecification():
            return FleetAway(
                f"{where} refuses the login: {said}.", hint="Correct store_password, or the user in store."
            )
        case errors.InsufficientPrivilege():
            return StoreError(
                f"{where} does not let this user write: {said}.", hint="GRANT it the database's schema."
            )
        case errors.LockNotAvailable() | errors.DeadlockDetected() | errors.SerializationFailure():
            return StoreBusy(
                f"{where}: another process holds what this one needs: {said}.", hint="Run it again."
            )
        case errors.DiskFull() | errors.InsufficientResources():
            return FleetAway(f"{where} has no room: {said}.", hint="Free disk space or connections there.")
        case PoolTimeout() | psycopg.OperationalError():
            reason = _why_unreachable(place) if isinstance(error, PoolTimeout) else said
            return FleetAway(
                f"{where} cannot be reached, or does not answer: {reason}. What was published is unharmed.",
                hint="Nothing is lost; what runs by itself goes on when it is back. See: connector check",
            )
        case _:
            return StoreError(f"{where} cannot be used: {said}.", hint="connector check says more.")


def _why_unreachable(place: FleetPlace) -> str:
    """The pool only says that it has waited; one attempt of our own says why."""
    try:
        psycopg.connect(place.database_url, connect_timeout=2, password=place.password).close()
    except psycopg.Error as error:
        return (str(error).strip().splitlines() or ["no answer"])[0].rstrip(".")
    return f"no connection was free within {_WAIT:.0f} seconds"


def _by_name(cursor: "psycopg.Cursor[Any]") -> type[NamedRow]:
    return _row_of(tuple(column.name for column in cursor.description or ()))


@lru_cache(maxsize=256)
def _row_of(columns: tuple[str, ...]) -> type[NamedRow]:
    names = {column: at for at, column in enumerate(columns)}
    return type("Row", (NamedRow,), {"__slots__": (), "names": names})


def _taken(sql: str) -> str:
    """A statement as psycopg takes it. No text of ours holds a ``?`` that is no parameter."""
    return sql.replace("%", "%%").replace("?", "%s")


def _ddl(statement: str) -> str:
    """A ``CREATE`` of SQLite as PostgreSQL's. Whole numbers have 64 bits there, and every table has a rowid."""
    statement = re.sub(r"\)\s*STRICT$", ")", statement)
    statement = re.sub(r"\bINTEGER\b", "BIGINT", statement)
    statement = re.sub(r"\bREAL\b", "DOUBLE PRECISION", statement)
    if statement.startswith("CREATE TABLE"):
        return statement.removesuffix(")") + ", rowid BIGINT GENERATED ALWAYS AS IDENTITY)"
    return statement
