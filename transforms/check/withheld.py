"""Money that was taken and is in no published order: how much, and whether the reason is more than being unpaid."""

from dataclasses import dataclass

from schemas.clover import Charge, Refund
from schemas.commerce_enums import PaymentStatus
from transforms.check.publication import HeldBack
from transforms.model import OrderGroup
from transforms.order.money import charges_taken, refund_status, refunds_of

UNPAID = frozenset(
    {HeldBack.OPEN_CART, HeldBack.AUTHORIZED, HeldBack.PENDING, HeldBack.FAILED, HeldBack.CANCELED}
)
"""Reasons that say no money has moved yet, or never will."""
_MAY_BE_MONEY = frozenset({PaymentStatus.PAID, PaymentStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Withheld:
    """Records that are held back for one reason. amount: minor units of ``currency``, None where nobody can tell."""

    reason: str
    currency: str | None
    amount: int | None
    records: int = 1


def is_withheld(reason: str, amount: int | None) -> bool:
    """Whether money may be missing in the figures: for another reason than being unpaid, and not none at all."""
    return reason not in UNPAID and amount != 0


def money_withheld(group: OrderGroup, reason: str, currency: str | None) -> Withheld:
    """What a group of records that is not published took and did not give back, tips in, minor units.

    Charges in doubt count in full: what may have been taken must be named. currency: of a group that states none.
    Money of a second currency in the same order is not in it.
    """
    order = group.order
    stated = [order.currency if order is not None else None, *(charge.currency for charge in group.charges)]
    known = next((code for code in stated if code), currency) or "XXX"
    if reason in UNPAID:
        return Withheld(reason, known, None)
    taken = charges_taken(group, known)
    got = sum(one.money for one in taken if one.status in _MAY_BE_MONEY and one.currency == known)
    back = sum(
        one.money
        for one in refunds_of(group, taken, known)
        if one.status is PaymentStatus.PAID and one.currency == known
    )
    if reason == HeldBack.NO_PAYMENT and order is not None and not group.charges:
        got = order.amount_paid or order.amount or 0
        back = order.amount_returned or 0
    return Withheld(reason, known, got - back)


@dataclass(frozen=True, slots=True)
class RecordMoney:
    """What one record moved by its own words, minor units, positive. in_doubt: it takes its order to tell.

    readings: every amount that it may come to, as tips and surcharges lie on top of the charge or inside it.
    """

    amount: int
    in_doubt: bool
    readings: frozenset[int]


def money_of_charge(charge: Charge) -> RecordMoney:
    """What a charge captured; in doubt it is the amount it may have captured."""
    (taken,) = charges_taken(OrderGroup(None, (charge,)), charge.currency or "XXX")
    # Alone, a charge is only ever authorised where its own words leave open whether it was captured.
    in_doubt = taken.status in (PaymentStatus.AUTHORIZED, PaymentStatus.UNKNOWN)
    if taken.status is not PaymentStatus.PAID and not in_doubt:
        return RecordMoney(0, False, frozenset({0}))
    parts = {0, taken.tip, taken.surcharge, taken.tip + taken.surcharge}
    return RecordMoney(taken.money, in_doubt, frozenset(taken.money - part for part in parts))


def money_of_refund(refund: Refund) -> RecordMoney:
    """What a refund gave back."""
    if refund_status(refund) is not PaymentStatus.PAID:
        return RecordMoney(0, False, frozenset({0}))
    amount = abs(refund.amount)
    extra = sum(abs(one.amount) for one in refund.additional_charges)
    return RecordMoney(amount + extra, False, frozenset({amount + extra, amount}))
