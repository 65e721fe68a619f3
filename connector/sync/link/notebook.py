"""One run's own notebook: every new or changed record, kept on disk so that memory stays flat.

SQLite in a file of the run's staging directory, thrown away afterwards: point look-ups by id and a walk in
order of order ids are what a run needs, and neither is what a column store is good at. To which order a record
belongs is decided by ``links``, on the same tables.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from connector.sync.link import links
from connector.sync.link.links import CHARGE as CHARGE
from connector.sync.link.links import ORDER, Said

_SCHEMA = """
CREATE TABLE records(
  kind TEXT NOT NULL, id TEXT NOT NULL, order_id TEXT, charge_id TEXT, created_ms INTEGER,
  list_hash TEXT NOT NULL, gives INTEGER, is_failed INTEGER NOT NULL, is_listed INTEGER NOT NULL,
  owner_id TEXT, is_whole INTEGER NOT NULL, is_dated INTEGER NOT NULL, names TEXT NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY(kind, id));  -- with row ids: payloads are appended, only the key is looked for its place
CREATE TABLE fresh(kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE INDEX records_by_order ON records(order_id, kind);
CREATE INDEX refunds_by_charge ON records(charge_id, gives) WHERE kind = 'refund';
CREATE TABLE reference(order_id TEXT PRIMARY KEY, reference TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE shared(reference TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE seen(kind TEXT NOT NULL, id TEXT NOT NULL, list_hash TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE pointers(
  kind TEXT NOT NULL, id TEXT NOT NULL, list_hash TEXT NOT NULL, created_ms INTEGER, row BLOB,
  PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE silent(
  kind TEXT NOT NULL, id TEXT NOT NULL, is_known INTEGER NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE dirty(
  order_id TEXT PRIMARY KEY, reason TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'due') WITHOUT ROWID;
CREATE TABLE failed(
  kind TEXT NOT NULL, id TEXT NOT NULL, order_id TEXT, detail TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE gone(kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
"""
PLATFORM = "platform"
_LEADS_ITSELF = (CHARGE, ORDER, PLATFORM)  # without an owner it is an order of its own; a refund never is


@dataclass(frozen=True, slots=True)
class StagedRecord:
    """A Clover record of this run. said: what it says of links. payload: the record as JSON.

    created_ms: when it was made, milliseconds; where it has no usable time (``is_dated`` is false) the time it is
    booked under. gives: what it says was given back, minor units: a refund's counted amount, a charge's
    ``amount_refunded`` (None where it says nothing), an order's ``amount_returned``. is_failed: a charge that never
    took money. reference: the merchant's own number of an order. is_listed: it is a row of a list.
    """

    kind: str
    id: str
    said: Said
    created_ms: int | None
    list_hash: str
    payload: bytes
    gives: int | None = 0
    is_failed: bool = False
    is_dated: bool = True
    reference: str | None = None
    is_listed: bool = False


class KeptRecord(NamedTuple):
    """A record as it lies in the notebook. names: charges that an order names, as JSON; payload: its JSON, not decoded.

    created_ms: when it was made, or the time it is booked under where ``is_dated`` is 0.
    """

    kind: str
    id: str
    order_id: str | None
    charge_id: str | None
    created_ms: int | None
    list_hash: str
    is_dated: int
    names: str
    payload: bytes


class SilentRow(NamedTuple):
    """A list row that shows all of its record, if the record lacks what some records lack.

    created_ms: the time it would be booked under. is_known: it is stored as it is.
    """

    id: str
    list_hash: str
    created_ms: int
    row: bytes
    is_known: int


class ChargeSums(NamedTuple):
    """One charge and what the parts say was given back of it and of its order, minor units.

    charge_claims: None where the charge says nothing of it.
    """

    charge_id: str
    order_id: str
    created_ms: int | None
    charge_claims: int | None
    charge_counted: int
    order_claims: int
    order_counted: int


_COLUMNS = "kind, id, order_id, charge_id, created_ms, list_hash, is_dated, names, payload"


class Staging:
    """The notebook of one run of one connection. Not thread-safe: one thread at a time; readers of HTTP hand over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768; PRAGMA mmap_size=1073741824;"
            + _SCHEMA
            + links.SCHEMA
        )
        self.links = links.Links(self._db)
        self._has_gone = False
        self._db.execute("BEGIN")

    @classmethod
    def reading(cls, path: Path) -> "Staging":
        """The notebook as another process reads it; ``share`` must have been called before."""
        notebook = cls.__new__(cls)
        notebook.path = path
        notebook._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        notebook.links = links.Links(notebook._db)
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
        if not records:
            return
        self._db.executemany(
            "INSERT INTO records VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(kind, id) DO UPDATE SET "
            "order_id=excluded.order_id, charge_id=excluded.charge_id, owner_id=excluded.owner_id, "
            "created_ms=coalesce(excluded.created_ms, created_ms), list_hash=excluded.list_hash, "
            "gives=excluded.gives, is_failed=excluded.is_failed, is_listed=max(excluded.is_listed, is_listed), "
            "is_whole=excluded.is_whole, is_dated=excluded.is_dated, names=excluded.names, payload=excluded.payload",
            (
                (r.kind, r.id, r.said.owner_id or r.id if r.kind in _LEADS_ITSELF else None, None, r.created_ms,
                 r.list_hash, r.gives, r.is_failed, r.is_listed, r.said.owner_id, r.said.is_whole, r.is_dated,
                 orjson.dumps([name for name, _ in r.said.names]).decode(), r.payload)
                for r in records
            ),
        )  # fmt: skip
        self._db.executemany("INSERT OR IGNORE INTO fresh VALUES(?,?)", ((r.kind, r.id) for r in records))
        if self._has_gone:
            self._db.executemany("DELETE FROM gone WHERE kind=? AND id=?", ((r.kind, r.id) for r in records))
        self.links.note([(r.kind, r.id, r.said) for r in records])
        orders = [r for r in records if r.kind == ORDER]
        self._db.executemany("DELETE FROM reference WHERE order_id=?", ((r.id,) for r in orders))
        self._db.executemany(
            "INSERT INTO reference VALUES(?,?)", ((r.id, r.reference) for r in orders if r.reference)
        )

    def note_seen(self, kind: str, rows: Iterable[tuple[str, str]]) -> None:
        """Remember (id, list hash) of rows that were listed and are not kept, as they changed nothing or are sparse."""
        self._db.executemany("INSERT OR REPLACE INTO seen VALUES(?,?,?)", ((kind, *row) for row in rows))

    def drop_known(self, kind: str, hashes: Iterable[tuple[str, str]], *, pointers: bool) -> None:
        """Give up what was staged where it says what is stored by now; rows that only point at a record on request.

        hashes: (id, list hash) as stored.
        """
        self.links.is_changed()
        known = [(kind, *row) for row in hashes]
        self._db.executemany(
            "INSERT OR IGNORE INTO seen SELECT kind, id, list_hash FROM records"
            " WHERE kind=? AND id=? AND list_hash=? AND is_listed",
            known,
        )
        for table in ("records", "pointers") if pointers else ("records",):
            self._db.executemany(f"DELETE FROM {table} WHERE kind=? AND id=? AND list_hash=?", known)

    def point_at(self, kind: str, rows: Iterable[tuple[str, str, int | None, bytes | None]]) -> None:
        """Remember rows too sparse to use; they must be read by id.

        rows: (id, list hash, time it would be booked under, the row as JSON); the last two None where no row is at
        hand.
        """
        self._db.executemany(
            "INSERT OR REPLACE INTO pointers VALUES(?,?,?,?,?)", ((kind, *row) for row in rows)
        )

    def pointers(self, kind: str) -> list[str]:
        return [
            row[0] for row in self._db.execute("SELECT id FROM pointers WHERE kind=? ORDER BY id", (kind,))
        ]

    def pointed_at(self, kind: str, record_id: str) -> tuple[str, int | None, bytes | None] | None:
        """(list hash, time it would be booked under, the row as JSON) of a row too sparse to use."""
        row: tuple[str, int | None, bytes | None] | None = self._db.execute(
            "SELECT list_hash, created_ms, row FROM pointers WHERE kind=? AND id=?", (kind, record_id)
        ).fetchone()
        return row

    def note_silent(self, kind: str, rows: Iterable[tuple[str, bool]]) -> None:
        """Of the rows pointed at, (id, whether it is stored as it is) of those that may show all there is."""
        self._db.executemany("INSERT OR REPLACE INTO silent VALUES(?,?,?)", ((kind, *row) for row in rows))

    def silent(self, kind: str, limit: int) -> list[SilentRow]:
        """Some of the silent rows that are still pointed at, in order of their ids."""
        rows = self._db.execute(
            "SELECT id, list_hash, created_ms, row, is_known FROM pointers JOIN silent USING (kind, id)"
            " WHERE kind=? AND row IS NOT NULL ORDER BY id LIMIT ?",
            (kind, limit),
        )
        return [SilentRow(*row) for row in rows]

    def answer_silent(self, kind: str, ids: Iterable[str], *, is_read: bool) -> None:
        """It is known what to do with these silent rows. is_read: they need not be read by id."""
        keys = [(kind, record_id) for record_id in ids]
        for table in ("silent", "pointers") if is_read else ("silent",):
            self._db.executemany(f"DELETE FROM {table} WHERE kind=? AND id=?", keys)

    def listed_among(self, kind: str, ids: Sequence[str]) -> set[str]:
        """Those of the ids whose records were read in this run, or whose rows point at them."""
        rows = self._db.execute(
            f"SELECT id FROM records WHERE kind=? AND id IN ({_marks(ids)})"
            f" UNION SELECT id FROM pointers WHERE kind=? AND id IN ({_marks(ids)})",
            [kind, *ids, kind, *ids],
        )
        return {row[0] for row in rows}

    def kept_hash(self, kind: str, record_id: str) -> str | None:
        """The fingerprint under which a record is kept, None when it is not."""
        row = self._db.execute(
            "SELECT list_hash FROM records WHERE kind=? AND id=?", (kind, record_id)
        ).fetchone()
        return None if row is None else str(row[0])

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
        self._has_gone = True
        self._db.execute("INSERT OR IGNORE INTO gone VALUES(?,?)", (kind, record_id))
        self._db.execute(
            "INSERT OR IGNORE INTO seen SELECT kind, id, list_hash FROM records WHERE kind=? AND id=? AND is_listed",
            (kind, record_id),
        )
        self._db.execute("DELETE FROM records WHERE kind=? AND id=?", (kind, record_id))
        self.links.forget(kind, record_id)

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

    def leave_out(self, order_ids: Iterable[str]) -> None:
        """Orders that must not be mapped in this run after all."""
        self._db.executemany("DELETE FROM dirty WHERE order_id=?", ((order_id,) for order_id in order_ids))

    def count_dirty(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM dirty").fetchone()[0])

    def dirty_orders(self, after: str = "", limit: int = 500, *, being_read: bool = False) -> list[str]:
        """The next dirty order ids in text order, so that a walk needs no open cursor."""
        rows = self._db.execute(
            "SELECT order_id FROM dirty WHERE order_id > ? AND (? OR state = 'being read') ORDER BY order_id LIMIT ?",
            (after, not being_read, limit),
        )
        return [row[0] for row in rows]

    def begin_round(self) -> bool:
        """The dirty orders of which not all was read are to be read now; whether there are any."""
        return self._db.execute("UPDATE dirty SET state='being read' WHERE state='due'").rowcount > 0

    def end_round(self) -> None:
        """What was to be read was read; a record that comes to an order later makes it due once more."""
        self._db.execute("UPDATE dirty SET state='whole' WHERE state='being read'")

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
        """Those of the orders that were not read in this run."""
        rows = self._db.execute(
            f"SELECT order_id FROM dirty d WHERE order_id IN ({_marks(order_ids)})"
            " AND NOT EXISTS (SELECT 1 FROM records r WHERE r.kind = 'order' AND r.id = d.order_id)"
            " AND NOT EXISTS (SELECT 1 FROM gone g WHERE g.kind = 'order' AND g.id = d.order_id) ORDER BY order_id",
            list(order_ids),
        )
        return [row[0] for row in rows]

    def payload(self, kind: str, record_id: str) -> bytes | None:
        """The JSON of a staged record, None when it is not staged."""
        row = self._db.execute(
            "SELECT payload FROM records WHERE kind=? AND id=?", (kind, record_id)
        ).fetchone()
        return None if row is None else bytes(row[0])

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

    def not_staged(self, kind: str, record_ids: Iterable[str]) -> list[str]:
        """Those ids of which this run has read nothing and that are not gone."""
        wanted = sorted(set(record_ids))
        have = {
            row[0]
            for row in self._db.execute(
                f"SELECT id FROM records WHERE kind=? AND id IN ({_marks(wanted)})"
                f" UNION ALL SELECT id FROM gone WHERE kind=? AND id IN ({_marks(wanted)})",
                [kind, *wanted, kind, *wanted],
            )
        }
        return [record_id for record_id in wanted if record_id not in have]

    def refunds_without_order(self) -> Iterator[KeptRecord]:
        """Staged refunds that lead to no order."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM records WHERE kind='refund' AND order_id IS NULL ORDER BY id"
        )
        return (KeptRecord(*row) for row in rows)

    def records_of_kind(self, kind: str) -> Iterator[KeptRecord]:
        """Staged records of one kind."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM records WHERE kind=? ORDER BY id", (kind,))
        return (KeptRecord(*row) for row in rows)

    def records_without_order(self) -> Iterator[KeptRecord]:
        """Staged records that belong to no order of this run."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM records WHERE order_id IS NULL "
            "OR NOT EXISTS (SELECT 1 FROM dirty d WHERE d.order_id = records.order_id)"
        )
        return (KeptRecord(*row) for row in rows)


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))
