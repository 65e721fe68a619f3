"""Charts of sales: from list prices to money received, by month, by product, by customer, restated.

A chart has one currency. Partial months say so; totals stand at the foot of what can be added.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from connector.report.chart import Chart, is_partial, month_label, total_cells
from connector.report.drawing import Bar, bars, groups, lying
from connector.report.figures import (
    Customers,
    Month,
    Sales,
)
from connector.report.sales import AMOUNTS
from schemas.money import money

_BRIDGE = (
    ("gross_sales", "Gross", 1),
    ("discounts", "Discounts", -1),
    ("returns", "Returns", -1),
    ("net_sales", "Net sales", 0),
    ("service_charges", "Charges", 1),
    ("tax", "Tax", 1),
    ("total_sales", "Total", 0),
    ("tips", "Tips", 1),
    ("overpayments", "Overpaid", 1),
    ("gift_cards_sold", "Gift cards", 1),
    ("receivable", "Still owed", -1),
    ("amount_collected", "Received", 0),
)
"""Column, label and sign; 0 is a sum of what stands before it."""


def bridge_bars(sums: Mapping[str, Decimal], currency: str) -> list[Bar]:
    """From list prices to money received; sums by the names of the sales views' columns."""
    drawn: list[Bar] = []
    at = Decimal(0)
    for name, label, sign in _BRIDGE:
        amount = sums[name]
        if sign == 0:
            drawn.append(Bar(label, amount, money(amount, currency), kind="bar sum"))
            at = amount
        elif amount or name not in ("overpayments", "gift_cards_sold", "receivable"):
            moved = sign * amount
            drawn.append(
                Bar(label, moved, money(moved, currency), at, "bar more" if moved >= 0 else "bar less")
            )
            at += moved
    return drawn


def bridge(sales: Sales) -> Chart:
    """Gross sales to money received over all months shown."""
    sums = {name: sum((getattr(m, name) for m in sales.months), Decimal(0)) for name, _, _ in _BRIDGE}
    return Chart(
        f"bridge-{sales.currency}",
        f"From gross sales to money received, {sales.currency}",
        "Over all months shown. Net sales, service charges and tax are total sales; with tips and what was paid too"
        " much, less what is still owed, they are the money received.",
        bars(
            bridge_bars(sums, sales.currency),
            title=f"From gross sales to money received, {sales.currency}",
            about="The same amounts are in the table.",
            chart_id=f"drawn-bridge-{sales.currency}",
        ),
        ("Step", "Amount"),
        tuple((bar.label, bar.text) for bar in bridge_bars(sums, sales.currency)),
    )


def net_sales(sales: Sales, read_until: date | None) -> Chart:
    """From gross sales to money received by the month in which each thing happened, beside the year before."""
    currency = sales.currency
    by_month = {m.month: m for m in sales.months}
    known_before = any(m.month.replace(year=m.month.year - 1) in by_month for m in sales.months)
    beside = ("Net a year before", "Change") if known_before else ()

    def row(m: Month) -> tuple[str, ...]:
        before = by_month.get(m.month.replace(year=m.month.year - 1))
        return (
            month_label(m.month, read_until),
            f"{m.orders:,}",
            *total_cells(currency, *(getattr(m, name) for name in AMOUNTS)),
            *(
                ("", "")
                if before is None
                else (money(before.net_sales, currency), _change(before.net_sales, m.net_sales))
            )[: len(beside)],
        )

    return Chart(
        f"net-sales-{currency}",
        f"Net sales, {currency}",
        "Goods at list price, less discounts, less returns in the month of the refund: no tax, no service charge, no"
        " tip. Total sales are net sales, service charges and tax.",
        groups(
            [
                [
                    Bar(f"{m.month:%Y-%m}", m.gross_sales, money(m.gross_sales, currency), kind="bar second"),
                    Bar(
                        f"{m.month:%Y-%m}",
                        m.net_sales,
                        money(m.net_sales, currency),
                        kind="bar part" if is_partial(m.month, read_until) else "bar",
                    ),
                ]
                for m in sales.months
            ],
            title=f"Gross and net sales by month, {currency}",
            about="The same amounts are in the table.",
            chart_id=f"drawn-net-sales-{currency}",
            names=(("bar second", "Gross sales"), ("bar", "Net sales")),
        ),
        (
            "Month", "Orders", "Gross sales", "Discounts", "Returns", "Net sales", "Service charges", "Tax",
            "Total sales", "Tips", "Overpaid", "Still owed", "Money received", *beside,
        ),
        tuple(row(m) for m in sales.months),
        (
            "Together",
            f"{sum(m.orders for m in sales.months):,}",
            *total_cells(
                currency,
                *(sum((getattr(m, name) for m in sales.months), Decimal(0)) for name in AMOUNTS),
            ),
            *("" for _ in beside),
        ),
    )  # fmt: skip


def returns(sales: Sales, read_until: date | None) -> Chart:
    """Returns by month of the refund and by month of the order, beside the money given back."""
    currency = sales.currency
    columns = ("returns", "returns_by_order_date", "refunded")
    return Chart(
        f"returns-{currency}",
        f"Returns, {currency}",
        "What the goods that came back were sold for, without tax. By month of the refund they lower that month's net"
        " sales; by month of the order they say how good the sales of that month were. Money given back holds tax,"
        " service charges and tips too.",
        groups(
            [
                [
                    Bar(f"{m.month:%Y-%m}", m.returns, money(m.returns, currency), kind="bar less"),
                    Bar(
                        f"{m.month:%Y-%m}",
                        m.returns_by_order_date,
                        money(m.returns_by_order_date, currency),
                        kind="bar second",
                    ),
                ]
                for m in sales.months
            ],
            title=f"Returns by month, {currency}",
            about="The same amounts are in the table.",
            chart_id=f"drawn-returns-{currency}",
            names=(("bar less", "By month of the refund"), ("bar second", "By month of the order")),
        ),
        ("Month", "By month of the refund", "By month of the order", "Money given back"),
        tuple(
            (
                month_label(m.month, read_until),
                *total_cells(currency, *(getattr(m, name) for name in columns)),
            )
            for m in sales.months
        ),
        (
            "Together",
            *total_cells(
                currency, *(sum((getattr(m, name) for m in sales.months), Decimal(0)) for name in columns)
            ),
        ),
    )


def average_order_value(sales: Sales, read_until: date | None) -> Chart:
    """Gross sales less discounts over number of orders."""
    shown = [(m, m.average_order_value) for m in sales.months if m.average_order_value is not None]
    return Chart(
        f"average-order-value-{sales.currency}",
        f"Average order value, {sales.currency}",
        "Gross sales less discounts of the month over its number of orders, rounded to the smallest unit.",
        bars(
            [
                Bar(f"{m.month:%Y-%m}", value, money(value, sales.currency), kind="bar sum")
                for m, value in shown
            ],
            title=f"Average order value by month, {sales.currency}",
            about="The same amounts are in the table.",
            chart_id=f"drawn-average-order-value-{sales.currency}",
        ),
        ("Month", "Gross sales less discounts", "Orders", "Average order value"),
        tuple(
            (
                month_label(m.month, read_until),
                money(m.gross_sales - m.discounts, sales.currency),
                f"{m.orders:,}",
                money(value, sales.currency),
            )
            for m, value in shown
        ),
    )


def top_products(sales: Sales) -> Chart:
    """The products with the highest net sales."""
    best = sales.products
    return Chart(
        f"top-products-{sales.currency}",
        f"Top products, {sales.currency}",
        "By net sales over the months shown, discounts and returns off, no tax. Refunds that name no goods are in"
        " no product.",
        lying(
            [Bar(p.name, p.net_sales, money(p.net_sales, sales.currency)) for p in best],
            title=f"Top products, {sales.currency}",
            about="The same amounts are in the table.",
            chart_id=f"drawn-top-products-{sales.currency}",
        ),
        ("Product", "Units kept", "Net sales"),
        tuple((p.name, f"{p.quantity.normalize():f}", money(p.net_sales, sales.currency)) for p in best),
    )


def customers(months: Sequence[Customers], read_until: date | None) -> Chart:
    """New and returning customers by month."""
    return Chart(
        "customers",
        "New and returning customers",
        "New: the first order ever falls in the month. Returning: had ordered in an earlier month. Guests cannot be"
        " told apart and are not counted; their orders are in the table.",
        groups(
            [
                [
                    Bar(f"{m.month:%Y-%m}", Decimal(m.new), f"{m.new:,}", kind="bar sum"),
                    Bar(f"{m.month:%Y-%m}", Decimal(m.returning), f"{m.returning:,}"),
                ]
                for m in months
            ],
            title="New and returning customers by month",
            about="The same numbers are in the table.",
            chart_id="drawn-customers",
            names=(("bar sum", "New"), ("bar", "Returning")),
        ),
        ("Month", "New", "Returning", "Orders by guests"),
        tuple(
            (month_label(m.month, read_until), f"{m.new:,}", f"{m.returning:,}", f"{m.guest_orders:,}")
            for m in months
        ),
    )


def _change(before: Decimal, now: Decimal) -> str:
    """In whole tenths of a percent, cut; nothing where there was nothing."""
    if before <= 0:
        return ""
    tenths = int((now - before) * 1000 / before)
    return f"{'+' if tenths > 0 else '-' if tenths < 0 else ''}{abs(tenths) // 10}.{abs(tenths) % 10} %"
