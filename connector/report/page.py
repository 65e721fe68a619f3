"""One HTML page a company: charts, the same figures as tables, and nothing that needs a network or a script.

The page's own rule (Content-Security-Policy) forbids it to load, send or run anything. For programs the figures stand
in ``<script id="figures">`` as JSON, money as text.
"""

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from markupsafe import Markup

from connector.report import quality_charts, sales_charts
from connector.report.chart import Chart
from connector.report.drawing import CHART_STYLE
from connector.report.figures import Figures, Sales
from connector.report.templating import templates_of
from schemas.money import money

_STYLE = CHART_STYLE.with_name("report.css")


def page(figures: Figures, *, at: datetime) -> str:
    """The whole page. at: aware UTC, when it is made."""
    text: str = _template().render(
        figures=figures,
        charts=_charts(figures, at=at),
        tiles=list(_tiles(figures)),
        at=at,
        style=Markup(_style()),  # noqa: S704 - our own files
        embedded=_json(as_json(figures)),
    )
    return text


@cache
def _template() -> Any:
    made = templates_of("connector.report")
    made.filters["when"] = _time
    return made.get_template("report.html")


@cache
def _style() -> str:
    return CHART_STYLE.read_text("utf-8") + _STYLE.read_text("utf-8")


def _tiles(figures: Figures) -> list[tuple[str, str]]:
    """(value, what it is)."""
    found = [
        (f"{money(_total(sales), sales.currency)} {sales.currency}", f"net sales, {_span(sales)}")
        for sales in figures.sales
    ]
    quality = figures.quality
    share = quality.get("reconciled_share")
    if share is not None:
        # Whole hundredths, cut: 99.99 % must not read as 100 %.
        hundredths = int(share * 10000)
        found.append(
            (
                f"{hundredths // 100}.{hundredths % 100:02d} %",
                "of orders are paid to the cent and without open warnings",
            )
        )
    found.append((f"{quality.get('open_issues', 0):,}", "open data issues"))
    records = sum(one.records for one in figures.held)
    found.append((f"{records:,}", "record held back" if records == 1 else "records held back"))
    return found


def _total(sales: Sales) -> Decimal:
    return sum((month.net_sales for month in sales.months), Decimal(0))


def _span(sales: Sales) -> str:
    first, last = sales.months[0].month, sales.months[-1].month
    return f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} to {last:%Y-%m}"


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures for programs: money as exact text, dates as ISO text, nothing as null."""
    plain: dict[str, Any] = _plain(asdict(figures))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else f"{value:f}"


def _json(value: Any) -> Markup:
    # A name may hold </script> or <!--; in JSON < is as good.
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _charts(figures: Figures, *, at: datetime) -> list[Chart]:
    """Every chart of a report, in reading order. at: aware UTC, what freshness is measured against."""
    made: list[Chart] = []
    for sales in figures.sales:
        made += [
            sales_charts.bridge(sales),
            sales_charts.net_sales(sales, figures.read_until),
            sales_charts.returns(sales, figures.read_until),
            sales_charts.average_order_value(sales, figures.read_until),
            sales_charts.top_products(sales),
        ]
    if figures.customers:
        made.append(sales_charts.customers(figures.customers, figures.read_until))
    made += [
        quality_charts.freshness(figures.freshness, at),
        quality_charts.held_back(figures.held),
        quality_charts.open_issues(figures.issues),
    ]
    made += [
        quality_charts.reconciliation([one for one in figures.comparisons if one.currency == currency])
        for currency in dict.fromkeys(one.currency for one in figures.comparisons)
    ]
    if figures.restatement is not None:
        made += [
            quality_charts.restated(figures.restatement),
            quality_charts.restated_orders(figures.restatement),
        ]
    return made
