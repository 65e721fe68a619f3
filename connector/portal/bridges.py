"""From list prices to money received, one table and two charts for each currency."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from markupsafe import Markup

from connector.portal.periods import Span
from connector.report.drawing import Bar, bars
from connector.report.figures import ratio
from connector.report.sales import AMOUNTS, Sold, totals
from connector.report.sales_charts import bridge_bars
from schemas.money import money

ZERO: Mapping[str, Decimal] = dict.fromkeys(AMOUNTS, Decimal(0))


@dataclass(frozen=True, slots=True)
class Row:
    """One period of one currency. average None: no order. partial: it was not over when it was read.

    now: the same period as known now, where another state is shown; None where there is nothing to compare.
    """

    label: str
    orders: int
    amounts: Mapping[str, Decimal]
    average: Decimal | None
    partial: bool
    new_customers: int | None
    returning_customers: int | None
    now: Mapping[str, Decimal] | None = None

    @property
    def restated(self) -> bool:
        """Whether a closed period is another now."""
        return self.now is not None and not self.partial and dict(self.now) != dict(self.amounts)


@dataclass(frozen=True, slots=True)
class Bridge:
    """One currency over the periods shown."""

    currency: str
    rows: Sequence[Row]
    orders: int
    totals: Mapping[str, Decimal]
    average: Decimal | None
    now: Mapping[str, Decimal] | None
    steps: Markup
    by_period: Markup


def bridges(
    span: Span, sold: Iterable[Sold], read_until: date | None, *, now: Iterable[Sold] | None = None
) -> list[Bridge]:
    """One for each currency, most orders first. A period without sales is a row of zeros: a gap must show as a gap."""
    mine: dict[str, dict[date, Sold]] = {}
    for one in sold:
        mine.setdefault(one.currency, {})[one.start] = one
    other: dict[str, dict[date, Sold]] = {}
    for one in now or ():
        other.setdefault(one.currency, {})[one.start] = one
    currencies = sorted(
        mine.keys() | other.keys(),
        key=lambda currency: (-sum(one.orders for one in mine.get(currency, {}).values()), currency),
    )
    return [
        _bridge(
            span,
            currency,
            mine.get(currency, {}),
            read_until,
            None if now is None else other.get(currency, {}),
        )
        for currency in currencies
    ]


def _bridge(
    span: Span,
    currency: str,
    sold: Mapping[date, Sold],
    read_until: date | None,
    now: Mapping[date, Sold] | None,
) -> Bridge:
    known = sorted(sold.keys() | (now or {}).keys())
    rows = []
    for start in span.starts():
        if start < known[0] or start > known[-1]:
            continue  # before the first and after the last there is no gap
        one = sold.get(start) or Sold(start, currency, 0, ZERO, None, None)
        compared = None if now is None else now[start].amounts if start in now else ZERO
        rows.append(
            Row(
                span.label(start),
                one.orders,
                one.amounts,
                _average(one.amounts, one.orders, currency),
                read_until is None or span.end(start) >= read_until,
                one.new_customers,
                one.returning_customers,
                compared,
            )
        )
    sums, orders = totals(sold.values()), sum(one.orders for one in sold.values())
    return Bridge(
        currency,
        rows,
        orders,
        sums,
        _average(sums, orders, currency),
        None if now is None else totals(now.values()),
        bars(
            bridge_bars(sums, currency),
            title=f"From gross sales to money received, {currency}",
            about=f"{span.label(span.since)} to {span.label(span.until)}. The amounts are at the foot of the table.",
            chart_id=f"bridge-{currency}",
        ),
        bars(
            [
                Bar(
                    row.label,
                    row.amounts["net_sales"],
                    money(row.amounts["net_sales"], currency),
                    kind=_kind(row),
                )
                for row in rows
            ],
            title=f"Net sales by {span.by}, {currency}",
            about="The same amounts are in the table.",
            chart_id=f"periods-{currency}",
        ),
    )


def _kind(row: Row) -> str:
    return "bar part" if row.partial else "bar restated" if row.restated else "bar"


def _average(amounts: Mapping[str, Decimal], orders: int, currency: str) -> Decimal | None:
    return ratio(amounts["gross_sales"] - amounts["discounts"], orders, currency)
