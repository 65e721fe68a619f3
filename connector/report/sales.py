"""Sales of one company by period, as the views have them: nothing is computed here but sums of rows of one currency.

Money is exact Decimal in major units; currencies stay apart. Periods are the merchant's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import duckdb

By = Literal["month", "day"]
AMOUNTS = (
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "service_charges",
    "tax",
    "total_sales",
    "tips",
    "overpayments",
    "gift_cards_sold",
    "receivable",
    "amount_collected",
)
"""From list prices to money, in reading order: net_sales + service_charges + tax is total_sales; with tips,
overpayments and gift cards sold, and less what is still owed, it is amount_collected."""
_COLUMNS = ", ".join(f'"{name}"' for name in AMOUNTS)


@dataclass(frozen=True, slots=True)
class Sold:
    """What one currency came to in one period. amounts: by the names of ``AMOUNTS``. customers None: as of the past."""

    start: date
    currency: str
    orders: int
    amounts: Mapping[str, Decimal]
    new_customers: int | None = None
    returning_customers: int | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back. Amounts in major units.

    by_refund_date: sales value, in the period of the refund. by_order_date: the same, in the period of the order.
    refunded: money given back in the period, never positive, tax and tips in.
    """

    start: date
    currency: str
    by_refund_date: Decimal
    by_order_date: Decimal
    refunds: int
    refunded: Decimal


@dataclass(frozen=True, slots=True)
class Paid:
    """Money that moved by one way of paying. refunded is never positive."""

    currency: str
    payment_type: str
    charges: int
    charged: Decimal
    refunds: int
    refunded: Decimal

    @property
    def net(self) -> Decimal:
        return self.charged + self.refunded


def sales_by(
    connection: duckdb.DuckDBPyConnection,
    company_id: str,
    by: By,
    *,
    since: date | None = None,
    until: date | None = None,
) -> list[Sold]:
    """As known now, oldest first. since, until: first and last day of the periods' first days, both inside."""
    view = {"month": "monthly_sales", "day": "daily_sales"}[by]
    rows = connection.execute(
        f'SELECT "{by}", currency, orders, {_COLUMNS}, new_customers, returning_customers FROM {view}'  # noqa: S608
        f' WHERE company_id = $company AND ($since IS NULL OR "{by}" >= $since)'
        f' AND ($until IS NULL OR "{by}" <= $until)'
        " ORDER BY 1, 2",
        {"company": company_id, "since": since, "until": until},
    ).fetchall()
    return [_sold(row) for row in rows]


def sales_as_of(
    connection: duckdb.DuckDBPyConnection, company_id: str, by: By, snapshot_id: int
) -> list[Sold]:
    """The same as it was known at a snapshot, oldest first."""
    macro = {"month": "monthly_sales_as_of", "day": "daily_sales_as_of"}[by]
    rows = connection.execute(
        f'SELECT "{by}", currency, orders, {_COLUMNS}, NULL, NULL FROM {macro}(?)'  # noqa: S608
        " WHERE company_id = ? ORDER BY 1, 2",
        [snapshot_id, company_id],
    ).fetchall()
    return [_sold(row) for row in rows]


def recent_sales(
    connection: duckdb.DuckDBPyConnection, spans: Mapping[str, tuple[date, date]]
) -> dict[str, list[Sold]]:
    """Company -> its days from the first to the last of its span, both inside, oldest first."""
    if not spans:
        return {}
    rows = connection.execute(
        f'SELECT s.company_id, s."day", s.currency, s.orders, {_COLUMNS}, NULL, NULL FROM daily_sales s'  # noqa: S608
        " JOIN (SELECT unnest($companies) AS company_id, unnest($since) AS since, unnest($until) AS until) w"
        ' ON w.company_id = s.company_id AND s."day" BETWEEN w.since AND w.until ORDER BY 1, 2, 3',
        {
            "companies": list(spans),
            "since": [since for since, _ in spans.values()],
            "until": [until for _, until in spans.values()],
        },
    ).fetchall()
    found: dict[str, list[Sold]] = {company_id: [] for company_id in spans}
    for row in rows:
        found[row[0]].append(_sold(row[1:]))
    return found


def returns_by(
    connection: duckdb.DuckDBPyConnection,
    company_id: str,
    by: By,
    *,
    since: date | None = None,
    until: date | None = None,
) -> list[Returned]:
    """What came back, by the period of the refund and by that of the order, oldest first; empty periods left out."""
    happened = {"month": "monthly_sales", "day": "daily_sales"}[by]
    rows = connection.execute(
        f"""
        SELECT "{by}", currency, coalesce(s."returns", 0), coalesce(o."returns", 0), coalesce(r.refunds, 0)::BIGINT,
          coalesce(r.refunded, 0)
        FROM (SELECT "{by}", currency, "returns" FROM {happened} WHERE company_id = $company) s
        FULL JOIN (SELECT "{by}", currency, "returns" FROM {happened}_by_order_date WHERE company_id = $company) o
          USING ("{by}", currency)
        FULL JOIN (
          SELECT date_trunc('{by}', "day")::DATE AS "{by}", currency, sum(refunds) AS refunds,
            sum(refunded_amount) AS refunded
          FROM daily_refunds WHERE company_id = $company GROUP BY ALL
        ) r USING ("{by}", currency)
        WHERE ($since IS NULL OR "{by}" >= $since) AND ($until IS NULL OR "{by}" <= $until)
          AND (coalesce(s."returns", 0) <> 0 OR coalesce(o."returns", 0) <> 0 OR r.refunds > 0)
        ORDER BY 1, 2
        """,  # noqa: S608
        {"company": company_id, "since": since, "until": until},
    ).fetchall()
    return [Returned(*row) for row in rows]


def payments_between(
    connection: duckdb.DuckDBPyConnection, company_id: str, *, since: date, until: date
) -> list[Paid]:
    """Money that moved on the days from since to until, both inside, by way of paying; most first."""
    rows = connection.execute(
        "SELECT currency, payment_type, sum(charges)::BIGINT, sum(charged_amount), sum(refunds)::BIGINT,"
        ' sum(refunded_amount) FROM payments_by_day WHERE company_id = ? AND "day" BETWEEN ? AND ?'
        " GROUP BY 1, 2 ORDER BY 1, 4 DESC, 2",
        [company_id, since, until],
    ).fetchall()
    return [Paid(*row) for row in rows]


def totals(rows: Iterable[Sold]) -> Mapping[str, Decimal]:
    """The sums of rows of one currency, by the names of ``AMOUNTS``."""
    found = list(rows)
    assert len({row.currency for row in found}) <= 1, "amounts of two currencies are never added"
    return {name: sum((row.amounts[name] for row in found), Decimal(0)) for name in AMOUNTS}


def _sold(row: Sequence[object]) -> Sold:
    start, currency, orders, *rest = row
    amounts = dict(zip(AMOUNTS, rest[: len(AMOUNTS)], strict=True))
    new, returning = rest[len(AMOUNTS) :]
    return Sold(start, currency, orders, amounts, new, returning)  # type: ignore[arg-type]
