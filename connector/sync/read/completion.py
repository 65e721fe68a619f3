"""Completes every order that changed: the order itself, all its charges, all refunds of those charges.

What this run has listed in full is not asked for again. The rest is read by id, several at a time, in rounds: what is
read may link a record to another order, and then that order is completed too, until nothing moves any more. An order
that Clover no longer has (404) is mapped from what is known of it; a charge that vanished counts as voided. A record
that cannot be read holds its order back, and is asked for again by the next run.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

import orjson

from connector.clover.lists.by_id import FAILURES_IN_A_ROW, Read
from connector.clover.lists.streams import CHARGES, STREAMS, agrees
from connector.errors import CloverError
from connector.ledger.stored import Stored, StoredRefund
from connector.progress import Progress
from connector.sync.link.links import CHARGE, ORDER, REFUND
from connector.sync.link.notebook import PLATFORM, StagedRecord, Staging
from connector.sync.map.source_rows import digest
from connector.sync.read.intake import Seen, stage_embedded_refunds, staged
from connector.sync.read.platform import Witness, platform_order_record
from connector.sync.read.rows import Row, embedded
from schemas.times import to_ms
from transforms.order.money import counted_refund
from transforms.read.platform import needs_platform

_BATCH = 500
_SAMPLES = 10  # silent rows that are asked for before the others are believed


class CloverReads(Protocol):
    """The reads by id that completion needs; several at once, answers in the order asked for."""

    def read_many(self, kind: str, ids: Iterable[str]) -> Iterator[Read]:
        """Records by id."""

    def refunds_of_charges(
        self, charge_ids: Iterable[str]
    ) -> Iterator[tuple[str, list[dict[str, Any]] | CloverError]]:
        """(charge id, all its refunds, or why they cannot be read)."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Completes the dirty orders of one staging notebook.

    listed_since: start of this run's refund feed; refunds of charges made earlier are asked for by charge, because
    that feed need not show them all. asked_again: (kind, id) of records that earlier runs could not use; those that
    nothing can be said of are taken out. outspoken: kinds whose list rows say what a silent row leaves out.
    gift_cards: orders of which the platform knows that gift cards were sold, and is asked which.
    """

    staging: Staging
    clover: CloverReads
    stored: Stored
    listed_since: datetime
    run_start: datetime
    progress: Progress
    witness: Witness | None = None
    asked_again: set[tuple[str, str]] = field(default_factory=set)
    outspoken: Collection[str] = ()
    gift_cards: Collection[str] = ()
    _asked_for_refunds: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Read whatever is missing, round by round, until every dirty order is whole."""
        self.progress.stage("hydrate")
        self._believe_silent_rows()
        for kind in STREAMS:
            self._read(kind, dict.fromkeys(self.staging.pointers(kind)))
        while True:
            self._link()
            if self.staging.begin_round():
                for step in (self._orders, self._charges):
                    self._for_each_batch(step, being_read=True)
                # An order to which a record came by that is due again: its refunds wait for the next round.
                self.staging.links.resolve(self.stored)
                self._for_each_batch(self._refunds, being_read=True)
                self.staging.end_round()
            elif not self._share_references():
                break
        self._for_each_batch(self._platform_lines)

    def _believe_silent_rows(self) -> None:
        """Take charges without an order from their list rows, if the list can be believed when it shows none.

        It can where rows of other charges do name their orders and some of the silent ones, read by id, have no order
        either; one would not tell a list that leaves orders out here and there. A charge that an order names is never
        believed to have none: such charges are asked for first, and are all read by id.
        """
        if CHARGE not in self.outspoken:
            return
        asked = False
        while rows := self.staging.silent(CHARGE, _BATCH):
            ids = [row.id for row in rows]
            claimed = self.staging.links.named_among(ids)
            claimed |= {charge_id for _, charge_id, _ in self.stored.orders_naming(ids)}
            if not asked:
                asked = True
                samples = {
                    row.id: row for row in sorted(rows, key=lambda row: row.id not in claimed)[:_SAMPLES]
                }
                is_believed = True
                for read in self._reads(CHARGE, samples):
                    if read.row is None:
                        is_believed = False
                        continue
                    self._take(CHARGE, read.id, read.row)
                    self.staging.answer_silent(CHARGE, [read.id], is_read=True)
                    is_believed &= agrees(CHARGES, orjson.loads(samples[read.id].row), read.row)
                if not is_believed:
                    return
                rows = [row for row in rows if row.id not in samples]
            believed = [row for row in rows if row.id not in claimed]
            self.staging.answer_silent(CHARGE, claimed, is_read=False)
            self.staging.answer_silent(CHARGE, [row.id for row in believed], is_read=True)
            changed = [(row, orjson.loads(row.row)) for row in believed if not row.is_known]
            for kept, charge in changed:
                seen_at = Seen(self.run_start, kept.created_ms)
                record = staged(CHARGE, charge, kept.list_hash, seen_at, text=kept.row, is_listed=True)
                self.staging.add([record])
                stage_embedded_refunds([charge], self.staging, seen_at)

    def _for_each_batch(self, step: Callable[[list[str]], None], *, being_read: bool = False) -> None:
        after = ""
        while batch := self.staging.dirty_orders(after, _BATCH, being_read=being_read):
            step(batch)
            after = batch[-1]

    def _link(self) -> None:
        """Give every record its home, reading the charges that refunds name and asking the platform for the rest."""
        links = self.staging.links
        while True:
            links.resolve(self.stored)
            charges, refunds = links.unled()
            failed = {record_id for kind, record_id, _, _ in self.staging.failed() if kind == CHARGE}
            missing = [c for c in self.staging.not_staged(CHARGE, charges) if c not in failed]
            self._read(CHARGE, dict.fromkeys(missing))
            if not missing and not self._ask_platform(refunds, links.orderless_charges()):
                return

    def _ask_platform(self, refunds: list[str], charges: list[str]) -> bool:
        """Ask the platform whose these are, each once; whether it was asked anything."""
        asked = False
        if self.witness is not None:
            for kind, ids in ((REFUND, refunds), (CHARGE, charges)):
                new = sorted(set(ids) - self.staging.links.asked_platform(kind, ids))
                if new:
                    told = self.witness.owners(kind, new)
                    self.staging.links.note_platform(kind, [(i, told.get(i)) for i in new])
                    asked = True
        return asked

    def _orders(self, batch: list[str]) -> None:
        """Read the orders. A charge without an order lends it its own id, and is read as what it is."""
        wanted = self.staging.orders_to_read(batch)
        charges = set(self.staging.links.charges_among(wanted, self.stored))
        self._read(CHARGE, {i: i for i in self.staging.not_staged(CHARGE, charges)})
        self._read(ORDER, {i: i for i in wanted if i not in charges})

    def _share_references(self) -> bool:
        """An order number that a second order carries names neither; the first is mapped again. Whether any is."""
        before = self.staging.count_dirty()
        stored = self.stored.orders_with_references(self.staging.references())
        self.staging.note_shared_references((order_id, reference) for order_id, reference, _ in stored)
        self.staging.mark_dirty(
            [order_id for order_id, ref, numbered in stored if numbered and self.staging.is_shared(ref)],
            "its reference is no longer unique",
        )
        return self.staging.count_dirty() > before

    def _charges(self, batch: list[str]) -> None:
        wanted: dict[str, str | None] = dict(self.staging.links.named_and_not_staged(batch))
        self._read(CHARGE, wanted | self._unseen(CHARGE, batch))

    def _refunds(self, batch: list[str]) -> None:
        """Bring together all refunds of these orders.

        Where what a charge says was given back equals the sum of its refunds, those read in this run and those stored
        and not met in it, all are known: the stored ones come from the store. They are as they were stored, for a
        refund that is voided, or fails, lowers what its charge says. A charge that says nothing (no
        ``amount_refunded``) proves nothing: it is asked when its refunds may lie outside of what this run lists, or
        some of them are stored.
        """
        stored = self._stored_refunds(batch)
        of_orders: Counter[str] = Counter()
        for refund in chain.from_iterable(stored.values()):
            of_orders[str(refund.order_id)] += counted_refund(orjson.loads(refund.payload))
        ask: dict[str, str] = {}
        for sums in self.staging.charge_sums(batch):
            before = stored.get(sums.charge_id, [])
            counted = sums.charge_counted + sum(counted_refund(orjson.loads(r.payload)) for r in before)
            may_lie_elsewhere = bool(before) or self._is_before_lists(sums.created_ms)
            if (
                (sums.charge_claims or 0) != counted
                or sums.order_claims > sums.order_counted + of_orders[sums.order_id]
                or (sums.charge_claims is None and may_lie_elsewhere)
            ):
                if sums.charge_id not in self._asked_for_refunds:
                    ask[sums.charge_id] = sums.order_id
            elif before:
                self._take_stored(sums.charge_id, before)
        self._asked_for_refunds.update(ask)
        for charge_id, refunds in self.clover.refunds_of_charges(ask):
            if isinstance(refunds, CloverError):
                self.staging.note_failed(CHARGE, charge_id, ask[charge_id], refunds.message)
            else:
                self.staging.add(self._staged(REFUND, str(row["id"]), row) for row in refunds)
                self.staging.links.note_shown(charge_id, [str(row["id"]) for row in refunds])
            self.progress.advance()
        # What even its charge no longer lists is asked for by its id: gone, or kept from the lists.
        self._read(REFUND, self._unseen(REFUND, batch))

    def _stored_refunds(self, batch: list[str]) -> dict[str, list[StoredRefund]]:
        """Charge id -> its stored refunds that this run has not read.

        Those that its lists should have shown and did not are left out: they may be gone.
        """
        found: dict[str, list[StoredRefund]] = {}
        for refund in self.stored.refunds(list(self._unseen(REFUND, batch))):
            if refund.charge_id is not None and (
                self._is_before_lists(refund.created_ms) or self.staging.was_seen(REFUND, refund.id)
            ):
                found.setdefault(refund.charge_id, []).append(refund)
        return found

    def _is_before_lists(self, created_ms: int | None) -> bool:
        return created_ms is None or created_ms < to_ms(self.listed_since)

    def _take_stored(self, charge_id: str, refunds: list[StoredRefund]) -> None:
        for refund in refunds:
            seen_at = Seen(self.run_start, refund.created_ms or to_ms(self.run_start))
            text = refund.payload.encode()
            self.staging.add([staged(REFUND, orjson.loads(text), refund.list_hash, seen_at, text=text)])
        self.staging.links.note_shown(charge_id, [refund.id for refund in refunds])

    def _unseen(self, kind: str, batch: list[str]) -> dict[str, str | None]:
        """Stored records of these orders that this run has not met, with their orders: they may have changed."""
        stored = {
            record_id: order_id
            for order_id, records in self.stored.records_of_orders(batch).items()
            for of_kind, record_id in records
            if of_kind == kind
        }
        return {record_id: stored[record_id] for record_id in self.staging.not_staged(kind, stored)}

    def _platform_lines(self, batch: list[str]) -> None:
        """Ask the platform about orders that their items leave open; where it is silent, what it said of gift cards
        stands."""
        stored = self.stored.gift_card_orders(batch)
        if self.witness is not None:
            asked = [
                order_id
                for order_id, records in self.staging.records_of(batch).items()
                if order_id in self.gift_cards
                or order_id in stored
                or any(r.kind == ORDER and needs_platform(orjson.loads(r.payload)) for r in records)
            ]
            self.staging.add(self.witness.orders(asked))
        for order_id in self.staging.not_staged(PLATFORM, stored):
            self.staging.add([platform_order_record(orjson.loads(stored[order_id]))])

    def _read(self, kind: str, wanted: Mapping[str, str | None]) -> None:
        """Read records by id. wanted: id -> the order that needs it, where known. What failed is not asked again."""
        if kind == ORDER:
            wanted = {order_id: order_id for order_id in wanted}
        failed = {record_id for failed, record_id, _, _ in self.staging.failed() if failed == kind}
        wanted = {record_id: order_id for record_id, order_id in wanted.items() if record_id not in failed}
        for read in self._reads(kind, wanted):
            self.progress.advance()
            if read.error is not None:
                self.staging.note_failed(kind, read.id, wanted[read.id], read.error.message)
            elif read.row is None:
                self._not_found(kind, read.id, wanted[read.id])
            else:
                self._take(kind, read.id, read.row)

    def _take(self, kind: str, record_id: str, row: Row) -> None:
        self.staging.add([self._staged(kind, record_id, row)])
        if kind == CHARGE:
            stage_embedded_refunds([row], self.staging, Seen.by_id(self.run_start))

    def _staged(self, kind: str, record_id: str, row: Row) -> StagedRecord:
        # A record read by id keeps the fingerprint of its list row, so that the next listing recognises it.
        list_hash = self.staging.list_hash(kind, record_id) or digest(row)
        pointer = self.staging.pointed_at(kind, record_id)
        seen_at = Seen.by_id(self.run_start)
        if pointer is not None and pointer[1] is not None:
            seen_at = Seen(self.run_start, pointer[1])
        return staged(kind, row, list_hash, seen_at)

    def _not_found(self, kind: str, record_id: str, order_id: str | None) -> None:
        """Clover answered 404: the record is gone, unless it was shown elsewhere in this very run."""
        pointer = self.staging.pointed_at(kind, record_id)
        if kind != ORDER and pointer is not None and pointer[2] is not None:
            # Its list has it: the row is all there is to know, and its money must not vanish.
            row = orjson.loads(pointer[2])
            self.staging.add(
                [staged(kind, row, pointer[0], Seen(self.run_start, pointer[1] or to_ms(self.run_start)))]
            )
        elif (
            kind == CHARGE
            and order_id is not None
            and (row := self._embedded(order_id, record_id)) is not None
        ):
            if not any(self.stored.homes(CHARGE, [record_id])):
                self.staging.add([self._staged(CHARGE, record_id, row)])
                return
            self.staging.mark_gone(kind, record_id)
        elif (kind, record_id) in self.asked_again and self._is_out_of_sight(kind, record_id):
            self.asked_again.discard((kind, record_id))  # neither listed nor readable: it stays held back
        else:
            self.staging.mark_gone(kind, record_id)

    def _embedded(self, order_id: str, charge_id: str) -> Row | None:
        """A charge as an object inside its order, None where the order has no more than its id."""
        payload = self.staging.payload(ORDER, order_id)
        if payload is None:
            return None
        shown = embedded(orjson.loads(payload).get("past_charges"))
        return next((row for row in shown if str(row.get("id")) == charge_id and "amount" in row), None)

    def _is_out_of_sight(self, kind: str, record_id: str) -> bool:
        """Whether this run's lists could not have shown a stored record, or did show it."""
        if self.staging.was_seen(kind, record_id):
            return True
        homes = list(self.stored.homes(kind, [record_id]))
        return any(
            home.created_ms is not None and home.created_ms < to_ms(self.listed_since) for home in homes
        )

    def _reads(self, kind: str, ids: Iterable[str]) -> Iterator[Read]:
        known_bad = [record_id for record_id in ids if (kind, record_id) in self.asked_again]
        yield from self.clover.read_many(kind, [i for i in ids if (kind, i) not in self.asked_again])
        # That these fail once more says nothing about Clover: never so many at once that it looks like an outage.
        for start in range(0, len(known_bad), FAILURES_IN_A_ROW - 1):
            yield from self.clover.read_many(kind, known_bad[start : start + FAILURES_IN_A_ROW - 1])
