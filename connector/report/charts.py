"""The charts of a report as plotly figures, each with the same figures as a table for people and programs.

A chart has one currency. Bars carry their exact amounts as text; what plotly draws with is a float, which moves a
bar by less than a pixel and is shown nowhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from connector.report.figures import Comparison, Customers, Figures, Freshness, OpenIssues, Sales
from schemas.money import money

INK, GREEN, RED, GREY, BLUE, AMBER = "#1f2933", "#2f7d4f", "#c0392b", "#9aa5b1", "#2b6cb0", "#b7791f"
_SEVERITY = {"error": RED, "warning": AMBER, "info": GREY}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Chart:
    """id: unique on the page. note: what the figures mean. header and rows: the same figures as text."""

    id: str
    title: str
    note: str
    figure: go.Figure
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def charts(figures: Figures, *, at: datetime) -> list[Chart]:
    """Every chart of a report, in reading order. at: aware UTC, what freshness is measured against."""
    made: list[Chart] = []
    for sales in figures.sales:
        made += [net_sales(sales), returns(sales), average_order_value(sales), top_products(sales)]
    if figures.customers:
        made.append(customers(figures.customers))
    made.append(freshness(figures.freshness, at))
    made.append(open_issues(figures.issues))
    made += [
        reconciliation([one for one in figures.comparisons if one.currency == currency])
        for currency in dict.fromkeys(one.currency for one in figures.comparisons)
    ]
    return made


def net_sales(sales: Sales) -> Chart:
    """Gross, net and total sales by the month in which each thing happened."""
    months = [f"{m.month:%Y-%m}" for m in sales.months]
    figure = _figure(f"{sales.currency}")
    figure.add_bar(
        name="Net sales", x=months, y=[float(m.net_sales) for m in sales.months], marker_color=GREEN,
        text=[money(m.net_sales, sales.currency) for m in sales.months],
    )  # fmt: skip
    figure.add_scatter(
        name="Gross sales", x=months, y=[float(m.gross_sales) for m in sales.months], mode="lines+markers",
        line_color=INK, text=[money(m.gross_sales, sales.currency) for m in sales.months],
    )  # fmt: skip
    return _chart(
        f"net-sales-{sales.currency}",
        f"Net sales, {sales.currency}",
        "Goods at list price, less discounts, less returns in the month of the refund: no tax, no service charge, no"
        " tip. Total sales are net sales, service charges and tax.",
        figure,
        (
            "Month",
            "Orders",
            "Gross sales",
            "Discounts",
            "Returns",
            "Net sales",
            "Service charges",
            "Tax",
            "Total sales",
            "Tips",
        ),
        (
            (
                f"{m.month:%Y-%m}",
                str(m.orders),
                *_all(
                    sales.currency,
                    m.gross_sales,
                    m.discounts,
                    m.returns,
                    m.net_sales,
                    m.service_charges,
                    m.tax,
                    m.total_sales,
                    m.tips,
                ),
            )
            for m in sales.months
        ),
    )


def returns(sales: Sales) -> Chart:
    """Returns by month of the refund and by month of the order, beside the money given back."""
    months = [f"{m.month:%Y-%m}" for m in sales.months]
    figure = _figure(sales.currency)
    figure.add_bar(
        name="By month of the refund", x=months, y=[float(m.returns) for m in sales.months], marker_color=RED,
        text=[money(m.returns, sales.currency) for m in sales.months],
    )  # fmt: skip
    figure.add_bar(
        name="By month of the order", x=months, y=[float(m.returns_by_order_date) for m in sales.months],
        marker_color=GREY, text=[money(m.returns_by_order_date, sales.currency) for m in sales.months],
    )  # fmt: skip
    return _chart(
        f"returns-{sales.currency}",
        f"Returns, {sales.currency}",
        "What the goods that came back were sold for, without tax. By month of the refund they lower that month's net"
        " sales; by month of the order they say how good the sales of that month were. Money given back holds tax,"
        " service charges and tips too.",
        figure,
        ("Month", "By month of the refund", "By month of the order", "Money given back"),
        (
            (f"{m.month:%Y-%m}", *_all(sales.currency, m.returns, m.returns_by_order_date, m.refunded))
            for m in sales.months
        ),
    )


def average_order_value(sales: Sales) -> Chart:
    """Gross sales less discounts over number of orders."""
    shown = [(m, m.average_order_value) for m in sales.months if m.average_order_value is not None]
    figure = _figure(sales.currency)
    figure.add_scatter(
        name="Average order value", x=[f"{m.month:%Y-%m}" for m, _ in shown], y=[float(value) for _, value in shown],
        mode="lines+markers+text", line_color=BLUE, textposition="top center",
        text=[money(value, sales.currency) for _, value in shown],
    )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    return _chart(
        f"average-order-value-{sales.currency}",
        f"Average order value, {sales.currency}",
        "Gross sales less discounts of the month over its number of orders, rounded to the smallest unit.",
        figure,
        ("Month", "Gross sales less discounts", "Orders", "Average order value"),
        (
            (
                f"{m.month:%Y-%m}",
                money(m.gross_sales - m.discounts, sales.currency),
                str(m.orders),
                money(value, sales.currency),
            )
            for m, value in shown
        ),
    )


def top_products(sales: Sales) -> Chart:
    """The products with the highest net sales."""
    best = sales.products
    figure = _lying(sales.currency, len(best))
    # Names may repeat, and plotly reads < as markup: places are drawn, names are labels.
    figure.add_bar(
        name="Net sales", orientation="h", x=[float(p.net_sales) for p in best], y=list(range(len(best))),
        marker_color=GREEN, text=[money(p.net_sales, sales.currency) for p in best],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(best))), ticktext=[_label(p.name) for p in best],
    )  # fmt: skip
    return _chart(
        f"top-products-{sales.currency}",
        f"Top products, {sales.currency}",
        "By net sales over the months shown, discounts and returns off, no tax. Refunds that name no goods are in"
        " no product.",
        figure,
        ("Product", "Units kept", "Net sales"),
        ((p.name, f"{p.quantity.normalize():f}", money(p.net_sales, sales.currency)) for p in best),
    )


def customers(months: Sequence[Customers]) -> Chart:
    """New and returning customers by month."""
    names = [f"{m.month:%Y-%m}" for m in months]
    figure = _figure("customers")
    figure.add_bar(
        name="New", x=names, y=[m.new for m in months], marker_color=BLUE, text=[str(m.new) for m in months]
    )
    figure.add_bar(
        name="Returning", x=names, y=[m.returning for m in months], marker_color=GREEN,
        text=[str(m.returning) for m in months],
    )  # fmt: skip
    figure.update_layout(barmode="stack")
    return _chart(
        "customers",
        "New and returning customers",
        "New: the first order ever falls in the month. Returning: had ordered in an earlier month. Guests cannot be"
        " told apart and are not counted; their orders are in the table.",
        figure,
        ("Month", "New", "Returning", "Orders by guests"),
        ((f"{m.month:%Y-%m}", str(m.new), str(m.returning), str(m.guest_orders)) for m in months),
    )


def freshness(merchants: Sequence[Freshness], at: datetime) -> Chart:
    """Hours since each merchant was last read."""
    figure = _lying("hours since it was last read", len(merchants))
    hours = [_hours(one.last_success, at) for one in merchants]
    figure.add_bar(
        name="Hours", orientation="h", x=[float(value or 0) for value in hours], y=list(range(len(merchants))),
        marker_color=GREY, text=["never" if value is None else f"{value} h" for value in hours],
    )  # fmt: skip
    # Room for the label of a bar without length, and a day as the least that is shown.
    figure.update_xaxes(range=[0, max(24, max((value or 0 for value in hours), default=0) * 1.2)])
    figure.update_traces(textposition="outside", cliponaxis=False)
    figure.update_yaxes(
        tickvals=list(range(len(merchants))), ticktext=[_label(one.merchant) for one in merchants]
    )
    return _chart(
        "freshness",
        "Data freshness",
        f"Measured when this page was made, {_utc(at)}.",
        figure,
        ("Merchant", "Connection", "Last read", "Newest sale", "Hours since"),
        (
            (
                one.merchant,
                one.status,
                _utc(one.last_success),
                _utc(one.newest_sale),
                "never" if value is None else str(value),
            )
            for one, value in zip(merchants, hours, strict=True)
        ),
    )


def open_issues(issues: Sequence[OpenIssues]) -> Chart:
    """What does not add up, by kind."""
    figure = _lying("orders", len(issues))
    figure.add_bar(
        name="Orders", orientation="h", x=[one.orders for one in issues], y=list(range(len(issues))),
        marker_color=[_SEVERITY.get(one.severity, GREY) for one in issues], text=[str(one.orders) for one in issues],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(issues))),
        ticktext=[f"{one.code} ({one.severity})" for one in issues],
    )  # fmt: skip
    figure.update_xaxes(tickformat=",d")
    if not issues:
        figure.add_annotation(text="Nothing is open.", showarrow=False, font_size=16)
        figure.update_yaxes(visible=False).update_xaxes(visible=False)
    return _chart(
        "open-issues",
        "Open data issues",
        "Orders that do not add up as they should. None is left out of the figures because of it. info: something had"
        " to be estimated; warning: the source contradicts itself; error: kept back.",
        figure,
        ("Severity", "Rule", "Orders", "For example"),
        ((one.severity, one.code, str(one.orders), one.detail) for one in issues),
    )


def reconciliation(comparisons: Sequence[Comparison]) -> Chart:
    """Clover's own amounts beside the stored ones, one currency."""
    currency = comparisons[0].currency
    streams = [one.stream for one in comparisons]
    figure = _figure(currency)
    figure.add_bar(
        name="Clover", x=streams, y=[float(one.clover_amount) for one in comparisons], marker_color=GREY,
        text=[money(one.clover_amount, currency) for one in comparisons],
    )  # fmt: skip
    figure.add_bar(
        name="Stored", x=streams, y=[float(one.stored_amount) for one in comparisons], marker_color=GREEN,
        text=[money(one.stored_amount, currency) for one in comparisons],
    )  # fmt: skip
    figure.update_xaxes(type="category", tickformat=None)
    return _chart(
        f"reconciliation-{currency}",
        f"Reconciliation with Clover, {currency}",
        f"Clover's lists read again on {_utc(max(one.reconciled_at for one in comparisons))} and compared record by"
        " record. Unexplained must be 0.",
        figure,
        ("Stream", "Clover records", "Stored records", "Clover amount", "Stored amount", "Explained", "Unexplained"),
        (
            (
                one.stream, f"{one.clover_count}", f"{one.stored_count}",
                *_all(currency, one.clover_amount, one.stored_amount, one.explained, one.unexplained),
            )
            for one in comparisons
        ),
    )  # fmt: skip


def _chart(
    chart_id: str,
    title: str,
    note: str,
    figure: go.Figure,
    header: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
) -> Chart:
    return Chart(chart_id, title, note, figure, header, tuple(rows))


def _lying(unit: str, places: int) -> go.Figure:
    """For bars that lie: the amounts run to the right, from 0, and each bar has a line of its own."""
    figure = _figure(unit, height=120 + 32 * max(1, places))
    figure.update_yaxes(title=None, type="linear", autorange="reversed", tickformat=None, showgrid=False)
    figure.update_xaxes(title={"text": unit}, type="linear", tickformat=",", rangemode="tozero")
    return figure


def _figure(unit: str, *, height: int = 340) -> go.Figure:
    layout: dict[str, Any] = {
        "template": "none",
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 10, "b": 40},
        "font": {"family": _FONT, "size": 13, "color": INK},
        "legend": {"orientation": "h", "y": 1.12, "x": 0},
        "xaxis": {"type": "category", "automargin": True, "gridcolor": "#e4e7eb"},
        "yaxis": {"title": {"text": unit}, "automargin": True, "gridcolor": "#e4e7eb", "tickformat": ","},
        "bargap": 0.25,
        "hoverlabel": {"namelength": -1},
    }
    return go.Figure(layout=layout)


def _all(currency: str, *amounts: Decimal) -> tuple[str, ...]:
    return tuple(money(amount, currency) for amount in amounts)


def _label(name: str) -> str:
    short = name if len(name) <= 40 else f"{name[:39]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;")


def _hours(moment: datetime | None, at: datetime) -> int | None:
    return None if moment is None else max(0, int((at - moment.replace(tzinfo=UTC)).total_seconds() // 3600))


def _utc(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
