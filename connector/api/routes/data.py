"""Codat's commerce data: list and get of each data type, company info; whole lists as lines on request."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Path, Request, Response

from connector.api.answer import examples
from connector.api.answer.body import (
    JSON,
    NDJSON,
    VERSION,
    chosen_type,
    entity_tag,
    json_answer,
    lines_answer,
    unchanged,
)
from connector.api.answer.errors import ApiError, bad_query, no_record
from connector.api.answer.openapi import documented
from connector.api.answer.paging import PIN, Linked, envelope, parameters
from connector.api.answer.params import Asked, AsOf, CompanyId, ConnectionId, Listing, PinnedTo
from connector.api.answer.resources import COMPANY_INFO, RESOURCES, Resource
from connector.api.query.ordering import read_order
from connector.api.query.sql import QueryError, compile_query
from connector.api.reading import Reading, reading
from connector.api.reads import records as api_reads
from connector.api.reads.records import Selection
from connector.api.state import Call, Reads

PREFIX = "/companies/{companyId}/connections/{connectionId}/data"
# Lists whose records are, or belong to, an order that Clover may have deleted since.
OF_ORDERS = (api_reads.ORDERS, api_reads.PAYMENTS, api_reads.TRANSACTIONS)
router = APIRouter(prefix=PREFIX, tags=["Commerce data"])


def selection(resource: Resource, query: str | None, order_by: str | None) -> Selection:
    """What a client asked for, as bound SQL. Raises ApiError 400 that shows the place."""
    try:
        condition = compile_query(query, resource.fields, resource.model)
    except QueryError as exc:
        raise bad_query(exc.text, exc.position, "query") from exc
    try:
        order = read_order(order_by, resource.fields, resource.model, resource.default_order)
    except QueryError as exc:
        raise bad_query(exc.text, exc.position, "orderBy") from exc
    return Selection(condition.sql, condition.parameters, order.sql)


@dataclass(frozen=True, slots=True)
class _ListCall:
    """One call of a list of records."""

    call: Call
    request: Request
    resource: Resource
    asked: Asked

    def selection(self) -> Selection:
        return selection(self.resource, self.asked.query, self.asked.order_by)

    def page(self, here: Reading, pinned_to: int | None) -> Response:
        """One page, of the snapshot that its reader is on."""
        call, request, resource, page = self.call, self.request, self.resource, self.asked.page
        chosen, linked = self.selection(), Linked.by(request, page)
        pin = None
        if not any(name == "asOf" for name, _ in linked.given):
            question = (*(f"{n}={v}" for n, v in linked.given if n not in ("page", PIN)),)
            reader = (call.reader.key_id, request.url.path, *question)
            pin = call.state.pins.snapshot(reader, page.number, here.snapshot)
            if pinned_to is not None and page.number > 1:
                pin = here.pinned(pinned_to)
            here = here.at(pin)
            call.snapshot_id, call.headers = here.snapshot, here.headers
        tag = entity_tag(VERSION, here.connection_id, here.snapshot, request.url.path, linked.given)
        if (same := unchanged(request, tag)) is not None:
            return same
        total = api_reads.count(here.publication, resource.source, here.scope, chosen)
        found = api_reads.Page("", 0)
        if page.offset < total:
            of_page = replace(chosen, limit=page.size, offset=page.offset)
            found = api_reads.page(here.publication, resource.source, here.scope, of_page)
        call.rows = found.rows
        more = {}
        if resource.source in OF_ORDERS and (deletions := here.quality.deletions()) is not None:
            more["deletedAtSource"] = deletions
        return json_answer(request, envelope(found.text, linked, total, more, pin=pin), tag=tag)

    def whole(self, company_id: str, connection_id: str, as_of: str | None) -> Response:
        """All of it, as lines."""
        self.call.connection(company_id, connection_id)  # 404 before 400, as for a page
        head: dict[str, Any] = {}
        chunks = self._lines(reading(self.call, company_id, connection_id, as_of, watched=False), head)
        next(chunks)
        if (same := unchanged(self.request, head["tag"])) is not None:
            chunks.close()
            return same
        return lines_answer(self.request, chunks, **head)

    def _lines(
        self, opened: AbstractContextManager[Reading], head: dict[str, Any]
    ) -> Generator[str, None, None]:
        """The first chunk is empty and made at once, so errors still become error answers; it fills ``head``."""
        call, source, chosen = self.call, self.resource.source, self.selection()
        with opened as here:
            call.rows = 0
            with call.state.watchdog.over(here.publication.cursor):
                total = api_reads.count(here.publication, source, here.scope, chosen)
            path, given = self.request.url.path, parameters(self.request)
            tag = entity_tag(VERSION, NDJSON, here.connection_id, here.snapshot, path, given)
            head |= {"tag": tag, "snapshot": here.snapshot, "total": total}
            yield ""
            chunks = api_reads.stream(here.publication, source, here.scope, chosen)
            while True:
                with call.state.watchdog.over(here.publication.cursor):
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                call.rows += chunk.count("\n")
                yield chunk


def _list_route(resource: Resource) -> Callable[..., Response]:
    def list_records(
        call: Reads,
        request: Request,
        company_id: CompanyId,
        connection_id: ConnectionId,
        asked: Listing,
        as_of: AsOf = None,
        pinned_to: PinnedTo = None,
    ) -> Response:
        listing = _ListCall(call, request, resource, asked)
        if chosen_type(request, JSON, NDJSON) == NDJSON:
            return listing.whole(company_id, connection_id, as_of)
        with reading(call, company_id, connection_id, as_of) as here:
            return listing.page(here, pinned_to)

    return list_records


def _get_route(resource: Resource) -> Callable[..., Response]:
    def get_record(
        call: Reads,
        request: Request,
        company_id: CompanyId,
        connection_id: ConnectionId,
        record_id: str = Path(alias=resource.record_id, description="The record's id, percent-encoded."),
        as_of: AsOf = None,
    ) -> Response:
        with reading(call, company_id, connection_id, as_of) as here:
            document = api_reads.one(here.publication, resource.source, here.scope, record_id)
            if document is None:
                raise no_record(resource.data_type, record_id)
            call.rows = 1
            return json_answer(request, document.encode())

    return get_record


@router.get(
    "/commerce-info",
    summary="Company info",
    description="Who the merchant is, as the source says. One object, no paging.",
    operation_id="get-commerce-info",
    **documented(examples.COMPANY_INFO, 400, 409),
)
def get_company_info(
    call: Reads, request: Request, company_id: CompanyId, connection_id: ConnectionId, as_of: AsOf = None
) -> Response:
    """Codat's data type is commerce-companyInfo, its path commerce-info."""
    with reading(call, company_id, connection_id, as_of) as here:
        chosen = Selection(order="v.record_id")
        page = api_reads.page(here.publication, COMPANY_INFO, here.scope, chosen)
        call.rows = page.rows
        return json_answer(request, (page.text or "{}").encode())


@router.get("/{dataType}", include_in_schema=False)
@router.get("/{dataType}/{recordId:path}", include_in_schema=False)
def unsupported(
    call: Reads, request: Request, company_id: CompanyId, connection_id: ConnectionId
) -> Response:
    """Codat's words for a data type this platform does not have; only after the connection was found."""
    call.connection(company_id, connection_id)
    data_type = request.path_params["dataType"]
    raise ApiError(404, f"Datatype {data_type} not supported by platform(s) Clover")


def add_routes(api: APIRouter) -> None:
    """Every data type's list and get; before ``router``, whose last routes take what is left."""
    for resource in RESOURCES:
        base = f"{PREFIX}/{resource.data_type}"
        plural = resource.data_type.removeprefix("commerce-")
        example = examples.RECORDS[resource.data_type]
        api.add_api_route(
            base,
            _list_route(resource),
            methods=["GET"],
            tags=["Commerce data"],
            summary=f"List {plural}",
            description=resource.about
            + " Send `Accept: application/x-ndjson` for the whole list as lines; the last one, `_closing`, says"
            " the snapshot, how many records came, and the SHA-256 of what came before it.",
            operation_id=f"list-{resource.data_type}",
            **documented(examples.page_of(example, base), 400, 409, lines=True),
        )
        api.add_api_route(
            f"{base}/{{{resource.record_id}:path}}",
            _get_route(resource),
            methods=["GET"],
            tags=["Commerce data"],
            summary=f"Get one of {plural}",
            description=resource.about,
            operation_id=f"get-{resource.data_type}",
            **documented(example, 400, 409),
        )
