"""Compares what Clover lists today with what is stored, record by record, and says why they differ. Pure.

Two questions, both to the minor unit. First: is every record of Clover stored as Clover shows it now? Second: is
every cent that a charge or refund moved in exactly one published order, or in an order that is held back for a
named reason? A difference with a reason is explained; what is left is unexplained, and a run that leaves a cent
unexplained must not look like a success.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why a record differs. Only ``missing`` and ``uncounted`` leave money unexplained."""

    NOT_YET_SEEN = "not_yet_seen"  # created after the last completed span, or within the overlap before it
    CHANGED_SINCE = "changed_since"  # stored, but Clover shows another amount now
    HELD_BACK = "held_back"  # stored raw, its order is not published for a named reason
    DELETED = "deleted"  # stored, Clover no longer has it
    MISSING = "missing"  # Clover has had it for longer than any delay explains, and it is not stored
    UNCOUNTED = "uncounted"  # stored, money moved, and no order shows it


UNEXPLAINED = frozenset({Reason.MISSING, Reason.UNCOUNTED})


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One charge, order or refund. amount_minor: as Clover states it, minor units, positive. order_id: where stored."""

    stream: str
    record_id: str
    created: datetime
    day: date
    currency: str
    amount_minor: int
    order_id: str | None = None


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
        return lines.setdefault((record.day, record.stream, record.currency), DayLine())

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
            elif seen_until is None or record.created >= seen_until:
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
            differ(known, -known.amount_minor, Reason.DELETED)
    return lines, differences
