"""Who stands before the page: the browser's cookie, its visit, and what its link leads to."""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from connector.api.answer.companies import states_of_all
from connector.api.answer.errors import ApiError, busy
from connector.api.door.middleware import address_of
from connector.api.state import Call, call_of
from connector.control import companies as api_companies
from connector.control import links
from connector.control.companies import CompanyRow, ConnectionRow
from connector.control.file import stamp
from connector.control.links import Visit
from connector.control.sessions import is_form_token
from connector.ledger.connection_state import UNKNOWN, link_status
from connector.link.linking import Linking
from connector.link.tokens import InvalidLink, Opens
from connector.portal.entrance import form
from schemas.platform import ConnectionStatus

HOME = "/link"
COOKIE = "connector_link"
MOST_A_MINUTE = 60  # requests of one address for these pages
LOST = ApiError(403, "This browser has not opened a link, or that was hours ago. Open the link again.")


@dataclass(frozen=True, slots=True)
class Target:
    """What a link leads to. connection: None where the company has none that could be connected yet."""

    company: CompanyRow
    connection: ConnectionRow | None
    is_linked: bool


def linking_in(request: Request) -> Linking:
    """Of the server that answers."""
    linking = request.app.state.linking
    assert isinstance(linking, Linking)
    return linking


async def paced(request: Request) -> Call:
    """The call, unless its address asks too often: 429."""
    call = call_of(request)
    quota = call.state.quota.take(f"link {address_of(dict(request.scope))}", MOST_A_MINUTE)
    if quota.exceeded:
        raise busy(quota.wait)
    return call


async def opened(call: Call, linking: Linking, token: str, address: str) -> Opens:
    """What a link opens. Raises ApiError: 404 for what is none, the slower the more often; 410 for one that is over."""
    try:
        return linking.tokens.read(token, now=call.now())
    except InvalidLink as error:
        if error.is_over:
            raise ApiError(410, "This link has expired. Ask whoever sent it to you for a new one.") from None
    wait = call.state.failures.add(address)
    if wait is None:
        raise busy(60, "Too many wrong links from this address")
    await call.state.settings.sleep(wait)
    raise ApiError(
        404, "This link is not complete or not ours. Copy it whole, or ask whoever sent it to you."
    )


def visit_in(request: Request, call: Call) -> Visit | None:
    """The visit of this browser."""
    browser = request.cookies.get(COOKIE)
    return links.visit_of(call.state.control, browser, now=call.now()) if browser else None


async def visiting(request: Request, call: Annotated[Call, Depends(paced)]) -> Visit:
    """The visit of this browser. Raises ApiError 403 where there is none."""
    visit = visit_in(request, call)
    if visit is None:
        raise LOST
    return visit


async def visitor_form(request: Request) -> dict[str, str]:
    """The fields of a form that a page of this visit carried. Raises ApiError 403 for any other."""
    fields = await form(request)
    if not is_form_token(request.cookies.get(COOKIE, ""), fields.get("form_token", "")):
        raise ApiError(403, "This form is not of your visit. Open the link again.")
    return fields


Paced = Annotated[Call, Depends(paced)]
Visiting = Annotated[Visit, Depends(visiting)]
VisitorForm = Annotated[dict[str, str], Depends(visitor_form)]


def begin_visit(call: Call, linking: Linking, opens: Opens, redirect: str | None, answer: Response) -> None:
    """Give the browser a cookie of its own and note the visit."""
    browser = secrets.token_urlsafe(32)
    now = call.now()
    visit = Visit(
        links.hash_of(browser), opens.company_id, opens.connection_id, redirect, stamp(now), "opened"
    )
    links.open_visit(call.state.control, visit, now=now)
    answer.set_cookie(
        COOKIE,
        browser,
        max_age=int(links.VISIT.total_seconds()),
        path=HOME,
        httponly=True,
        samesite="lax",  # Clover's answer comes from another site, and must bring it
        secure=linking.is_secure,
    )


def target_of(call: Call, visit: Visit) -> Target | None:
    """None when the company or the connection was removed meanwhile, or the operator connects it by his file."""
    control = call.state.control
    company = api_companies.get_company(control, visit.company_id)
    if company is None or company.origin == "config":
        return None
    states = states_of_all(call)

    def is_linked(row: ConnectionRow) -> bool:
        return link_status(row.status, states.get(row.connection_id, UNKNOWN)) is ConnectionStatus.LINKED

    if visit.connection_id is not None:
        connection = api_companies.get_connection(control, company.company_id, visit.connection_id)
        return None if connection is None else Target(company, connection, is_linked(connection))
    own = [row for row in api_companies.list_connections(control, company.company_id) if row.origin == "api"]
    waiting = sorted((row for row in own if not is_linked(row)), key=lambda row: row.created)
    if waiting or not own:
        return Target(company, waiting[0] if waiting else None, is_linked=False)
    return Target(company, own[0], is_linked=True)
