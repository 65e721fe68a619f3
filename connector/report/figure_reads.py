"""Reads the figures of a report from the views of the published file, one query each."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from connector.ledger.connection_state import connection_states
from connector.ledger.restatement import restated_figures, restated_orders
from connector.report.figures import (
    Comparison,
    Customers,
    Figures,
    Freshness,
    HeldBack,
    Month,
    OpenIssues,
    Product,
    RestatedOrder,
    Restatement,
    Sales,
    ratio,
)
from schemas.money import exponent, to_decimal

MONTHS = 24
"""The newest months that are shown."""
PRODUCTS = 10


def read_figures(
    connection: duckdb.DuckDBPyConnection, company_id: str, *, snapshot_id: int, told: int | None = None
) -> Figures:
    """The figures of one company as the published file has them.

    told: a snapshot at which they were told; then what changed of them since is among them.
    """
    names = _rows(
        connection,
        "SELECT company_name, timezone FROM connections WHERE company_id = ? ORDER BY connection_id",
        company_id,
    )
    loaded = _rows(connection, "SELECT loaded_at FROM snapshots WHERE snapshot_id = ?", snapshot_id)
    quality = _rows(
        connection, "SELECT * EXCLUDE (company_id) FROM data_quality WHERE company_id = ?", company_id
    )
    return Figures(
        company_id=company_id,
        company=next((row["company_name"] for row in names if row["company_name"]), company_id),
        snapshot_id=snapshot_id,
        loaded_at=loaded[0]["loaded_at"] if loaded else None,
        timezones=tuple(dict.fromkeys(row["timezone"] for row in names if row["timezone"])),
        sales=_sales(connection, company_id),
        customers=customers(connection, company_id),
        freshness=freshness(connection, company_id),
        issues=issues(connection, company_id),
        held=held(connection, company_id),
        read_until=read_until(connection, company_id),
        comparisons=comparisons(connection, company_id),
        quality=quality[0] if quality else {},
        restatement=None if told is None else _restatement(connection, company_id, told, snapshot_id),
    )


def companies(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Ids of the companies in the published file."""
    return [
        row["company_id"]
        for row in _rows(connection, "SELECT DISTINCT company_id FROM connections ORDER BY 1")
    ]


def _sales(connection: duckdb.DuckDBPyConnection, company_id: str) -> tuple[Sales, ...]:
    months: dict[str, list[Month]] = {}
    for row in _rows(
        connection,
        """
        SELECT coalesce(s."month", r."month") AS "month", coalesce(s.currency, r.currency) AS currency,
          coalesce(s.orders, 0) AS orders, coalesce(s.gross_sales, 0) AS gross_sales,
          coalesce(s.discounts, 0) AS discounts, coalesce(s."returns", 0) AS "returns",
          coalesce(s.net_sales, 0) AS net_sales, coalesce(s.service_charges, 0) AS service_charges,
          coalesce(s.tax, 0) AS tax, coalesce(s.total_sales, 0) AS total_sales, coalesce(s.tips, 0) AS tips,
          coalesce(s.overpayments, 0) AS overpayments, coalesce(s.gift_cards_sold, 0) AS gift_cards_sold,
          coalesce(s.receivable, 0) AS receivable,
          coalesce(s.amount_collected, 0) AS amount_collected, coalesce(o."returns", 0) AS returns_by_order_date,
          coalesce(r.refunded, 0) AS refunded
        FROM (FROM monthly_sales WHERE company_id = $company) s
        LEFT JOIN (FROM monthly_sales_by_order_date WHERE company_id = $company) o
          ON o."month" = s."month" AND o.currency = s.currency
        FULL JOIN (
          SELECT date_trunc('month', "day")::DATE AS "month", currency, sum(refunded_amount) AS refunded
          FROM daily_refunds WHERE company_id = $company GROUP BY ALL
        ) r ON r."month" = s."month" AND r.currency = s.currency
        ORDER BY 2, 1
        """,
        {"company": company_id},
    ):
        currency = row.pop("currency")
        average = ratio(row["gross_sales"] - row["discounts"], row["orders"], currency)
        months.setdefault(currency, []).append(Month(**row, average_order_value=average))
    shown = {currency: _unbroken(found)[-MONTHS:] for currency, found in months.items()}
    busiest = sorted(shown, key=lambda currency: (-sum(m.orders for m in shown[currency]), currency))
    return tuple(
        Sales(currency, shown[currency], products(connection, company_id, currency, shown[currency][0].month))
        for currency in busiest
    )


def _unbroken(found: Sequence[Month]) -> tuple[Month, ...]:
    """The months with those between them in which nothing was sold: a gap must show as a gap."""
    by_month = {one.month: one for one in found}
    month, last = found[0].month, found[-1].month
    whole = []
    while month <= last:
        whole.append(by_month.get(month, Month(month, 0)))
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return tuple(whole)


def products(
    connection: duckdb.DuckDBPyConnection,
    company_id: str,
    currency: str,
    since: date,
    until: date | None = None,
) -> tuple[Product, ...]:
    """The products with the highest net sales in the months from since to until, both inside."""
    rows = _rows(
        connection,
        """
        SELECT coalesce(max(product_name), product_id) AS name, sum(quantity_sold + quantity_returned) AS quantity,
          sum(net_sales) AS net_sales
        FROM product_sales
        WHERE company_id = ? AND currency = ? AND "month" BETWEEN ? AND ? AND product_id <> '(none)'
        GROUP BY connection_id, product_id
        ORDER BY net_sales DESC, name LIMIT ?
        """,
        company_id, currency, since, until or date.max, PRODUCTS,
    )  # fmt: skip
    return tuple(Product(**row) for row in rows)


def customers(connection: duckdb.DuckDBPyConnection, company_id: str) -> tuple[Customers, ...]:
    """The newest months, oldest first."""
    rows = _rows(
        connection,
        'SELECT "month", new_customers AS new, returning_customers AS returning, guest_orders'
        ' FROM monthly_customers WHERE company_id = ? ORDER BY "month" DESC LIMIT ?',
        company_id, MONTHS,
    )  # fmt: skip
    return tuple(Customers(**row) for row in reversed(rows))


def freshness(connection: duckdb.DuckDBPyConnection, company_id: str) -> tuple[Freshness, ...]:
    """How new the data of each merchant is."""
    rows = _rows(
        connection,
        """
        SELECT connection_id, coalesce(merchant_name, merchant_id) AS merchant, coalesce(status, 'Unknown') AS status
        FROM connections WHERE company_id = ? ORDER BY merchant, connection_id
        """,
        company_id,
    )
    states = connection_states(connection)
    return tuple(
        Freshness(row["merchant"], row["status"], _bare(state.last_success), _bare(state.newest_sale))
        for row in rows
        for state in (states[row["connection_id"]],)
    )


def _bare(moment: datetime | None) -> datetime | None:
    """UTC without a zone, as the other figures are."""
    return None if moment is None else moment.replace(tzinfo=None)


def issues(connection: duckdb.DuckDBPyConnection, company_id: str) -> tuple[OpenIssues, ...]:
    """What is open, the worst first."""
    rows = _rows(
        connection,
        """
        SELECT severity, code, min(detail) AS detail, count(DISTINCT (connection_id, order_id)) AS orders,
          list({'currency': currency, 'amount': abs(difference_amount)})
            FILTER (difference_amount <> 0 AND currency IS NOT NULL) AS amounts
        FROM open_issues WHERE company_id = ?
        GROUP BY severity, code
        ORDER BY list_position(['error', 'warning', 'info'], severity), orders DESC, code
        """,
        company_id,
    )
    return tuple(OpenIssues(**{**row, "amounts": _added(row["amounts"])}) for row in rows)


def held(connection: duckdb.DuckDBPyConnection, company_id: str) -> tuple[HeldBack, ...]:
    """What is held back now, by reason, most records first."""
    rows = _rows(
        connection,
        """
        SELECT reason, count(*) AS records,
          list({'currency': currency, 'minor': amount_minor})
            FILTER (amount_minor <> 0 AND currency IS NOT NULL) AS amounts
        FROM held_back WHERE company_id = ? AND resolved_run IS NULL
        GROUP BY reason ORDER BY records DESC, reason
        """,
        company_id,
    )
    return tuple(
        HeldBack(
            row["reason"],
            row["records"],
            _added(
                {"currency": one["currency"], "amount": to_decimal(one["minor"], exponent(one["currency"]))}
                for one in row["amounts"] or ()
            ),
        )
        for row in rows
    )


def read_until(connection: duckdb.DuckDBPyConnection, company_id: str) -> date | None:
    """The merchant's day until which every connection was read; None while one never was."""
    days = []
    zones = dict(connection.execute("SELECT connection_id, timezone FROM connections").fetchall())
    for state in connection_states(connection).values():
        if state.company_id == company_id:
            if state.last_success_began is None:
                return None
            days.append(local_day(state.last_success_began, zones.get(state.connection_id)))
    return min(days, default=None)


def local_day(moment: datetime, zone: str | None) -> date:
    """The day of an aware moment in a time zone, in UTC where there is none of that name."""
    try:
        return moment.astimezone(ZoneInfo(zone or "UTC")).date()
    except (ZoneInfoNotFoundError, ValueError):
        return moment.astimezone(UTC).date()


def _added(amounts: Iterable[Mapping[str, Any]] | None) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for one in amounts or ():
        found[one["currency"]] = found.get(one["currency"], Decimal(0)) + one["amount"]
    return dict(sorted(found.items()))


def comparisons(connection: duckdb.DuckDBPyConnection, company_id: str) -> tuple[Comparison, ...]:
    """The newest comparison of each connection with Clover."""
    rows = _rows(
        connection,
        """
        SELECT stream, currency, sum(clover_count)::BIGINT AS clover_count, sum(stored_count)::BIGINT AS stored_count,
          sum(clover_amount) AS clover_amount, sum(stored_amount) AS stored_amount, sum(explained) AS explained,
          sum(unexplained) AS unexplained, max(reconciled_at) AS reconciled_at
        FROM (
          FROM reconciliations WHERE company_id = ?
          QUALIFY reconciled_at = max(reconciled_at) OVER (PARTITION BY connection_id)
        )
        GROUP BY stream, currency ORDER BY stream, currency
        """,
        company_id,
    )
    return tuple(Comparison(**row) for row in rows)


def _restatement(
    connection: duckdb.DuckDBPyConnection, company_id: str, told: int, snapshot_id: int
) -> Restatement:
    loaded = _rows(connection, "SELECT loaded_at FROM snapshots WHERE snapshot_id = ?", told)
    return Restatement(
        snapshot_id=told,
        loaded_at=loaded[0]["loaded_at"] if loaded else None,
        figures=restated_figures(connection, company_id, None, told=told, now=snapshot_id),
        orders=[
            RestatedOrder(
                one.month,
                one.currency,
                one.order_id,
                one.why,
                one.differences.get("total_sales", Decimal(0)),
                one.differences.get("amount_collected", Decimal(0)),
            )
            for one in restated_orders(connection, company_id, None, told=told, now=snapshot_id)
        ],
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[dict[str, Any]]:
    bound: Any = values[0] if len(values) == 1 and isinstance(values[0], Mapping) else list(values)
    result = connection.execute(sql, bound)
    names: Sequence[str] = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
