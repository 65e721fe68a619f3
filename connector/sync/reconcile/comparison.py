"""Compares what Clover lists today with what is stored and published, record by record. Pure.

Two questions, both to the minor unit. First: is every record of Clover stored as Clover shows it now? Second, asked by
``money``: is every cent that a charge captured or a refund gave back in exactly one published order? A difference with
a reason is explained; what is left is unexplained, and so is money that is held back for another reason than being
unpaid: a run that leaves a cent of either must not look like a success.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from schemas.money import exponent, to_decimal


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
RecordKey = tuple[str, str]
"""(kind, id) of a record: ``("charge", "…")``."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One charge, order or refund. amount_minor: as Clover states it, minor units, positive. order_id: where stored.

    created: None where nobody knows; day is then that of the comparison. row: what Clover says of it.
    """

    kind: str
    record_id: str
    created: datetime | None
    day: date
    currency: str
    amount_minor: int
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
    order_id: str | None = field(default=None, compare=False)

    @property
    def key(self) -> RecordKey:
        return self.kind, self.record_id


@dataclass(frozen=True, slots=True)
class Published:
    """What published orders carry of one payment, minor units, positive; one amount for each order that shows it."""

    payment_id: str
    is_refund: bool
    day: date
    currencies: tuple[str, ...]
    amounts: tuple[int, ...]

    @property
    def key(self) -> RecordKey:
        return "refund" if self.is_refund else "charge", self.payment_id


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that differs. stream: that of its line. amount_minor: Clover's amount less ours."""

    stream: str
    kind: str
    record_id: str
    day: date
    currency: str
    amount_minor: int
    reason: Reason
    detail: str = ""
    order_id: str | None = None

    @property
    def amount(self) -> Decimal:
        """Clover's amount less ours, major units."""
        return to_decimal(self.amount_minor, exponent(self.currency))


@dataclass(slots=True)
class Line:
    """One day (the merchant's), stream and currency: both sides, and how much of the difference has a reason.

    Amounts as Clover states them, all positive: ``…_minor`` in minor units, without it in major units.
    """

    day: date
    stream: str
    currency: str
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

    @property
    def clover_amount(self) -> Decimal:
        return self._major(self.clover_minor)

    @property
    def stored_amount(self) -> Decimal:
        return self._major(self.stored_minor)

    @property
    def explained(self) -> Decimal:
        return self._major(self.explained_minor)

    @property
    def unexplained(self) -> Decimal:
        return self._major(self.unexplained_minor)

    def _major(self, minor: int) -> Decimal:
        return to_decimal(minor, exponent(self.currency))


Why = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Sides:
    """One payment's money as Clover says and as published, minor units, and why the two differ where they do."""

    clover: int
    ours: int
    currency: str
    why: Why | None = None


@dataclass(slots=True)
class Comparison:
    """Lines by (day, stream, currency), and every record that differs."""

    lines: dict[tuple[date, str, str], Line] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def line(self, day: date, stream: str, currency: str) -> Line:
        """That line, made where it is asked for first."""
        return self.lines.setdefault((day, stream, currency), Line(day, stream, currency))

    def differ(self, line: Line, record: SourceRecord | Published, amount: int, why: Why) -> None:
        """Note a record of the line that differs. amount: Clover's less ours, minor units."""
        reason, detail = why
        order_id = record.order_id if isinstance(record, SourceRecord) else None
        self.differences.append(
            Difference(line.stream, *record.key, line.day, line.currency, amount, reason, detail, order_id)
        )
        line.reasons[reason.value] = line.reasons.get(reason.value, 0) + 1
        if reason in UNEXPLAINED:
            line.unexplained_minor += amount
            line.unexplained_records += 1
        else:
            line.explained_minor += amount

    def add_money(self, stream: str, record: SourceRecord | Published, sides: Sides) -> None:
        """Add both sides to their line; nothing where neither says anything."""
        if not (sides.clover or sides.ours or sides.why):
            return
        line = self.line(record.day, stream, sides.currency)
        line.clover_count += sides.clover > 0
        line.clover_minor += sides.clover
        line.stored_count += sides.ours > 0
        line.stored_minor += sides.ours
        if sides.why is not None:
            self.differ(line, record, sides.clover - sides.ours, sides.why)


def compare(
    listed: Iterable[SourceRecord],
    stored: Mapping[RecordKey, SourceRecord],
    *,
    seen_until: datetime | None,
    held_back: Mapping[RecordKey, str],
) -> Comparison:
    """Whether every record is stored as Clover lists it; a line a day, kind of record and currency.

    stored: only records of the span. seen_until: records created before it should be stored; None when nothing was
    ever synced. held_back: records kept raw and why.
    """
    found = Comparison()
    met: set[RecordKey] = set()

    def line_of(record: SourceRecord) -> Line:
        stream = f"{record.kind}s" if record.created is not None else f"undated {record.kind}s"
        return found.line(record.day, stream, record.currency)

    for record in listed:
        if record.key in met:
            continue
        met.add(record.key)
        line = line_of(record)
        line.clover_count += 1
        line.clover_minor += record.amount_minor
        known = stored.get(record.key)
        if known is None:
            if record.key in held_back:
                why = Reason.HELD_BACK, held_back[record.key]
            elif seen_until is None or (record.created is not None and record.created >= seen_until):
                why = Reason.NOT_YET_SEEN, ""
            else:
                why = Reason.MISSING, ""
            found.differ(line, record, record.amount_minor, why)
            continue
        line.stored_count += 1
        line.stored_minor += known.amount_minor
        if (known.amount_minor, known.currency) != (record.amount_minor, record.currency):
            found.differ(line, record, record.amount_minor - known.amount_minor, (Reason.CHANGED_SINCE, ""))
    for key, known in stored.items():
        if key not in met:
            line = line_of(known)
            line.stored_count += 1
            line.stored_minor += known.amount_minor
            reason = Reason.DELETED if known.created else Reason.UNDATED
            found.differ(line, known, -known.amount_minor, (reason, ""))
    return found
