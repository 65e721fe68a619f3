"""One company: from list prices to money received, by month and by day, now and as it was known before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

import duckdb
from fastapi import APIRouter, Path, Query, Request, Response

from connector.api.answer.companies import one_company
from connector.api.answer.errors import ApiError
from connector.api.query.values import instant
from connector.api.reads.runs import read_up_to, states_of
from connector.api.state import Call, call_of
from connector.ledger.published import NothingPublishedError, Publication
from connector.ledger.restatement import RestatedOrder, restated_orders
from connector.portal.bridges import bridges
from connector.portal.periods import Span, chosen_span
from connector.portal.rendering import HOME, company_path, page
from connector.portal.standing import (
    Standing,
    lately_of,
    local_day,
    read_until_day,
    remembered,
    standing_of,
    timezones,
    unread,
)
from connector.report import figure_reads as figures
from connector.report.sales import (
    payments_between,
    returns_by,
    sales_as_of,
    sales_by,
)
from schemas.platform import Company

router = APIRouter()
COMPANY = f"{HOME}/companies/{{companyId}}"
CompanyId = Annotated[str, Path(alias="companyId")]
MOST_POINTS = 400
MOST_RESTATED = 200


@dataclass(frozen=True, slots=True)
class Point:
    """A state that can be shown: what was known when a snapshot had been loaded."""

    snapshot_id: int
    loaded_at: datetime


@router.get(COMPANY)
def company(
    request: Request,
    company_id: CompanyId,
    by: str = "month",
    since: Annotated[str, Query(alias="from")] = "",
    until: Annotated[str, Query(alias="to")] = "",
    as_of: Annotated[str, Query(alias="asOf")] = "",
) -> Response:
    """404 for one that is absent and for one out of the key's sight, alike."""
    call = call_of(request)
    call.require("read")
    found = one_company(call, company_id)
    context: dict[str, Any] = {
        "company": found,
        "by": by,
        "asked": {"from": since, "to": until},
        "as_of": None,
    }
    try:
        with call.publication() as publication:
            lately = lately_of(publication, [found]).get(company_id, ())
            standing = standing_of(publication, found, lately)
            context["standing"] = standing
            if standing.synced:
                call.snapshot_id = max(state.newest_snapshot or 0 for state in standing.states.values())
                context |= _shown(call, publication, found, standing, _Asked(by, since, until, as_of))
    except NothingPublishedError:
        context["standing"] = unread(found)
    except duckdb.CatalogException as exc:
        raise ApiError(
            409,
            "The published file was made by another version and lacks what this page reads; the next sync"
            " makes it anew.",
        ) from exc
    return page(request, "company.html" if context["standing"].synced else "unread.html", **context)


def points(publication: Publication, company_id: str) -> list[Point]:
    """The last snapshot of each UTC day, oldest first, and the newest of all."""
    return remembered(
        publication,
        f"portal|points|{company_id}",
        lambda: [
            Point(*row)
            for row in reversed(
                publication.cursor.execute(
                    "SELECT max(snapshot_id), max(loaded_at) FROM snapshots WHERE company_id = ?"
                    " GROUP BY loaded_at::DATE ORDER BY 1 DESC LIMIT ?",
                    [company_id, MOST_POINTS],
                ).fetchall()
            )
        ],
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a page of a company is asked for, as typed: periods, first and last day, a state; "" for the usual."""

    by: str
    since: str
    until: str
    as_of: str


def _shown(
    call: Call, publication: Publication, found: Company, standing: Standing, asked: _Asked
) -> dict[str, Any]:
    read_until = read_until_day(publication, found.id, standing.states)
    known = points(publication, found.id)
    point = _point(publication, found.id, asked.as_of) if asked.as_of else None
    if point is not None and point.snapshot_id >= known[-1].snapshot_id:
        point = None
    if point is not None:
        call.snapshot_id = point.snapshot_id
    span = chosen_span(asked.by, asked.since, asked.until, read_until or call.now().date())
    common = {
        "by": span.by,
        "span": span,
        "timezone": timezones(publication).get(found.id, "UTC"),
        "read_until": read_until,
        "points": known,
        "point": point,
        "merchants": remembered(
            publication,
            f"portal|merchants|{found.id}",
            lambda: dict(
                publication.cursor.execute(
                    "SELECT connection_id, merchant_name FROM connections WHERE company_id = ?", [found.id]
                ).fetchall()
            ),
        ),
        "others": _other_connections(publication, found),
        "comparisons": remembered(
            publication,
            f"portal|comparisons|{found.id}",
            lambda: figures.comparisons(publication.cursor, found.id),
        ),
        "issues": remembered(
            publication, f"portal|issues|{found.id}", lambda: figures.issues(publication.cursor, found.id)
        ),
    }
    name = f"portal|{found.id}|{span}"
    now = remembered(
        publication,
        f"{name}|sales",
        lambda: sales_by(publication.cursor, found.id, span.by, since=span.since, until=span.until),
    )
    if point is not None:
        then = remembered(
            publication,
            f"portal|{found.id}|{span.by} as of {point.snapshot_id}",
            lambda: sales_as_of(publication.cursor, found.id, span.by, point.snapshot_id),
        )
        kept = [one for one in then if span.since <= one.start <= span.until]
        read_then = _read_until_then(publication, found, point.snapshot_id)
        return common | {
            "bridges": bridges(span, kept, read_then, now=now),
            "read_until": read_then,
            "restated": remembered(
                publication,
                f"{name}|restated|{point.snapshot_id}|{known[-1].snapshot_id}",
                lambda: _restated(publication, found, point, known[-1], span, read_then),
            ),
        }
    return common | {
        "bridges": bridges(span, now, read_until),
        "returned": remembered(
            publication,
            f"{name}|returned",
            lambda: returns_by(publication.cursor, found.id, span.by, since=span.since, until=span.until),
        ),
        "paid": remembered(
            publication,
            f"{name}|paid",
            lambda: payments_between(publication.cursor, found.id, since=span.since, until=span.until),
        ),
        "products": remembered(
            publication,
            f"{name}|products",
            lambda: {
                currency: figures.products(
                    publication.cursor, found.id, currency, span.since.replace(day=1), span.until
                )
                for currency in sorted({one.currency for one in now})
            },
        ),
    }


def _point(publication: Publication, company_id: str, as_of: str) -> Point:
    moment: int | datetime
    if as_of.isascii() and as_of.isdigit() and len(as_of) < 18:
        column, moment = "snapshot_id", int(as_of)
    else:
        try:
            column, moment = "loaded_at", instant(as_of)
        except ValueError as exc:
            raise ApiError(400, f"asOf: neither a snapshot id nor a time: {exc}.") from exc
    row = publication.cursor.execute(
        f"SELECT snapshot_id, loaded_at FROM snapshots WHERE company_id = ? AND {column} <= ?"  # noqa: S608
        " ORDER BY snapshot_id DESC LIMIT 1",
        [company_id, moment],
    ).fetchone()
    if row is None:
        raise ApiError(400, f"asOf: nothing of this company had been loaded by {as_of}.")
    return Point(*row)


def _read_until_then(publication: Publication, found: Company, snapshot_id: int) -> date | None:
    known = states_of(publication)
    began = [
        read_up_to(publication, one.id, snapshot_id) for one in found.data_connections if one.id in known
    ]
    moments = [moment for moment in began if moment is not None]
    return local_day(publication, found.id, min(moments)) if moments else None


@dataclass(frozen=True, slots=True)
class Restated:
    """What makes months that were over then others now: (connection, order), the first of ``total``, oldest first."""

    orders: Sequence[tuple[str, RestatedOrder]]
    total: int


def _restated(
    publication: Publication, found: Company, then: Point, now: Point, span: Span, read_then: date | None
) -> Restated:
    """Of the months shown."""
    months = Span("month", span.since.replace(day=1), span.until)
    over = {start for start in months.starts() if read_then is not None and months.end(start) < read_then}
    kept = sorted(
        (
            (connection.id, order)
            for connection in found.data_connections
            for order in restated_orders(
                publication.cursor, found.id, connection.id, told=then.snapshot_id, now=now.snapshot_id
            )
            if order.month in over
        ),
        key=lambda one: (one[1].month, one[1].order_id),
    )
    return Restated(kept[:MOST_RESTATED], len(kept))


def _other_connections(publication: Publication, found: Company) -> int:
    """Connections whose sales are in the company's figures though the API shows them no more."""
    shown = [one.id for one in found.data_connections]
    row = publication.cursor.execute(
        "SELECT count(*) FROM connections WHERE company_id = ? AND NOT list_contains(?, connection_id)",
        [found.id, shown],
    ).fetchone()
    return int(row[0]) if row else 0


def crumbs(found: Company, *rest: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    """Where a page below a company stands."""
    steps_: list[tuple[str, str | None]] = [
        ("Companies", HOME),
        (found.name, company_path(found.id) if rest else None),
    ]
    return [*steps_, *rest]
