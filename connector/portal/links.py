"""Links that merchants were sent: which were opened, which led to a connection, which failed and why."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from connector.api.answer.companies import visible_companies
from connector.api.state import call_of
from connector.control import links
from connector.control.links import Visit
from connector.portal.rendering import HOME, page
from schemas.platform import Connection

router = APIRouter()
MOST_VISITS = 2000
A_PAGE = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """A connection whose link a merchant got, and the newest visit there was. opened: visits, one a browser."""

    company_id: str
    company: str
    connection: Connection
    opened: int
    visit: Visit | None


@router.get(f"{HOME}/links")
def sent_links(request: Request) -> Response:
    """Of the companies the key may see, those first that a merchant touched last."""
    call = call_of(request)
    call.require("read")
    of_connection: dict[str, list[Visit]] = {}
    for visit in links.visits_since(call.state.control, most=MOST_VISITS):
        of_connection.setdefault(visit.connection_id or "", []).append(visit)
    found = []
    for company in visible_companies(call):
        for connection in company.data_connections:
            visits = of_connection.get(connection.id, [])
            if visits or connection.status == "PendingAuth":
                newest = visits[0] if visits else None
                found.append(Sent(company.id, company.name, connection, len(visits), newest))
    found.sort(key=lambda one: one.visit.opened if one.visit else one.connection.created, reverse=True)
    call.rows = min(len(found), A_PAGE)
    return page(request, "links.html", sent=found[:A_PAGE], total=len(found))
