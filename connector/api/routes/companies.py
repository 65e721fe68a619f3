"""Companies and connections: list, get, create, update, delete, as Codat's platform API has them."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.companies import (
    PLATFORM_KEY,
    company_view,
    connection_view,
    one_company,
    states_of_all,
    visible_companies,
)
from connector.api.answer.errors import ApiError, bad_query, forbidden
from connector.api.answer.openapi import documented
from connector.api.answer.paging import envelope
from connector.api.answer.params import Asked, CompanyId, ConnectionId, Listing
from connector.api.query import fields
from connector.api.query.fields import Field as Property
from connector.api.query.fields import Fields, Kind
from connector.api.query.ordering import read_order
from connector.api.query.rows import Row, matching, ordered
from connector.api.query.sql import QueryError
from connector.api.routes.data import parameters
from connector.api.state import Call, Reads, Writes
from connector.control import companies as api_companies
from connector.control import webhooks as api_webhooks
from connector.control.companies import CompanyRow, ConnectionRow
from connector.control.file import stamp
from connector.control.pairs import give_up_pairs
from connector.ledger.connection_state import UNKNOWN
from schemas.platform import Company, Connection, ConnectionStatus
from schemas.wire import encode, members

router = APIRouter(tags=["Companies and connections"])
_NOT_IN_NAMES = re.compile(r"[^\w \-'&@.,?!]|_")

Tags = dict[
    Annotated[str, StringConstraints(min_length=1, max_length=27)],
    Annotated[str, StringConstraints(max_length=100)],
]


class CompanyBody(BaseModel):
    """What a client says of a company. Characters Codat does not take in names are dropped."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, StringConstraints(max_length=500)] = Field(examples=["Corner Shop"])
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    tags: Annotated[Tags, Field(max_length=10)] | None = None

    @field_validator("name")
    @classmethod
    def _named(cls, value: str) -> str:
        name = _NOT_IN_NAMES.sub("", value).strip()
        if not name:
            raise ValueError("has no letter or digit that a name may hold")
        return name


class CompanyPatch(CompanyBody):
    """The same, all of it optional."""

    name: Annotated[str, StringConstraints(max_length=500)] = ""

    @field_validator("name")
    @classmethod
    def _named(cls, value: str) -> str:
        return _NOT_IN_NAMES.sub("", value).strip()


class NewConnection(BaseModel):
    """Which platform to connect: ``fqly`` is Codat's key of Clover."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    platform_key: str = Field(alias="platformKey", examples=[PLATFORM_KEY])


class ConnectionPatch(BaseModel):
    """The one change a client may make: give the access up."""

    model_config = ConfigDict(extra="ignore")
    status: Literal["Unlinked"]


class AnyTag(dict[str, Property]):
    """Tags are named by clients: any name can be asked for."""

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - dict's signature
        return Property(Kind.TEXT, "")


def small_page(
    call: Call,
    request: Request,
    rows: Sequence[Row],
    known: Fields,
    model: str,
    asked: Asked,
    default: str = "id",
) -> Response:
    """A page of a list held in memory: filtered, ordered, cut, wrapped."""
    try:
        kept = matching(rows, asked.query, known, model)
    except QueryError as exc:
        raise bad_query(exc.text, exc.position, "query") from exc
    try:
        order = read_order(asked.order_by or default, known, model)
    except QueryError as exc:
        raise bad_query(exc.text, exc.position, "orderBy") from exc
    found = ordered(kept, order)[asked.page.offset : asked.page.offset + asked.page.size]
    call.rows = len(found)
    text = ",".join(encode(row).decode() for row in found)
    body = envelope(text, request.scope["raw_path"].decode(), parameters(request), asked.page, len(kept))
    return json_answer(request, body)


@router.get(
    "/companies",
    summary="List companies",
    description="The companies this key may see, with their connections.",
    operation_id="list-companies",
    **documented(examples.page_of(examples.COMPANY, "/companies"), 400),
)
def list_companies(
    call: Reads,
    request: Request,
    asked: Listing,
    tags: Annotated[
        str | None, Query(description="The same language over tags.", examples=["region=us"])
    ] = None,
) -> Response:
    """The one list whose paths reach into a list.

    ``dataConnections.status=PendingAuth`` means any of them.
    """
    companies = visible_companies(call)
    if tags:
        try:
            # "@" is no name a query can hold, so no tag can stand for the id.
            kept = matching([{**c.tags, "@": c.id} for c in companies], tags, AnyTag(), "Tags")
        except QueryError as exc:
            raise bad_query(exc.text, exc.position, "tags") from exc
        chosen = {row["@"] for row in kept}
        companies = [c for c in companies if c.id in chosen]
    rows = [members(company) for company in companies]
    return small_page(call, request, rows, fields.COMPANIES, "Company", asked)


@router.post(
    "/companies",
    summary="Create a company",
    description="Needs a key with the scope write that may see all companies.",
    operation_id="create-company",
    **documented(examples.COMPANY, 400),
)
def create_company(call: Writes, request: Request, body: CompanyBody) -> Response:
    """Codat answers 200, not 201."""
    if call.reader.companies is not None:
        raise forbidden("write for all companies")
    row = CompanyRow(
        company_id=str(uuid.uuid4()),
        name=body.name,
        description=body.description,
        tags=body.tags or {},
        created=stamp(call.now()),
        created_by=call.reader.label,
        origin="api",
    )
    api_companies.create_company(call.state.control, row)
    call.company_id = row.company_id
    company = company_view(call, row, [], {})
    _tell(call, "company.created", company, members(company))
    return json_answer(request, encode(company))


@router.get(
    "/companies/{companyId}",
    summary="Get a company",
    description="One company with its connections.",
    operation_id="get-company",
    **documented(examples.COMPANY),
)
def get_company(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """404 for one that is absent and for one out of the key's sight, alike."""
    return json_answer(request, encode(one_company(call, company_id)))


@router.put(
    "/companies/{companyId}",
    summary="Replace a company",
    description="Name, description and tags as given; what is left out is removed.",
    operation_id="replace-company",
    **documented(examples.COMPANY, 400),
)
def replace_company(call: Writes, request: Request, company_id: CompanyId, body: CompanyBody) -> Response:
    """The full form."""
    row = call.company(company_id)
    changed = replace(row, name=body.name, description=body.description, tags=body.tags or {})
    api_companies.update_company(call.state.control, changed)
    return json_answer(request, encode(one_company(call, company_id)))


@router.patch(
    "/companies/{companyId}",
    summary="Update a company",
    description="Only what is given changes.",
    operation_id="update-company",
    **documented(examples.COMPANY, 400),
)
def update_company(call: Writes, request: Request, company_id: CompanyId, body: CompanyPatch) -> Response:
    """The partial form."""
    row = call.company(company_id)
    given = body.model_fields_set
    changed = replace(
        row,
        name=body.name or row.name,
        description=body.description if "description" in given else row.description,
        tags=(body.tags or {}) if "tags" in given else row.tags,
    )
    api_companies.update_company(call.state.control, changed)
    return json_answer(request, encode(one_company(call, company_id)))


@router.delete(
    "/companies/{companyId}",
    summary="Delete a company",
    description="The company and its connections leave the API, and the tokens of its merchants are removed. Of a"
    " company that was made through the API the scheduler erases everything else within minutes; of one in the"
    " operator's configuration his `connector forget` does.",
    operation_id="delete-company",
    **documented(None, status=204, about="Deleted."),
)
def delete_company(call: Writes, company_id: CompanyId) -> Response:
    """204 without body."""
    company = one_company(call, company_id)
    api_companies.delete_company(call.state.control, company_id, now=call.now())
    give_up_pairs(call.state.control, [connection.id for connection in company.data_connections])
    _tell(call, "company.deleted", company, members(company))
    return Response(status_code=204)


@router.get(
    "/companies/{companyId}/connections",
    summary="List connections",
    description="The connections of one company.",
    operation_id="list-connections",
    **documented(examples.page_of(examples.CONNECTION, "/companies/{companyId}/connections"), 400),
)
def list_connections(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    asked: Listing,
) -> Response:
    """Deleted ones are gone."""
    rows = [members(connection) for connection in one_company(call, company_id).data_connections]
    return small_page(call, request, rows, fields.CONNECTIONS, "DataConnection", asked)


@router.post(
    "/companies/{companyId}/connections",
    summary="Create a connection",
    description="For the platform `fqly` (Clover). It is `PendingAuth` until the merchant has connected through its"
    " `linkUrl`.",
    operation_id="create-connection",
    **documented({**examples.CONNECTION, "status": "PendingAuth"}, 400),
)
def create_connection(call: Writes, request: Request, company_id: CompanyId, body: NewConnection) -> Response:
    """Codat answers 200."""
    company = one_company(call, company_id)
    if body.platform_key != PLATFORM_KEY:
        raise ApiError(400, f"The platform {body.platform_key} is not offered; {PLATFORM_KEY} is Clover.")
    row = ConnectionRow(
        str(uuid.uuid4()), company_id, ConnectionStatus.PENDING_AUTH, stamp(call.now()), origin="api"
    )
    api_companies.create_connection(call.state.control, row)
    call.connection_id = row.connection_id
    connection = connection_view(call, row, UNKNOWN)
    _tell(call, "connection.created", company, {"connection": members(connection)})
    return json_answer(request, encode(connection))


@router.get(
    "/companies/{companyId}/connections/{connectionId}",
    summary="Get a connection",
    description="One connection, its status, its last sync and what is wrong with it.",
    operation_id="get-connection",
    **documented(examples.CONNECTION),
)
def get_connection(
    call: Reads, request: Request, company_id: CompanyId, connection_id: ConnectionId
) -> Response:
    """404 for another company's."""
    return json_answer(request, encode(_one_connection(call, company_id, connection_id)))


@router.patch(
    "/companies/{companyId}/connections/{connectionId}",
    summary="Unlink a connection",
    description="Gives the access up: the merchant's token is removed, nothing more is read, and what was synced before"
    " stays readable. Only a `Linked` one can be unlinked; `linkUrl` links it again.",
    operation_id="unlink-connection",
    **documented({**examples.CONNECTION, "status": "Unlinked"}, 400),
)
def unlink_connection(
    call: Writes, request: Request, company_id: CompanyId, connection_id: ConnectionId, body: ConnectionPatch
) -> Response:
    """The next sync passes it over."""
    before = _one_connection(call, company_id, connection_id)
    if before.status is not ConnectionStatus.LINKED:
        raise ApiError(400, f"Only a Linked connection can be unlinked; this one is {before.status}.")
    api_companies.set_connection_status(call.state.control, connection_id, body.status)
    give_up_pairs(call.state.control, [connection_id])
    after = _one_connection(call, company_id, connection_id)
    company = one_company(call, company_id)
    is_told = api_webhooks.note_status_event(
        call.state.control,
        connection_id,
        False,
        {"referenceCompany": reference(company), "connection": members(after)},
        now=call.now(),
        company_id=company.id,
        tags=company.tags,
    )
    if not is_told:
        _tell(call, "connection.disconnected", company, {"connection": members(after)})
    return json_answer(request, encode(after))


@router.delete(
    "/companies/{companyId}/connections/{connectionId}",
    summary="Delete a connection",
    description="The connection leaves the API and its token is removed; its data is erased with its company.",
    operation_id="delete-connection",
    **documented(None, about="Deleted."),
)
def delete_connection(call: Writes, company_id: CompanyId, connection_id: ConnectionId) -> Response:
    """Codat answers 200 without body."""
    gone = _one_connection(call, company_id, connection_id)
    company = one_company(call, company_id)
    api_companies.delete_connection(call.state.control, connection_id, now=call.now())
    give_up_pairs(call.state.control, [connection_id])
    _tell(call, "connection.deleted", company, {"connection": members(gone)})
    return Response(status_code=200)


def _one_connection(call: Call, company_id: str, connection_id: str) -> Connection:
    row = call.connection(company_id, connection_id)
    return connection_view(call, row, states_of_all(call).get(connection_id, UNKNOWN))


def _tell(call: Call, event_type: str, company: Company, payload: Row) -> None:
    api_webhooks.note_event(
        call.state.control,
        api_webhooks.event_id(event_type, company.id, call.correlation_id),
        event_type,
        {"referenceCompany": reference(company), **payload},
        now=call.now(),
        company_id=company.id,
        tags=company.tags,
    )


def reference(company: Company) -> Row:
    """A company as events name it."""
    about = {"id": company.id, "name": company.name, "description": company.description}
    return {k: v for k, v in about.items() if v is not None} | {
        "links": {"portal": company.redirect},
        "tags": dict(company.tags),
    }
