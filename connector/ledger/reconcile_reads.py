"""Reads for the reconciliation: what is stored of each Clover record, and what published orders show of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import duckdb

# The code of the issue that a reconciliation opens for an order one of whose records Clover no longer has.
DELETED_AT_CLOVER = "deleted_at_clover"
_STORED = """
SELECT s.record_id, s.order_id, s.created_at,
       TRY_CAST(json_extract_string(s.payload, '$.amount') AS BIGINT) AS amount_minor,
       upper(coalesce(json_extract_string(s.payload, '$.currency'),
                      json_extract_string(c.payload, '$.currency'))) AS currency, s.payload
FROM ledger.source_records s
LEFT JOIN ledger.source_records c
       ON s.kind = 'refund' AND c.kind = 'charge' AND c.connection_id = s.connection_id
      AND c.record_id = s.charge_id AND c.replaced_by IS NULL
WHERE s.connection_id = $connection AND s.kind = $kind AND s.replaced_by IS NULL AND NOT s.is_deleted
  AND (coalesce(TRY_CAST(json_extract_string(s.payload, '$.created') AS BIGINT), 0) = 0
    OR (s.created_at >= $since AND s.created_at < $until))
ORDER BY s.record_id
"""

_UNSHOWN = """
SELECT s.kind, s.record_id, s.order_id, any_value(h.reason) AS reason
FROM ledger.source_records s
ANTI JOIN (
  SELECT unnest(payments).id AS id FROM ledger.order_versions
  WHERE connection_id = $connection AND replaced_by IS NULL AND NOT is_deleted
) p ON p.id = s.record_id
LEFT JOIN ledger.held_back h
       ON h.connection_id = s.connection_id AND h.resolved_run IS NULL
      AND (h.order_id = s.order_id OR (h.record_kind = s.kind AND h.record_id = s.record_id))
WHERE s.connection_id = $connection AND s.kind IN ('charge', 'refund')
  AND s.replaced_by IS NULL AND NOT s.is_deleted
GROUP BY ALL ORDER BY ALL
"""

_PAYMENTS = """
SELECT p.id, list(coalesce(p.currency, currency)), list(CASE WHEN p.status = 'Paid' THEN abs(p.amount) ELSE 0 END),
  bool_or(p.is_refund), min(p.created_date)
FROM (
  SELECT currency, unnest(payments) AS p FROM ledger.order_versions
  WHERE connection_id = $connection AND replaced_by IS NULL AND NOT is_deleted
) GROUP BY p.id ORDER BY p.id
"""

StoredRow = tuple[str, str | None, datetime | None, int | None, str | None, str]
PaymentRow = tuple[str, list[str], list[Decimal], bool, datetime | None]


def stored_records(
    connection: duckdb.DuckDBPyConnection, connection_id: str, kind: str, since: datetime, until: datetime
) -> Iterator[StoredRow]:
    """(id, order id, created UTC without zone, amount in minor units, currency, payload) of the records of a span.

    Records without a date are in every span.
    """
    rows = connection.execute(
        _STORED,
        {"connection": connection_id, "kind": kind, "since": _bare(since), "until": _bare(until)},
    )
    while chunk := rows.fetchmany(10_000):
        yield from chunk


def unshown_records(
    connection: duckdb.DuckDBPyConnection, connection_id: str
) -> dict[tuple[str, str], str | None]:
    """(kind, id) of charges and refunds that no published order lists -> why its order is held back, or None."""
    rows = connection.execute(_UNSHOWN, {"connection": connection_id}).fetchall()
    return {(kind, record_id): reason for kind, record_id, _, reason in rows}


def published_payments(connection: duckdb.DuckDBPyConnection, connection_id: str) -> list[PaymentRow]:
    """(id, currencies, amounts that are Paid, whether a refund, created) of every payment of published orders.

    One currency and one positive amount, major units, for each order that shows it.
    """
    return connection.execute(_PAYMENTS, {"connection": connection_id}).fetchall()


def _bare(moment: datetime) -> datetime:
    """UTC without a zone, as the ledger keeps times."""
    return moment.astimezone(UTC).replace(tzinfo=None)
