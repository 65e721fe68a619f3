"""What was read when, at what cost, and asking for another read."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from connector.api.answer.companies import one_company
from connector.api.reads.runs import run_reports
from connector.api.routes.status import ask_for_all, books_of, waiting_words
from connector.api.state import call_of
from connector.ledger.published import NothingPublishedError
from connector.portal.company import COMPANY, CompanyId, crumbs
from connector.portal.entrance import SessionForm
from connector.portal.rendering import SAFE, company_path, page

router = APIRouter()


@router.get(f"{COMPANY}/sync")
def runs(request: Request, company_id: CompanyId) -> Response:
    """The newest runs, and what was asked for and waits."""
    call = call_of(request)
    call.require("read")
    company = one_company(call, company_id)
    shown = {connection.id for connection in company.data_connections}
    try:
        with call.publication() as publication:
            reports = [run for run in run_reports(publication, company_id) if run.connection_id in shown]
    except NothingPublishedError:
        reports = []
    books = books_of(call, company_id)
    call.rows = len(reports)
    return page(
        request,
        "sync.html",
        crumbs=crumbs(company, ("Runs", None)),
        company=company,
        here=company_path(company_id, "sync"),
        runs=reports,
        waiting=[
            (
                refresh,
                "Is being read now."
                if refresh.request_id in books.answering
                else waiting_words(refresh, call.now()),
            )
            for refresh in books.waiting
        ],
        is_busy=bool(books.waiting)
        or any(run.status == "running" and run.finished_at is None for run in reports[:1]),
        may_ask="write" in call.reader.scopes,
    )


@router.post(f"{COMPANY}/refresh")
def refresh(request: Request, company_id: CompanyId, fields: SessionForm) -> Response:  # noqa: ARG001 - what it proves is needed
    """Asking again while one waits changes nothing."""
    ask_for_all(call_of(request), company_id)
    return RedirectResponse(company_path(company_id, "sync"), 303, SAFE)
