"""Codat's Excel reports: of its report types the audit report, the one that a commerce platform has the data for.

Codat makes a report when it is asked for, keeps it, and gives it out. Here it is made when it is downloaded, of the
newest snapshot: it is always ready and never old, and nothing of it is kept that ``connector forget`` would have to
find.
"""

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from connector.api.answer.body import chosen_type, json_answer
from connector.api.answer.errors import ApiError, no_record
from connector.api.answer.openapi import documented
from connector.api.answer.params import CompanyId
from connector.api.answer.workbook import XLSX, Sheet, write_workbook
from connector.api.reading import Reading
from connector.api.reads import audit, integrity
from connector.api.reads import history as api_history
from connector.api.reads.records import wire_time
from connector.api.reads.runs import states_of
from connector.api.state import Call, Reads, Writes
from connector.control import companies as api_companies
from connector.ledger.connection_state import ConnectionState
from connector.ledger.published import NothingPublishedError, Publication
from schemas.wire import encode_present

router = APIRouter(prefix="/data/companies/{companyId}/assess/excel", tags=["Platform"])
AUDIT = "audit"
MOST_ROWS = 50_000  # orders, and payments, of a company; whole lists are downloads of their own
_OCTETS = "application/octet-stream"  # what Codat's clients ask for
_NAMESPACE = uuid.UUID("5a1d2a0e-8d63-4a6e-9c22-0f8f0f6b5a51")
_STATUS = {"reportType": AUDIT, "success": True, "inProgress": False, "lastGenerated": "2026-10-10T02:00:00Z"}
ReportType = Annotated[
    str,
    Query(
        alias="reportType",
        description="`audit`. Codat's other types are made of accounting data, which Clover does not have: 404.",
        examples=[AUDIT],
    ),
]


@router.post(
    "",
    summary="Generate an Excel report",
    description="Notes nothing: a report is made of the newest snapshot whenever it is downloaded.",
    operation_id="generate-excel-report",
    **documented(_STATUS, 400),
)
def generate(call: Writes, request: Request, company_id: CompanyId, report_type: ReportType) -> Response:
    """Says what the status says."""
    return json_answer(request, encode_present(_status(call, company_id, report_type)))


@router.get(
    "",
    summary="Status of an Excel report",
    description="Always ready. `lastGenerated` is when the data in it was loaded; `fileSize` is not known before.",
    operation_id="get-excel-report-generation-status",
    **documented(_STATUS, 400),
)
def get_status(call: Reads, request: Request, company_id: CompanyId, report_type: ReportType) -> Response:
    """404 before the first sync."""
    return json_answer(request, encode_present(_status(call, company_id, report_type)))


@router.get(
    "/download",
    summary="Download an Excel report",
    description=(
        "One workbook of a company: how far its data can be relied on, which orders' payments are exactly what they"
        " come to, the comparison with Clover's own figures by day, open issues, and the newest 50,000 orders and"
        " payments. Whole lists: `/companies/{companyId}/export/{view}`."
    ),
    operation_id="download-excel-report",
    **documented({"format": "XLSX"}, 400, files=(XLSX, _OCTETS)),
)
def download(call: Reads, request: Request, company_id: CompanyId, report_type: ReportType) -> Response:
    """Written whole before it is sent."""
    with _synced(call, company_id, report_type, watched=False) as (publication, states):
        media = chosen_type(request, XLSX, _OCTETS)
        with tempfile.NamedTemporaryFile(prefix="connector-excel-", suffix=".xlsx", delete=False) as file:
            path = FilePath(file.name)
        try:
            call.rows = write_workbook(path, _sheets(publication, company_id, states), made=call.now())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    remove = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type=media, filename=f"{AUDIT}-{company_id}.xlsx", background=remove)


@contextmanager
def _synced(
    call: Call, company_id: str, report_type: str, *, watched: bool = True
) -> Iterator[tuple[Publication, dict[str, ConnectionState]]]:
    """The publication, and the state of each connection that was synced. Raises ApiError 404; here Codat has no 409."""
    call.company(company_id)
    if report_type != AUDIT:
        raise ApiError(404, f"Report type {report_type} not supported by platform(s) Clover")
    shown = [c.connection_id for c in api_companies.list_connections(call.state.control, company_id)]
    try:
        with call.publication(watched=watched) as publication:
            states = states_of(publication)
            found = {one: states[one] for one in shown if one in states and states[one].synced}
            if not found:
                raise no_record("excel report", company_id)
            yield publication, found
    except NothingPublishedError as exc:
        raise no_record("excel report", company_id) from exc


def _status(call: Call, company_id: str, report_type: str) -> dict[str, Any]:
    with _synced(call, company_id, report_type) as (_, states):
        newest = max(states.values(), key=lambda state: (state.last_success, state.connection_id))
    return {
        "reportType": AUDIT,
        "lastGenerated": wire_time(newest.last_success),
        "queued": wire_time(newest.last_success),
        "inProgress": False,
        "success": True,
        "lastInvocationId": str(uuid.uuid5(_NAMESPACE, f"{company_id}/{newest.last_success_run}")),
    }


def _sheets(
    publication: Publication, company_id: str, states: Mapping[str, ConnectionState]
) -> Iterator[Sheet]:
    readings = [
        Reading(publication, state, company_id, connection_id, state.newest_snapshot or 0)
        for connection_id, state in states.items()
    ]
    most = MOST_ROWS // len(readings)
    yield Sheet("About", ("connection_id", "what", "value"), _about(readings, most))
    yield Sheet(
        "Data integrity",
        ("currency", "orders", "matched", "amount", "matched_amount", "from", "until"),
        (
            (one.currency, one.orders, one.matched, one.amount, one.matched_amount, one.first, one.last)
            for one in integrity.matched(publication, company_id, list(states))
        ),
    )
    yield Sheet(
        "Reconciliation",
        (
            *("connection_id", "day", "stream", "currency", "clover_count", "clover_amount", "stored_count"),
            *("stored_amount", "explained", "unexplained", "reconciled_at"),
        ),
        (
            (
                *(here.connection_id, day.day, day.stream, day.currency, day.clover_count, day.clover_amount),
                *(day.stored_count, day.stored_amount, day.explained, day.unexplained, day.reconciled_at),
            )
            for here in readings
            for day in api_history.reconciled_days(publication, here.connection_id)
        ),
    )
    yield Sheet(
        "Open issues",
        ("connection_id", "order_id", "code", "severity", "detail"),
        (
            (here.connection_id, *issue)
            for here in readings
            for issue in api_history.issues_at(publication, here.connection_id, here.snapshot)[:most]
        ),
    )
    for name, columns, read in (
        ("Orders", audit.ORDER_COLUMNS, audit.orders),
        ("Payments", audit.PAYMENT_COLUMNS, audit.payments),
    ):
        yield Sheet(
            name,
            ("connection_id", *columns),
            (
                (here.connection_id, *row)
                for here in readings
                for row in read(publication, here.scope, most=most)
            ),
        )


def _about(readings: list[Reading], most: int) -> Iterator[tuple[str, str, object]]:
    for here in readings:
        about = {"snapshot": here.snapshot, "orders": here.state.orders, **here.quality.words()}
        about |= {f"open {severity}s": issues for severity, issues in here.quality.issues.items()}
        if here.state.orders > most:
            about["orders in this file"] = f"the newest {most}"
        for what, value in about.items():
            yield here.connection_id, what, value
