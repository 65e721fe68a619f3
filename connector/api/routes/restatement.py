"""Figures as they were told once and as they are told now: what changed of each month, why, and by which orders."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.openapi import documented
from connector.api.answer.paging import Linked, envelope, parameters
from connector.api.answer.params import CompanyId, ConnectionId, Epoch, Paging
from connector.api.reading import reading
from connector.api.routes.history import CONNECTION
from connector.api.state import Reads
from connector.ledger.restatement import RestatedFigure, RestatedOrder, restated_figures, restated_orders
from schemas.wire import encode_present

router = APIRouter(tags=["Beyond Codat"])
# The names of the figures on the wire, by their names in the sales views.
NAMES = {
    "orders": "orders", "gross_sales": "grossSales", "discounts": "discounts", "returns": "returns",
    "net_sales": "netSales", "service_charges": "serviceCharges", "tax": "tax", "total_sales": "totalSales",
    "tips": "tips", "overpayments": "overpayments", "gift_cards_sold": "giftCardsSold",
    "amount_collected": "amountCollected", "receivable": "receivable",
}  # fmt: skip
Told = Annotated[
    str,
    Query(
        alias="told",
        description="When the figures were told: a snapshot id, or a time (UTC without zone).",
        examples=["2026-03-31T12:00:00Z"],
    ),
]
Now = Annotated[
    str | None,
    Query(
        alias="now",
        description="What they are compared with: a snapshot id or a time; the newest state if left out.",
        examples=["2026-11-20T04:00:00Z"],
    ),
]
_EXAMPLE = examples.page_of(
    {
        "month": "2026-02",
        "currency": "USD",
        "id": "5K2XJ9T0ABCDE",
        "why": "changed",
        "differences": {"returns": 27, "netSales": -27, "totalSales": -27, "amountCollected": -27},
    },
    f"{CONNECTION}/restatement",
) | {
    "toldSnapshot": 41,
    "nowSnapshot": 42,
    "epoch": "0b8f6f7e-0c7b-4b1e-9d59-6a1f6a4f7c11",
    "months": [
        {
            "month": "2026-02",
            "currency": "USD",
            "figures": {
                "netSales": {
                    "was": 1000, "is": 973, "difference": -27, "new": 0, "changed": -27, "deleted": 0, "orders": 1,
                }
            },
        }
    ],
}  # fmt: skip


@router.get(
    f"{CONNECTION}/restatement",
    summary="Figures as told, and now",
    description=(
        "For every month, currency and figure that some order changed since the figures were told: what it was, what it"
        " is, the difference, and what of it is of orders that are new (learned since, also late), changed and"
        " deleted. `results` are those orders, paged, each with what it added to the difference of each figure: their"
        " sum is the difference, to the minor unit. Figures are those of the sales views, each thing on the"
        " merchant's day it happened, in the time zone as it is set now."
    ),
    operation_id="get-restatement",
    **documented(_EXAMPLE, 400, 409, 410),
)
def get_restatement(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    told: Told,
    asked: Paging,
    now: Now = None,
    epoch: Epoch = None,
) -> Response:
    """``months`` are of the whole on every page; the links name the snapshots, so that pages fit together."""
    with reading(call, company_id, connection_id, now) as here:
        here.refuse_other_epoch(epoch)
        first = here.snapshot_of(told)
        span = {"told": first, "now": here.snapshot}
        figures = restated_figures(here.publication.cursor, company_id, connection_id, **span)
        orders = restated_orders(here.publication.cursor, company_id, connection_id, **span)
        more = {
            "toldSnapshot": first,
            "nowSnapshot": here.snapshot,
            "epoch": here.epoch,
            "months": _months(figures),
        }
    shown = orders[asked.offset : asked.offset + asked.size]
    call.rows = len(shown)
    text = ",".join(encode_present(_order(order)).decode() for order in shown)
    given = [(name, value) for name, value in parameters(request) if name not in ("told", "now")]
    linked = [*given, ("told", str(first)), ("now", str(span["now"]))]
    return json_answer(request, envelope(text, Linked.by(request, asked, linked), len(orders), more))


def _months(figures: list[RestatedFigure]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in figures:
        key = (f"{one.month:%Y-%m}", one.currency)
        month = found.setdefault(key, {"month": key[0], "currency": key[1], "figures": {}})
        month["figures"][NAMES[one.figure]] = {
            "was": one.was,
            "is": one.became,
            "difference": one.difference,
            "new": one.new,
            "changed": one.changed,
            "deleted": one.deleted,
            "orders": one.orders,
        }
    return list(found.values())


def _order(order: RestatedOrder) -> dict[str, Any]:
    return {
        "month": f"{order.month:%Y-%m}",
        "currency": order.currency,
        "id": order.order_id,
        "why": order.why,
        "differences": {
            name: order.differences[key] for key, name in NAMES.items() if key in order.differences
        },
    }
