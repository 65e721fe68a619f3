"""From list rows to staged records: what is known is dropped, what is sparse is marked to be read by id.

A row is known when its fingerprint equals that of the row last seen under this id. So an overlap of a day
costs list calls and nothing more.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from connector.clover.streams import Stream, is_sparse
from connector.sync.lineage import fingerprint
from connector.sync.records import Row, embedded, whole_number
from connector.sync.staging import CHARGE, ORDER, REFUND, StagedRecord, Staging
from connector.sync.unnamed import Unnamed

KnownHashes = Callable[[str, list[str]], Mapping[str, str]]


@dataclass(slots=True)
class Intake:
    """What came in. rows: per kind, every row listed; changed: how many are new or different.

    unnamed: where rows without an id lie, and how many. listed_again: windows of such rows from before that were
    now listed to their end; asked_again: (kind, id) from before that could be asked for again.
    """

    rows: dict[str, int] = field(default_factory=lambda: {CHARGE: 0, ORDER: 0, REFUND: 0})
    changed: int = 0
    unnamed: Counter[Unnamed] = field(default_factory=Counter)
    listed_again: list[Unnamed] = field(default_factory=list)
    asked_again: set[tuple[str, str]] = field(default_factory=set)


def take_in(
    stream: Stream,
    rows: Iterable[Row],
    staging: Staging,
    known: KnownHashes,
    intake: Intake,
    *,
    read_again: bool = False,
) -> None:
    """Stage the new and changed rows of one page.

    known: (kind, ids) -> list hashes as stored. read_again: sparse rows are read by id even where the row itself
    did not change, because a sparse row hides most of its record (deep scans).
    """
    listed = [(str(row["id"]), *fingerprint(row), row) for row in rows]
    intake.rows[stream.kind] += len(listed)
    hashes = known(stream.kind, [record_id for record_id, _, _, _ in listed])
    kept, changed_rows, seen, sparse = [], [], [], []
    for record_id, text, list_hash, row in listed:
        is_known = hashes.get(record_id) == list_hash
        if is_sparse(stream, row):
            seen.append((record_id, list_hash))
            if not is_known or read_again:
                sparse.append((record_id, list_hash))
        elif is_known:
            seen.append((record_id, list_hash))
        else:
            kept.append(staged(stream.kind, row, list_hash, text=text, is_listed=True))
            changed_rows.append(row)
    intake.changed += len(kept) + len(sparse)
    staging.note_seen(stream.kind, seen)
    staging.add(kept)
    staging.point_at(stream.kind, sparse)
    if stream.kind == CHARGE:
        stage_embedded_refunds(changed_rows, staging)


def staged(
    kind: str, row: Row, list_hash: str, *, text: bytes | None = None, is_listed: bool = False
) -> StagedRecord:
    """A record ready to be kept: its order where the record itself names one, and what it says was given back.

    text: the row as JSON, where the caller has it already.
    """
    record_id, created_ms = str(row["id"]), whole_number(row.get("created"))
    order_id = charge_id = reference = None
    is_failed, names = False, tuple[str, ...]()
    if kind == ORDER:
        order_id = record_id
        gives = whole_number(row.get("amount_returned")) or 0
        names = tuple(sorted(charges_named_by(row)))
        reference = _text(row.get("external_reference_id"))
    elif kind == CHARGE:
        # A charge that truly has no order becomes an order of its own, under the charge's id.
        order_id = _text(row.get("order")) or record_id
        gives = whole_number(row.get("amount_refunded")) or 0
        is_failed = row.get("status") == "failed"
    else:
        charge_id = _text(row.get("charge"))
        gives = counted_amount(row)
    return StagedRecord(
        kind,
        record_id,
        order_id,
        charge_id,
        created_ms,
        list_hash,
        orjson.dumps(row) if text is None else text,
        gives,
        is_failed,
        names,
        reference,
        is_listed,
    )


def charges_named_by(order: Row) -> set[str]:
    """Ids of the charges an order names: its latest and its past ones."""
    named = {str(past["id"]) for past in embedded(order.get("past_charges")) if past.get("id")}
    return named | ({str(order["charge"])} if order.get("charge") else set())


def counted_amount(refund: Row) -> int:
    """What a refund contributes to ``amount_refunded`` of its charge, minor units."""
    if refund.get("voided") is True or refund.get("object") == "void_on_refund":
        return 0
    return (whole_number(refund.get("amount")) or 0) if refund.get("status") in (None, "succeeded") else 0


def stage_embedded_refunds(charges: Iterable[Row], staging: Staging) -> None:
    """Refunds that travel inside a charge (the ten most recent) are records like any other."""
    found = []
    for charge in charges:
        for refund in embedded(charge.get("refunds")):
            if refund.get("id") and not staging.holds(REFUND, str(refund["id"])):
                whole = {"charge": str(charge["id"]), **refund}
                if {"amount", "status", "created"} <= whole.keys():
                    text, list_hash = fingerprint(whole)
                    found.append(staged(REFUND, whole, list_hash, text=text))
    staging.add(found)


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
