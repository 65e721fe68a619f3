"""How far the served figures can be relied on: when they were read, compared, and what is known to be missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from connector.api.reads.history import ReconciledDay, reconciled_days
from connector.ledger.published import Publication
from connector.ledger.reconcile_reads import DELETED_AT_CLOVER


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Records kept raw and not published. minor: currency -> money moved by them, minor units; see view ``held_back``.

    without_amount: records of which nobody can say what they are worth.
    """

    records: int
    without_amount: int
    minor: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """The newest comparison of each day with Clover. ``since``, ``until``: what it covered, UTC without zone."""

    days: tuple[ReconciledDay, ...]
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class DeletedOrder:
    """An order still served of which a reconciliation found something gone at Clover. Amount in major units."""

    order_id: str
    currency: str
    total_amount: Decimal


def held_back(publication: Publication, connection_id: str) -> HeldBack:
    """What the connection holds back now."""
    rows = publication.cursor.execute(
        "SELECT coalesce(currency, 'XXX'), count(*), count(*) FILTER (amount_minor IS NULL AND reason = 'unreadable'),"
        " coalesce(sum(amount_minor), 0)::BIGINT FROM ledger.held_back"
        " WHERE connection_id = $connection AND resolved_run IS NULL GROUP BY 1 ORDER BY 1",
        {"connection": connection_id},
    ).fetchall()
    minor = {currency: amount for currency, _, _, amount in rows if amount}
    return HeldBack(sum(row[1] for row in rows), sum(row[2] for row in rows), minor)


def compared(publication: Publication, connection_id: str) -> Compared:
    """What ``connector reconcile`` found; no days when it never ran."""
    row = publication.cursor.execute(
        "SELECT min(since), max(until) FROM ledger.reconciliations WHERE connection_id = ?", [connection_id]
    ).fetchone()
    since, until = row or (None, None)
    return Compared(tuple(reconciled_days(publication, connection_id)), since, until)


def open_issues(publication: Publication, connection_id: str, as_of: int) -> dict[str, int]:
    """Severity -> how many issues were open at a snapshot."""
    rows = publication.cursor.execute(
        "SELECT severity, count(*) FROM ledger.data_issues WHERE connection_id = $connection"
        " AND first_seen_snapshot <= $as_of AND (resolved_snapshot IS NULL OR resolved_snapshot > $as_of)"
        " GROUP BY 1",
        {"connection": connection_id, "as_of": as_of},
    ).fetchall()
    return dict(rows)


def deleted_orders(publication: Publication, connection_id: str, as_of: int) -> list[DeletedOrder]:
    """Orders served at a snapshot of which a reconciliation had found a record gone, and no sync had read it yet."""
    rows = publication.cursor.execute(
        "SELECT DISTINCT o.order_id, o.currency, o.total_amount FROM ledger.data_issues i"
        " JOIN ledger.order_versions o ON o.connection_id = i.connection_id AND o.order_id = i.order_id"
        " WHERE i.connection_id = $connection AND i.code = $code AND i.first_seen_snapshot <= $as_of"
        " AND (i.resolved_snapshot IS NULL OR i.resolved_snapshot > $as_of)"
        " AND NOT o.is_deleted AND o.snapshot_id <= $as_of AND (o.replaced_by IS NULL OR o.replaced_by > $as_of)"
        " ORDER BY 1",
        {"connection": connection_id, "code": DELETED_AT_CLOVER, "as_of": as_of},
    ).fetchall()
    return [DeletedOrder(*row) for row in rows]
