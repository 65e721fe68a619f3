"""Which orders are published: those for which money moved, at least one payment that is or was ``Paid``.

A captured charge that was voided since was ``Paid``. A charge of 0.00 (a card on file that was verified) is no sale,
with or without the order that Clover makes for a charge that has none; an order whose items come to 0.00 is one. The
rest is kept raw, held back with a reason and, where it may still be paid, looked at again.
"""

from collections.abc import Sequence
from enum import StrEnum

from schemas.clover import Order
from schemas.commerce_enums import PaymentStatus
from transforms.model import OrderGroup
from transforms.order.money import Returned, Taken

_CANCELED = frozenset({"canceled", "cancelled", "voided"})
_PAID = frozenset({"paid", "fulfilled", "returned"})


class HeldBack(StrEnum):
    """Why an order is not published."""

    OPEN_CART = "open_cart"  # opened, no payment was tried
    NO_PAYMENT = "no_payment"  # Clover calls it paid, but no charge of it is known
    AUTHORIZED = "authorized"  # authorised, not captured
    PENDING = "pending"  # a payment that is not settled yet
    FAILED = "failed"  # every payment failed
    CANCELED = "canceled"  # given up without money
    UNKNOWN_STATUS = "unknown_status"  # a status of Clover that nobody knows
    DELETED = "deleted"  # Clover has it no more, and no money that was taken for it
    NO_MONEY = "no_money"  # a card was verified with 0.00: no sale
    UNREADABLE = "unreadable"  # a record without which the order cannot be told


class Open(StrEnum):
    """Why an order is looked at again."""

    OPEN_CART = "open_cart"
    AUTHORIZED = "authorized"
    PENDING_PAYMENT = "pending_payment"
    PENDING_REFUND = "pending_refund"
    PART_PAID = "part_paid"
    UNDATED = "undated"  # a record of it has no usable time


def held_back(order: Order | None, taken: Sequence[Taken]) -> HeldBack | None:
    """Why an order is held back, None when money moved for it."""
    found = {one.status for one in taken}
    if PaymentStatus.PAID in found or any(one.was_paid for one in taken):
        is_sale = order is not None and (order.amount or order.items)
        return None if is_sale or any(one.money for one in taken) else HeldBack.NO_MONEY
    status = "" if order is None else (order.status or "").lower()
    if PaymentStatus.PENDING in found:
        return HeldBack.PENDING
    if PaymentStatus.AUTHORIZED in found:
        return HeldBack.AUTHORIZED
    if status in _CANCELED or PaymentStatus.CANCELLED in found:
        return HeldBack.CANCELED
    if PaymentStatus.FAILED in found:
        return HeldBack.FAILED
    if found:
        return HeldBack.UNKNOWN_STATUS
    return HeldBack.NO_PAYMENT if status in _PAID else HeldBack.OPEN_CART


def open_reason(
    group: OrderGroup, taken: Sequence[Taken], refunds: Sequence[Returned], part_paid: bool
) -> str | None:
    """Why the order is not settled, the most urgent reason; None when it is."""
    order = group.order
    found = {one.status for one in taken}
    if any(one.status in (PaymentStatus.PENDING, PaymentStatus.UNKNOWN) for one in refunds):
        return Open.PENDING_REFUND
    if PaymentStatus.PENDING in found:
        return Open.PENDING_PAYMENT
    if PaymentStatus.AUTHORIZED in found:
        return Open.AUTHORIZED
    if group.undated:
        return Open.UNDATED
    if group.is_deleted:
        return None
    if part_paid:
        return Open.PART_PAID
    if PaymentStatus.PAID in found or held_back(order, taken) is HeldBack.CANCELED:
        return None
    return Open.OPEN_CART
