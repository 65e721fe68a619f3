"""What changed between two snapshots, deletions included: which orders, and what it comes to by month.

A client that keeps a copy asks for the changes since the snapshot it holds and for nothing else: orders that are
gone are in no query over ``modifiedDate``, because a list can only show what is there.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.errors import ApiError
from connector.api.answer.openapi import documented
from connector.api.answer.paging import Linked, PageRequest, envelope, parameters
from connector.api.answer.params import CompanyId, ConnectionId, Epoch, Paging
from connector.api.reading import Reading, reading
from connector.api.reads import changes as api_changes
from connector.api.reads.changes import MonthChange, OrderChange, Side, Span
from connector.api.reads.records import wire_time
from connector.api.routes.history import CONNECTION
from connector.api.state import Reads, call_of

router = APIRouter(tags=["Beyond Codat"])
KINDS = ("inserted", "updated", "deleted")
NAMES = {
    "total_amount": "totalAmount",
    "total_refund": "totalRefund",
    "total_tax_amount": "totalTaxAmount",
    "total_discount": "totalDiscount",
    "total_gratuity": "totalGratuity",
}
FromSnapshot = Annotated[
    int,
    Query(
        alias="fromSnapshot",
        ge=0,
        le=10**17,
        description="The snapshot the client holds; 0 for none, then every order is new.",
        examples=[41],
    ),
]
ToSnapshot = Annotated[
    int | None,
    Query(
        alias="toSnapshot",
        ge=0,
        le=10**17,
        description="The snapshot to come to; the newest if left out.",
        examples=[42],
    ),
]
_TOTALS_EXAMPLE = dict.fromkeys(NAMES.values(), 0) | {"totalAmount": 43}
_CHANGE_EXAMPLE = {
    "id": "5K2XJ9T0ABCDE",
    "snapshotId": 42,
    "createdDate": "2026-10-03T14:05:09Z",
    "month": "2026-10",
    "currency": "USD",
    "from": _TOTALS_EXAMPLE,
}
_EXAMPLE = {
    name: value for name, value in examples.page_of({}, f"{CONNECTION}/changes").items() if name != "results"
}
_EXAMPLE |= {
    "results": [],
    "fromSnapshot": 41,
    "toSnapshot": 42,
    "epoch": "0b8f6f7e-0c7b-4b1e-9d59-6a1f6a4f7c11",
    "inserted": [],
    "updated": [],
    "deleted": [_CHANGE_EXAMPLE],
    "counts": {"inserted": 0, "updated": 0, "deleted": 1},
    "months": [
        {
            "month": "2026-10",
            "currency": "USD",
            "deleted": {"orders": 1, **dict.fromkeys(NAMES.values(), 0), "totalAmount": -43},
            "difference": {**dict.fromkeys(NAMES.values(), 0), "totalAmount": -43},
        }
    ],
    "settings": [
        {"setting": "timezone", "from": "America/New_York", "to": "America/Chicago", "snapshotId": 42}
    ],
}


@router.get(
    f"{CONNECTION}/changes",
    summary="Changes between two snapshots",
    description=(
        "Orders inserted, updated and deleted after one snapshot and up to another, with their totals before"
        " (`from`) and after (`to`), and what that comes to by month; `settings` are those of the connection that"
        " were corrected: a time zone moves the days of all its orders. Paged over all three kinds together, by id;"
        " `counts`, `months` and `settings` are of the whole span on every page."
    ),
    operation_id="list-changes",
    **documented(_EXAMPLE, 400, 409, 410),
)
def list_changes(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    from_snapshot: FromSnapshot,
    asked: Paging,
    to_snapshot: ToSnapshot = None,
    epoch: Epoch = None,
) -> Response:
    """The links name the snapshot the answer came to, so that later pages stay on it."""
    with reading(call, company_id, connection_id) as here:
        here.refuse_other_epoch(epoch)
        until = here.snapshot if to_snapshot is None else to_snapshot
        for name, value in (("fromSnapshot", from_snapshot), ("toSnapshot", until)):
            if value > here.snapshot:
                raise ApiError(
                    400,
                    f"{name}: snapshot {value} is not one of this connection; its newest is {here.snapshot}.",
                )
        if from_snapshot > until:
            raise ApiError(400, f"fromSnapshot {from_snapshot} is later than toSnapshot {until}.")
        given = [(name, value) for name, value in parameters(request) if name != "toSnapshot"]
        return _answer(
            request,
            here,
            (from_snapshot, until),
            asked,
            [*given, ("toSnapshot", str(until))],
        )


@router.get(
    f"{CONNECTION}/snapshots/{{snapshotId}}/changes",
    summary="Changes of one snapshot",
    description=(
        "What one load changed: as `changes` from the snapshot before to this one. A client that keeps a copy asks"
        " `snapshots` for those after the one it holds, and for the changes of each."
    ),
    operation_id="list-snapshot-changes",
    **documented(_EXAMPLE, 400, 409, 410),
)
def list_snapshot_changes(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    asked: Paging,
    snapshot_id: Annotated[
        int, Path(alias="snapshotId", ge=1, le=10**17, description="One of `snapshots`.", examples=[42])
    ],
    epoch: Epoch = None,
) -> Response:
    """Snapshot ids are the store's: of another connection's a 404."""
    with reading(call, company_id, connection_id) as here:
        here.refuse_other_epoch(epoch)
        if snapshot_id > here.snapshot or here.snapshot_of(str(snapshot_id)) != snapshot_id:
            raise ApiError(
                404, f"Snapshot {snapshot_id} is not one of this connection; its newest is {here.snapshot}."
            )
        span = (snapshot_id - 1, snapshot_id)
        return _answer(request, here, span, asked, parameters(request))


def _answer(
    request: Request,
    here: Reading,
    bounds: tuple[int, int],
    asked: PageRequest,
    linked: list[tuple[str, str]],
) -> Response:
    """What changed after one snapshot and up to another. linked: the parameters of the links."""
    call = call_of(request)
    since, until = bounds
    span = Span(here.company_id, here.connection_id, since, until)
    months = api_changes.month_changes(here.publication, span)
    counts = api_changes.change_counts(here.publication, span)
    changes = api_changes.order_changes(here.publication, span, limit=asked.size, offset=asked.offset)
    settings = api_changes.setting_changes(here.publication, span)
    if until != here.snapshot:
        call.headers = here.at(until).headers
        call.snapshot_id = until
    call.rows = len(changes)
    more = {
        "fromSnapshot": since,
        "toSnapshot": until,
        "epoch": here.epoch,
        **{kind: [_change(change) for change in changes if change.change == kind] for kind in KINDS},
        "counts": {kind: counts.get(kind, 0) for kind in KINDS},
        "months": _months(months),
        "settings": [
            {"setting": one.setting, "from": one.was, "to": one.became, "snapshotId": one.snapshot_id}
            for one in settings
        ],
    }
    total = sum(counts.values())
    return json_answer(request, envelope("", Linked.by(request, asked, linked), total, more))


def _change(change: OrderChange) -> dict[str, Any]:
    newest = change.after or change.before
    assert newest is not None
    return {
        "id": change.order_id,
        "snapshotId": change.snapshot_id,
        "createdDate": wire_time(newest.created),
        "month": f"{newest.month:%Y-%m}",
        "currency": newest.currency,
        "from": _side(change.before, newest),
        "to": _side(change.after, newest),
    }


def _side(side: Side | None, newest: Side) -> dict[str, Any] | None:
    if side is None:
        return None
    moved = {}
    if (side.month, side.currency) != (newest.month, newest.currency):
        moved = {"month": f"{side.month:%Y-%m}", "currency": side.currency}
    return {**moved, **{NAMES[name]: total for name, total in side.totals.items()}}


def _months(changes: list[MonthChange]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for change in changes:
        key = (f"{change.month:%Y-%m}", change.currency)
        entry = found.setdefault(
            key, {"month": key[0], "currency": key[1], "difference": dict.fromkeys(NAMES.values(), 0)}
        )
        totals = {NAMES[name]: total for name, total in change.totals.items()}
        entry[change.change] = {"orders": change.orders, **totals}
        for name, total in totals.items():
            entry["difference"][name] += total
    return list(found.values())
