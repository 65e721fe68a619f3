"""Which object of the bucket is a company's newest state: one row a company, moved by compare-and-swap.

A generation is the store's own commit number. A host that publishes says which object it went out from; where that is
no longer the newest, another host was first, and the row stays as it is. Nothing else makes the fleet safe: locks
only save work. The summary is written in the transaction of the swap, so it never says more or less than the object.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from connector.errors import StoreBusy
from connector.fleet.database import Connection, FleetDatabase

KEPT = 3
"""Generations of a company whose objects stay in the bucket."""

_TABLES = """
CREATE TABLE IF NOT EXISTS stores (
  company_id TEXT PRIMARY KEY, generation BIGINT NOT NULL, object TEXT NOT NULL, object_sha256 TEXT NOT NULL,
  log TEXT, log_sha256 TEXT, bytes BIGINT NOT NULL, host TEXT NOT NULL, published_at TIMESTAMPTZ NOT NULL,
  change BIGINT NOT NULL, summary JSONB NOT NULL);
CREATE SEQUENCE IF NOT EXISTS store_changes;
CREATE INDEX IF NOT EXISTS stores_change ON stores (change);
CREATE TABLE IF NOT EXISTS store_generations (
  company_id TEXT NOT NULL, generation BIGINT NOT NULL, object TEXT NOT NULL, log TEXT,
  PRIMARY KEY (company_id, generation));
"""
# Any number, the same on all hosts: two of them must not make the tables at once.
_MAKING_TABLES = 7_043_117
# Held until a swap is committed, so that changes become visible in the order of their numbers: who has seen one has
# seen all before it.
_NUMBERING = 7_043_118

_COLUMNS = "company_id, generation, object, object_sha256, log, log_sha256, bytes, host, published_at"


@dataclass(frozen=True, slots=True)
class Pointer:
    """A company's newest state. log: what small loads have added to the object; see ``ledger.publish``.

    bytes: of both. host: who published it. published_at: aware UTC.
    """

    company_id: str
    generation: int
    object: str
    object_sha256: str
    log: str | None
    log_sha256: str | None
    bytes: int
    host: str
    published_at: datetime

    @property
    def name(self) -> str:
        """Tells this state from every other: objects are never written twice."""
        return self.log or self.object


class Pointers:
    """The table of pointers. Raises FleetAway, StoreError."""

    def __init__(self, database: FleetDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._has_tables = False

    def get(self, company_id: str) -> Pointer | None:
        with self._connected() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM stores WHERE company_id = %s",  # noqa: S608 - our own columns
                [company_id],
            ).fetchone()
        return None if row is None else Pointer(*row)

    def all(self, company_ids: Iterable[str] | None = None) -> list[tuple[Pointer, dict[str, Any]]]:
        """Every company's pointer and summary, or those of some, by company id."""
        only, values = (
            ("", []) if company_ids is None else ("WHERE company_id = ANY(%s)", [list(company_ids)])
        )
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS}, summary FROM stores {only} ORDER BY company_id",  # noqa: S608
                values,
            ).fetchall()
        return [(Pointer(*row[:-1]), row[-1]) for row in rows]

    def changed(self, after: int) -> tuple[int, list[str]]:
        """The number of the newest change, and the companies that were published after an earlier one."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT company_id, change FROM stores WHERE change > %s ORDER BY change", [after]
            ).fetchall()
        return (rows[-1][1] if rows else after), [row[0] for row in rows]

    def swap(self, before: Pointer | None, after: Pointer, summary: Mapping[str, Any]) -> list[str] | None:
        """Move the pointer, if it still is where it was read. The objects that nothing points at any more.

        None when another was first, and nothing was changed.
        """
        values: dict[str, Any] = {name: getattr(after, name) for name in _COLUMNS.split(", ")}
        values["summary"] = json.dumps(summary, default=str)
        with self._connected() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_NUMBERING])
            if before is None:
                moved = connection.execute(
                    f"INSERT INTO stores ({_COLUMNS}, summary, change) VALUES"  # noqa: S608
                    f" ({', '.join(f'%({name})s' for name in _COLUMNS.split(', '))}, %(summary)s,"
                    " nextval('store_changes')) ON CONFLICT DO NOTHING",
                    values,
                )
            else:
                moved = connection.execute(
                    "UPDATE stores SET generation = %(generation)s, object = %(object)s,"
                    " object_sha256 = %(object_sha256)s, log = %(log)s, log_sha256 = %(log_sha256)s, bytes = %(bytes)s,"
                    " host = %(host)s, published_at = %(published_at)s, summary = %(summary)s,"
                    " change = nextval('store_changes')"
                    " WHERE company_id = %(company_id)s AND generation = %(old)s AND coalesce(log, object) = %(name)s"
                    " AND generation < %(generation)s",
                    {**values, "old": before.generation, "name": before.name},
                )
            if moved.rowcount == 0:
                return None
            connection.execute(
                "INSERT INTO store_generations VALUES (%s, %s, %s, %s)",
                [after.company_id, after.generation, after.object, after.log],
            )
            return _let_go(connection, after.company_id)

    def kept(self, company_id: str) -> set[str]:
        """The objects that the kept generations of a company are made of."""
        with self._connected() as connection:
            return _kept(connection, company_id)

    def remove(self, company_id: str) -> None:
        """Forget where a company's states are: whoever still has one can publish nothing on top of it."""
        with self._connected() as connection:
            connection.execute("DELETE FROM stores WHERE company_id = %s", [company_id])
            connection.execute("DELETE FROM store_generations WHERE company_id = %s", [company_id])

    def rows_that_hold(self, word: str) -> list[str]:
        """The tables of the fleet's database in a row of which a word stands."""
        with self._connected() as connection:
            tables = connection.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1"
            ).fetchall()
            asked = "SELECT EXISTS (SELECT 1 FROM {} t WHERE position(%s IN t::text) > 0)"
            return [
                table
                for (table,) in tables
                if (row := connection.execute(SQL(asked).format(Identifier(table)), [word]).fetchone())
                and row[0]
            ]

    @contextmanager
    def locked(self, name: str, what: str) -> Iterator[None]:
        """Hold a lock over all hosts, as long as this session lives; StoreBusy at once when another has it."""
        number = int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
        with self._database.session() as session:
            row = session.execute("SELECT pg_try_advisory_lock(%s)", [number]).fetchone()
            if row is None or not row[0]:
                raise StoreBusy(
                    f"{what} is being run by another host or process. Nothing was changed.",
                    hint="Wait until that run has ended, then run it again.",
                )
            try:
                yield
            finally:
                # Not left to the end of the session, which the server notices some time after this process went on.
                with suppress(psycopg.Error):
                    session.execute("SELECT pg_advisory_unlock(%s)", [number])

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._database.transaction() as connection:
            with self._lock:
                if not self._has_tables:
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING_TABLES])
                    connection.execute(_TABLES)
                    connection.commit()
                    self._has_tables = True
            yield connection


def _let_go(connection: Connection, company_id: str) -> list[str]:
    """Remove the rows of all generations but the newest few; the objects that none of those is made of."""
    gone = connection.execute(
        "DELETE FROM store_generations WHERE company_id = %(company)s AND generation NOT IN (SELECT generation FROM"
        " store_generations WHERE company_id = %(company)s ORDER BY generation DESC LIMIT %(kept)s)"
        " RETURNING object, log",
        {"company": company_id, "kept": KEPT},
    ).fetchall()
    return sorted({name for row in gone for name in row if name} - _kept(connection, company_id))


def _kept(connection: Connection, company_id: str) -> set[str]:
    rows = connection.execute(
        "SELECT object, log FROM store_generations WHERE company_id = %s", [company_id]
    ).fetchall()
    return {name for row in rows for name in row if name}
