"""How current the data is, what was read when, and asking for another read.

A run of a connection reads every data type at once; Codat counts one operation for each data type, so the
ids of operations are made of the run's id and the data type. Never-synced types are left out of the status,
because Codat's clients refuse one without ``currentStatus``.
"""

import uuid
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.errors import ApiError, no_connection, no_record
from connector.api.answer.openapi import documented
from connector.api.answer.params import CompanyId, Listing
from connector.api.answer.resources import UNSUPPORTED
from connector.api.answer.small_lists import SmallList
from connector.api.query import fields
from connector.api.reads.records import wire_time
from connector.api.reads.runs import Run, reads_of, states_of
from connector.api.state import Call, Reads, Writes
from connector.control import companies as api_companies
from connector.control.file import moment_of, stamp
from connector.control.refreshes import Refresh, ask_for_refresh, refreshes_of
from connector.ledger import locks
from connector.ledger.connection_state import ConnectionState
from connector.ledger.published import NothingPublishedError
from schemas.platform import DatasetStatus, DataStatus, DataType, PullOperation
from schemas.wire import encode, members

router = APIRouter(prefix="/companies/{companyId}", tags=["Status and refresh"])
HISTORY = SmallList(fields.HISTORY, "Dataset", "-requested")
_NAMESPACE = uuid.UUID("c2ce6f5c-5d80-4a53-9f3a-9a0b7d9a4a3f")
READ_TYPES = tuple(t for t in DataType if t not in UNSUPPORTED)
FAILURES = {
    "authorisation": (
        DatasetStatus.AUTH_ERROR,
        "Access to Clover was lost; the merchant must connect again.",
    ),
    "clover": (DatasetStatus.FETCH_ERROR, "Clover could not be read; the next sync tries again."),
    "store": (DatasetStatus.INTERNAL_ERROR, "The store could not be written; the next sync tries again."),
    "config": (DatasetStatus.PREREQUISITE_NOT_MET, "The operator has to correct the configuration."),
}
# Schedulers look for requests every second: who still waits after this waits for one that does not run.
TAKEN_UP_WITHIN = timedelta(minutes=1)
_OTHERWISE = (DatasetStatus.INTERNAL_ERROR, "The sync failed on our side; the next one tries again.")


class Books(NamedTuple):
    """What is known of one company's reads.

    runs: newest first. waiting: requests no run has answered yet. good: the connection whose sync succeeded last.
    answering: ids of waiting requests that a run is answering at this moment.
    """

    runs: list[Run]
    good: ConnectionState | None
    waiting: list[Refresh]
    answering: frozenset[str]


def operation_id(run_id: str, data_type: DataType) -> str:
    """Stable for a run and a data type."""
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}/{data_type}"))


def run_status(run: Run) -> tuple[DatasetStatus, str | None]:
    """Codat's word for how a run went, and words for a person where it did not go well."""
    if run.succeeded:
        held = run.held_back
        return DatasetStatus.COMPLETE, f"{held} orders are held back for the operator." if held else None
    if run.status == "running":
        return DatasetStatus.FETCHING, None
    return FAILURES.get(run.error_kind or "", _OTHERWISE)


def _operation(run: Run, data_type: DataType) -> PullOperation:
    status, words = run_status(run)
    done, errored = status is DatasetStatus.COMPLETE, run.status == "failed"
    return PullOperation(
        id=operation_id(run.run_id, data_type),
        company_id=run.company_id,
        connection_id=run.connection_id,
        data_type=data_type,
        status=status,
        status_description=words,
        error_message=words if errored else None,
        requested=wire_time(run.started_at) or "",
        completed=wire_time(run.finished_at),
        progress=100 if done or errored else 50,
        is_completed=done,
        is_errored=errored,
    )


def waiting_words(refresh: Refresh, now: datetime) -> str:
    """What a request that no run has answered waits for."""
    if now - moment_of(refresh.requested) < TAKEN_UP_WITHIN:
        return "Waits for the next sync."
    return (
        f"No run has begun since it was asked for at {refresh.requested}: no scheduler takes it up, or all its"
        " places are taken. The operator runs connector schedule, or connector sync."
    )


def _queued(refresh: Refresh, data_type: DataType, now: datetime, *, answered: bool = False) -> PullOperation:
    return PullOperation(
        id=refresh.request_id if refresh.data_type else operation_id(refresh.request_id, data_type),
        company_id=refresh.company_id,
        connection_id=refresh.connection_id,
        data_type=data_type,
        status=DatasetStatus.FETCHING if answered else DatasetStatus.QUEUED,
        status_description=None if answered else waiting_words(refresh, now),
        requested=refresh.requested,
        progress=50 if answered else 0,
        is_completed=False,
        is_errored=False,
    )


def books_of(call: Call, company_id: str) -> Books:
    """Of the connections that are shown."""
    shown = {c.connection_id for c in api_companies.list_connections(call.state.control, company_id)}
    try:
        with call.publication() as publication:
            runs = [run for run in reads_of(publication, company_id) if run.connection_id in shown]
            synced = [state for state in states_of(publication).values() if state.connection_id in shown]
    except NothingPublishedError:
        runs, synced = [], []
    good = max(
        (state for state in synced if state.last_success is not None),
        key=lambda state: (state.last_success, state.last_success_run),
        default=None,
    )
    begun: dict[str, str] = {}
    for run in runs:
        begun.setdefault(run.connection_id, wire_time(run.started_at) or "")
    waiting = [
        refresh
        for refresh in refreshes_of(call.state.control, company_id)
        if refresh.connection_id in shown and begun.get(refresh.connection_id, "") < refresh.requested
    ]
    return Books(runs, good, waiting, _answering(call, waiting))


def _answering(call: Call, waiting: list[Refresh]) -> frozenset[str]:
    """Whose connection is being read by a run that began after they were made; such a run is not published yet."""
    directory = call.state.settings.directory
    since = {
        one: locks.held_since(directory, f"connection-{one}")
        for one in {refresh.connection_id for refresh in waiting}
    }
    return frozenset(
        refresh.request_id
        for refresh in waiting
        if (began := since[refresh.connection_id]) is not None and refresh.requested <= stamp(began)
    )


def _types(refresh: Refresh) -> tuple[DataType, ...]:
    return READ_TYPES if refresh.data_type is None else (DataType(refresh.data_type),)


def _history(books: Books, now: datetime) -> list[PullOperation]:
    asked = [
        _queued(refresh, data_type, now, answered=refresh.request_id in books.answering)
        for refresh in books.waiting
        for data_type in _types(refresh)
    ]
    return asked + [_operation(run, data_type) for run in books.runs for data_type in READ_TYPES]


@router.get(
    "/dataStatus",
    summary="Data status",
    description="For each data type ever read: when it was last read well, and where it stands now.",
    operation_id="get-data-status",
    **documented(examples.DATA_STATUS),
)
def get_data_status(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """A failed read keeps the time of the last good one."""
    call.company(company_id)
    books = books_of(call, company_id)
    statuses: dict[str, object] = {}
    latest = books.runs[0] if books.runs else None
    good = books.good
    for data_type in DataType:
        if data_type in UNSUPPORTED:
            if good is not None:
                statuses[data_type.value] = DataStatus(
                    data_type=data_type, current_status=DatasetStatus.NOT_SUPPORTED
                )
            continue
        queued = {refresh.request_id for refresh in books.waiting if data_type in _types(refresh)}
        if latest is None and not queued:
            continue
        current = DatasetStatus.FETCHING if queued & books.answering else DatasetStatus.QUEUED
        if latest is not None and not queued:
            current = run_status(latest)[0]
        statuses[data_type.value] = DataStatus(
            data_type=data_type,
            current_status=current,
            last_successful_sync=wire_time(good.last_success) if good else None,
            latest_sync_id=operation_id(latest.run_id, data_type) if latest else None,
            latest_successful_sync_id=operation_id(good.last_success_run or "", data_type) if good else None,
        )
    return json_answer(request, encode(statuses))


@router.get(
    "/data/history",
    summary="Data history",
    description="Reads of the last 1000 runs and those still waiting, newest first unless ordered otherwise.",
    operation_id="list-data-history",
    **documented(examples.page_of(examples.PULL_OPERATION, "/companies/{companyId}/data/history"), 400),
)
def list_history(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    asked: Listing,
) -> Response:
    """Every member that is served can be asked for; at Codat ``isCompleted`` cannot."""
    call.company(company_id)
    rows = [members(operation) for operation in _history(books_of(call, company_id), call.now())]
    return HISTORY.page(call, request, rows, asked)


@router.get(
    "/data/history/{datasetId}",
    summary="Get one read",
    description="One operation of the history, by its id.",
    operation_id="get-data-history",
    **documented(examples.PULL_OPERATION),
)
def get_history(call: Reads, request: Request, company_id: CompanyId) -> Response:
    """A request keeps its id until a run has answered it; then it shows that run."""
    call.company(company_id)
    dataset_id = str(request.path_params["datasetId"])
    books = books_of(call, company_id)
    for operation in _history(books, call.now()):
        if operation.id == dataset_id:
            return json_answer(request, encode(operation))
    for refresh in refreshes_of(call.state.control, company_id):
        if refresh.request_id == dataset_id and refresh.data_type:
            answered = [
                run
                for run in books.runs
                if run.connection_id == refresh.connection_id
                and (wire_time(run.started_at) or "") >= refresh.requested
            ]
            if answered:
                operation = _operation(answered[-1], DataType(refresh.data_type))
                return json_answer(request, encode(operation.model_copy(update={"id": dataset_id})))
    raise no_record("data history", dataset_id)


def ask_for_all(call: Call, company_id: str) -> None:
    """Ask for a read of every connection that is linked and not asked for already."""
    call.require("write")
    call.company(company_id)
    waiting = {r.connection_id for r in books_of(call, company_id).waiting if r.data_type is None}
    wanted = [
        Refresh(str(uuid.uuid4()), company_id, c.connection_id, None, stamp(call.now()))
        for c in api_companies.list_connections(call.state.control, company_id)
        if c.status != "Unlinked" and c.connection_id not in waiting
    ]
    ask_for_refresh(call.state.control, wanted, requested_by=call.reader.key_id)


@router.post(
    "/data/all",
    summary="Refresh all data",
    description="Asks for a read of every connection; the scheduler or the next sync takes it up.",
    operation_id="refresh-company-data",
    **documented(None, status=204, about="Noted."),
)
def refresh_all(call: Writes, company_id: CompanyId) -> Response:
    """Asking again while one waits changes nothing."""
    ask_for_all(call, company_id)
    return Response(status_code=204)


@router.post(
    "/data/queue/{dataType}",
    summary="Refresh one data type",
    description="Asks for a read of one connection, or of the company's first. 400 while one still waits.",
    operation_id="create-pull-operation",
    **documented({**examples.PULL_OPERATION, "status": "Queued", "progress": 0, "isCompleted": False}, 400),
)
def queue(
    call: Writes,
    request: Request,
    company_id: CompanyId,
    connection_id: Annotated[
        str | None, Query(alias="connectionId", description="The connection; the first one if left out.")
    ] = None,
) -> Response:
    """A run reads every data type, so this one is read together with the others."""
    call.company(company_id)
    name = str(request.path_params["dataType"])
    if name not in READ_TYPES:
        raise ApiError(404, f"Datatype {name} not supported by platform(s) Clover")
    connections = [c.connection_id for c in api_companies.list_connections(call.state.control, company_id)]
    if connection_id is not None and connection_id not in connections:
        raise no_connection(connection_id)
    chosen = connection_id or (connections[0] if connections else None)
    if chosen is None:
        raise ApiError(404, f"No data connection was found for company {company_id}", code=230)
    call.connection_id = chosen
    data_type = DataType(name)
    if any(r.connection_id == chosen and data_type in _types(r) for r in books_of(call, company_id).waiting):
        raise ApiError(
            400,
            f"DatasetAlreadyInProgressException: Cannot queue {name} for connection {chosen};"
            " one is still in progress.",
            service="PullApi",
        )
    refresh = Refresh(str(uuid.uuid4()), company_id, chosen, name, stamp(call.now()))
    ask_for_refresh(call.state.control, [refresh], requested_by=call.reader.key_id)
    return json_answer(request, encode(_queued(refresh, data_type, call.now())))
