"""Charts as SVG that stands in a page: no script, no style of their own, nothing from elsewhere.

Colours come from the page's style sheet by class, so a chart is dark where the page is. What is drawn is a float and
moves a bar by less than a pixel; the exact amount is text beside it. Texts are escaped here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from markupsafe import Markup

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 12, 12, 26, 34
_MOST_LABELS = 12
CHART_STYLE = Path(__file__).parent / "static" / "charts.css"
"""Colours, light and dark, and how charts use them; part of every page that shows one."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. label: below it. text: its exact amount. start: where it begins, for a bridge. kind: a class."""

    label: str
    value: Decimal
    text: str
    start: Decimal = Decimal(0)
    kind: str = "bar"


def bars(bars_: Sequence[Bar], *, title: str, about: str, chart_id: str) -> Markup:
    """Standing bars from the zero line or from where each begins; a bar below zero hangs."""
    return groups([[bar] for bar in bars_], title=title, about=about, chart_id=chart_id)


def groups(
    groups_: Sequence[Sequence[Bar]],
    *,
    title: str,
    about: str,
    chart_id: str,
    names: Sequence[tuple[str, str]] = (),
) -> Markup:
    """Standing bars side by side, a group to a label. names: (class, what it is), said above the bars."""
    every_bar = [bar for group in groups_ for bar in group]
    ends = [value for bar in every_bar for value in (bar.start, bar.start + bar.value)]
    low, high = min([Decimal(0), *ends]), max([Decimal(0), *ends])
    span = (high - low) or Decimal(1)
    head = _TOP + (18 if names else 0)
    inside = _HEIGHT - head - _BOTTOM
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(groups_))
    every = -(-len(groups_) // _MOST_LABELS)

    def place(value: Decimal) -> float:
        return head + float((high - value) / span) * inside

    drawn = [_line(_LEFT, place(Decimal(0)), _WIDTH - _RIGHT, place(Decimal(0)), "axis")]
    for number, (kind, name) in enumerate(names):
        at = _LEFT + number * 190
        drawn.append(Markup('<rect class="{}" x="{}" y="4" width="10" height="10"/>').format(kind, at))
        drawn.append(Markup('<text class="name" x="{}" y="13">{}</text>').format(at + 16, name))
    for number, group in enumerate(groups_):
        width = step * 0.72 / max(1, len(group))
        for place_in_group, bar in enumerate(group):
            top, bottom = sorted((place(bar.start), place(bar.start + bar.value)))
            left = _LEFT + number * step + step * 0.14 + place_in_group * width
            drawn.append(_bar(bar, left, top, width, max(bottom - top, 0.5)))
            if len(every_bar) <= _MOST_LABELS:
                drawn.append(_text(left + width / 2, top - 6, bar.text, "amount"))
        if number % every == 0 and group:
            drawn.append(_text(_LEFT + (number + 0.5) * step, _HEIGHT - 12, group[0].label, "label"))
    return _svg(drawn, _WIDTH, _HEIGHT, title=title, about=about, chart_id=chart_id)


def lying(bars_: Sequence[Bar], *, title: str, about: str, chart_id: str) -> Markup:
    """Bars that lie, a line each: the label above the bar, the amount behind it. None is drawn below zero."""
    high = max([bar.value for bar in bars_], default=Decimal(0)) or Decimal(1)
    row, room = 34, 130
    drawn = []
    for number, bar in enumerate(bars_):
        top = number * row + 4
        width = max(float(max(bar.value, Decimal(0)) / high) * (_WIDTH - _LEFT - room), 1.0)
        drawn.append(
            Markup('<text class="name" x="{}" y="{}">{}</text>').format(_LEFT, top + 10, _short(bar.label))
        )
        drawn.append(_bar(bar, _LEFT, top + 14, width, 12))
        drawn.append(
            Markup('<text class="amount" x="{}" y="{}">{}</text>').format(
                _n(_LEFT + width + 6), top + 24, bar.text
            )
        )
    return _svg(drawn, _WIDTH, row * len(bars_) + 8, title=title, about=about, chart_id=chart_id)


def _bar(bar: Bar, left: float, top: float, width: float, height: float) -> Markup:
    return Markup(
        '<g><title>{}: {}</title><rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"/></g>'
    ).format(bar.label, bar.text, bar.kind, _n(left), _n(top), _n(width), _n(height))


def _short(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:89]}\N{HORIZONTAL ELLIPSIS}"


def sparkline(values: Sequence[Decimal], *, title: str) -> Markup:
    """A small line from the oldest to the newest, between the least and the most, zero in."""
    width, height = 120, 28
    low, high = min([Decimal(0), *values]), max([Decimal(0), *values])
    span = (high - low) or Decimal(1)
    step = width / max(1, len(values) - 1)
    points = " ".join(
        f"{_n(number * step)},{_n(2 + float((high - value) / span) * (height - 4))}"
        for number, value in enumerate(values)
    )
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">'
        '<polyline points="{}"/></svg>'
    ).format(width, height, title, points)


def _svg(
    drawn: Sequence[Markup], width: int, height: int, *, title: str, about: str, chart_id: str
) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{i}-title {i}-about">'
        '<title id="{i}-title">{t}</title><desc id="{i}-about">{a}</desc>{drawn}</svg>'
    ).format(w=width, h=height, i=chart_id, t=title, a=about, drawn=Markup("").join(drawn))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, _n(x1), _n(y1), _n(x2), _n(y2)
    )


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        kind, _n(x), _n(y), text
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
