"""Clover's platform API as a second witness, where the token may read it: what changed, and what was really sold.

The Ecommerce API collapses equal lines and shows no modified time; the platform has both, under the same ids. It
is asked only for what the Ecommerce API leaves open, and everything works without it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from connector.clover.http.client import CloverClient
from connector.clover.http.responses import BadRequest, NotFound
from connector.clover.lists.window import Window
from connector.clover.platform import (
    MerchantProfile,
    Row,
    created_orders,
    customer,
    customers,
    is_cut,
    merchant_profile,
    modified,
    platform_order,
    platform_record,
    probe,
)
from connector.errors import CloverError, Deauthorized, PermissionMissing
from connector.logs import get_logger
from connector.sync.link.links import CHARGE, REFUND, Said
from connector.sync.link.notebook import PLATFORM, StagedRecord
from connector.sync.map.source_rows import fingerprint
from connector.sync.read.rows import identity, whole_number
from transforms.read.platform import sells_gift_cards

log = get_logger(__name__)

# What says that this token or this merchant has no such thing; anything else is a failure of the moment.
_NOT_THERE = (PermissionMissing, NotFound, BadRequest)
# kind -> (where its records are on the platform, the member that names the owner): docs.clover.com, Payments, Refunds.
_OWNERS: Mapping[str, tuple[Literal["payments", "refunds"], str]] = {
    CHARGE: ("payments", "order"),
    REFUND: ("refunds", "payment"),
}
# modifiedTime has been seen a second before createdTime, and a page may move while it is read.
_OVERLAP = timedelta(minutes=10)
# The feed must end in the past, or rows that change while it is read are skipped.
_LAG = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Witness:
    """One merchant's platform API. Its absence, or a missing permission, is no error anywhere."""

    client: CloverClient
    merchant_id: str
    _told: set[str] = field(default_factory=set)

    def changed_orders(self, since: datetime, until: datetime) -> dict[str, bool]:
        """Orders that were modified, or whose payments were, in the span: id -> whether gift cards may be among its
        lines. Hints, not facts."""
        window = Window(since - _OVERLAP, max(until - _LAG, since - _OVERLAP))
        found: dict[str, bool] = {}
        for kind in ("orders", "payments"):
            try:
                for rows in modified(self.client, self.merchant_id, kind, window):
                    for row in rows:
                        if (order_id := _order_of(kind, row)) is not None:
                            found[order_id] = found.get(order_id, False) or _may_sell_gift_cards(row)
            except _NOT_THERE as error:
                self._log_absence(f"modified {kind}", error)
        return found

    def gift_card_orders(self, window: Window) -> set[str]:
        """Ids of orders created in the window among whose lines gift cards may be."""
        found: set[str] = set()
        try:
            for rows in created_orders(self.client, self.merchant_id, window):
                found |= {str(row["id"]) for row in rows if row.get("id") and _may_sell_gift_cards(row)}
        except _NOT_THERE as error:
            self._log_absence("gift cards sold", error)
        return found

    def orders(self, order_ids: Iterable[str]) -> Iterator[StagedRecord]:
        """What the platform knows of these orders' lines, as records to be staged."""
        for order_id in order_ids:
            try:
                order = platform_order(self.client, self.merchant_id, order_id)
            except _NOT_THERE as error:
                self._log_absence("lines of orders", error)
                return
            if order is not None:
                yield platform_order_record(_kept(order) | {"id": order_id})

    def owners(self, kind: str, ids: Iterable[str]) -> dict[str, str]:
        """Whose these are, as far as the platform tells: charge id -> order id, or refund id -> charge id."""
        path, owner = _OWNERS[kind]
        found = {}
        for record_id in ids:
            try:
                row = platform_record(self.client, self.merchant_id, path, record_id)
            except _NOT_THERE as error:
                self._log_absence(f"links of {path}", error)
                break
            if row is not None and (owner_id := identity(row.get(owner))) is not None:
                found[record_id] = owner_id
        return found

    def profile(self) -> MerchantProfile | None:
        """Who the merchant is, None where the token may not know, or it cannot be read now."""
        try:
            return merchant_profile(self.client, self.merchant_id)
        except Deauthorized:
            raise
        except CloverError as error:
            self._log_absence("merchant", error)
            return None

    def customers(self, ids: Collection[str], *, whole_list: bool) -> Iterator[Row]:
        """Those of the customers that the platform has. whole_list: read the list of all and pick them out of it.

        Ends early, and says so, where the token may not read customers or they cannot be read now.
        """
        if not ids:
            return
        try:
            if whole_list:
                for rows in customers(self.client, self.merchant_id):
                    yield from (row for row in rows if row.get("id") in ids)
            else:
                for customer_id in sorted(ids):
                    row = customer(self.client, self.merchant_id, customer_id)
                    if row is not None and row.get("id") == customer_id:
                        yield row
        except Deauthorized:
            raise
        except CloverError as error:
            self._log_absence("customers", error)

    def _log_absence(self, what: str, error: CloverError) -> None:
        """Say it once a run, whatever else it keeps from being read."""
        if error.message not in self._told:
            self._told.add(error.message)
            _log_absence(what, error)


def platform_order_record(kept: Mapping[str, Any]) -> StagedRecord:
    """What the platform says of an order, as it is kept, as a record to be staged."""
    text, list_hash = fingerprint(kept)
    order_id = str(kept["id"])
    return StagedRecord(
        PLATFORM, order_id, Said(order_id), whole_number(kept.get("createdTime")), list_hash, text
    )


def call_witness(client: CloverClient, merchant_id: str) -> Witness | None:
    """The second witness, or None when the token may not read the platform API."""
    try:
        if probe(client, merchant_id):
            return Witness(client, merchant_id)
        log.info("platform.not_read", what="anything", reason="the token may not read this merchant")
    except Deauthorized:
        raise
    except CloverError as error:
        _log_absence("anything", error)
    return None


def _log_absence(what: str, error: CloverError) -> None:
    log.info("platform.not_read", what=what, reason=error.message)


def _kept(order: Mapping[str, Any]) -> dict[str, Any]:
    """Only what explains lines: payments carry card data and are read elsewhere."""
    names = (
        "id",
        "currency",
        "total",
        "createdTime",
        "modifiedTime",
        "lineItems",
        "discounts",
        "serviceCharge",
    )
    return {name: order[name] for name in names if name in order}


def _may_sell_gift_cards(order: Row) -> bool:
    return sells_gift_cards(order) or is_cut(order)


def _order_of(kind: str, row: Mapping[str, Any]) -> str | None:
    if kind == "orders":
        return str(row["id"]) if row.get("id") else None
    order = row.get("order")
    return str(order["id"]) if isinstance(order, Mapping) and order.get("id") else None
