"""Maps a batch of complete order groups: Clover's records in, rows for the store out. No network, no database.

A batch is a plain value and so is its result, so that batches may be mapped in other processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson
from transforms.canonical import document
from transforms.customers import customers_of
from transforms.orders import map_order
from transforms.products import products_of

from connector.sync.rows import order_row
from connector.sync.staging import ORDER
from transforms.model import Issue, MappedOrder, Merchant, OrderGroup, PlatformLine, PreviousVersion
from transforms.parsing import parse_group

Unpaid = Literal["exclude", "include"]


@dataclass(frozen=True, slots=True)
class RawGroup:
    """The raw records of one order. order_gone: Clover answers 404 for the order itself."""

    order_id: str
    order: dict[str, Any] | None
    charges: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    order_gone: bool = False
    platform_lines: tuple[PlatformLine, ...] = ()
    platform_modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class MappingTask:
    """What one batch needs. previous: order id -> the version stored before."""

    company_id: str
    connection_id: str
    merchant: Merchant
    groups: list[RawGroup]
    previous: Mapping[str, PreviousVersion]
    run_start: datetime
    unpaid_orders: Unpaid = "exclude"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """An order that is kept raw and not published, and why."""

    order_id: str
    reason: str
    record_kind: str = ORDER
    record_id: str | None = None
    detail: str = ""
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class SideRecord:
    """A customer, product or the like as Codat JSON members, dated by the order that shows it."""

    data_type: str
    record: dict[str, Any]
    as_of: datetime


@dataclass(slots=True)
class MappedBatch:
    """The result of one batch. rows: changed orders only, ready to be written."""

    seen: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    unchanged: int = 0
    tombstones: list[str] = field(default_factory=list)
    issues: list[tuple[Issue, str | None]] = field(default_factory=list)
    held_back: list[HeldBack] = field(default_factory=list)
    open_reasons: dict[str, str] = field(default_factory=dict)
    side_records: list[SideRecord] = field(default_factory=list)


def map_batch(task: MappingTask) -> MappedBatch:
    """Map every group of the batch; never raises for anything Clover may have sent."""
    batch = MappedBatch()
    for raw in task.groups:
        batch.seen.append(raw.order_id)
        if raw.order_gone:
            _order_gone(raw, task, batch)
        else:
            _map_one(raw, task, batch)
    return batch


def _map_one(raw: RawGroup, task: MappingTask, batch: MappedBatch) -> None:
    group, unreadable = parse_group(raw.order, raw.charges, raw.refunds)
    if unreadable:
        # An order with one record that cannot be read would show wrong money; what was stored before stays.
        batch.issues += [(issue, None) for issue in unreadable]
        batch.held_back += [
            HeldBack(
                raw.order_id, "unreadable", issue.record_kind or ORDER, issue.record_id, issue.detail, True
            )
            for issue in unreadable
        ]
        return
    if raw.platform_lines or raw.platform_modified:
        group = OrderGroup(
            group.order, group.charges, group.refunds, raw.platform_lines, raw.platform_modified
        )
    previous = task.previous.get(raw.order_id)
    mapped = map_order(
        group, task.merchant, previous=previous, run_start=task.run_start, unpaid_orders=task.unpaid_orders
    )
    currency = mapped.order.currency if mapped.order else None
    batch.issues += [(issue, currency) for issue in mapped.issues]
    if mapped.open_reason:
        batch.open_reasons[raw.order_id] = mapped.open_reason
    _side_records(group, mapped, batch)
    if mapped.held_back is not None or mapped.order is None:
        batch.held_back.append(HeldBack(raw.order_id, mapped.held_back or "unreadable"))
        if previous is not None:
            batch.tombstones.append(raw.order_id)
    elif previous is not None and previous.content_hash == mapped.content_hash:
        batch.unchanged += 1
    else:
        doc = document(mapped, previous)
        row = order_row(task.company_id, task.connection_id, mapped, doc)
        if previous is not None:
            _keep_payment_dates(row, doc)
        batch.rows.append(row)


def _order_gone(raw: RawGroup, task: MappingTask, batch: MappedBatch) -> None:
    """The order was deleted at Clover. Its history stays; money that is still captured is named, never hidden."""
    if raw.order_id in task.previous:
        batch.tombstones.append(raw.order_id)
    detail = f"the order was deleted at Clover; {len(raw.charges)} of its charges are still there"
    batch.held_back.append(HeldBack(raw.order_id, "deleted", detail=detail))


def _side_records(group: OrderGroup, mapped: MappedOrder, batch: MappedBatch) -> None:
    if mapped.order is None:
        return
    as_of = mapped.source_modified_date
    for customer in customers_of(group):
        batch.side_records.append(SideRecord("customers", customer.model_dump_wire(), as_of))
    for product in products_of(mapped.order):
        batch.side_records.append(SideRecord("products", product.model_dump_wire(), as_of))


def _keep_payment_dates(row: dict[str, Any], doc: str) -> None:
    """Payments that did not change keep the date they were loaded; the document already says which."""
    kept = {
        payment["id"]: payment["modifiedDate"]
        for payment in orjson.loads(doc).get("payments", ())
        if payment.get("modifiedDate") not in (None, "@loaded")
    }
    for payment in row["payments"]:
        if payment["id"] in kept:
            payment["modified_date"] = kept[payment["id"]].replace("T", " ").removesuffix("Z")
