"""From list rows to staged records: what is known is dropped, what is sparse is marked to be read by id.

A charge's row without an order may be that of a charge that has none: it is marked as silent, and ``completion``
decides whether it is believed. A row is known when its fingerprint equals that of the row last seen under this id.
So an overlap of a day costs list calls and nothing more.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from connector.clover.lists.streams import STREAMS, RowShape, Stream, shape_of
from connector.sync.link.links import CHARGE, ORDER, REFUND, said_by
from connector.sync.link.notebook import StagedRecord, Staging
from connector.sync.map.source_rows import fingerprint
from connector.sync.read.rows import Row, embedded, whole_number
from connector.sync.read.rows_without_id import Unnamed
from schemas.times import as_milliseconds, is_usable, to_ms
from transforms.order.money import counted_refund

KnownHashes = Callable[[str, list[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Seen:
    """When a record was shown: at, aware UTC; booked_ms: what a record without a usable time is booked under."""

    at: datetime
    booked_ms: int

    @classmethod
    def in_window(cls, until: datetime, at: datetime) -> "Seen":
        """By a list of what was created before ``until``: the record is no younger than the window's end."""
        return cls(at, to_ms(min(until, at)) - 1)

    @classmethod
    def by_id(cls, at: datetime) -> "Seen":
        """By a read of the record itself."""
        return cls(at, to_ms(at))


@dataclass(slots=True)
class Intake:
    """What came in. rows: per kind, every row listed; changed: how many are new or different.

    unnamed: where rows without an id lie, and how many. listed_again: windows of such rows from before that were
    now listed to their end; asked_again: (kind, id) from before that could be asked for again. outspoken: kinds of
    which some row showed the field that records of this kind may lack.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    changed: int = 0
    unnamed: Counter[Unnamed] = field(default_factory=Counter)
    listed_again: list[Unnamed] = field(default_factory=list)
    asked_again: set[tuple[str, str]] = field(default_factory=set)
    outspoken: set[str] = field(default_factory=set)

    def take_in(
        self,
        stream: Stream,
        rows: Iterable[Row],
        staging: Staging,
        known: KnownHashes,
        seen_at: Seen,
        *,
        read_again: bool = False,
    ) -> None:
        """Stage the new and changed rows of one page.

        known: (kind, ids) -> list hashes as stored. read_again: sparse rows are read by id even where the row itself
        did not change, because a sparse row hides most of its record (deep scans).
        """
        listed = [(str(row["id"]), *fingerprint(row), row) for row in rows]
        self.rows[stream.kind] += len(listed)
        hashes = known(stream.kind, [record_id for record_id, _, _, _ in listed])
        kept, changed_rows, seen, sparse, silent = [], [], [], [], []
        for record_id, text, list_hash, row in listed:
            is_known = hashes.get(record_id) == list_hash
            shape = shape_of(stream, row)
            if shape is RowShape.WHOLE and stream.may_lack is not None:
                self.outspoken.add(stream.kind)
            if shape is not RowShape.WHOLE:
                seen.append((record_id, list_hash))
                if not is_known or read_again:
                    sparse.append((record_id, list_hash, seen_at.booked_ms, text))
                    if shape is RowShape.SILENT:
                        silent.append((record_id, is_known))
            elif is_known:
                seen.append((record_id, list_hash))
            else:
                kept.append(staged(stream.kind, row, list_hash, seen_at, text=text, is_listed=True))
                changed_rows.append(row)
        self.changed += len(kept) + len(sparse)
        staging.note_seen(stream.kind, seen)
        staging.add(kept)
        staging.point_at(stream.kind, sparse)
        staging.note_silent(stream.kind, silent)
        if stream.kind == CHARGE:
            stage_embedded_refunds(changed_rows, staging, seen_at)


def staged(
    kind: str, row: Row, list_hash: str, seen_at: Seen, *, text: bytes | None = None, is_listed: bool = False
) -> StagedRecord:
    """A record ready to be kept: what it says of links, when it was made, and what it says was given back.

    text: the row as JSON, where the caller has it already.
    """
    reference, is_failed = None, False
    gives: int | None = 0
    if kind == ORDER:
        gives = whole_number(row.get("amount_returned")) or 0
        reference = _text(row.get("external_reference_id"))
    elif kind == CHARGE:
        gives = whole_number(row.get("amount_refunded"))
        is_failed = row.get("status") == "failed"
    elif kind == REFUND:
        gives = counted_refund(row)
    created = whole_number(row.get("created"))
    created_ms = None if created is None else int(as_milliseconds(created))
    is_dated = is_usable(created_ms, seen_at.at)
    return StagedRecord(
        kind=kind,
        id=str(row["id"]),
        said=said_by(kind, row),
        created_ms=created_ms if is_dated else seen_at.booked_ms,
        list_hash=list_hash,
        payload=orjson.dumps(row) if text is None else text,
        gives=gives,
        is_failed=is_failed,
        is_dated=is_dated,
        reference=reference,
        is_listed=is_listed,
    )


def stage_embedded_refunds(charges: Iterable[Row], staging: Staging, seen_at: Seen) -> None:
    """Refunds that travel inside a charge (the ten most recent) are records like any other."""
    shown = []
    for charge in charges:
        for refund in embedded(charge.get("refunds")):
            is_whole = {"id", "amount", "status", "created"} <= refund.keys()
            if is_whole and not staging.holds(REFUND, str(refund["id"])):
                text, list_hash = fingerprint(refund)
                shown.append(staged(REFUND, refund, list_hash, seen_at, text=text))
    staging.add(shown)


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
