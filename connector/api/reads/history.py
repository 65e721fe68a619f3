"""What Codat cannot give: every version of an order, the records behind it, snapshots, reconciliations."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from connector.ledger.published import Publication


@dataclass(frozen=True, slots=True)
class OrderVersion:
    """One version of one order. ``late``: arrived after a newer one and never was the current state."""

    snapshot_id: int
    loaded_at: datetime | None
    source_modified_date: datetime
    content_hash: str
    replaced_by: int | None
    is_deleted: bool
    document: str

    @property
    def late(self) -> bool:
        return self.replaced_by == self.snapshot_id


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What Clover said, without card and personal data. ``payload``: JSON text."""

    kind: str
    record_id: str
    created_at: datetime | None
    snapshot_id: int
    loaded_at: datetime | None
    payload: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed load of one connection. ``orders_updated`` includes ``orders_deleted``."""

    snapshot_id: int
    run_id: str
    loaded_at: datetime
    from_source_modified_date: datetime | None
    to_source_modified_date: datetime | None
    orders_inserted: int
    orders_updated: int
    orders_unchanged: int
    orders_deleted: int


@dataclass(frozen=True, slots=True)
class ReconciledDay:
    """Clover's own figures against the stored ones, for a day, stream and currency.

    Amounts in major units.
    """

    reconciled_at: datetime
    day: date
    stream: str
    currency: str | None
    clover_count: int | None
    clover_amount: Decimal | None
    stored_count: int | None
    stored_amount: Decimal | None
    explained: Decimal | None
    unexplained: Decimal | None
    detail: str | None


def order_versions(
    publication: Publication, connection_id: str, order_id: str, as_of: int
) -> list[OrderVersion]:
    """All versions known at snapshot ``as_of``, oldest first."""
    rows = publication.cursor.execute(
        "SELECT v.snapshot_id, s.loaded_at, v.source_modified_date, v.content_hash,"
        " CASE WHEN v.replaced_by <= ? THEN v.replaced_by END, v.is_deleted, coalesce(v.doc, '{}')"
        " FROM ledger.order_versions v LEFT JOIN ledger.snapshots s USING (snapshot_id)"
        " WHERE v.connection_id = ? AND v.order_id = ? AND v.snapshot_id <= ?"
        " ORDER BY v.snapshot_id, v.source_modified_date, v.content_hash",
        [as_of, connection_id, order_id, as_of],
    ).fetchall()
    return [OrderVersion(*row) for row in rows]


def source_records(
    publication: Publication, connection_id: str, order_id: str, as_of: int
) -> list[SourceRecord]:
    """The newest Clover records of one order known at ``as_of``: the order, its charges, its refunds."""
    rows = publication.cursor.execute(
        "SELECT r.kind, r.record_id, r.created_at, r.snapshot_id, s.loaded_at, r.payload"
        " FROM ledger.source_records r LEFT JOIN ledger.snapshots s USING (snapshot_id)"
        " WHERE r.connection_id = ? AND r.order_id = ? AND r.snapshot_id <= ?"
        " AND (r.replaced_by IS NULL OR r.replaced_by > ?) AND NOT coalesce(r.is_deleted, FALSE)"
        " ORDER BY CASE r.kind WHEN 'order' THEN 0 WHEN 'charge' THEN 1 ELSE 2 END, r.created_at, r.record_id",
        [connection_id, order_id, as_of, as_of],
    ).fetchall()
    return [SourceRecord(*row) for row in rows]


def order_issues(
    publication: Publication, connection_id: str, order_id: str, as_of: int
) -> list[tuple[str, str, str | None]]:
    """(code, severity, detail) of what did not add up in one order and was open at ``as_of``."""
    rows = publication.cursor.execute(
        "SELECT code, severity, detail FROM ledger.data_issues WHERE connection_id = ? AND order_id = ?"
        " AND coalesce(first_seen_snapshot, 0) <= ?"
        " AND (resolved_at IS NULL OR coalesce(resolved_snapshot, 0) > ?) ORDER BY code, detail",
        [connection_id, order_id, as_of, as_of],
    ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


def issues_at(
    publication: Publication, connection_id: str, as_of: int
) -> list[tuple[str | None, str, str, str | None]]:
    """(order id, code, severity, detail) of everything that was open at a snapshot, by order."""
    return publication.cursor.execute(
        "SELECT order_id, code, severity, detail FROM ledger.data_issues WHERE connection_id = $connection"
        " AND first_seen_snapshot <= $as_of AND (resolved_snapshot IS NULL OR resolved_snapshot > $as_of)"
        " ORDER BY ALL",
        {"connection": connection_id, "as_of": as_of},
    ).fetchall()


def snapshots(
    publication: Publication, connection_id: str, *, limit: int, offset: int
) -> tuple[list[Snapshot], int]:
    """A page of the connection's snapshots, newest first, and how many there are."""
    cursor = publication.cursor
    total = cursor.execute(
        "SELECT count(*) FROM ledger.snapshots WHERE connection_id = ?", [connection_id]
    ).fetchone()
    rows = cursor.execute(
        "SELECT snapshot_id, run_id, loaded_at, from_source_modified_date, to_source_modified_date,"
        " orders_inserted, orders_updated, orders_unchanged, orders_deleted FROM ledger.snapshots"
        " WHERE connection_id = ? ORDER BY snapshot_id DESC LIMIT ? OFFSET ?",
        [connection_id, limit, offset],
    ).fetchall()
    return [Snapshot(*row) for row in rows], total[0] if total else 0


def reconciled_days(publication: Publication, connection_id: str) -> list[ReconciledDay]:
    """The newest comparison of each day, stream and currency; by day."""
    rows = publication.cursor.execute(
        "SELECT reconciled_at, day, stream, currency, clover_count, clover_amount, stored_count, stored_amount,"
        " explained, unexplained, CAST(detail AS VARCHAR) FROM ledger.reconciliations WHERE connection_id = ?"
        " QUALIFY row_number() OVER (PARTITION BY day, stream, currency ORDER BY reconciled_at DESC, run_id) = 1"
        " ORDER BY day, stream, currency",
        [connection_id],
    ).fetchall()
    return [ReconciledDay(*row) for row in rows]
