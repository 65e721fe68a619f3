"""Compares what Clover's charges captured and refunds gave back with what published orders carry. Pure."""

from collections.abc import Iterable, Mapping

from connector.sync.reconcile.comparison import (
    CAPTURED,
    REFUNDED,
    Comparison,
    Published,
    Reason,
    RecordKey,
    Sides,
    SourceRecord,
    Why,
)
from transforms.check.withheld import UNPAID, RecordMoney, money_of_charge, money_of_refund
from transforms.read.group import parse_group


def compare_money(
    listed: Iterable[SourceRecord],
    stored: Mapping[RecordKey, SourceRecord],
    published: Mapping[str, Published],
    *,
    why: Mapping[RecordKey, Reason],
    held_back: Mapping[RecordKey, str],
) -> Comparison:
    """What Clover's charges captured and refunds gave back against what published orders carry, by day and currency.

    What a record moved is decided by ``transforms``; where it takes the order to tell, the published order has told.
    why: what the comparison of records said of one that is not stored as it is. held_back: records in no published
    order, and why.
    """
    found = Comparison()
    met: set[str] = set()
    for record in (*listed, *(known for known in stored.values() if known.created is None)):
        if record.kind not in ("charge", "refund") or record.record_id in met:
            continue
        met.add(record.record_id)
        stream = CAPTURED if record.kind == "charge" else REFUNDED
        if record.created is None:
            stream = f"undated {stream}"
        known, shown, moved = stored.get(record.key), published.get(record.record_id), _money(record)
        if shown is not None:
            found.add_money(stream, record, _published_money(known, moved, shown))
        elif moved is not None and moved.amount:
            reason = held_back.get(record.key, "")
            if not (moved.in_doubt and reason in UNPAID):
                told = _why_unpublished(known, moved, reason, why.get(record.key, Reason.MISSING))
                found.add_money(stream, record, Sides(moved.amount, 0, record.currency, told))
    for payment_id, shown in published.items():
        ours, unlisted = sum(shown.amounts), _why_not_listed(shown, stored)
        if payment_id not in met and ours and unlisted is not None:
            stream = REFUNDED if shown.is_refund else CAPTURED
            found.add_money(stream, shown, Sides(0, ours, shown.currencies[0], (unlisted, "")))
    return found


def _why_not_listed(shown: Published, stored: Mapping[RecordKey, SourceRecord]) -> Reason | None:
    """Why Clover lists no record for a published payment; None where it lies outside of what is compared."""
    if shown.key in stored:
        return Reason.DELETED
    is_told = shown.is_refund and shown.payment_id.endswith("_refund")
    return Reason.TOLD_BY_TOTALS if is_told else None


def _why_unpublished(known: SourceRecord | None, moved: RecordMoney, reason: str, missing: Reason) -> Why:
    """Why money that moved is in no published order. reason: of what is held back; missing: of what is not stored."""
    if known is None:
        return missing, reason
    if _money(known) != moved:
        return Reason.CHANGED_SINCE, ""
    return (Reason.WITHHELD, reason) if reason else (Reason.UNCOUNTED, "in no published order")


def _published_money(known: SourceRecord | None, moved: RecordMoney | None, shown: Published) -> Sides:
    """What a record moved beside what published orders carry of it."""
    ours, currency = sum(shown.amounts), shown.currencies[0]
    if moved is None or len(shown.amounts) > 1:
        return Sides(
            min(shown.amounts), ours, currency, (Reason.UNCOUNTED, "in more than one published order")
        )
    if moved.in_doubt or ours in moved.readings:
        return Sides(ours, ours, currency)
    if known is not None and _money(known) != moved:
        return Sides(moved.amount, ours, currency, (Reason.CHANGED_SINCE, ""))
    return Sides(moved.amount, ours, currency, (Reason.UNCOUNTED, "published with another amount"))


def _money(record: SourceRecord) -> RecordMoney | None:
    """What a record moved; None when it cannot be read."""
    if record.kind == "charge":
        group, unreadable = parse_group(None, [dict(record.row)], [])
        return None if unreadable or not group.charges else money_of_charge(group.charges[0])
    group, unreadable = parse_group(None, [], [dict(record.row)])
    return None if unreadable or not group.refunds else money_of_refund(group.refunds[0])
