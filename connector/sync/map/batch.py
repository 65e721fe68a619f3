"""Maps a batch of complete order groups: Clover's records in, rows for the store out. No network, no database.

A batch is a plain value and so is its result, so that batches may be mapped in other processes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import orjson
from msgspec.structs import replace

from connector.sync.link.links import CHARGE, ORDER, REFUND
from connector.sync.link.notebook import PLATFORM, KeptRecord
from connector.sync.map.order_rows import order_row
from connector.sync.map.source_rows import source_row
from schemas.commerce import PaymentMethod, Product, TaxComponent
from schemas.times import as_ledger_text
from schemas.wire import members
from transforms.beside.customers import customers_of
from transforms.beside.payment_methods import payment_methods_of
from transforms.beside.products import products_of
from transforms.beside.tax_components import tax_components_of
from transforms.check.withheld import money_withheld
from transforms.document import document
from transforms.model import Issue, MappedOrder, Merchant, OrderGroup, PreviousVersion
from transforms.order.order import map_order
from transforms.read.group import parse_group
from transforms.read.platform import with_platform
from transforms.read.vocabulary import unknown_words

_DELETED = "the order was deleted at Clover; no money that was taken for it is left"
Identified = PaymentMethod | Product | TaxComponent
Unpaid = Literal["exclude", "include"]


VoidClaims = Mapping[str, tuple[str, str | None]]  # record id -> (kind, the order it belongs to instead)


@dataclass(frozen=True, slots=True)
class RawGroup:
    """The raw records of one order. rows: their payloads, decoded, one each."""

    order_id: str
    records: list[KeptRecord]
    rows: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The rows of one kind."""
        return [row for record, row in zip(self.records, self.rows, strict=True) if record.kind == kind]

    def linked(self, kind: str) -> list[dict[str, Any]]:
        """The rows of one kind with the links and the time that were found for them.

        A charge or refund that says nothing of its owner gets it, one without a usable time that of its booking; an
        order without a usable time loses it, for its charges date it better.
        """
        found = []
        for record, said in zip(self.records, self.rows, strict=True):
            if record.kind == kind:
                row = said
                if not record.is_dated:
                    row = {**row, "created": None if kind == ORDER else record.created_ms}
                if kind == CHARGE and record.order_id not in (record.id, row.get("order")):
                    row = {**row, "order": record.order_id}
                elif kind == REFUND and record.charge_id not in (None, row.get("charge")):
                    row = {**row, "charge": record.charge_id}
                found.append(row)
        return found

    @property
    def undated(self) -> frozenset[tuple[str, str]]:
        """(kind, id) of the records without a usable time."""
        return frozenset((r.kind, r.id) for r in self.records if not r.is_dated and r.kind != PLATFORM)


@dataclass(frozen=True, slots=True)
class MappingTask:
    """What one batch needs beside the records. previous: order id -> the version stored before.

    vanished: order id -> stored charges that Clover no longer has, as JSON, marked as voided. deleted: orders that
    Clover has no more, with what it last said of them, None where it never said anything. void_claims: by order, what
    it claims and another one owns. shared: orders whose number the merchant gave to another order too.
    """

    company_id: str
    connection_id: str
    merchant: Merchant
    order_ids: list[str]
    vanished: Mapping[str, list[bytes]]
    deleted: Mapping[str, str | None]
    void_claims: Mapping[str, VoidClaims]
    shared: frozenset[str]
    previous: Mapping[str, PreviousVersion]
    run_start: datetime
    unpaid_orders: Unpaid = "exclude"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """An order that is kept raw and not published, and why. amount_minor: see ``money_withheld``."""

    order_id: str
    reason: str
    record_kind: str = ORDER
    record_id: str | None = None
    detail: str = ""
    unreadable: bool = False
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class SideRecord:
    """A customer, product or the like as Codat JSON members, dated by the order that shows it."""

    data_type: str
    record: dict[str, Any]
    as_of: datetime


@dataclass(slots=True)
class MappedBatch:
    """The result of one batch. lines: changed orders as NDJSON; source_lines: what Clover said, likewise.

    files: where these lines are, by table, if they were written to files instead.
    unknown_words: (field, word) of Clover's that the mapping does not know, and in how many orders.
    open_reasons: order id -> (why it is unsettled, when it last changed).
    changes: (order id, currency, totalAmount, totalRefund) of the changed orders.
    """

    seen: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    source_lines: list[bytes] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    changes: list[tuple[str, str, Decimal, Decimal]] = field(default_factory=list)
    unchanged: int = 0
    tombstones: list[str] = field(default_factory=list)
    issues: list[tuple[Issue, str | None]] = field(default_factory=list)
    held_back: list[HeldBack] = field(default_factory=list)
    open_reasons: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    side_records: list[SideRecord] = field(default_factory=list)
    unknown_words: Counter[tuple[str, str]] = field(default_factory=Counter)
    newest: dict[tuple[str, str], tuple[datetime, Identified]] = field(default_factory=dict)


def map_batch(task: MappingTask, records: Mapping[str, list[KeptRecord]]) -> MappedBatch:
    """Map every order of the batch; never raises for anything Clover may have sent. records: by order id."""
    batch = MappedBatch()
    ids = {"company_id": task.company_id, "connection_id": task.connection_id}
    for order_id in task.order_ids:
        kept = records[order_id]
        raw = RawGroup(order_id, kept, [orjson.loads(record.payload) for record in kept])
        batch.seen.append(order_id)
        batch.source_lines += [
            line(source_row(ids, record, row)) for record, row in zip(kept, raw.rows, strict=True)
        ]
        _map_one(raw, task, batch)
    batch.side_records += [
        SideRecord(data_type, members(record), as_of)
        for (data_type, _), (as_of, record) in sorted(batch.newest.items(), key=lambda found: found[0])
    ]
    batch.newest.clear()
    return batch


def line(row: Mapping[str, Any]) -> bytes:
    """One line of NDJSON."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _map_one(raw: RawGroup, task: MappingTask, batch: MappedBatch) -> None:
    previous = task.previous.get(raw.order_id)
    vanished = task.vanished.get(raw.order_id, ())
    is_deleted = raw.order_id in task.deleted
    if not raw.records and not vanished:
        # Deleted, or all that was here moved to another order.
        if previous is not None:
            batch.tombstones.append(raw.order_id)
        if is_deleted:
            batch.held_back.append(HeldBack(raw.order_id, "deleted", detail=_DELETED, amount_minor=0))
        return
    order = next(iter(raw.linked(ORDER)), None)
    if is_deleted and (last_said := task.deleted[raw.order_id]) is not None:
        order = orjson.loads(last_said)
    charges = raw.linked(CHARGE) + [orjson.loads(charge) for charge in vanished]
    void_claims = task.void_claims.get(raw.order_id, {})
    group, unreadable = parse_group(order, charges, raw.linked(REFUND), elsewhere=void_claims.keys())
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
    group = with_platform(group, next(iter(raw.of(PLATFORM)), None))
    claims = tuple((kind, record_id, home) for record_id, (kind, home) in sorted(void_claims.items()))
    group = replace(group, is_deleted=is_deleted, undated=raw.undated, void_claims=claims)
    batch.unknown_words.update(unknown_words(group))
    mapped = map_order(
        group,
        task.merchant,
        previous=previous,
        run_start=task.run_start,
        unpaid_orders=task.unpaid_orders,
        unique_reference=raw.order_id not in task.shared,
    )
    currency = mapped.order.currency if mapped.order else None
    batch.issues += [(issue, currency) for issue in mapped.issues]
    if mapped.open_reason:
        batch.open_reasons[raw.order_id] = (mapped.open_reason, mapped.source_modified_date)
    _side_records(group, mapped, batch)
    if mapped.held_back is not None or mapped.order is None:
        detail = _DELETED if is_deleted else ""
        batch.held_back.append(_held_back(raw, group, task, mapped.held_back or "unreadable", detail))
        if previous is not None:
            batch.tombstones.append(raw.order_id)
    elif previous is not None and previous.content_hash == mapped.content_hash:
        batch.unchanged += 1
    else:
        doc = document(mapped, previous)
        row = order_row(task.company_id, task.connection_id, mapped, doc)
        if previous is not None:
            _keep_payment_dates(row, doc)
        batch.lines.append(line(row))
        found = mapped.order
        batch.changes.append((raw.order_id, found.currency or "XXX", found.total_amount, found.total_refund))


def _held_back(raw: RawGroup, group: OrderGroup, task: MappingTask, reason: str, detail: str) -> HeldBack:
    money = money_withheld(group, reason, task.merchant.currency)
    return HeldBack(raw.order_id, reason, detail=detail, amount_minor=money.amount, currency=money.currency)


def _side_records(group: OrderGroup, mapped: MappedOrder, batch: MappedBatch) -> None:
    if mapped.order is None:
        return
    as_of = mapped.source_modified_date
    for customer in customers_of(group):
        batch.side_records.append(SideRecord("customers", members(customer), as_of))
    newest, order = batch.newest, mapped.order

    def is_newer(data_type: str, record_id: str) -> bool:
        known = newest.get((data_type, record_id))
        return known is None or known[0] < as_of

    cards = {line_id for line_id, kind in mapped.line_kinds.items() if kind == "gift_card"}
    shown: list[tuple[str, Sequence[Identified]]] = [
        ("products", products_of(order, lambda product_id: is_newer("products", product_id), cards)),
        ("paymentMethods", payment_methods_of(order, lambda kind: is_newer("paymentMethods", kind))),
        ("taxComponents", tax_components_of(group)),
    ]
    for data_type, records in shown:
        for record in records:
            if is_newer(data_type, record.id):
                newest[data_type, record.id] = (as_of, record)


def _keep_payment_dates(row: dict[str, Any], doc: str) -> None:
    """Payments that did not change keep the date they were loaded; the document already says which."""
    kept = {
        payment["id"]: payment["modifiedDate"]
        for payment in orjson.loads(doc).get("payments", ())
        if payment.get("modifiedDate") not in (None, "@loaded")
    }
    for payment in row["payments"]:
        if payment["id"] in kept:
            payment["modified_date"] = as_ledger_text(kept[payment["id"]])
