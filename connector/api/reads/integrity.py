"""Whether the money of each order is accounted for: its paid payments against what it comes to. Codat's data integrity.

An order matches when its ``Paid`` payments, refunds negative, are exactly its total and gratuity, and nothing about it
is an open warning or error. The same rule as the view ``data_quality``.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from connector.ledger.published import Publication

_ORDERS = """
WITH issues AS (
  SELECT DISTINCT connection_id, order_id FROM ledger.data_issues
  WHERE company_id = $company AND resolved_snapshot IS NULL AND severity <> 'info'),
o AS (
  SELECT o.order_id, o.connection_id, o.created_date, o.currency, o.payments,
    o.total_amount + o.total_gratuity AS owed,
    coalesce(list_sum([p.amount for p in o.payments if p.status = 'Paid']), 0) AS paid,
    i.order_id IS NOT NULL AS doubtful
  FROM ledger.order_versions o LEFT JOIN issues i USING (connection_id, order_id)
  WHERE o.company_id = $company AND o.connection_id IN (SELECT unnest($connections)) AND o.replaced_by IS NULL
    AND NOT o.is_deleted)
"""


@dataclass(frozen=True, slots=True)
class Matched:
    """Orders of one currency. Amounts in major units; ``matched_amount`` of ``amount`` is accounted for."""

    currency: str
    orders: int
    matched: int
    amount: Decimal
    matched_amount: Decimal
    least: Decimal
    most: Decimal
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class MatchedOrder:
    """One order and its paid payments, as (id, created, amount, currency); ``matches`` says whether they fit."""

    order_id: str
    connection_id: str
    created: datetime
    currency: str
    owed: Decimal
    matches: bool
    payments: tuple[tuple[str, datetime, Decimal, str], ...]


def matched(publication: Publication, company_id: str, connections: list[str]) -> list[Matched]:
    """One entry a currency."""
    rows = publication.cursor.execute(
        f"{_ORDERS} SELECT currency, count(*), count(*) FILTER (paid = owed AND NOT doubtful), sum(owed),"  # noqa: S608
        " coalesce(sum(owed) FILTER (paid = owed AND NOT doubtful), 0), min(owed), max(owed), min(created_date),"
        " max(created_date) FROM o GROUP BY 1 ORDER BY 1",
        {"company": company_id, "connections": connections},
    ).fetchall()
    return [Matched(*row) for row in rows]


def matched_orders(
    publication: Publication, company_id: str, connections: list[str], *, limit: int, offset: int
) -> list[MatchedOrder]:
    """A page of orders by id; those of each connection apart."""
    rows = publication.cursor.execute(
        f"{_ORDERS} SELECT order_id, connection_id, created_date, currency, owed, paid = owed AND NOT doubtful,"  # noqa: S608
        " [p for p in payments if p.status = 'Paid'] FROM o ORDER BY order_id, connection_id"
        " LIMIT $limit OFFSET $offset",
        {"company": company_id, "connections": connections, "limit": limit, "offset": offset},
    ).fetchall()
    return [
        MatchedOrder(row[0], row[1], row[2], row[3], row[4], row[5], tuple(map(_payment, row[6] or ())))
        for row in rows
    ]


def _payment(payment: dict[str, Any]) -> tuple[str, datetime, Decimal, str]:
    return payment["id"], payment["created_date"], payment["amount"], payment["currency"]
