"""What may be written of a sale: items, discounts, who buys, how it is paid, how money is given back."""

from collections.abc import Sequence
from typing import TypedDict

from connector.sandbox.model import ChargeState, Item, Moment, RefundState, Tender

AnyItem = Item | tuple[str, int] | tuple[str, int, int]
Discounts = int | tuple[str, int] | Sequence[tuple[str, int]]


class Cart(TypedDict, total=False):
    """What a cart holds beside its items. Amounts in minor units.

    discount: a positive amount, named or not. tax: when left out it follows from the rates of the lines, a tuple's
    rate being ``tax_rate`` (percent x 100 000). collapsed: Clover will lose the quantities (ambiguous). implicit:
    Clover made the order for a charge, without lines.
    """

    discount: Discounts
    shipping: int
    shipping_name: str
    tax: int | None
    tax_rate: int
    currency: str | None
    customer: str | None
    email: str | None
    name: str | None
    external_reference: str | None
    collapsed: bool
    implicit: bool


class Tendered(TypedDict, total=False):
    """How a sale is paid; tip and surcharge in minor units."""

    tip: int
    surcharge: int
    tender: Tender


class Payment(Tendered, total=False):
    """How a charge ends.

    outcome: ``authorized`` waits for a capture, ``pending`` for the bank, ``failed`` is a decline. currency: another
    one than the order's makes the order ambiguous, for Clover does not show what was settled.
    """

    outcome: ChargeState
    currency: str | None
    description: str | None
    in_person: bool
    partial_auth: bool


class Sale(Cart, Tendered, total=False):
    """A cart that is paid in full, at the same moment unless ``pay_at`` says when."""

    pay_at: Moment | None


class GivenBack(TypedDict, total=False):
    """How a refund ends. tip_back: how much of the tip goes back, minor units."""

    status: RefundState
    reason: str | None
    tip_back: int | None


def named(discount: Discounts) -> list[tuple[str, int]]:
    """Every discount as (name, positive amount)."""
    if isinstance(discount, int):
        return [("Discount", discount)] if discount else []
    if isinstance(discount, tuple) and len(discount) == 2 and isinstance(discount[0], str):
        return [(discount[0], int(discount[1]))]
    return [(str(name), int(amount)) for name, amount in discount]
