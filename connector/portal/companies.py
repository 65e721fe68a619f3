"""The list of companies: what a lender looks at first."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request, Response

from connector.api.answer.companies import states_of_all, visible_companies
from connector.api.answer.errors import ApiError
from connector.api.state import Call, call_of
from connector.ledger.published import NothingPublishedError
from connector.portal.rendering import HOME, link, page
from connector.portal.standing import Lately, Standing, lately_of, standing_of, unread
from connector.report.drawing import sparkline
from schemas.money import money
from schemas.platform import Company

router = APIRouter()
A_PAGE = 50
SORTS = ("name", "status", "synced", "sales", "issues")


@router.get(HOME)
def companies(request: Request, q: str = "", sort: str = "name", number: int = 1) -> Response:
    """A page of the companies the key may see; searched by name or id, ordered by a column."""
    call = call_of(request)
    call.require("read")
    descending, column = sort.startswith("-"), sort.removeprefix("-")
    if column not in SORTS or number < 1:
        raise ApiError(400, f"sort is one of {', '.join(SORTS)}, with - before it for the other way round.")
    words = q.casefold().strip()
    found = [
        company
        for company in visible_companies(call)
        if words in company.name.casefold() or words == company.id.casefold()
    ]
    shown = _ordered(call, found, column, descending)
    cut = shown[(number - 1) * A_PAGE : number * A_PAGE]
    standings = _standings(call, cut)
    call.rows = len(standings)
    return page(
        request,
        "companies.html",
        rows=[(one, [_line(lately) for lately in one.lately]) for one in standings],
        total=len(found),
        q=q,
        sort=sort,
        sorts=[(name, f"-{name}" if sort == name else name) for name in SORTS],
        number=number,
        previous=link(HOME, {"q": q, "sort": sort}, number=number - 1) if number > 1 else None,
        next=link(HOME, {"q": q, "sort": sort}, number=number + 1) if number * A_PAGE < len(found) else None,
    )


def _line(lately: Lately) -> Any:
    total = money(lately.net_sales, lately.currency)
    return sparkline(lately.days, title=f"Net sales by day, {total} {lately.currency} in all")


def _standings(call: Call, companies: list[Company]) -> list[Standing]:
    return [standing for few in _of_one_file(call, companies) for standing in _standings_of(call, few)]


def _of_one_file(call: Call, companies: list[Company]) -> list[list[Company]]:
    """The companies by the file that tells of them: one for all, or one each."""
    return [companies] if call.state.published.states() is None else [[one] for one in companies]


def _standings_of(call: Call, companies: list[Company]) -> list[Standing]:
    call.company_id = companies[0].id if len(companies) == 1 else None
    try:
        with call.publication() as publication:
            lately = lately_of(publication, companies)
            return [standing_of(publication, one, lately.get(one.id, ())) for one in companies]
    except NothingPublishedError:
        return [unread(one) for one in companies]
    finally:
        call.company_id = None


def _ordered(call: Call, companies: list[Company], column: str, descending: bool) -> list[Company]:
    """By what is known without reading each company's quality; those that say nothing come last.

    In a fleet the sales are in the companies' own files, so there this order is that of the names.
    """
    lasts: dict[str, Any] = {}
    if column == "sales" and call.state.published.states() is None:
        try:
            with call.publication() as publication:
                lately = lately_of(publication, companies)
        except NothingPublishedError:
            lately = {}
        lasts = {one.id: lately[one.id][0].net_sales for one in companies if lately.get(one.id)}
    elif column == "issues":
        states = states_of_all(call)
        lasts = {
            one.id: sum(
                states[connection.id].open_issues
                for connection in one.data_connections
                if connection.id in states
            )
            for one in companies
        }
    keys: dict[str, Callable[[Company], Any]] = {
        "name": lambda one: one.name.casefold(),
        "status": lambda one: sorted(str(connection.status) for connection in one.data_connections),
        "synced": lambda one: one.last_sync or "",
        "sales": lambda one: lasts.get(one.id, Decimal("-Infinity")),
        "issues": lambda one: lasts.get(one.id, 0),
    }
    by_name = sorted(companies, key=lambda one: (one.name.casefold(), one.id))
    return sorted(by_name, key=keys[column], reverse=descending)
