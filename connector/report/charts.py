"""The charts of a report, each with the same figures as a table for people and programs.

A chart has one currency. Partial months say so; totals stand at the foot of what can be added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from markupsafe import Markup

from connector.report.drawing import Bar, bars, groups, lying
from connector.report.figures import (
    Comparison,
    Customers,
    Figures,
    Freshness,
    HeldBack,
    Month,
    OpenIssues,
    Restatement,
    Sales,
)
from connector.report.sales import AMOUNTS
from connector.report.words import HELD_BACK, ISSUES
from schemas.money import money

SO_FAR = " so far"
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


@dataclass(frozen=True, slots=True)
class Chart:
    """id: unique on the page. note: what the figures mean. drawing: None where there is nothing to draw.

    header, rows and foot: the same figures as text; foot is empty where adding them up would mean nothing. words: how
    many columns from the left are words.
    """

    id: str
    title: str
    note: str
    drawing: Markup | None
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[str, ...] = ()
    words: int = 1


def charts(figures: Figures, *, at: datetime) -> list[Chart]:
    """Every chart of a report, in reading order. at: aware UTC, what freshness is measured against."""
    made: list[Chart] = []
    for sales in figures.sales:
        made += [
            bridge(sales),
            net_sales(sales, figures.read_until),
            returns(sales, figures.read_until),
            average_order_value(sales, figures.read_until),
            top_products(sales),
        ]
    if figures.customers:
        made.append(customers(figures.customers, figures.read_until))
    made += [freshness(figures.freshness, at), held_back(figures.held), open_issues(figures.issues)]
    made += [
        reconciliation([one for one in figures.comparisons if one.currency == currency])
        for currency in dict.fromkeys(one.currency for one in figures.comparisons)
    ]
    if figures.restatement is not None:
        made += [restated(figures.restatement), restated_orders(figures.restatement)]
    return made


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
            _label(m.month, read_until),
            f"{m.orders:,}",
            *_all(currency, *(getattr(m, name) for name in AMOUNTS)),
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
                        kind="bar part" if _is_partial(m.month, read_until) else "bar",
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
            *_all(
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
            (_label(m.month, read_until), *_all(currency, *(getattr(m, name) for name in columns)))
            for m in sales.months
        ),
        (
            "Together",
            *_all(currency, *(sum((getattr(m, name) for m in sales.months), Decimal(0)) for name in columns)),
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
                _label(m.month, read_until),
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
            (_label(m.month, read_until), f"{m.new:,}", f"{m.returning:,}", f"{m.guest_orders:,}")
            for m in months
        ),
    )


def freshness(merchants: Sequence[Freshness], at: datetime) -> Chart:
    """Hours since each merchant was last read."""
    hours = [_hours(one.last_success, at) for one in merchants]
    return Chart(
        "freshness",
        "Data freshness",
        f"Measured when this page was made, {_utc(at)}.",
        None,
        ("Merchant", "Connection", "Last read", "Newest sale", "Hours since"),
        tuple(
            (
                one.merchant,
                one.status,
                _utc(one.last_success),
                _utc(one.newest_sale),
                "never" if value is None else f"{value:,}",
            )
            for one, value in zip(merchants, hours, strict=True)
        ),
        words=2,
    )


def held_back(reasons: Sequence[HeldBack]) -> Chart:
    """What is kept raw and not published, and the money in it."""
    return Chart(
        "held-back",
        "Held back",
        "Records that are kept as they came and are in no figure. Money: what Clover says they moved.",
        None,
        ("Reason", "Code", "Records", "Money"),
        tuple(
            (HELD_BACK.get(one.reason, one.reason), one.reason, f"{one.records:,}", _amounts(one.amounts))
            for one in reasons
        ),
        words=2,
    )


def open_issues(issues: Sequence[OpenIssues]) -> Chart:
    """What does not add up, by kind."""
    return Chart(
        "open-issues",
        "Open data issues",
        "Orders that do not add up as they should. None is left out of the figures because of it. info: something had"
        " to be estimated; warning: the source contradicts itself; error: kept back. Difference: what was found, added"
        " up without its sign.",
        None,
        ("Severity", "What it is", "Code", "Orders", "Difference", "For example"),
        tuple(
            (
                one.severity,
                ISSUES.get(one.code, one.code),
                one.code,
                f"{one.orders:,}",
                _amounts(one.amounts),
                one.detail,
            )
            for one in issues
        ),
        words=3,
    )


def reconciliation(comparisons: Sequence[Comparison]) -> Chart:
    """Clover's own amounts beside the stored ones, one currency."""
    currency = comparisons[0].currency
    return Chart(
        f"reconciliation-{currency}",
        f"Reconciliation with Clover, {currency}",
        f"Clover's lists read again on {_utc(max(one.reconciled_at for one in comparisons))} and compared record by"
        " record. Unexplained must be 0.",
        groups(
            [
                [
                    Bar(one.stream, one.clover_amount, money(one.clover_amount, currency), kind="bar second"),
                    Bar(one.stream, one.stored_amount, money(one.stored_amount, currency)),
                ]
                for one in comparisons
            ],
            title=f"Clover's amounts and the stored ones, {currency}",
            about="The same amounts are in the table.",
            chart_id=f"drawn-reconciliation-{currency}",
            names=(("bar second", "Clover"), ("bar", "Stored")),
        ),
        ("Stream", "Clover records", "Stored records", "Clover amount", "Stored amount", "Explained", "Unexplained"),
        tuple(
            (
                one.stream, f"{one.clover_count}", f"{one.stored_count}",
                *_all(currency, one.clover_amount, one.stored_amount, one.explained, one.unexplained),
            )
            for one in comparisons
        ),
    )  # fmt: skip


def _is_partial(month: date, read_until: date | None) -> bool:
    return read_until is None or (month.year, month.month) >= (read_until.year, read_until.month)


def _label(month: date, read_until: date | None) -> str:
    return f"{month:%Y-%m}{SO_FAR if _is_partial(month, read_until) else ''}"


def _change(before: Decimal, now: Decimal) -> str:
    """In whole tenths of a percent, cut; nothing where there was nothing."""
    if before <= 0:
        return ""
    tenths = int((now - before) * 1000 / before)
    return f"{'+' if tenths > 0 else '-' if tenths < 0 else ''}{abs(tenths) // 10}.{abs(tenths) % 10} %"


def _all(currency: str, *amounts: Decimal) -> tuple[str, ...]:
    return tuple(money(amount, currency) for amount in amounts)


def _amounts(by_currency: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{money(amount, currency)} {currency}" for currency, amount in by_currency.items())


def _hours(moment: datetime | None, at: datetime) -> int | None:
    return None if moment is None else max(0, int((at - moment.replace(tzinfo=UTC)).total_seconds() // 3600))


def _utc(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def restated(told: Restatement) -> Chart:
    """Every figure of a month that changed since it was told."""
    since = "nothing was loaded" if told.loaded_at is None else f"{told.loaded_at:%Y-%m-%d %H:%M} UTC"
    return Chart(
        "restated",
        "As told, and now",
        f"Figures that changed since snapshot {told.snapshot_id} ({since}), each thing in the month it happened; and"
        " what of the difference is of orders learned since (new), changed and deleted.",
        None,
        (
            "month",
            "currency",
            "figure",
            "as told",
            "now",
            "difference",
            "new",
            "changed",
            "deleted",
            "orders",
        ),
        tuple(
            (
                f"{one.month:%Y-%m}",
                one.currency,
                one.figure.replace("_", " "),
                *(
                    f"{amount:,.0f}" if one.figure == "orders" else money(amount, one.currency)
                    for amount in (one.was, one.became, one.difference, one.new, one.changed, one.deleted)
                ),
                f"{one.orders:,}",
            )
            for one in told.figures
        ),
        words=3,
    )


def restated_orders(told: Restatement) -> Chart:
    """The orders that explain those differences."""
    return Chart(
        "restated-orders",
        "The orders behind the differences",
        "What each added to the total sales and to the money collected of a month.",
        None,
        ("month", "currency", "order", "why", "total sales", "amount collected"),
        tuple(
            (
                f"{one.month:%Y-%m}",
                one.currency,
                one.order_id,
                one.why,
                money(one.total_sales, one.currency),
                money(one.amount_collected, one.currency),
            )
            for one in told.orders
        ),
        words=4,
    )
