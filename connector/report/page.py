"""One HTML page a company: charts, the same figures as tables, and nothing that needs a network.

The page's own rule (Content-Security-Policy) forbids it to load or send anything. Charts are drawn by plotly.js,
which is part of the page. For programs the figures stand in ``<script id="figures">`` as JSON, money as text.
"""

import html
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from connector.report.charts import Chart, charts
from connector.report.figures import Figures, Restatement, Sales
from schemas.money import money

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 24px; color: #1f2933; background: #fff;
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
h1 { font-size: 28px; margin: 0; } h2 { font-size: 19px; margin: 0 0 4px; } p { margin: 4px 0; color: #52606d; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; padding: 0; list-style: none; }
.tiles li { flex: 1 1 160px; border: 1px solid #cbd2d9; border-radius: 8px; padding: 10px 14px; }
.tiles b { display: block; font-size: 21px; font-variant-numeric: tabular-nums; } .tiles span { color: #52606d; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 0 32px; }
section { min-width: 0; border-top: 1px solid #e4e7eb; padding: 20px 0; break-inside: avoid; }
.chart { min-height: 120px; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 14px 3px 0; text-align: right; border-bottom: 1px solid #e4e7eb; }
th:first-child, td:first-child, .text td { text-align: left; }
summary { cursor: pointer; color: #2b6cb0; }
footer { color: #52606d; border-top: 1px solid #e4e7eb; padding-top: 12px; }
@media print { main { display: block; } body { max-width: none; padding: 0; } details { display: none; } }
"""

_DRAW = """
(function () {
  var page = document.documentElement;
  window.addEventListener('error', function () { page.dataset.failed = 'true'; });
  var charts = JSON.parse(document.getElementById('charts').textContent);
  Promise.all(charts.map(function (chart) {
    return Plotly.newPlot(chart.id, chart.figure.data, chart.figure.layout, {responsive: true, displayModeBar: false});
  })).then(function (drawn) { page.dataset.drawn = String(drawn.length); },
           function () { page.dataset.failed = 'true'; });
})();
"""


def page(figures: Figures, *, at: datetime) -> str:
    """The whole page. at: aware UTC, when it is made."""
    made = charts(figures, at=at)
    return "\n".join(_lines(figures, made, at)) + "\n"


def _lines(figures: Figures, made: list[Chart], at: datetime) -> Iterator[str]:
    company = html.escape(figures.company)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{company}: sales report</title>"
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<header><h1>{company}</h1>"
    yield f"<p>Sales as known at snapshot {figures.snapshot_id}, loaded {_time(figures.loaded_at)}. Days and months are"
    yield f"the merchant's ({html.escape(', '.join(figures.timezones)) or 'UTC'}). Amounts in different currencies are"
    yield "never added.</p></header>"
    yield from _tiles(figures)
    yield "<noscript><p>The charts need JavaScript; the same figures are in the tables.</p></noscript>"
    yield "<main>"
    for chart in made:
        yield from _section(chart)
    yield "</main>"
    if figures.restatement is not None:
        yield from _restated(figures.restatement, figures.snapshot_id)
    yield f"<footer><p>Made {_time(at)} from the published file. This page loads nothing and sends nothing.</p>"
    yield "</footer>"
    yield f'<script type="application/json" id="figures">{_json(as_json(figures))}</script>'
    drawn = [{"id": f"chart-{chart.id}", "figure": chart.figure.to_plotly_json()} for chart in made]
    yield f'<script type="application/json" id="charts">{_json(drawn)}</script>'
    yield f"<script>{get_plotlyjs()}</script>"
    yield f"<script>{_DRAW}</script>"
    yield "</body></html>"


def _tiles(figures: Figures) -> Iterator[str]:
    yield '<ul class="tiles">'
    for sales in figures.sales:
        yield _tile(f"{money(_total(sales), sales.currency)} {sales.currency}", f"net sales, {_span(sales)}")
    quality = figures.quality
    share = quality.get("reconciled_share")
    if share is not None:
        # Whole hundredths, cut: 99.99 % must not read as 100 %.
        yield _tile(
            f"{int(share * 10000) / 100:.2f} %", "of orders are paid to the cent and without open warnings"
        )
    yield _tile(f"{quality.get('open_issues', 0)}", "open data issues")
    yield _tile(f"{quality.get('held_back', 0)}", "records held back")
    yield "</ul>"


def _tile(value: str, label: str) -> str:
    return f"<li><b>{html.escape(value)}</b><span>{html.escape(label)}</span></li>"


def _total(sales: Sales) -> Any:
    return sum(month.net_sales for month in sales.months)


def _span(sales: Sales) -> str:
    first, last = sales.months[0].month, sales.months[-1].month
    return f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} to {last:%Y-%m}"


def _section(chart: Chart) -> Iterator[str]:
    yield f'<section aria-labelledby="title-{chart.id}"><h2 id="title-{chart.id}">{html.escape(chart.title)}</h2>'
    yield f"<p>{html.escape(chart.note)}</p>"
    yield f'<div class="chart" id="chart-{chart.id}" role="img" aria-label="{html.escape(chart.title)}"></div>'
    yield "<details><summary>The figures</summary>"
    yield from _table(chart.id, chart.header, chart.rows)
    yield "</details></section>"


def _restated(told: Restatement, snapshot_id: int) -> Iterator[str]:
    yield '<section aria-labelledby="title-restated"><h2 id="title-restated">As told, and now</h2>'
    yield f"<p>Months whose figures changed between snapshot {told.snapshot_id}, loaded {_time(told.loaded_at)}, and"
    yield f"snapshot {snapshot_id}; of the difference, what is of orders learned since (new), changed and deleted.</p>"
    if not told.figures:
        yield "<p>Nothing changed.</p></section>"
        return
    yield from _table(
        "restated",
        ("month", "currency", "figure", "as told", "now", "difference", "new", "changed", "deleted", "orders"),
        (
            (
                f"{one.month:%Y-%m}", one.currency, one.figure.replace("_", " "),
                *(
                    f"{amount:.0f}" if one.figure == "orders" else money(amount, one.currency)
                    for amount in (one.was, one.became, one.difference, one.new, one.changed, one.deleted)
                ),
                f"{one.orders}",
            )
            for one in told.figures
        ),
    )  # fmt: skip
    yield "<details><summary>The orders</summary>"
    yield from _table(
        "restated-orders",
        ("month", "currency", "order", "why", "total sales", "amount collected"),
        (
            (
                f"{one.month:%Y-%m}", one.currency, one.order_id, one.why,
                money(one.total_sales, one.currency), money(one.amount_collected, one.currency),
            )
            for one in told.orders
        ),
    )  # fmt: skip
    yield "</details></section>"


def _table(name: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f'<div class="scroll"><table id="table-{name}"><thead><tr>'
    yield "".join(f'<th scope="col">{html.escape(text)}</th>' for text in header)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures for programs: money as exact text, dates as ISO text, nothing as null."""
    from dataclasses import asdict

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


def _json(value: Any) -> str:
    # A name may hold </script> or <!--; in JSON < is as good.
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
