"""Completes every order that changed: the order itself, all its charges, all refunds of those charges.

What this run has listed in full is not asked for again. The rest is read by id, several at a time. An order that
Clover no longer has (404) becomes a tombstone; a charge that vanished counts as voided. A record that cannot be
read holds its order back, and is asked for again by the next run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from connector.clover.hydrate import FAILURES_IN_A_ROW, Read
from connector.errors import CloverError
from connector.progress import Progress
from connector.sync.intake import stage_embedded_refunds, staged
from connector.sync.lineage import digest
from connector.sync.staging import CHARGE, ORDER, REFUND, StagedRecord, Staging
from connector.sync.witness import Witness
from transforms.platform import needs_platform

_BATCH = 500


class CloverReads(Protocol):
    """The reads by id that completion needs; several at once, answers in the order asked for."""

    def read_many(self, kind: str, ids: Iterable[str]) -> Iterator[Read]:
        """Records by id."""

    def refunds_of_charges(
        self, charge_ids: Iterable[str]
    ) -> Iterator[tuple[str, list[dict[str, Any]] | CloverError]]:
        """(charge id, all its refunds, or why they cannot be read)."""


class KnownRecords(Protocol):
    """What earlier runs stored."""

    def records_of_orders(self, order_ids: list[str]) -> Mapping[str, list[tuple[str, str]]]:
        """order id -> (kind, record id) of its stored charges and refunds."""

    def order_of_charges(self, charge_ids: list[str]) -> Mapping[str, str]:
        """charge id -> order id, where stored."""

    def orders_with_references(self, references: list[str]) -> list[tuple[str, str, bool]]:
        """(order id, reference, whether it is published under that number) of stored orders."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Completes the dirty orders of one staging notebook.

    listed_since: start of this run's refund feed; refunds of charges made earlier are asked for by charge, because
    that feed need not show them all. failed_before: (kind, id) of records that earlier runs could not read.
    """

    staging: Staging
    clover: CloverReads
    known: KnownRecords
    listed_since: datetime
    progress: Progress
    witness: Witness | None = None
    failed_before: frozenset[tuple[str, str]] = frozenset()

    def run(self) -> None:
        """Read whatever is missing, round by round, until every dirty order is whole."""
        self.progress.stage("hydrate")
        for kind in (ORDER, CHARGE, REFUND):
            self._read(kind, dict.fromkeys(self.staging.pointers(kind)))
        self._lead_refunds_to_orders()
        self.staging.dirty_from_records()
        self._for_each_batch(self._orders)
        self._share_references()
        self._for_each_batch(self._orders)
        self._for_each_batch(self._charges)
        self._for_each_batch(self._refunds)
        self.staging.dirty_from_records()
        if self.witness is not None:
            self._for_each_batch(self._platform_lines)

    def _for_each_batch(self, step: Callable[[list[str]], None]) -> None:
        after = ""
        while batch := self.staging.dirty_orders(after, _BATCH):
            step(batch)
            after = batch[-1]

    def _orders(self, batch: list[str]) -> None:
        self._read(ORDER, {order_id: order_id for order_id in self.staging.orders_to_read(batch)})

    def _share_references(self) -> None:
        """An order number that a second order carries names neither of them; the first must be mapped again."""
        stored = self.known.orders_with_references(self.staging.references())
        self.staging.note_shared_references((order_id, reference) for order_id, reference, _ in stored)
        self.staging.mark_dirty(
            [order_id for order_id, ref, numbered in stored if numbered and self.staging.is_shared(ref)],
            "its reference is no longer unique",
        )

    def _charges(self, batch: list[str]) -> None:
        wanted: dict[str, str | None] = dict(self.staging.charges_named(batch))
        have = None
        for order_id, records in self.known.records_of_orders(batch).items():
            have = self.staging.ids_of(CHARGE, batch) if have is None else have
            wanted |= {r: order_id for kind, r in records if kind == CHARGE and r not in have}
        self._read(CHARGE, wanted)

    def _refunds(self, batch: list[str]) -> None:
        listed_since_ms = self.listed_since.timestamp() * 1000
        unseen = set(self._unseen_refunds(batch).values())
        ask = {
            sums.charge_id: sums.order_id
            for sums in self.staging.charge_sums(batch)
            if sums.created_ms is None
            or sums.created_ms < listed_since_ms
            or sums.charge_claims != sums.charge_counted
            or sums.order_claims > sums.order_counted
            or sums.order_id in unseen
        }
        for charge_id, found in self.clover.refunds_of_charges(ask):
            if isinstance(found, CloverError):
                self.staging.note_failed(CHARGE, charge_id, ask[charge_id], found.message)
            else:
                self.staging.add(self._kept_refund(charge_id, row) for row in found)
            self.progress.advance()
        # What even its charge no longer lists is asked for by its id: gone, or kept from the lists.
        self._read(REFUND, self._unseen_refunds(batch))
        self.staging.join_refunds_to_orders()

    def _unseen_refunds(self, batch: list[str]) -> dict[str, str | None]:
        """Stored refunds that this run has not met, with their orders: they may have changed."""
        have = None
        unseen: dict[str, str | None] = {}
        for order_id, records in self.known.records_of_orders(batch).items():
            have = self.staging.ids_of(REFUND, batch) if have is None else have
            unseen |= {r: order_id for kind, r in records if kind == REFUND and r not in have}
        return unseen

    def _platform_lines(self, batch: list[str]) -> None:
        assert self.witness is not None
        unexplained = [
            order_id
            for order_id, records in self.staging.records_of(batch).items()
            if any(r.kind == ORDER and needs_platform(orjson.loads(r.payload)) for r in records)
        ]
        self.staging.add(self.witness.orders(unexplained))

    def _kept_refund(self, charge_id: str, row: Mapping[str, Any]) -> StagedRecord:
        whole = {**row, "charge": row.get("charge") or charge_id}
        return staged(REFUND, whole, self._list_hash(REFUND, str(row["id"]), whole))

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
                self.staging.mark_gone(kind, read.id)
            else:
                found = staged(kind, read.row, self._list_hash(kind, read.id, read.row))
                self.staging.add([found])
                if kind == CHARGE:
                    stage_embedded_refunds([read.row], self.staging)

    def _reads(self, kind: str, ids: Iterable[str]) -> Iterator[Read]:
        known_bad = [record_id for record_id in ids if (kind, record_id) in self.failed_before]
        yield from self.clover.read_many(kind, [i for i in ids if (kind, i) not in self.failed_before])
        # That these fail once more says nothing about Clover: never so many at once that it looks like an outage.
        for start in range(0, len(known_bad), FAILURES_IN_A_ROW - 1):
            yield from self.clover.read_many(kind, known_bad[start : start + FAILURES_IN_A_ROW - 1])

    def _list_hash(self, kind: str, record_id: str, record: Mapping[str, Any]) -> str:
        # A record read by id keeps the fingerprint of its list row, so that the next listing recognises it.
        return self.staging.list_hash(kind, record_id) or digest(record)

    def _lead_refunds_to_orders(self) -> None:
        """Lead every refund to its order: by its charge in this run, by the store, or by asking for the charge."""
        charges = sorted({charge for _, charge in self.staging.join_refunds_to_orders() if charge})
        stored = self.known.order_of_charges(charges)
        self._read(CHARGE, dict.fromkeys(charge for charge in charges if charge not in stored))
        for record_id, charge_id in self.staging.join_refunds_to_orders():
            if charge_id is not None:
                # A refund of a charge that nobody knows any more is kept under the charge's id, and reported.
                self.staging.set_order(REFUND, record_id, stored.get(charge_id, charge_id))
