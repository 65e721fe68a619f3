"""Compares what Clover lists today with what is stored and published, record by record. Pure.

Two questions, both to the minor unit. First: is every record of Clover stored as Clover shows it now? Second: is
every cent that a charge captured or a refund gave back in exactly one published order? A difference with a reason is
explained; what is left is unexplained, and so is money that is held back for another reason than being unpaid: a run
that leaves a cent of either must not look like a success.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from transforms.check.withheld import UNPAID, RecordMoney, money_of_charge, money_of_refund
from transforms.read.group import parse_group


class Reason(StrEnum):
    """Why a record differs. ``missing``, ``uncounted`` and ``withheld`` leave money unexplained."""

    NOT_YET_SEEN = "not_yet_seen"  # created after the last completed span, or within the overlap before it
    CHANGED_SINCE = "changed_since"  # stored, but Clover shows another amount now
    HELD_BACK = "held_back"  # stored raw, its order is not published for a named reason
    DELETED = "deleted"  # stored, Clover no longer has it
    MISSING = "missing"  # Clover has had it for longer than any delay explains, and it is not stored
    UNCOUNTED = "uncounted"  # stored, money moved, and no order shows it, or two do, or with another amount
    WITHHELD = (
        "withheld"  # stored, money moved, and its order is held back for another reason than being unpaid
    )
    TOLD_BY_TOTALS = "told_by_totals"  # published because a total of Clover tells of it; no list shows it
    UNDATED = "undated"  # stored without a date, so no list of a span shows it


UNEXPLAINED = frozenset({Reason.MISSING, Reason.UNCOUNTED, Reason.WITHHELD})
CAPTURED, REFUNDED = "captured", "refunded"


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One charge, order or refund. amount_minor: as Clover states it, minor units, positive. order_id: where stored.

    created: None where nobody knows; day is then that of the comparison. row: what Clover says of it.
    """

    stream: str
    record_id: str
    created: datetime | None
    day: date
    currency: str
    amount_minor: int
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
    order_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that differs. amount_minor: Clover's amount less the stored amount."""

    stream: str
    record_id: str
    day: date
    currency: str
    amount_minor: int
    reason: Reason
    detail: str = ""
    order_id: str | None = None


@dataclass(slots=True)
class DayLine:
    """One day, stream and currency: both sides, and how much of the difference has a reason. Minor units."""

    clover_count: int = 0
    clover_minor: int = 0
    stored_count: int = 0
    stored_minor: int = 0
    explained_minor: int = 0
    unexplained_minor: int = 0
    unexplained_records: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether nothing of the line is without a reason."""
        return self.unexplained_minor == 0 and self.unexplained_records == 0


Line = tuple[date, str, str]


def compare(
    listed: Iterable[SourceRecord],
    stored: Mapping[tuple[str, str], SourceRecord],
    *,
    seen_until: datetime | None,
    held_back: Mapping[tuple[str, str], str],
    uncounted: Mapping[tuple[str, str], str],
) -> tuple[dict[Line, DayLine], list[Difference]]:
    """Lines by (day, stream, currency) and every difference.

    stored: by (stream, id), only records of the span. seen_until: records created before it should be stored; None
    when nothing was ever synced. held_back: records kept raw and why. uncounted: stored records that moved money no
    order shows, and what is known about them.
    """
    lines: dict[Line, DayLine] = {}
    differences: list[Difference] = []
    met: set[tuple[str, str]] = set()

    def line(record: SourceRecord) -> DayLine:
        name = record.stream if record.created is not None else f"undated {record.stream}"
        return lines.setdefault((record.day, name, record.currency), DayLine())

    def differ(record: SourceRecord, amount_minor: int, reason: Reason, detail: str = "") -> None:
        found = Difference(
            record.stream,
            record.record_id,
            record.day,
            record.currency,
            amount_minor,
            reason,
            detail,
            record.order_id,
        )
        differences.append(found)
        where = line(record)
        where.reasons[reason.value] = where.reasons.get(reason.value, 0) + 1
        if reason in UNEXPLAINED:
            where.unexplained_minor += amount_minor
            where.unexplained_records += 1
        else:
            where.explained_minor += amount_minor

    for record in listed:
        key = (record.stream, record.record_id)
        if key in met:
            continue
        met.add(key)
        where = line(record)
        where.clover_count += 1
        where.clover_minor += record.amount_minor
        known = stored.get(key)
        if known is None:
            if key in held_back:
                differ(record, record.amount_minor, Reason.HELD_BACK, held_back[key])
            elif seen_until is None or (record.created is not None and record.created >= seen_until):
                differ(record, record.amount_minor, Reason.NOT_YET_SEEN)
            else:
                differ(record, record.amount_minor, Reason.MISSING)
            continue
        where.stored_count += 1
        where.stored_minor += known.amount_minor
        if (known.amount_minor, known.currency) != (record.amount_minor, record.currency):
            differ(record, record.amount_minor - known.amount_minor, Reason.CHANGED_SINCE)
        elif key in uncounted:
            differ(record, record.amount_minor, Reason.UNCOUNTED, uncounted[key])
    for key, known in stored.items():
        if key not in met:
            where = line(known)
            where.stored_count += 1
            where.stored_minor += known.amount_minor
            differ(known, -known.amount_minor, Reason.DELETED if known.created else Reason.UNDATED)
    return lines, differences


@dataclass(frozen=True, slots=True)
class Published:
    """What published orders carry of one payment, minor units, positive; one amount for each order that shows it."""

    payment_id: str
    is_refund: bool
    day: date
    currencies: tuple[str, ...]
    amounts: tuple[int, ...]


def compare_money(
    listed: Iterable[SourceRecord],
    stored: Mapping[tuple[str, str], SourceRecord],
    published: Mapping[str, Published],
    *,
    why: Mapping[tuple[str, str], Reason],
    held_back: Mapping[tuple[str, str], str],
) -> tuple[dict[Line, DayLine], list[Difference]]:
    """What Clover's charges captured and refunds gave back against what published orders carry, by day and currency.

    What a record moved is decided by ``transforms``; where it takes the order to tell, the published order has told.
    why: what the comparison of records said of one that is not stored as it is. held_back: records in no published
    order, and why.
    """
    lines: dict[Line, DayLine] = {}
    differences: list[Difference] = []
    met: set[str] = set()

    def note(
        stream: str, record: SourceRecord | Published, currency: str, clover: int, ours: int,
        reason: Reason | None = None, detail: str = "",
    ) -> None:  # fmt: skip
        if not (clover or ours or reason):
            return
        where = lines.setdefault((record.day, stream, currency), DayLine())
        where.clover_count += clover > 0
        where.clover_minor += clover
        where.stored_count += ours > 0
        where.stored_minor += ours
        if reason is None:
            return
        name = record.record_id if isinstance(record, SourceRecord) else record.payment_id
        differences.append(Difference(stream, name, record.day, currency, clover - ours, reason, detail))
        where.reasons[reason.value] = where.reasons.get(reason.value, 0) + 1
        if reason in UNEXPLAINED:
            where.unexplained_minor += clover - ours
            where.unexplained_records += 1
        else:
            where.explained_minor += clover - ours

    for record in (*listed, *(known for known in stored.values() if known.created is None)):
        key = (record.stream, record.record_id)
        if record.stream not in ("charge", "refund") or record.record_id in met:
            continue
        met.add(record.record_id)
        stream = CAPTURED if record.stream == "charge" else REFUNDED
        if record.created is None:
            stream = f"undated {stream}"
        known = stored.get(key)
        moved = _money(record)
        shown = published.get(record.record_id)
        if shown is None:
            reason = held_back.get(key, "")
            if moved is None or moved.amount == 0 or (moved.in_doubt and reason in UNPAID):
                continue
            if known is None:
                note(stream, record, record.currency, moved.amount, 0, why.get(key, Reason.MISSING), reason)
            elif _money(known) != moved:
                note(stream, record, record.currency, moved.amount, 0, Reason.CHANGED_SINCE)
            elif reason:
                note(stream, record, record.currency, moved.amount, 0, Reason.WITHHELD, reason)
            else:
                note(
                    stream,
                    record,
                    record.currency,
                    moved.amount,
                    0,
                    Reason.UNCOUNTED,
                    "in no published order",
                )
            continue
        ours, currency = sum(shown.amounts), shown.currencies[0]
        if moved is None or len(shown.amounts) > 1:
            clover = min(shown.amounts)
            note(stream, record, currency, clover, ours, Reason.UNCOUNTED, "in more than one published order")
        elif moved.in_doubt or ours in moved.readings:
            note(stream, record, currency, ours, ours)
        elif known is not None and _money(known) != moved:
            note(stream, record, currency, moved.amount, ours, Reason.CHANGED_SINCE)
        else:
            note(
                stream,
                record,
                currency,
                moved.amount,
                ours,
                Reason.UNCOUNTED,
                "published with another amount",
            )
    for payment_id, shown in published.items():
        key = ("refund" if shown.is_refund else "charge", payment_id)
        if payment_id in met or not sum(shown.amounts):
            continue
        stream = REFUNDED if shown.is_refund else CAPTURED
        if key in stored:
            note(stream, shown, shown.currencies[0], 0, sum(shown.amounts), Reason.DELETED)
        elif shown.is_refund and payment_id.endswith("_refund"):
            note(stream, shown, shown.currencies[0], 0, sum(shown.amounts), Reason.TOLD_BY_TOTALS)
    return lines, differences


def _money(record: SourceRecord) -> RecordMoney | None:
    """What a record moved; None when it cannot be read."""
    if record.stream == "charge":
        group, unreadable = parse_group(None, [dict(record.row)], [])
        return None if unreadable or not group.charges else money_of_charge(group.charges[0])
    group, unreadable = parse_group(None, [], [dict(record.row)])
    return None if unreadable or not group.refunds else money_of_refund(group.refunds[0])
