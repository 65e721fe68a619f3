"""The orders of a connection: the API's list with its query language, its paging and its as-of, for people."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from connector.api.answer.companies import one_company
from connector.api.answer.errors import ApiError
from connector.api.answer.resources import RESOURCES
from connector.api.reading import Reading, reading
from connector.api.reads import records as api_reads
from connector.api.reads.records import Selection
from connector.api.routes.data import selection
from connector.api.state import Call, call_of
from connector.portal.company import COMPANY, CompanyId, crumbs
from connector.portal.rendering import SAFE, company_path, link, page
from schemas.platform import DataType

router = APIRouter()
ORDERS = f"{COMPANY}/connections/{{connectionId}}/orders"
ConnectionId = Annotated[str, Path(alias="connectionId")]
RESOURCE = next(one for one in RESOURCES if one.data_type is DataType.ORDERS)
A_PAGE = 50
NEWEST_FIRST = "-createdDate"
QueryText = Annotated[str, Query(alias="query")]
OrderBy = Annotated[str, Query(alias="orderBy")]
AsOf = Annotated[str, Query(alias="asOf")]
Pinned = Annotated[int | None, Query(alias="pinnedTo", ge=0, le=10**17)]
COLUMNS = (
    "id",
    "orderNumber",
    "createdDate",
    "currency",
    "totalAmount",
    "totalRefund",
    "totalTaxAmount",
    "totalDiscount",
    "totalGratuity",
    "customer",
    "sourceModifiedDate",
)
"""Of the exported list; ``customer`` is the name in ``customerRef``."""


class Document(dict[str, Any]):
    """A JSON object whose absent members are None, as pages ask for them."""

    def __missing__(self, name: str) -> None:
        return None


def read_document(text: str) -> Any:
    """Served JSON with exact numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal, object_hook=Document)


@router.get(ORDERS)
def orders(
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    query: QueryText = "",
    order_by: OrderBy = NEWEST_FIRST,
    as_of: AsOf = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1,
    pinned: Pinned = None,
) -> Response:
    """A page of them. A query that is wrong is shown again with what is wrong; later pages stay on one snapshot."""
    call = call_of(request)
    call.require("read")
    company = one_company(call, company_id)
    here = company_path(company_id, "connections", connection_id, "orders")
    asked = {"query": query, "orderBy": order_by, "asOf": as_of}
    rows: list[Document] = []
    total, failed, snapshot = 0, None, None
    with reading(call, company_id, connection_id, as_of or None) as found:
        if pinned is not None and number > 1:
            found = _pinned(call, found, pinned)
        snapshot = found.snapshot
        try:
            chosen = selection(RESOURCE, query or None, order_by or None)
        except ApiError as error:
            failed = error.error
        else:
            total = api_reads.count(found.publication, RESOURCE.source, found.scope, chosen)
            rows = _rows(found, chosen, number) if (number - 1) * A_PAGE < total else []
        deleted = found.quality.deletions()
    call.rows = len(rows)
    held = {**asked, "pinnedTo": snapshot}
    return page(
        request,
        "orders.html",
        status=400 if failed else 200,
        crumbs=crumbs(company, (f"Orders of {connection_id}", None)),
        company=company,
        connection_id=connection_id,
        here=here,
        asked=asked,
        rows=rows,
        total=total,
        first=(number - 1) * A_PAGE + 1,
        failed=failed,
        deleted=deleted,
        snapshot=snapshot,
        is_newest=found.newest,
        export=link(f"{here}.csv", held),
        previous=link(here, held, page=number - 1) if number > 1 else None,
        next=link(here, held, page=number + 1) if number * A_PAGE < total else None,
    )


@router.get(f"{ORDERS}.csv")
def export(
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    query: QueryText = "",
    order_by: OrderBy = NEWEST_FIRST,
    as_of: AsOf = "",
    pinned: Pinned = None,
) -> Response:
    """Every order of the view on the page, as a file for a spreadsheet."""
    call = call_of(request)
    call.require("read")
    call.connection(company_id, connection_id)
    chosen = selection(RESOURCE, query or None, order_by or None)
    lines = _lines(call, company_id, connection_id, as_of or None, pinned, chosen)
    next(lines)  # what cannot be read is refused before the answer begins
    headers = {**SAFE, "Content-Disposition": 'attachment; filename="orders.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def _pinned(call: Call, found: Reading, snapshot: int) -> Reading:
    there = found.at(found.pinned(snapshot))
    call.snapshot_id, call.headers = there.snapshot, there.headers
    return there


def _rows(found: Reading, chosen: Selection, number: int) -> list[Document]:
    text = api_reads.page(
        found.publication,
        RESOURCE.source,
        found.scope,
        replace(chosen, limit=A_PAGE, offset=(number - 1) * A_PAGE),
    ).text
    return list(read_document(f"[{text}]"))


def _lines(
    call: Call, company_id: str, connection_id: str, as_of: str | None, pinned: int | None, chosen: Selection
) -> Iterator[str]:
    """The first piece is empty and made at once, so that errors still become pages."""
    with reading(call, company_id, connection_id, as_of, watched=False) as found:
        if pinned is not None:
            found = _pinned(call, found, pinned)
        call.rows = 0
        yield ""
        yield _written([COLUMNS])
        for chunk in api_reads.stream(found.publication, RESOURCE.source, found.scope, chosen):
            documents = [read_document(line) for line in chunk.splitlines()]
            call.rows += len(documents)
            yield _written([[_cell(document, name) for name in COLUMNS] for document in documents])


def _cell(document: Document, name: str) -> str:
    value = (document["customerRef"] or Document())["name"] if name == "customer" else document[name]
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"  # a spreadsheet would take it for a formula
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _written(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
