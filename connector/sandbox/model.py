"""What the shop knows: orders, charges, refunds, customers as facts, not as Clover writes them down.

Money is in minor units of the record's currency, times in Unix milliseconds. ``wire`` and ``platform_wire``
turn facts into Clover's JSON; ``books`` keeps what they mean in money.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Moment = datetime | int
Tender = Literal["card", "ach", "paypal", "giftCard", "cash"]
ChargeState = Literal["captured", "authorized", "pending", "failed", "voided"]
RefundState = Literal["succeeded", "pending", "failed", "canceled"]


def as_ms(at: Moment) -> int:
    """Unix milliseconds of an aware datetime; an int is taken as milliseconds already."""
    if isinstance(at, int):
        return at
    if at.tzinfo is None:
        raise ValueError("Give the world aware datetimes, or milliseconds.")
    return round(at.timestamp() * 1000)


@dataclass(slots=True)
class Item:
    """A line as it was sold. price: of one unit, without tax. rate: percent x 100 000, so 825000 is 8.25 %.

    discount, tax: this line's share in minor units, filled in when the order is opened.
    returned: units given back. is_revenue: false for a gift card, as only the platform tells.
    """

    name: str
    price: int
    quantity: int = 1
    rate: int = 0
    product: str = ""
    line_id: str = ""
    discount: int = 0
    tax: int = 0
    returned: int = 0
    is_revenue: bool = True

    @property
    def value(self) -> int:
        """Price times quantity, before discount and tax."""
        return self.price * self.quantity


@dataclass(slots=True)
class Customer:
    """Somebody with an account. since, modified: when first seen and last changed."""

    id: str
    first_name: str | None
    last_name: str | None
    email: str
    phone: str
    since: int
    modified: int


@dataclass(slots=True, eq=False)
class Order:
    """A cart or a sale. tax: inside what is owed. paid_at: exact to the millisecond, None until paid in full.

    collapsed: Clover will show equal lines once and without a quantity. settled_charges: how many charges
    came before the last full return, so that a re-payment starts counting anew.
    """

    id: str
    seq: int
    created: int
    modified: int
    currency: str
    items: list[Item]
    discounts: list[tuple[str, int]]
    shipping: int
    shipping_name: str
    tax: int
    customer: Customer | None
    email: str | None
    name: str | None = None
    external_reference: str | None = None
    collapsed: bool = False
    implicit: bool = False
    charges: list["Charge"] = field(default_factory=list)
    paid_at: int | None = None
    has_return: bool = False
    settled_charges: int = 0
    deleted_at: int | None = None
    note: str | None = None
    row: tuple[object, bytes] | None = None

    @property
    def discount(self) -> int:
        """What all discounts take off, positive."""
        return sum(amount for _, amount in self.discounts)

    @property
    def owed(self) -> int:
        """What the buyer owes: goods less discount, shipping and tax; tip and surcharge are not in it."""
        return sum(item.value for item in self.items) - self.discount + self.shipping + self.tax


@dataclass(slots=True, eq=False)
class Charge:
    """One attempt to take money. amount: without tip and surcharge. captured: what was taken, same reading.

    pays_alone: it was the first charge and for all that was owed.
    """

    id: str
    seq: int
    created: int
    modified: int
    order: Order | None
    currency: str
    amount: int
    tax: int
    tip: int
    surcharge: int
    tender: Tender
    state: ChargeState
    captured: int = 0
    preauthorized: bool = False
    customer: Customer | None = None
    description: str | None = None
    note: str | None = None
    in_person: bool = False
    partial_auth: bool = False
    pays_alone: bool = False
    vanished: bool = False
    refunds: list["Refund"] = field(default_factory=list)
    row: tuple[object, bytes] | None = None

    @property
    def page(self) -> str:
        """Under which id the books keep it: its order's, or its own when it has none."""
        return self.order.id if self.order is not None else self.id

    @property
    def refunded(self) -> int:
        """Given back so far by refunds that count; tip inside, surcharge not."""
        return sum(refund.amount for refund in self.refunds if refund.counts)

    @property
    def refundable(self) -> int:
        """What could still be given back, tip inside, surcharge not; pending refunds are already off."""
        held = sum(refund.amount for refund in self.refunds if refund.counts or refund.state == "pending")
        return self.captured + self.tip - held if self.state == "captured" else 0


@dataclass(slots=True, eq=False)
class Refund:
    """Money given back, or meant to be. amount: positive, tip inside, surcharge on top.

    lines: (item, units) given back, empty when only an amount was. void: the charge was voided before it
    settled, and Clover shows that as a refund. voided_as: how a cancelled refund shows: as an object of
    another kind, as a flag, or not at all.
    """

    id: str
    seq: int
    created: int
    modified: int
    charge: Charge
    amount: int
    tip: int
    surcharge: int
    state: RefundState
    reason: str | None = None
    lines: Sequence[tuple[Item, int]] = ()
    void: bool = False
    voided_as: Literal["object", "flag", "gone"] | None = None
    row: tuple[object, bytes] | None = None

    @property
    def counts(self) -> bool:
        """Whether money was given back and stayed given back."""
        return self.state == "succeeded" and self.voided_as is None
