"""Charts of how far the figures can be relied on: freshness, what is held back, open issues, reconciliations, what was
restated."""

from collections.abc import Sequence
from datetime import UTC, datetime

from connector.report.chart import Chart, amounts_text, total_cells
from connector.report.drawing import Bar, groups
from connector.report.figures import (
    Comparison,
    Freshness,
    HeldBack,
    OpenIssues,
    Restatement,
)
from connector.report.words import HELD_BACK, ISSUES
from schemas.money import money


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
            (HELD_BACK.get(one.reason, one.reason), one.reason, f"{one.records:,}", amounts_text(one.amounts))
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
                amounts_text(one.amounts),
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
                *total_cells(currency, one.clover_amount, one.stored_amount, one.explained, one.unexplained),
            )
            for one in comparisons
        ),
    )  # fmt: skip


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
