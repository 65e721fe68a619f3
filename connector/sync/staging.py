"""One run's own notebook: every new or changed record, kept on disk so that memory stays flat.

SQLite in a file of the run's staging directory, thrown away afterwards: point look-ups by id and a walk in
order of order ids are what a run needs, and neither is what a column store is good at.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE records(
  kind TEXT NOT NULL, id TEXT NOT NULL, order_id TEXT, charge_id TEXT, created_ms INTEGER,
  list_hash TEXT NOT NULL, gives INTEGER NOT NULL, is_failed INTEGER NOT NULL, is_listed INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY(kind, id));  -- with row ids: payloads are appended, only the key is looked for its place
CREATE TABLE named(order_id TEXT NOT NULL, charge_id TEXT NOT NULL, PRIMARY KEY(order_id, charge_id)) WITHOUT ROWID;
CREATE INDEX records_by_order ON records(order_id, kind);
CREATE INDEX refunds_by_charge ON records(charge_id, gives) WHERE kind = 'refund';
CREATE TABLE reference(order_id TEXT PRIMARY KEY, reference TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE shared(reference TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE seen(kind TEXT NOT NULL, id TEXT NOT NULL, list_hash TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE pointers(
  kind TEXT NOT NULL, id TEXT NOT NULL, list_hash TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE dirty(order_id TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE failed(
  kind TEXT NOT NULL, id TEXT NOT NULL, order_id TEXT, detail TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE gone(kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
"""
CHARGE, ORDER, REFUND = "charge", "order", "refund"
PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class StagedRecord:
    """A Clover record of this run. order_id: the order it belongs to, None while unknown.

    gives: what it says was given back, minor units: a refund's counted amount, a charge's ``amount_refunded``, an
    order's ``amount_returned``. is_failed: a charge that never took money. names: charges that an order names.
    reference: the merchant's own number of an order. payload: the record as JSON. is_listed: it is a row of a list.
    """

    kind: str
    id: str
    order_id: str | None
    charge_id: str | None
    created_ms: int | None
    list_hash: str
    payload: bytes
    gives: int = 0
    is_failed: bool = False
    names: tuple[str, ...] = ()
    reference: str | None = None
    is_listed: bool = False


class KeptRecord(NamedTuple):
    """A record as it lies in the notebook; payload: its JSON, not decoded."""

    kind: str
    id: str
    order_id: str | None
    charge_id: str | None
    created_ms: int | None
    list_hash: str
    payload: bytes


class ChargeSums(NamedTuple):
    """One charge and what the parts say was given back of it and of its order, minor units."""

    charge_id: str
    order_id: str
    created_ms: int | None
    charge_claims: int
    charge_counted: int
    order_claims: int
    order_counted: int


_COLUMNS = "kind, id, order_id, charge_id, created_ms, list_hash, payload"


class Staging:
    """The notebook of one run of one connection. Not thread-safe: one thread at a time; readers of HTTP hand over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768;" + _SCHEMA
        )
        self._db.execute("BEGIN")

    @classmethod
    def reading(cls, path: Path) -> "Staging":
        """The notebook as another process reads it; ``share`` must have been called before."""
        notebook = cls.__new__(cls)
        notebook.path = path
        notebook._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        return notebook

    def share(self) -> None:
        """From now on other processes may read what was written."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def add(self, records: Iterable[StagedRecord]) -> None:
        """Keep records; a record read again replaces what was kept before."""
        records = list(records)
        self._db.executemany(
            "INSERT INTO records VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT(kind, id) DO UPDATE SET "
            "order_id=coalesce(excluded.order_id, order_id), charge_id=coalesce(excluded.charge_id, charge_id), "
            "created_ms=coalesce(excluded.created_ms, created_ms), list_hash=excluded.list_hash, "
            "gives=excluded.gives, is_failed=excluded.is_failed, is_listed=max(excluded.is_listed, is_listed), "
            "payload=excluded.payload",
            (
                (r.kind, r.id, r.order_id, r.charge_id, r.created_ms, r.list_hash, r.gives, r.is_failed,
                 r.is_listed, r.payload)
                for r in records
            ),
        )  # fmt: skip
        self._db.executemany(
            "INSERT OR IGNORE INTO named VALUES(?,?)", ((r.id, charge) for r in records for charge in r.names)
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO reference VALUES(?,?)",
            ((r.id, r.reference) for r in records if r.reference),
        )

    def note_seen(self, kind: str, rows: Iterable[tuple[str, str]]) -> None:
        """Remember (id, list hash) of rows that were listed and are not kept, as they changed nothing or are sparse."""
        self._db.executemany("INSERT OR REPLACE INTO seen VALUES(?,?,?)", ((kind, *row) for row in rows))

    def drop_known(self, kind: str, hashes: Iterable[tuple[str, str]], *, pointers: bool) -> None:
        """Give up what was staged where it says what is stored by now; rows that only point at a record on request.

        hashes: (id, list hash) as stored.
        """
        known = [(kind, *row) for row in hashes]
        self._db.executemany(
            "INSERT OR IGNORE INTO seen SELECT kind, id, list_hash FROM records"
            " WHERE kind=? AND id=? AND list_hash=? AND is_listed",
            known,
        )
        for table in ("records", "pointers") if pointers else ("records",):
            self._db.executemany(f"DELETE FROM {table} WHERE kind=? AND id=? AND list_hash=?", known)

    def point_at(self, kind: str, rows: Iterable[tuple[str, str]]) -> None:
        """Remember (id, list hash) of rows too sparse to use; they must be read by id."""
        self._db.executemany("INSERT OR REPLACE INTO pointers VALUES(?,?,?)", ((kind, *row) for row in rows))

    def pointers(self, kind: str) -> list[str]:
        return [
            row[0] for row in self._db.execute("SELECT id FROM pointers WHERE kind=? ORDER BY id", (kind,))
        ]

    def list_hash(self, kind: str, record_id: str) -> str | None:
        """The hash of the row as it was listed in this run, None when it was not listed."""
        row = self._db.execute(
            "SELECT list_hash FROM seen WHERE kind=?1 AND id=?2 UNION ALL "
            "SELECT list_hash FROM records WHERE kind=?1 AND id=?2 AND is_listed LIMIT 1",
            (kind, record_id),
        ).fetchone()
        return None if row is None else str(row[0])

    def was_seen(self, kind: str, record_id: str) -> bool:
        return self.list_hash(kind, record_id) is not None

    def holds(self, kind: str, record_id: str) -> bool:
        found = self._db.execute("SELECT 1 FROM records WHERE kind=? AND id=?", (kind, record_id)).fetchone()
        return found is not None

    def mark_dirty(self, order_ids: Iterable[str], reason: str) -> None:
        """Orders that must be mapped in this run; the first reason given is kept."""
        self._db.executemany(
            "INSERT OR IGNORE INTO dirty(order_id, reason) VALUES(?,?)", ((o, reason) for o in order_ids)
        )

    def mark_gone(self, kind: str, record_id: str) -> None:
        """Clover answered 404 for a record that is known."""
        self._db.execute("INSERT OR IGNORE INTO gone VALUES(?,?)", (kind, record_id))
        self._db.execute(
            "INSERT OR IGNORE INTO seen SELECT kind, id, list_hash FROM records WHERE kind=? AND id=? AND is_listed",
            (kind, record_id),
        )
        self._db.execute("DELETE FROM records WHERE kind=? AND id=?", (kind, record_id))

    def note_failed(self, kind: str, record_id: str, order_id: str | None, detail: str) -> None:
        """A record that Clover has but that cannot be read; its order must not be mapped without it."""
        self._db.execute("INSERT OR REPLACE INTO failed VALUES(?,?,?,?)", (kind, record_id, order_id, detail))

    def failed(self) -> list[tuple[str, str, str | None, str]]:
        """(kind, id, order id, what went wrong) of every record that could not be read."""
        return self._db.execute("SELECT kind, id, order_id, detail FROM failed ORDER BY kind, id").fetchall()

    def is_gone(self, kind: str, record_id: str) -> bool:
        return (
            self._db.execute("SELECT 1 FROM gone WHERE kind=? AND id=?", (kind, record_id)).fetchone()
            is not None
        )

    def gone(self) -> list[tuple[str, str]]:
        return self._db.execute("SELECT kind, id FROM gone ORDER BY kind, id").fetchall()

    def join_refunds_to_orders(self) -> list[tuple[str, str | None]]:
        """Give refunds the order of their charge where it is staged; the rest come back as (refund id, charge id)."""
        self._db.execute(
            "UPDATE records SET order_id="
            "(SELECT c.order_id FROM records c WHERE c.kind='charge' AND c.id=records.charge_id) "
            "WHERE kind='refund' AND order_id IS NULL"
        )
        return self._db.execute(
            "SELECT id, charge_id FROM records WHERE kind='refund' AND order_id IS NULL ORDER BY id"
        ).fetchall()

    def set_order(self, kind: str, record_id: str, order_id: str) -> None:
        self._db.execute("UPDATE records SET order_id=? WHERE kind=? AND id=?", (order_id, kind, record_id))

    def dirty_from_records(self) -> None:
        """Every order that a staged record belongs to must be mapped."""
        self._db.execute(
            "INSERT OR IGNORE INTO dirty(order_id, reason) "
            "SELECT DISTINCT order_id, 'changed' FROM records WHERE order_id IS NOT NULL"
        )

    def leave_out(self, order_ids: Iterable[str]) -> None:
        """Orders that must not be mapped in this run after all."""
        self._db.executemany("DELETE FROM dirty WHERE order_id=?", ((order_id,) for order_id in order_ids))

    def count_dirty(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM dirty").fetchone()[0])

    def dirty_orders(self, after: str = "", limit: int = 500) -> list[str]:
        """The next dirty order ids in text order, so that a walk needs no open cursor."""
        rows = self._db.execute(
            "SELECT order_id FROM dirty WHERE order_id > ? ORDER BY order_id LIMIT ?", (after, limit)
        )
        return [row[0] for row in rows]

    def records_of(self, order_ids: Sequence[str]) -> dict[str, list[KeptRecord]]:
        """Everything staged of these orders, per order: charges, orders and refunds in (kind, created, id) order."""
        groups: dict[str, list[KeptRecord]] = {order_id: [] for order_id in order_ids}
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM records WHERE order_id IN ({_marks(order_ids)}) "
            "ORDER BY kind, created_ms, id",
            list(order_ids),
        )
        for row in rows:
            groups[row[2]].append(KeptRecord(*row))
        return groups

    def orders_to_read(self, order_ids: Sequence[str]) -> list[str]:
        """Those of the orders that are not staged. A charge under its own id stands for an order it never had."""
        rows = self._db.execute(
            f"SELECT order_id FROM dirty d WHERE order_id IN ({_marks(order_ids)}) AND NOT EXISTS "
            "(SELECT 1 FROM records r WHERE r.kind IN ('order', 'charge') AND r.id = d.order_id) ORDER BY order_id",
            list(order_ids),
        )
        return [row[0] for row in rows]

    def references(self) -> list[str]:
        """The merchant's own numbers of all staged orders."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT reference FROM reference ORDER BY 1")]

    def note_shared_references(self, stored: Iterable[tuple[str, str]]) -> None:
        """Remember references that more than one order carries. stored: (order id, reference) of stored orders."""
        self._db.execute(
            "INSERT OR IGNORE INTO shared SELECT reference FROM reference GROUP BY reference HAVING count(*) > 1"
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO shared SELECT reference FROM reference WHERE reference=? AND order_id<>?",
            ((reference, order_id) for order_id, reference in stored),
        )

    def is_shared(self, reference: str) -> bool:
        """Whether another order of the connection carries the same reference."""
        return self._db.execute("SELECT 1 FROM shared WHERE reference=?", (reference,)).fetchone() is not None

    def orders_with_shared_references(self, order_ids: Sequence[str]) -> set[str]:
        """Those of the orders whose reference names more than one order."""
        rows = self._db.execute(
            f"SELECT order_id FROM reference WHERE order_id IN ({_marks(order_ids)}) "
            "AND reference IN (SELECT reference FROM shared)",
            list(order_ids),
        )
        return {row[0] for row in rows}

    def charges_named(self, order_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(charge id, order id) of charges that these orders name and that are not staged."""
        return self._db.execute(
            f"SELECT charge_id, order_id FROM named n WHERE order_id IN ({_marks(order_ids)}) "
            "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.kind = 'charge' AND r.id = n.charge_id) ORDER BY 2, 1",
            list(order_ids),
        ).fetchall()

    def charge_sums(self, order_ids: Sequence[str]) -> list[ChargeSums]:
        """Every staged charge of these orders that took money, with what its parts say was given back."""
        rows = self._db.execute(
            "SELECT c.id, c.order_id, c.created_ms, c.gives, "
            "(SELECT coalesce(sum(r.gives), 0) FROM records r WHERE r.kind='refund' AND r.charge_id=c.id), "
            "coalesce((SELECT o.gives FROM records o WHERE o.kind='order' AND o.id=c.order_id), 0), "
            "(SELECT coalesce(sum(r.gives), 0) FROM records r WHERE r.kind='refund' AND r.order_id=c.order_id) "
            f"FROM records c WHERE c.order_id IN ({_marks(order_ids)}) AND c.kind='charge' "
            "AND NOT c.is_failed ORDER BY c.order_id, c.id",
            list(order_ids),
        )
        return [ChargeSums(*row) for row in rows]

    def ids_of(self, kind: str, order_ids: Sequence[str]) -> set[str]:
        """Ids of the staged records of one kind that belong to these orders."""
        rows = self._db.execute(
            f"SELECT id FROM records WHERE kind=? AND order_id IN ({_marks(order_ids)})",
            [kind, *order_ids],
        )
        return {row[0] for row in rows}

    def records_without_order(self) -> Iterator[KeptRecord]:
        """Staged records that belong to no order of this run."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM records WHERE order_id IS NULL "
            "OR NOT EXISTS (SELECT 1 FROM dirty d WHERE d.order_id = records.order_id)"
        )
        return (KeptRecord(*row) for row in rows)


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))
