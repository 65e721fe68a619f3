"""Connections of a company: list, get, create, unlink, delete, as Codat's platform API has them."""

import uuid
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.companies import PLATFORM_KEY, connection_view, one_company, states_of_all
from connector.api.answer.errors import ApiError
from connector.api.answer.link_words import link_error
from connector.api.answer.openapi import documented
from connector.api.answer.params import CompanyId, ConnectionId, Listing
from connector.api.answer.small_lists import SmallList
from connector.api.query import fields
from connector.api.routes.companies import reference, tell
from connector.api.state import Call, Reads, Writes
from connector.control import companies as api_companies
from connector.control import webhooks as api_webhooks
from connector.control.companies import ConnectionRow
from connector.control.file import stamp
from connector.control.links import newest_failure
from connector.control.pairs import give_up_pairs
from connector.ledger.connection_state import UNKNOWN
from schemas.platform import Connection, ConnectionStatus
from schemas.wire import encode, members

router = APIRouter(tags=["Companies and connections"])
CONNECTIONS = SmallList(fields.CONNECTIONS, "DataConnection")


class NewConnection(BaseModel):
    """Which platform to connect: ``fqly`` is Codat's key of Clover."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    platform_key: str = Field(alias="platformKey", examples=[PLATFORM_KEY])


class ConnectionPatch(BaseModel):
    """The one change a client may make: give the access up."""

    model_config = ConfigDict(extra="ignore")
    status: Literal["Unlinked"]


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
    return CONNECTIONS.page(call, request, rows, asked)


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
    tell(call, "connection.created", company, {"connection": members(connection)})
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
        tell(call, "connection.disconnected", company, {"connection": members(after)})
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
    tell(call, "connection.deleted", company, {"connection": members(gone)})
    return Response(status_code=200)


def _one_connection(call: Call, company_id: str, connection_id: str) -> Connection:
    """One connection; while it waits for its merchant, also why the newest try led to nothing."""
    row = call.connection(company_id, connection_id)
    shown = connection_view(call, row, states_of_all(call).get(connection_id, UNKNOWN))
    if shown.status is not ConnectionStatus.PENDING_AUTH:
        return shown
    failure = newest_failure(call.state.control, connection_id)
    errors = None if failure is None else [link_error(*failure)]
    return shown.model_copy(update={"data_connection_errors": errors})
