"""Beyond Codat: versions of an order, the records behind its numbers, snapshots, proof of completeness."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Path, Request, Response

from connector.api.answer import examples
from connector.api.answer.body import json_answer
from connector.api.answer.differences import changes, rules
from connector.api.answer.errors import no_record
from connector.api.answer.openapi import documented
from connector.api.answer.paging import Linked, envelope
from connector.api.answer.params import AsOf, CompanyId, ConnectionId, Epoch, Paging
from connector.api.answer.quality import amounts, is_complete, unexplained
from connector.api.reading import reading
from connector.api.reads import history as api_history
from connector.api.reads import records as api_reads
from connector.api.reads.history import OrderVersion, ReconciledDay, Snapshot
from connector.api.reads.records import wire_time
from connector.api.routes.data import PREFIX
from connector.api.state import Reads, ReadsLineage
from schemas.platform import DataType
from schemas.wire import encode_present, ready

router = APIRouter(tags=["Beyond Codat"])
CONNECTION = "/companies/{companyId}/connections/{connectionId}"
ORDER = f"{PREFIX}/commerce-orders/{{orderId:path}}"
OrderId = Path(alias="orderId", description="The order's id, percent-encoded.")
_SNAPSHOT_EXAMPLE = {
    "snapshotId": 42,
    "runId": "20261010T020000Z-7f3a",
    "loadedAt": "2026-10-10T02:00:00Z",
    "fromSourceModifiedDate": "2026-10-09T02:00:00Z",
    "toSourceModifiedDate": "2026-10-09T09:12:00Z",
    "ordersInserted": 12,
    "ordersUpdated": 3,
    "ordersUnchanged": 40,
    "ordersDeleted": 1,
}
_VERSION_EXAMPLE = {
    "snapshotId": 42,
    "loadedAt": "2026-10-10T02:00:00Z",
    "sourceModifiedDate": "2026-10-09T09:12:00Z",
    "contentHash": "5f0c…",
    "isDeleted": False,
    "late": False,
    "changes": [{"path": "totalRefund", "from": 0, "to": -27}],
    "order": examples.ORDER,
}
_LINEAGE_EXAMPLE = {
    "orderId": "5K2XJ9T0ABCDE",
    "snapshotId": 42,
    "totals": [
        {
            "field": "totalRefund",
            "rule": "the totals of lines with a quantity below zero",
            "value": -27,
            "parts": [{"of": "orderLineItems[quantity<0].totalAmount", "amount": -27}],
            "agrees": True,
        }
    ],
    "issues": [],
    "sources": [
        {
            "kind": "refund",
            "id": "RF1",
            "createdAt": "2026-10-09T09:12:00Z",
            "snapshotId": 42,
            "loadedAt": "2026-10-10T02:00:00Z",
            "record": {"id": "RF1", "amount": 2700, "charge": "CH1", "status": "succeeded"},
        }
    ],
}
_RECONCILIATION_EXAMPLE = {
    "reconciledAt": "2026-11-22T05:00:00Z",
    "complete": True,
    "unexplained": [{"currency": "USD", "amount": 0}],
    "days": [
        {
            "day": "2026-11-21",
            "stream": "charges",
            "currency": "USD",
            "reconciledAt": "2026-11-22T05:00:00Z",
            "cloverCount": 12,
            "cloverAmount": 740.5,
            "storedCount": 12,
            "storedAmount": 740.5,
            "explained": 0,
            "unexplained": 0,
        }
    ],
}


@router.get(
    f"{ORDER}/versions",
    summary="Versions of an order",
    description="Every version known (as of a snapshot, if asked), oldest first, and what each changed.",
    operation_id="list-order-versions",
    **documented({"results": [_VERSION_EXAMPLE]}, 400, 409),
)
def list_versions(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    order_id: str = OrderId,
    as_of: AsOf = None,
) -> Response:
    """A version that arrived late was never the current one; its changes are against the current one then."""
    with reading(call, company_id, connection_id, as_of) as here:
        versions = api_history.order_versions(here.publication, connection_id, order_id, here.snapshot)
    if not versions:
        raise no_record(DataType.ORDERS, order_id)
    call.rows = len(versions)
    results = []
    current: Mapping[str, Any] = {}
    for version in versions:
        order = json.loads(version.document, parse_float=Decimal)
        results.append(_version(version, order, current))
        if not version.late:
            current = order
    return json_answer(request, encode_present({"results": results}))


@router.get(
    f"{ORDER}/lineage",
    summary="The records behind an order",
    description=(
        "Clover's own records behind the numbers, without card and personal data, and the rule that made each"
        " total. Needs the scope `lineage`."
    ),
    operation_id="get-order-lineage",
    **documented(_LINEAGE_EXAMPLE, 400, 409),
)
def get_lineage(
    call: ReadsLineage,
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    order_id: str = OrderId,
    as_of: AsOf = None,
) -> Response:
    """The records as known at the snapshot the order is read as of."""
    with reading(call, company_id, connection_id, as_of) as here:
        document = api_reads.one(here.publication, api_reads.ORDERS, here.scope, order_id)
        if document is None:
            raise no_record(DataType.ORDERS, order_id)
        sources = api_history.source_records(here.publication, connection_id, order_id, here.snapshot)
        issues = api_history.order_issues(here.publication, connection_id, order_id, here.snapshot)
    call.rows = len(sources)
    answer = {
        "orderId": order_id,
        "snapshotId": here.snapshot,
        "totals": rules(json.loads(document, parse_float=Decimal)),
        "issues": [
            {"code": code, "severity": severity, "detail": detail} for code, severity, detail in issues
        ],
        "sources": [
            {
                "kind": source.kind,
                "id": source.record_id,
                "createdAt": wire_time(source.created_at),
                "snapshotId": source.snapshot_id,
                "loadedAt": wire_time(source.loaded_at),
                "record": ready(source.payload),
            }
            for source in sources
        ],
    }
    return json_answer(request, encode_present(answer))


@router.get(
    f"{CONNECTION}/snapshots",
    summary="Snapshots of a connection",
    description=(
        "Every committed load, newest first: what `asOf` can name. `ordersUpdated` counts deletions too;"
        " `ordersDeleted` says how many they are. Which orders they are: `changes`. `epoch` is the numbering they are"
        " of: another one after the store was restored, when the numbers of later loads are given again."
    ),
    operation_id="list-snapshots",
    **documented(
        {
            **examples.page_of(_SNAPSHOT_EXAMPLE, f"{CONNECTION}/snapshots"),
            "epoch": "0b8f6f7e-0c7b-4b1e-9d59-6a1f6a4f7c11",
        },
        400,
        409,
        410,
    ),
)
def list_snapshots(
    call: Reads,
    request: Request,
    company_id: CompanyId,
    connection_id: ConnectionId,
    asked: Paging,
    epoch: Epoch = None,
) -> Response:
    """Snapshot ids are the store's: those of one connection have gaps."""
    with reading(call, company_id, connection_id) as here:
        here.refuse_other_epoch(epoch)
        numbering = {"epoch": here.epoch}
        found, total = api_history.snapshots(
            here.publication, connection_id, limit=asked.size, offset=asked.offset
        )
    call.rows = len(found)
    text = ",".join(encode_present(_snapshot(snapshot)).decode() for snapshot in found)
    body = envelope(text, Linked.by(request, asked), total, numbering)
    return json_answer(request, body)


@router.get(
    f"{CONNECTION}/reconciliation",
    summary="Proof of completeness",
    description=(
        "The newest comparison with Clover's own counts and amounts, for each day, stream and currency."
        " `complete` is true when nothing is unexplained; it is left out when nothing was compared yet."
    ),
    operation_id="get-reconciliation",
    **documented(_RECONCILIATION_EXAMPLE, 400, 409),
)
def get_reconciliation(
    call: Reads, request: Request, company_id: CompanyId, connection_id: ConnectionId
) -> Response:
    """Made by ``connector reconcile``."""
    with reading(call, company_id, connection_id) as here:
        days = api_history.reconciled_days(here.publication, connection_id)
        deleted = here.quality.deletions()
    call.rows = len(days)
    return json_answer(request, encode_present({**_reconciliation(days), "deletedAtSource": deleted}))


def _version(version: OrderVersion, order: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "snapshotId": version.snapshot_id,
        "loadedAt": wire_time(version.loaded_at),
        "sourceModifiedDate": wire_time(version.source_modified_date),
        "contentHash": version.content_hash,
        "replacedBy": None if version.late else version.replaced_by,
        "isDeleted": version.is_deleted,
        "late": version.late,
        "changes": list(changes(current, order)) if current else [],
        "order": ready(version.document),
    }


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshotId": snapshot.snapshot_id,
        "runId": snapshot.run_id,
        "loadedAt": wire_time(snapshot.loaded_at),
        "fromSourceModifiedDate": wire_time(snapshot.from_source_modified_date),
        "toSourceModifiedDate": wire_time(snapshot.to_source_modified_date),
        "ordersInserted": snapshot.orders_inserted,
        "ordersUpdated": snapshot.orders_updated,
        "ordersUnchanged": snapshot.orders_unchanged,
        "ordersDeleted": snapshot.orders_deleted,
    }


def _reconciliation(days: list[ReconciledDay]) -> dict[str, Any]:
    return {
        "reconciledAt": wire_time(max((day.reconciled_at for day in days), default=None)),
        "complete": is_complete(days),
        "unexplained": amounts(unexplained(days)),
        "days": [
            {
                "day": day.day.isoformat(),
                "stream": day.stream,
                "currency": day.currency,
                "reconciledAt": wire_time(day.reconciled_at),
                "cloverCount": day.clover_count,
                "cloverAmount": day.clover_amount,
                "storedCount": day.stored_count,
                "storedAmount": day.stored_amount,
                "explained": day.explained,
                "unexplained": day.unexplained,
                "detail": day.detail,
            }
            for day in days
        ],
    }
