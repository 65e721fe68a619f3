"""What earlier runs stored of one connection, read from the published snapshot.

The run holds the connection's lock and the snapshot was repaired before, so nothing newer exists anywhere.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from connector.ledger import stored as reads
from connector.ledger.connection_state import connection_states
from connector.ledger.interface import Reader
from connector.sync.link.links import CHARGE, Home
from connector.sync.read.rows_without_id import Unnamed, unnamed_of
from transforms.document import payment_dates
from transforms.model import PreviousVersion

_ROUNDING = timedelta(seconds=2)


class StoredRefund(NamedTuple):
    """A refund as it is stored. created_ms: what it is booked under; payload: its JSON, without personal data."""

    id: str
    order_id: str | None
    charge_id: str | None
    created_ms: int | None
    list_hash: str
    payload: str


@dataclass(frozen=True, slots=True)
class Known:
    """One connection's stored records. Every method is one query; none writes.

    is_new: nothing is stored of this connection yet, so there is nothing to ask for.
    """

    reader: Reader
    connection_id: str
    is_new: bool = False

    def list_hashes(self, kind: str, ids: list[str]) -> Mapping[str, str]:
        """Record id -> fingerprint of its list row."""
        if self.is_new:
            return {}
        return reads.list_hashes(self.reader.connection, self.connection_id, kind, ids)

    def records_of_orders(self, order_ids: list[str]) -> Mapping[str, list[tuple[str, str]]]:
        """Order id -> (kind, record id) of its stored charges and refunds."""
        if self.is_new:
            return {}
        return reads.records_of_orders(self.reader.connection, self.connection_id, order_ids)

    def homes(self, kind: str, ids: list[str]) -> Iterator[Home]:
        """Where stored records are at home, also those that Clover deleted since."""
        if not self.is_new:
            for row in reads.homes(self.reader.connection, self.connection_id, kind, ids):
                yield Home(*row)

    def orders_naming(self, charge_ids: list[str]) -> list[tuple[str, str, bool]]:
        """(order id, charge id, whether it is the latest) of stored orders that name one of the charges."""
        if self.is_new:
            return []
        return reads.orders_naming(self.reader.connection, self.connection_id, charge_ids)

    def last_said(self, order_ids: Collection[str]) -> dict[str, str | None]:
        """Order id -> what Clover last said of an order it has no more, None where it never said anything."""
        said: dict[str, str | None] = dict.fromkeys(order_ids)
        if order_ids and not self.is_new:
            said |= reads.order_payloads(self.reader.connection, self.connection_id, list(order_ids))
        return said

    def orders_with_references(self, references: list[str]) -> list[tuple[str, str, bool]]:
        """(order id, reference, whether it is published under that number) of stored orders."""
        if self.is_new or not references:
            return []
        return reads.orders_with_references(self.reader.connection, self.connection_id, references)

    def created_between(self, kind: str, since: datetime, until: datetime) -> Mapping[str, str]:
        """Record id -> order id of current records created in a span."""
        if self.is_new:
            return {}
        return reads.created_between(self.reader.connection, self.connection_id, kind, since, until)

    def list_hashes_between(self, since: datetime, until: datetime) -> dict[str, dict[str, str]]:
        """Kind -> record id -> fingerprint of its list row, of what was created in a span.

        Clover rounds times, so a little more is looked at. Empty when nothing is stored for the span.
        """
        found: dict[str, dict[str, str]] = {}
        if not self.is_new:
            for kind, record_id, list_hash in reads.list_hashes_between(
                self.reader.connection, self.connection_id, since - _ROUNDING, until + _ROUNDING
            ):
                found.setdefault(kind, {})[record_id] = list_hash
        return found

    def refunds(self, ids: list[str]) -> list[StoredRefund]:
        """Stored refunds that Clover has not deleted."""
        if self.is_new or not ids:
            return []
        return [StoredRefund(*row) for row in reads.refunds(self.reader.connection, self.connection_id, ids)]

    def previous(self, order_ids: list[str]) -> dict[str, PreviousVersion]:
        """Order id -> its current version, also one that was deleted (its date must not go back)."""
        if self.is_new:
            return {}
        found = {}
        for order_id, modified, content_hash, doc in reads.current_versions(
            self.reader.connection, self.connection_id, order_ids
        ):
            found[order_id] = PreviousVersion(modified, content_hash, payment_dates(doc) if doc else {})
        return found

    def totals(self, order_ids: list[str]) -> dict[str, tuple[str, Decimal, Decimal]]:
        """Order id -> (currency, totalAmount, totalRefund) as published."""
        return reads.totals(self.reader.connection, self.connection_id, order_ids)

    def documents(self, data_type: str, ids: list[str]) -> Mapping[str, str]:
        """Record id -> stored document of customers, products and the like."""
        if self.is_new:
            return {}
        return reads.documents(self.reader.connection, self.connection_id, data_type, ids)

    def merchant(self) -> reads.StoredMerchant | None:
        """Who the merchant was when the last run was loaded."""
        return reads.merchant(self.reader.connection, self.connection_id)

    def record_ids(self, data_type: str) -> set[str]:
        """Ids of all stored customers, products and the like."""
        return reads.record_ids(self.reader.connection, self.connection_id, data_type)

    def vanished_charges(
        self, order_ids: list[str], is_gone: Callable[[str, str], bool], is_staged: Callable[[str, str], bool]
    ) -> dict[str, list[bytes]]:
        """Order id -> its stored charges that Clover no longer has, marked as voided.

        is_gone: (kind, id) Clover said so in this run. is_staged: it was read in this run, so it is back.
        """
        if self.is_new:
            return {}
        vanished: dict[str, list[bytes]] = {}
        for order_id, record_id, payload, is_deleted in reads.charges_of_orders(
            self.reader.connection, self.connection_id, order_ids
        ):
            if is_gone(CHARGE, record_id) or (is_deleted and not is_staged(CHARGE, record_id)):
                voided = {**orjson.loads(payload), "voided": True}
                vanished.setdefault(order_id, []).append(orjson.dumps(voided))
        return vanished

    def gone_records(self, gone: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Stored records among ``gone`` as rows for the store, to be marked deleted."""
        return reads.stored_rows(self.reader.connection, self.connection_id, list(gone))

    def all_records(self) -> Iterator[tuple[str, str, str | None, bool]]:
        """(kind, id, order id, whether Clover deleted it) of every stored record."""
        return reads.all_records(self.reader.connection, self.connection_id)

    def loaded_runs(self) -> set[str]:
        """Ids of the runs whose data was loaded."""
        return reads.loaded_runs(self.reader.connection, self.connection_id)

    def unusable_records(self) -> tuple[tuple[str, str, str | None], ...]:
        """(kind, id, order id) of records held back because they could not be read or mapped, or lead to no order."""
        held = reads.unusable_records(self.reader.connection, self.connection_id)
        return tuple(record for record in held if unnamed_of(*record[:2]) is None)

    def held_back(self) -> list[reads.HeldBackRecord]:
        """Everything that is held back, whatever the reason."""
        return reads.held_back_records(self.reader.connection, self.connection_id)

    def unnamed(self) -> tuple[Unnamed, ...]:
        """Windows whose lists showed rows without an id that are still held back."""
        held = reads.unusable_records(self.reader.connection, self.connection_id)
        return tuple(place for record in held if (place := unnamed_of(*record[:2])) is not None)

    def orders_to_poll(self, at: datetime) -> tuple[str, ...]:
        """Unsettled orders that are due to be looked at again."""
        return reads.orders_to_poll(self.reader.connection, self.connection_id, at)

    def open_since(self, order_ids: list[str]) -> Mapping[str, datetime]:
        """Order id -> since when it has been unsettled."""
        return reads.open_since(self.reader.connection, self.connection_id, order_ids)

    def cursor(self) -> datetime | None:
        """The lowest high-water mark of the three streams; None until each of them has one."""
        return reads.lowest_cursor(self.reader.connection, self.connection_id)

    def last_success_began(self, at: datetime) -> datetime | None:
        """When the newest sync began that succeeded and is not dated after ``at``."""
        state = connection_states(self.reader.connection, at=at).get(self.connection_id)
        return None if state is None else state.last_success_began

    def deep_scans(self) -> Mapping[str, datetime]:
        """Tier -> when it was last completed."""
        return reads.deep_scans(self.reader.connection, self.connection_id)


def known_of(reader: Reader, connection_id: str) -> Known:
    """What is stored of a connection in the state that ``reader`` holds open."""
    return Known(reader, connection_id, reads.is_new(reader.connection, connection_id))
