"""Commerce metrics for lenders, in the structure of Codat's assess reports, at Codat's path.

Formulas over the orders whose ``createdDate`` (UTC) is in the period:

revenue             sum of line quantity x unitPrice; refund lines subtract; no tax, discount, shipping or tip
revenue growth      (this - previous) / previous x 100
orders              count; sum of totalAmount; value / count
refunds             orders with totalRefund below zero; sum of totalRefund; refunds / orders
customer retention  distinct customers who had (existing) and had not (new) ordered before the period;
                    their sum; existing / (existing + new of the previous period) x 100;
                    existing / total x 100
lifetime value      average order value x (orders / customers) x average days from a customer's first
                    to last order

Where Codat's published text contradicts itself or is silent, this is what is done here:
* a refund is counted by totalRefund < 0 (the text's "> 0" never holds for a field that is never positive);
* the value of refunds is negative, as the text says; the published samples show it positive;
* the refund rate is a fraction, as in the samples (39/94 = 0.41), although its unit says %;
* the first period's growth and retention compare with the period before the report, whose orders are known;
* after a period without revenue there is no growth: the measure is left out;
* a period that is not over, or that the last sync has not read to its end, says ``inProgress``: true (ours);
* guests are orders, not customers; without customers the lifetime value is 0;
* orders in other currencies than the most used one are not added; ``errors`` names them;
* ``reportInfo`` also says how current and complete the orders are that the figures are made of (ours);
* names of reports, dimensions, metrics and measures are those of the reports that Codat has published; units are ours;
* a report's answer is the bare object, period 0 is the earliest, periods share no day, values have two
  decimals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from connector.api.answer.body import json_answer
from connector.api.answer.errors import ApiError
from connector.api.answer.openapi import documented
from connector.api.answer.params import AsOf, CompanyId, ConnectionId
from connector.api.answer.periods import Unit, periods, read_report_date
from connector.api.reading import reading
from connector.api.reads.metrics import Period, Sums, currencies, sums
from connector.api.state import call_of
from schemas.wire import encode_present

router = APIRouter(
    prefix="/data/companies/{companyId}/connections/{connectionId}/assess/commerceMetrics",
    tags=["Commerce metrics"],
)
Value = Decimal | None
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a report. ``measure``: index into the report's measures. ``value``: of this period and the one
    before it.
    """

    name: str
    measure: int
    value: Callable[[Sums, Sums], Value]


@dataclass(frozen=True, slots=True)
class Report:
    """``path``: the last part of the route. ``measures``: (name, type, unit), unit None is the currency.

    ``title`` and ``about`` are Codat's own words for the report and for what its metrics are of.
    """

    path: str
    name: str
    title: str
    about: str
    measures: tuple[tuple[str, str, str | None], ...]
    metrics: tuple[Metric, ...]


def _divided(dividend: Decimal | int, divisor: Decimal | int) -> Decimal:
    return Decimal(dividend) / Decimal(divisor) if divisor else Decimal(0)


def _growth(this: Sums, before: Sums) -> Value:
    if not before.revenue:
        return None
    return (this.revenue - before.revenue) / before.revenue * 100


def _retention(this: Sums, before: Sums) -> Value:
    return _divided(this.existing * 100, before.existing + before.new)


def _lifetime(this: Sums, _before: Sums) -> Value:
    customers = this.existing + this.new
    average_order = _divided(this.value, this.orders)
    return average_order * _divided(this.orders, customers) * _divided(this.customer_days, customers)


def _of(read: Callable[[Sums], Decimal | int]) -> Callable[[Sums, Sums], Value]:
    return lambda this, _before: Decimal(read(this))


COUNT = ("Count", "int", "count")
VALUE = ("Value", "currency", None)
PERCENTAGE = ("Percentage", "percentage", "%")
REPORTS = (
    Report(
        "revenue",
        "revenue",
        "Revenue",
        "Revenue metrics",
        (VALUE, ("Percentage change vs. previous period", "percentage", "%")),
        (
            Metric("Revenue", 0, _of(lambda s: s.revenue)),
            Metric("Revenue growth", 1, _growth),
        ),
    ),
    Report(
        "orders",
        "orders",
        "Orders",
        "Order metrics",
        (COUNT, VALUE),
        (
            Metric("Number of orders", 0, _of(lambda s: s.orders)),
            Metric("Total value", 1, _of(lambda s: s.value)),
            Metric("Average order value", 1, _of(lambda s: _divided(s.value, s.orders))),
        ),
    ),
    Report(
        "refunds",
        "refunds",
        "Refunds",
        "Refund metrics",
        (COUNT, VALUE, PERCENTAGE),
        (
            Metric("Number of refunds", 0, _of(lambda s: s.refunds)),
            Metric("Value of refunds", 1, _of(lambda s: s.refunded)),
            Metric("Refund rate", 2, _of(lambda s: _divided(s.refunds, s.orders))),
        ),
    ),
    Report(
        "customerRetention",
        "customer_retention",
        "Customer Retention",
        "Customer retention metrics",
        (COUNT, PERCENTAGE),
        (
            Metric("Existing customers", 0, _of(lambda s: s.existing)),
            Metric("New customers", 0, _of(lambda s: s.new)),
            Metric("Total customers", 0, _of(lambda s: s.existing + s.new)),
            Metric("Retention rate", 1, _retention),
            Metric("Repeat rate", 1, _of(lambda s: _divided(s.existing * 100, s.existing + s.new))),
        ),
    ),
    Report(
        "lifetimeValue",
        "lifetime_value",
        "Lifetime Value",
        "Lifetime value metrics",
        (VALUE,),
        (Metric("Lifetime value", 0, _lifetime),),
    ),
)


def present(
    report: Report,
    spans: Sequence[Period],
    figures: Sequence[Sums],
    currency: str,
    *,
    names: bool,
    known_until: datetime,
) -> dict[str, Any]:
    """The report. ``figures`` begin one period before ``spans``: what the first one is compared with.

    known_until: UTC without zone; a period that ends later is in progress.
    """
    open_periods = {
        index for index, span in enumerate(spans) if datetime.combine(span.end, time.max) >= known_until
    }

    def mark(index: int) -> dict[str, bool]:
        return {"inProgress": True} if index in open_periods else {}

    def named(**members: str) -> dict[str, str]:
        return members if names else {}

    data = []
    for index in range(len(spans)):
        before, this = figures[index], figures[index + 1]
        components = []
        for item, metric in enumerate(report.metrics):
            value = metric.value(this, before)
            label, _, _ = report.measures[metric.measure]
            measure = None
            if value is not None:
                rounded = value.quantize(_CENT, rounding=ROUND_HALF_UP)
                measure = {"index": metric.measure, **named(measureDisplayName=label), "value": rounded}
            components.append(
                {
                    "dimension": 1,
                    **named(dimensionDisplayName=report.about),
                    "item": item,
                    **named(itemDisplayName=metric.name),
                    "measures": [] if measure is None else [measure],
                }
            )
        data.append(
            {
                "dimension": 0,
                **named(dimensionDisplayName="Period"),
                "item": index,
                **named(itemDisplayName=f"Period {index}"),
                **mark(index),
                "components": components,
            }
        )
    return {
        "reportInfo": {"name": report.name, "displayName": report.title},
        "dimensions": [
            {
                "index": 0,
                "displayName": "Period",
                "type": "datespan",
                "items": [
                    {
                        "index": i,
                        "displayName": f"Period {i}",
                        "start": span.start.isoformat(),
                        "end": span.end.isoformat(),
                        **mark(i),
                    }
                    for i, span in enumerate(spans)
                ],
            },
            {
                "index": 1,
                "displayName": report.about,
                "type": "string",
                "items": [{"index": i, "value": m.name} for i, m in enumerate(report.metrics)],
            },
        ],
        "measures": [
            {"index": i, "displayName": name, "type": kind, "units": unit or currency}
            for i, (name, kind, unit) in enumerate(report.measures)
        ],
        "reportData": data,
        "errors": [],
    }


def _route(report: Report) -> Callable[..., Response]:
    def get_metrics(
        request: Request,
        company_id: CompanyId,
        connection_id: ConnectionId,
        report_date: Annotated[
            str,
            Query(
                alias="reportDate",
                description=(
                    "`dd-mm-yyyy` or `yyyy-mm-dd`, also with a time (UTC). The last period ends with the month it"
                    " falls in, or on the day itself for periods of days and weeks."
                ),
                examples=["29-09-2026"],
            ),
        ],
        period_length: Annotated[
            int, Query(alias="periodLength", ge=1, le=1000, description="Units a period.", examples=[1])
        ],
        number_of_periods: Annotated[
            int, Query(alias="numberOfPeriods", ge=1, le=400, description="How many periods.", examples=[12])
        ],
        period_unit: Annotated[
            Unit, Query(alias="periodUnit", description="What a period is counted in.", examples=["Month"])
        ],
        include_display_names: Annotated[
            bool,
            Query(alias="includeDisplayNames", description="Names beside the indexes in `reportData`."),
        ] = False,
        as_of: AsOf = None,
    ) -> Response:
        call = call_of(request)
        call.require("read")
        call.connection(company_id, connection_id)
        try:
            spans = periods(read_report_date(report_date), period_length, period_unit, number_of_periods + 1)
        except ValueError as exc:
            raise ApiError(400, f"Error processing request - reportDate: {exc}.", code=200) from exc
        try:
            with reading(call, company_id, connection_id, as_of) as here:
                used = currencies(here.publication, here.scope, Period(spans[0].start, spans[-1].end))
                currency = used[0] if used else here.state.currency or "XXX"
                figures = sums(here.publication, here.scope, spans, currency)
                now = call.now().replace(tzinfo=None)
                known_until = min(here.read_until or now, now)
                quality = here.quality
        except ApiError as error:
            if error.status != 409:
                raise
            # Codat's clients know no 409 here.
            raise ApiError(404, f"No data available for orders for ID {connection_id}", code=101) from error
        answer = present(
            report, spans[1:], figures, currency, names=include_display_names, known_until=known_until
        )
        if len(used) > 1:
            answer["errors"] = [
                {
                    "message": f"Only orders in {currency} are included.",
                    "type": "MultipleCurrencies",
                    "details": {"leftOut": used[1:]},
                }
            ]
        answer["reportInfo"] |= quality.words()
        return json_answer(request, encode_present(answer))

    return get_metrics


for _report in REPORTS:
    router.add_api_route(
        f"/{_report.path}",
        _route(_report),
        methods=["GET"],
        summary=_report.about,
        description="; ".join(metric.name for metric in _report.metrics)
        + " for each period, earliest first.",
        operation_id=f"get-commerce-{_report.name.replace('_', '-')}-metrics",
        **documented(
            present(
                _report,
                [Period(*(map(read_report_date, ("2026-09-01", "2026-09-30"))))],
                [Sums(80, Decimal(3000), Decimal(2900), 30, Decimal(-100), 40, 20, Decimal(300))] * 2,
                "USD",
                names=False,
                known_until=datetime(2026, 10, 2),  # noqa: DTZ001 - the store keeps UTC without a zone
            )
            | {"reportData": [{"dimension": 0, "item": 0, "components": []}]},
            400,
        ),
    )
