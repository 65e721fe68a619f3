"""One order as an accountant would lay it out: lines, payments, charges, and each total with what it is made of."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from connector.api.answer.companies import one_company
from connector.api.answer.differences import changes, rules
from connector.api.answer.errors import no_record
from connector.api.reading import reading
from connector.api.reads import history as api_history
from connector.api.reads import records as api_reads
from connector.api.reads.history import OrderVersion, SourceRecord
from connector.api.state import call_of
from connector.portal.company import CompanyId, crumbs
from connector.portal.orders import ORDERS, AsOf, ConnectionId, Document, read_document
from connector.portal.rendering import ABSENT, company_path, link, page
from schemas.platform import DataType

router = APIRouter()
TOTALS = ("totalAmount", "totalRefund", "totalTaxAmount", "totalDiscount", "totalGratuity")
_MADE_OF: Mapping[str, frozenset[str]] = {
    "totalAmount": frozenset({"order", "charge", "refund"}),
    "totalRefund": frozenset({"refund"}),
    "totalTaxAmount": frozenset({"order", "charge", "refund"}),
    "totalDiscount": frozenset({"order"}),
    "totalGratuity": frozenset({"charge", "refund"}),
}
"""Total -> the kinds of Clover's records that it comes from."""


@router.get(f"{ORDERS}/{{orderId:path}}")
def order(
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    order_id: Annotated[str, Path(alias="orderId")],
    as_of: AsOf = "",
) -> Response:
    """The order, its versions, and, for a key with the scope lineage, Clover's records."""
    call = call_of(request)
    call.require("read")
    company = one_company(call, company_id)
    sources: list[SourceRecord] | None = None
    with reading(call, company_id, connection_id, as_of or None) as here:
        document = api_reads.one(here.publication, api_reads.ORDERS, here.scope, order_id)
        versions = api_history.order_versions(here.publication, connection_id, order_id, here.snapshot)
        if not versions:
            raise no_record(DataType.ORDERS, order_id)
        issues = api_history.order_issues(here.publication, connection_id, order_id, here.snapshot)
        if "lineage" in call.reader.scopes:
            sources = api_history.source_records(here.publication, connection_id, order_id, here.snapshot)
    call.rows = 1
    shown: Document = read_document(document if document is not None else versions[-1].document)
    above = company_path(company_id, "connections", connection_id, "orders")
    made = rules(shown)
    return page(
        request,
        "order.html",
        crumbs=crumbs(
            company, (f"Orders of {connection_id}", link(above, {"asOf": as_of})), (f"Order {order_id}", None)
        ),
        order=shown,
        order_id=order_id,
        is_deleted=document is None,
        snapshot=here.snapshot,
        is_newest=here.newest,
        here=company_path(company_id, "connections", connection_id, "orders", order_id),
        totals=[(rule, _sources_of(rule["field"], sources)) for rule in made],
        issues=issues,
        versions=versions,
        compared=_compared(versions),
        sources=None if sources is None else [(source, _pretty(source.payload)) for source in sources],
        paid=sum(
            (payment["amount"] for payment in shown["payments"] or () if payment["status"] == "Paid"),
            Decimal(0),
        ),
    )


def _sources_of(field: str, sources: Sequence[SourceRecord] | None) -> list[SourceRecord]:
    return [source for source in sources or () if source.kind in _MADE_OF[field]]


def _compared(versions: Sequence[OrderVersion]) -> dict[str, Any]:
    """Every version beside the others: its totals, and what it changed of the one that was current before it."""
    documents = [read_document(version.document) for version in versions]
    steps = []
    current = Document()
    for version, document in zip(versions, documents, strict=True):
        steps.append(
            (version, list(_worded(current, document)) if current and not version.is_deleted else [])
        )
        if not version.late:
            current = document
    return {
        "totals": [
            (name, [(document[name], document["currency"] or "XXX") for document in documents])
            for name in TOTALS
        ],
        "steps": steps,
    }


def _worded(before: Document, after: Document) -> Iterator[tuple[str, str, str]]:
    for change in changes(before, after):
        yield change["path"], _text(change.get("from")), _text(change.get("to"))


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _pretty(payload: str) -> str:
    return json.dumps(json.loads(payload, parse_float=str), indent=2, ensure_ascii=False)
