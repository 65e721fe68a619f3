"""Companies and connections as Codat shows them: the control data's rows with what syncs found out."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from connector.api.reads.records import wire_time
from connector.api.reads.runs import states_of
from connector.api.state import Call
from connector.control import companies as api_companies
from connector.control.companies import CompanyRow, ConnectionRow
from connector.control.database import ControlDatabase
from connector.control.links import relinked_at
from connector.ledger.connection_state import UNKNOWN, ConnectionState, link_status
from connector.ledger.published import NothingPublishedError
from schemas.platform import (
    Company,
    Connection,
    ConnectionStatus,
    DataConnectionError,
    SourceType,
)

PLATFORM_KEY = "fqly"  # Codat's key of Clover
PLATFORM_NAME = "Clover"
_NAMESPACE = uuid.UUID("3b1f8c58-8f0e-4b7a-9d2e-6a2c1f0d9e77")
INTEGRATION_ID = str(uuid.uuid5(_NAMESPACE, "integration/clover"))
SOURCE_ID = str(uuid.uuid5(_NAMESPACE, "source/clover-ecommerce"))


def states_of_all(call: Call) -> Mapping[str, ConnectionState]:
    """States by connection id; none before the first publication."""
    if (states := call.state.published.states()) is not None:
        return current_states(call.state.control, states)
    try:
        with call.publication() as publication:
            return current_states(call.state.control, states_of(publication))
    except NothingPublishedError:
        return {}


def current_states(
    control: ControlDatabase, states: Mapping[str, ConnectionState]
) -> Mapping[str, ConnectionState]:
    """What syncs found out, and nothing any more of access that was lost before the merchant linked again."""
    lost = [one for one, state in states.items() if state.status == ConnectionStatus.DEAUTHORIZED]
    if not lost:
        return states
    over = {
        one: replace(
            states[one], status=ConnectionStatus.LINKED.value, last_status=None, last_error_kind=None
        )
        for one, moment in relinked_at(control, lost).items()
        if (began := states[one].last_started) is not None and began < moment
    }
    return {**states, **over}


def connection_view(call: Call, row: ConnectionRow, state: ConnectionState) -> Connection:
    """One connection."""
    return Connection(
        id=row.connection_id,
        integration_id=INTEGRATION_ID,
        integration_key=PLATFORM_KEY,
        source_id=SOURCE_ID,
        source_type=SourceType.COMMERCE,
        platform_name=PLATFORM_NAME,
        link_url=_address(call, row.origin, row.company_id, row.connection_id),
        status=link_status(row.status, state),
        created=row.created,
        last_sync=last_sync(state),
        data_connection_errors=_errors(state) or None,
    )


def _address(call: Call, origin: str, company_id: str, connection_id: str | None = None) -> str:
    """Where a merchant connects; the portal's page for what the operator connects, in the configuration."""
    settings = call.state.settings
    if settings.link_address is not None and origin == "api":
        return settings.link_address(company_id, connection_id, call.now())
    named = {"companyId": company_id, "connectionId": connection_id}
    query = urlencode({name: value for name, value in named.items() if value is not None})
    return f"{settings.public_url}/?{query}"


def company_view(
    call: Call, row: CompanyRow, connections: list[ConnectionRow], states: Mapping[str, ConnectionState]
) -> Company:
    """One company with its connections."""
    views = [connection_view(call, c, states.get(c.connection_id, UNKNOWN)) for c in connections]
    return Company(
        id=row.company_id,
        name=row.name,
        description=row.description,
        redirect=_address(call, row.origin, row.company_id),
        last_sync=max((v.last_sync for v in views if v.last_sync), default=None),
        created=row.created,
        created_by_user_name=row.created_by,
        data_connections=views,
        tags=dict(row.tags),
    )


def visible_companies(call: Call) -> list[Company]:
    """Every company the key may see, by id; the others leave no trace."""
    states = states_of_all(call)
    of_company: dict[str, list[ConnectionRow]] = defaultdict(list)
    for connection in api_companies.list_connections(call.state.control):
        of_company[connection.company_id].append(connection)
    return [
        company_view(call, row, of_company[row.company_id], states)
        for row in api_companies.list_companies(call.state.control)
        if call.reader.may_see(row.company_id)
    ]


def one_company(call: Call, company_id: str) -> Company:
    """Raises ApiError 404."""
    row = call.company(company_id)
    connections = api_companies.list_connections(call.state.control, company_id)
    return company_view(call, row, connections, states_of_all(call))


def last_sync(state: ConnectionState) -> str | None:
    """When a sync last succeeded."""
    return wire_time(state.last_success)


def _errors(state: ConnectionState) -> list[DataConnectionError]:
    if state.last_status != "failed":
        return []
    if state.last_error_kind == "authorisation":
        code, words = (
            "401",
            "Access to Clover was lost or lacks a permission; the merchant must connect again.",
        )
    elif state.last_error_kind == "clover":
        code, words = "502", "Clover could not be read; the next sync tries again."
    else:
        code, words = "500", "The last sync failed on our side; the next one tries again."
    return [
        DataConnectionError(
            status_code=code,
            status_text={"401": "Unauthorized", "502": "Bad Gateway", "500": "Internal Server Error"}[code],
            error_message=words,
            errored_on_utc=wire_time(state.last_finished or state.last_started),
            status="Active",
        )
    ]
