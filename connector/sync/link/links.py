"""To which order a record belongs: decided here and nowhere else, for sync, resync, full, rebuild and reconcile.

Clover links in three places that may be missing, late, or contradict each other (docs.clover.com, Ecommerce data
model): a charge names its order, an order names its charges (``charge``, the latest, and ``past_charges``, as ids
or as objects), a refund names its charge, and a charge may show its refunds. The order of authority:

A charge belongs to
 1. the order that it names itself, while Clover has that order,
 2. the order that names it: as its latest charge before as a past one, then the lower id,
 3. the order that the platform names for it (v3: ``payment.order``),
 4. the order that it names itself although Clover has it no more: the money of a deleted order stays its own,
 5. where its newest answer is too sparse to tell: the order it belonged to before,
 6. none: it is an order of its own, under its own id.

A refund belongs to the order of its charge, and its charge is
 1. the one that it names itself,
 2. the one that shows it or whose list of refunds has it; of several the lowest id,
 3. the one that the platform names for it (v3: ``refund.payment``),
 4. where its newest answer is too sparse to tell: the charge it belonged to before.
A refund without a charge, or of a charge that nobody knows, leads to no order: it is held back with its amount.

So each record has one home and is counted once. Where another order or charge claims it too, that claim is void and
told as a contradiction. When a record's home changes, both orders are mapped again. A record is silent on purpose
when its answer is whole (it has status and created), else it says nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connector.ledger.stored import Stored
from connector.sync.read.rows import Row, identity, members

CHARGE, ORDER, REFUND = "charge", "order", "refund"

SCHEMA = """
CREATE TABLE named(order_id TEXT NOT NULL, charge_id TEXT NOT NULL, is_latest INTEGER NOT NULL,
  PRIMARY KEY(order_id, charge_id)) WITHOUT ROWID;
CREATE INDEX named_by_charge ON named(charge_id);
CREATE TABLE shown(refund_id TEXT NOT NULL, charge_id TEXT NOT NULL, PRIMARY KEY(refund_id, charge_id)) WITHOUT ROWID;
CREATE INDEX shown_by_charge ON shown(charge_id);
CREATE TABLE platform_says(kind TEXT NOT NULL, id TEXT NOT NULL, owner_id TEXT, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE stored(kind TEXT NOT NULL, id TEXT NOT NULL, order_id TEXT, charge_id TEXT, created_ms INTEGER,
  PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE looked_up(kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE looked_for_names(charge_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE stored_names(order_id TEXT NOT NULL, charge_id TEXT NOT NULL, is_latest INTEGER NOT NULL,
  PRIMARY KEY(order_id, charge_id)) WITHOUT ROWID;
"""
_LOOK_UP = 5_000  # ids a question to the store


@dataclass(frozen=True, slots=True)
class Said:
    """What one record says of links. owner_id: the order a charge names, the charge a refund names.

    names: (charge id, whether it is the latest) of the charges an order names. shows: refunds inside a charge.
    is_whole: it has status and created, so what it leaves out is not there.
    """

    owner_id: str | None = None
    names: tuple[tuple[str, bool], ...] = ()
    shows: tuple[str, ...] = ()
    is_whole: bool = True


def said_by(kind: str, row: Row) -> Said:
    """What a record of Clover says of links, in any of the shapes Clover uses."""
    is_whole = all(row.get(name) not in (None, "") for name in ("status", "created"))
    if kind == CHARGE:
        shows = tuple(sorted({i for refund in members(row.get("refunds")) if (i := identity(refund))}))
        return Said(identity(row.get("order")), (), shows, is_whole)
    if kind == ORDER:
        past_ids = (identity(past) for past in members(row.get("past_charges")))
        named = {charge_id: False for charge_id in past_ids if charge_id}
        if (latest := identity(row.get("charge"))) is not None:
            named[latest] = True
        return Said(identity(row), tuple(sorted(named.items())), (), is_whole)
    return Said(identity(row.get("charge")) if kind == REFUND else None, (), (), is_whole)


class Links:
    """The links of one run's notebook. The tables of records and of what is gone are the notebook's own."""

    def __init__(self, notebook: sqlite3.Connection) -> None:
        self._db = notebook
        self._is_resolved = False

    def note(self, said: Sequence[tuple[str, str, Said]]) -> None:
        """Take in what (kind, id) say; a record's newest words replace its earlier ones."""
        self.is_changed()
        orders = {record_id: words.names for kind, record_id, words in said if kind == ORDER}
        self._db.executemany("DELETE FROM named WHERE order_id=?", ((i,) for i in orders))
        self._db.executemany(
            "INSERT INTO named VALUES(?,?,?)", ((i, *name) for i, names in orders.items() for name in names)
        )
        charges = {record_id: words.shows for kind, record_id, words in said if kind == CHARGE}
        self._db.executemany("DELETE FROM shown WHERE charge_id=?", ((i,) for i in charges))
        self._db.executemany(
            "INSERT OR IGNORE INTO shown VALUES(?,?)",
            ((refund_id, i) for i, refunds in charges.items() for refund_id in refunds),
        )

    def is_changed(self) -> None:
        """Something was written that may give a record another home."""
        self._is_resolved = False

    def note_shown(self, charge_id: str, refund_ids: Iterable[str]) -> None:
        """A charge shows these refunds."""
        self.is_changed()
        self._db.executemany(
            "INSERT OR IGNORE INTO shown VALUES(?,?)", ((refund_id, charge_id) for refund_id in refund_ids)
        )

    def note_platform(self, kind: str, owners: Iterable[tuple[str, str | None]]) -> None:
        """The platform says whose these are: (charge id, order id) or (refund id, charge id)."""
        self.is_changed()
        self._db.executemany(
            "INSERT OR REPLACE INTO platform_says VALUES(?,?,?)", ((kind, *o) for o in owners)
        )

    def forget(self, kind: str, record_id: str) -> None:
        """What a record said that Clover has no more."""
        self.is_changed()
        if kind == ORDER:
            self._db.execute("DELETE FROM named WHERE order_id=?", (record_id,))
        elif kind == CHARGE:
            self._db.execute("DELETE FROM shown WHERE charge_id=?", (record_id,))

    def resolve(self, stored: Stored) -> None:
        """Give every staged record its home, and make every order dirty that gained or lost one. Repeatable."""
        if self._is_resolved:
            return
        self._look_up(stored)
        self._move("charge", "order_id", _HOME_OF_CHARGE)
        self._move("refund", "charge_id", _CHARGE_OF_REFUND)
        self._look_up(stored)  # of the charges that refunds were just led to
        self._move("refund", "order_id", _HOME_OF_REFUND)
        # An order that gains a record is to be completed again, were it complete before.
        self._db.execute(
            "INSERT INTO dirty(order_id, reason) SELECT DISTINCT r.order_id, 'changed' FROM fresh f"
            " JOIN records r ON r.kind = f.kind AND r.id = f.id WHERE r.order_id IS NOT NULL"
            " ON CONFLICT(order_id) DO UPDATE SET state = 'due'"
        )
        self._db.execute("DELETE FROM fresh")
        self._db.execute(
            "INSERT OR IGNORE INTO dirty(order_id, reason) SELECT DISTINCT s.order_id, 'a record moved away'"
            " FROM stored s LEFT JOIN records r ON r.kind = s.kind AND r.id = s.id"
            " LEFT JOIN gone g ON g.kind = s.kind AND g.id = s.id"
            " WHERE s.order_id IS NOT NULL AND ((r.id IS NOT NULL AND s.order_id IS NOT r.order_id)"
            " OR g.id IS NOT NULL)"
        )
        self._is_resolved = True

    def _move(self, kind: str, column: str, rule: str) -> None:
        """Set a column of the records of one kind by a rule; what changed is fresh. Rows that stay are not written."""
        self._db.execute("DROP TABLE IF EXISTS temp.moved")
        self._db.execute("CREATE TEMP TABLE moved(id TEXT PRIMARY KEY, new TEXT) WITHOUT ROWID")
        self._db.execute(
            f"INSERT INTO moved SELECT id, new FROM (SELECT id, {column} AS old, {rule} AS new FROM records"
            " WHERE kind = ?) WHERE old IS NOT new",
            (kind,),
        )
        self._db.execute(
            f"UPDATE records SET {column} = (SELECT new FROM moved m WHERE m.id = records.id)"
            " WHERE kind = ? AND id IN (SELECT id FROM moved)",
            (kind,),
        )
        self._db.execute("INSERT OR IGNORE INTO fresh SELECT ?, id FROM moved", (kind,))

    def unled(self) -> tuple[list[str], list[str]]:
        """(charges to be read, refunds without a charge): what keeps refunds from having an order."""
        rows = self._db.execute(
            "SELECT id, charge_id FROM records WHERE kind = 'refund' AND order_id IS NULL ORDER BY id"
        ).fetchall()
        return sorted({c for _, c in rows if c is not None}), [r for r, c in rows if c is None]

    def orderless_charges(self) -> list[str]:
        """Staged charges that neither name an order nor are named by one."""
        rows = self._db.execute(
            "SELECT id FROM records WHERE kind = 'charge' AND owner_id IS NULL AND order_id = id ORDER BY id"
        )
        return [row[0] for row in rows]

    def asked_platform(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Those of the ids that the platform was asked about in this run."""
        rows = self._db.execute("SELECT id FROM platform_says WHERE kind=?", (kind,))
        return {row[0] for row in rows}.intersection(ids)

    def charges_among(self, ids: Sequence[str], stored: Stored) -> list[str]:
        """Those ids that are charges, staged or stored, and no orders: a charge without an order has its own id."""
        known = {row.id for row in stored.homes(CHARGE, list(ids))} if ids else set()
        rows = self._db.execute(
            f"SELECT id FROM records WHERE kind = 'charge' AND id IN ({_marks(ids)})", list(ids)
        )
        return sorted(known.union(row[0] for row in rows))

    def entangled(self, order_ids: Iterable[str]) -> set[str]:
        """These orders and all that records moved to or from: they are mapped together or not at all."""
        pairs = self._db.execute(
            "SELECT s.order_id, r.order_id FROM stored s JOIN records r ON r.kind = s.kind AND r.id = s.id"
            " WHERE s.order_id IS NOT NULL AND r.order_id IS NOT NULL AND s.order_id <> r.order_id"
        ).fetchall()
        together = set(order_ids)
        while True:
            more = {order_id for pair in pairs if together.intersection(pair) for order_id in pair} - together
            if not more:
                return together
            together |= more

    def orders_only_named(self) -> list[str]:
        """Orders that staged charges name and that are not staged themselves."""
        rows = self._db.execute(
            "SELECT DISTINCT owner_id FROM records c WHERE kind = 'charge' AND owner_id IS NOT NULL AND NOT EXISTS"
            " (SELECT 1 FROM records o WHERE o.kind = 'order' AND o.id = c.owner_id) ORDER BY owner_id"
        )
        return [row[0] for row in rows]

    def named_and_not_staged(self, order_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(charge id, order id) of charges that these orders name and that were not read yet."""
        return self._db.execute(
            f"SELECT charge_id, order_id FROM named n WHERE order_id IN ({_marks(order_ids)})"
            " AND NOT EXISTS (SELECT 1 FROM records r WHERE r.kind = 'charge' AND r.id = n.charge_id)"
            " AND NOT EXISTS (SELECT 1 FROM gone g WHERE g.kind = 'charge' AND g.id = n.charge_id) ORDER BY 2, 1",
            list(order_ids),
        ).fetchall()

    def named_among(self, charge_ids: Sequence[str]) -> set[str]:
        """Those of the charges that a staged order names."""
        rows = self._db.execute(
            f"SELECT charge_id FROM named WHERE charge_id IN ({_marks(charge_ids)})", list(charge_ids)
        )
        return {row[0] for row in rows}

    def void_claims(self, order_ids: Sequence[str]) -> Mapping[str, Mapping[str, tuple[str, str | None]]]:
        """Order id -> record id -> (kind, its real home): claims of these orders that are void."""
        claims: dict[str, dict[str, tuple[str, str | None]]] = {}
        for order_id, kind, record_id, home in self._claims(order_ids):
            claims.setdefault(order_id, {})[record_id] = (kind, home)
        return claims

    def _claims(self, order_ids: Sequence[str]) -> Iterator[tuple[str, str, str, str | None]]:
        yield from self._db.execute(
            "SELECT n.order_id, 'charge', n.charge_id, coalesce(r.order_id, s.order_id) AS home FROM named n"
            " LEFT JOIN records r ON r.kind = 'charge' AND r.id = n.charge_id"
            " LEFT JOIN stored s ON s.kind = 'charge' AND s.id = n.charge_id"
            f" WHERE n.order_id IN ({_marks(order_ids)}) AND home IS NOT NULL AND home <> n.order_id",
            list(order_ids),
        )
        yield from self._db.execute(
            "SELECT c.order_id, 'refund', w.refund_id, r.order_id FROM shown w"
            " JOIN records c ON c.kind = 'charge' AND c.id = w.charge_id"
            " JOIN records r ON r.kind = 'refund' AND r.id = w.refund_id"
            f" WHERE c.order_id IN ({_marks(order_ids)}) AND r.charge_id <> w.charge_id",
            list(order_ids),
        )

    def _look_up(self, stored: Stored) -> None:
        """Ask the store where the staged and the vanished records, and the charges of refunds, were at home."""
        if stored.is_empty:
            return
        for kind in (CHARGE, ORDER, REFUND):
            wanted = "SELECT id FROM records WHERE kind = :kind UNION SELECT id FROM gone WHERE kind = :kind"
            if kind == CHARGE:
                wanted += (
                    " UNION SELECT charge_id FROM records WHERE kind = 'refund' AND charge_id IS NOT NULL"
                    " UNION SELECT charge_id FROM named"
                )
            for ids in self._fresh(wanted, kind):
                rows = ((kind, *home) for home in stored.homes(kind, ids))
                self._db.executemany("INSERT OR REPLACE INTO stored VALUES(?,?,?,?,?)", rows)
        self._db.execute(
            "UPDATE records SET created_ms = (SELECT s.created_ms FROM stored s"
            " WHERE s.kind = records.kind AND s.id = records.id AND s.created_ms IS NOT NULL)"
            " WHERE NOT is_dated AND EXISTS (SELECT 1 FROM stored s WHERE s.kind = records.kind"
            " AND s.id = records.id AND s.created_ms IS NOT NULL)"
        )
        unnamed = (
            "SELECT id FROM records r WHERE kind = 'charge' AND (owner_id IS NULL OR EXISTS (SELECT 1 FROM gone g"
            " WHERE g.kind = 'order' AND g.id = r.owner_id))"
            " AND id NOT IN (SELECT charge_id FROM looked_for_names)"
        )
        ids = [row[0] for row in self._db.execute(unnamed)]
        for start in range(0, len(ids), _LOOK_UP):
            some = ids[start : start + _LOOK_UP]
            self._db.executemany("INSERT INTO looked_for_names VALUES(?)", ((i,) for i in some))
            self._db.executemany(
                "INSERT OR REPLACE INTO stored_names VALUES(?,?,?)", stored.orders_naming(some)
            )

    def _fresh(self, wanted: str, kind: str) -> Iterator[list[str]]:
        fresh = f"SELECT id FROM ({wanted}) w WHERE id NOT IN (SELECT id FROM looked_up WHERE kind = :kind)"
        ids = [row[0] for row in self._db.execute(fresh, {"kind": kind})]
        for start in range(0, len(ids), _LOOK_UP):
            some = ids[start : start + _LOOK_UP]
            self._db.executemany("INSERT OR IGNORE INTO looked_up VALUES(?,?)", ((kind, i) for i in some))
            yield some


_GONE_ORDER = "(SELECT 1 FROM gone g WHERE g.kind = 'order' AND g.id = {id})"
# What a stored order names counts until the order is read in this run, or is gone.
_NAMED_BY = f"""(SELECT order_id FROM (
    SELECT order_id, is_latest FROM named n WHERE n.charge_id = records.id
    UNION ALL
    SELECT order_id, is_latest FROM stored_names m WHERE m.charge_id = records.id
      AND NOT EXISTS (SELECT 1 FROM records o WHERE o.kind = 'order' AND o.id = m.order_id)
      AND NOT EXISTS {_GONE_ORDER.format(id="m.order_id")})
  ORDER BY is_latest DESC, order_id LIMIT 1)"""
_BEFORE = "(SELECT {column} FROM stored s WHERE s.kind = records.kind AND s.id = records.id)"
_PLATFORM = "(SELECT owner_id FROM platform_says p WHERE p.kind = records.kind AND p.id = records.id)"
_HOME_OF_CHARGE = f"""coalesce(
    CASE WHEN NOT EXISTS {_GONE_ORDER.format(id="records.owner_id")} THEN owner_id END,
    {_NAMED_BY}, {_PLATFORM}, owner_id,
    CASE WHEN NOT is_whole THEN {_BEFORE.format(column="order_id")} END,
    id)"""
_CHARGE_OF_REFUND = f"""coalesce(
    owner_id, (SELECT min(w.charge_id) FROM shown w WHERE w.refund_id = records.id), {_PLATFORM},
    CASE WHEN NOT is_whole THEN {_BEFORE.format(column="charge_id")} END)"""
_HOME_OF_REFUND = """coalesce(
    (SELECT c.order_id FROM records c WHERE c.kind = 'charge' AND c.id = records.charge_id),
    (SELECT s.order_id FROM stored s WHERE s.kind = 'charge' AND s.id = records.charge_id))"""


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))
