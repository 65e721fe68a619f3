"""The pages of a link: opened, asked, sent to Clover, and back.

The address of a link holds a token, and that of Clover's answer a code; both are answered with a redirect to one
address that holds nothing. What a page shows follows from the visit alone, so it may be loaded again at any time.
"""

import secrets
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from connector.api.answer.errors import ApiError
from connector.api.answer.link_words import told
from connector.api.door.middleware import address_of
from connector.config import REGIONS
from connector.control import links
from connector.link import answer as answers
from connector.link.connecting import connection_to_link
from connector.link.redirects import allowed_redirect, with_outcome
from connector.link.rendering import link_page, logo_type
from connector.link.tokens import Opens
from connector.link.visitor import (
    HOME,
    LOST,
    Paced,
    Visiting,
    VisitorForm,
    begin_visit,
    linking_in,
    opened,
    target_of,
    visit_in,
)
from connector.portal.rendering import SAFE
from schemas.iso import ALPHA_3

router = APIRouter()
TO_PAGE = {**SAFE, "Referrer-Policy": "no-referrer"}


@router.get(HOME)
def show(request: Request, call: Paced) -> Response:
    """Where the visit stands: the question, the rest of the questions, or what became of it."""
    linking, visit = linking_in(request), visit_in(request, call)
    if visit is None:
        raise LOST
    target = target_of(call, visit)
    if target is None:
        return link_page(request, "result.html", told=told("gone"), status=410, visit=visit, back=None)
    common: dict[str, Any] = {"visit": visit, "company": target.company, "back": _back(visit)}
    if visit.stage in links.FAILED:
        return link_page(request, "result.html", told=told(visit.reason), **common)
    if visit.stage in links.ENDED or (target.is_linked and visit.stage != "details"):
        return link_page(request, "connected.html", **common)
    if visit.stage == "details":
        zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
        return link_page(
            request,
            "details.html",
            zones=zones,
            missing=answers.missing_in(visit),
            countries=sorted(set(ALPHA_3.values())),
            **common,
        )
    apps = [(app.region, REGIONS[app.region]) for app in linking.settings.apps]
    return link_page(request, "consent.html", apps=apps, **common)


@router.get(f"{HOME}/callback")
def callback(request: Request, call: Paced) -> Response:
    """Clover's answer, taken once; then on to an address without its code."""
    visit = visit_in(request, call)
    if visit is None:
        raise ApiError(403, "This answer does not belong to this browser. Open the link again, here.")
    answers.take(call, linking_in(request), visit, request.query_params)
    return RedirectResponse(HOME, 303, TO_PAGE)


@router.get(f"{HOME}/logo")
def logo(request: Request) -> Response:
    """The image of who asks."""
    path = linking_in(request).settings.logo
    kind = None if path is None else logo_type(path)
    if path is None or kind is None or not path.is_file():
        raise ApiError(404, "Not Found")
    return Response(
        path.read_bytes(), headers={**SAFE, "Content-Type": kind, "Cache-Control": "public, max-age=3600"}
    )


@router.post(f"{HOME}/consent")
def consent(request: Request, call: Paced, visit: Visiting, fields: VisitorForm) -> Response:
    """The merchant agrees here, and is sent on to agree at Clover."""
    linking = linking_in(request)
    app = linking.settings.app_of(fields.get("region", ""))
    if app is None:
        raise ApiError(400, "Choose the region of your shop. Go back to the page before.")
    target = target_of(call, visit)
    if target is None or target.is_linked:
        return RedirectResponse(HOME, 303, SAFE)
    connection = connection_to_link(call, target)
    state = secrets.token_urlsafe(32)
    links.send_to_clover(
        call.state.control,
        visit,
        state=state,
        connection_id=connection.connection_id,
        region=app.region,
        now=call.now(),
    )
    # A page and no redirect: what a form may lead to is closed to other sites, redirects behind it included.
    return link_page(request, "leaving.html", to=linking.consent_address(app, state), visit=visit, back=None)


@router.post(f"{HOME}/again")
def again(call: Paced, visit: Visiting, fields: VisitorForm) -> Response:  # noqa: ARG001 - what it proves is needed
    """Back to the question, after something went wrong."""
    if visit.stage in (*links.FAILED, "sent", "details"):
        links.begin_again(call.state.control, visit)
    return RedirectResponse(HOME, 303, SAFE)


@router.post(f"{HOME}/details")
def details(request: Request, call: Paced, visit: Visiting, fields: VisitorForm) -> Response:
    """What Clover did not say, in the merchant's own words."""
    if visit.stage == "details":
        answers.complete(call, linking_in(request), visit, fields)
    return RedirectResponse(HOME, 303, SAFE)


# Last: the other paths below are no tokens.
@router.get(f"{HOME}/{{token}}")
async def open_link(request: Request, call: Paced, token: str, redirect: str = "") -> Response:
    """A link is opened: the token leaves the address for a cookie."""
    linking = linking_in(request)
    opens = await opened(call, linking, token, address_of(dict(request.scope)))
    try:
        leads_to = allowed_redirect(redirect, linking.settings.redirects)
    except ValueError:
        raise ApiError(
            400, "This link would lead to an address that is not allowed. Whoever sent it has to correct it."
        ) from None
    answer = RedirectResponse(HOME, 303, TO_PAGE)
    if not _goes_on(visit_in(request, call), opens, leads_to, call.now()):
        begin_visit(call, linking, opens, leads_to, answer)
    return answer


def _goes_on(before: links.Visit | None, opens: Opens, leads_to: str | None, now: datetime) -> bool:
    """Whether the browser has this link open already: a second tab is the same visit."""
    if before is None or not links.is_waiting(before, now) or before.redirect != leads_to:
        return False
    return before.company_id == opens.company_id and opens.connection_id in (None, before.connection_id)


def _back(visit: links.Visit) -> str | None:
    if visit.redirect is None:
        return None
    outcome = {"companyId": visit.company_id, "status": visit.stage}
    if visit.connection_id:
        outcome["connectionId"] = visit.connection_id
    if visit.stage in links.FAILED:
        outcome |= {"statusCode": told(visit.reason).code, "errorMessage": told(visit.reason).heading}
    return with_outcome(visit.redirect, outcome)
