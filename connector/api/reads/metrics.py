"""Sums behind the commerce metrics, for periods of UTC days over an order's ``createdDate``.

The formulas are Codat's (docs.codat.io, Lending, "Commerce metrics"); how they are presented is
``connector.api.routes.metrics``. Amounts of one currency only are ever added. Divisions are left to Python's
Decimal: DuckDB would turn them into floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from connector.api.reads.records import Scope, live
from connector.ledger.published import Publication


@dataclass(frozen=True, slots=True)
class Period:
    """``start`` and ``end`` are both inside."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Sums:
    """Of the orders created in one period. Amounts in major units.

    revenue: lines' quantity times unit price, refund lines subtracting. value: totalAmount. refunds: orders
    with a refund; refunded: their totalRefund, never positive. existing and new: customers by whether they
    had ordered before the period. customer_days: over the customers of the period, days from their first to
    their last order.
    """

    orders: int
    value: Decimal
    revenue: Decimal
    refunds: int
    refunded: Decimal
    existing: int
    new: int
    customer_days: Decimal


def currencies(publication: Publication, scope: Scope, span: Period) -> list[str]:
    """The currencies of the orders created in the span, the most used first."""
    condition, values = live(scope, "o")
    rows = publication.cursor.execute(
        f"SELECT currency FROM ledger.order_versions o WHERE {condition}"  # noqa: S608
        " AND o.created_date >= ? AND o.created_date < ? GROUP BY 1 ORDER BY count(*) DESC, 1",
        [*values, span.start, span.end + timedelta(days=1)],
    ).fetchall()
    return [str(row[0]) for row in rows]


def sums(publication: Publication, scope: Scope, periods: Sequence[Period], currency: str) -> list[Sums]:
    """One for each period, in their order."""
    condition, values = live(scope, "o")
    starts = [period.start for period in periods]
    ends = [period.end + timedelta(days=1) for period in periods]
    sql = f"""
        WITH p AS (SELECT unnest(range(len(CAST(? AS DATE[])))) AS n, unnest(CAST(? AS DATE[])) AS since,
                          unnest(CAST(? AS DATE[])) AS until),
        o AS (SELECT o.* EXCLUDE (doc),
                coalesce(list_sum(list_transform(o.order_line_items,
                  lambda l: CAST(l.quantity * l.unit_price AS DECIMAL(38,8)))), 0) AS revenue
              FROM ledger.order_versions o WHERE {condition} AND o.currency = ?),
        first AS (SELECT customer_id, min(created_date) AS since FROM o WHERE customer_id IS NOT NULL GROUP BY 1),
        c AS (SELECT p.n, o.customer_id, first.since < p.since AS existing,
                date_diff('second', min(o.created_date), max(o.created_date)) AS seconds
              FROM p JOIN o ON o.created_date >= p.since AND o.created_date < p.until
              JOIN first USING (customer_id) GROUP BY ALL),
        kept AS (SELECT n, count(*) FILTER (existing) AS existing, count(*) FILTER (NOT existing) AS fresh,
                   sum(seconds) AS seconds FROM c GROUP BY n),
        sold AS (SELECT p.n, count(o.order_id) AS orders, sum(o.total_amount) AS value, sum(o.revenue) AS revenue,
                   count(*) FILTER (o.total_refund < 0) AS refunds,
                   sum(o.total_refund) FILTER (o.total_refund < 0) AS refunded
                 FROM p LEFT JOIN o ON o.created_date >= p.since AND o.created_date < p.until GROUP BY p.n)
        SELECT orders, value, revenue, refunds, refunded, existing, fresh, seconds
        FROM sold LEFT JOIN kept USING (n) ORDER BY n"""  # noqa: S608
    rows = publication.cursor.execute(sql, [starts, starts, ends, *values, currency]).fetchall()
    zero = Decimal(0)
    return [
        Sums(
            orders=int(row[0]),
            value=row[1] or zero,
            revenue=row[2] or zero,
            refunds=int(row[3]),
            refunded=row[4] or zero,
            existing=int(row[5] or 0),
            new=int(row[6] or 0),
            customer_days=Decimal(int(row[7] or 0)) / 86400,
        )
        for row in rows
    ]
