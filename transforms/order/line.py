"""The working form of an order line: whole minor units, before it is written as a Codat line.

``net - discounts + tax`` is what a line comes to, by definition, so the identities between the parts of an order
hold before anything is rounded for display. Only unit price and tax percentage are decimals, because a price of
which tax was taken out may need four places.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from schemas.commerce import Ref, TaxComponentRef
from schemas.money import divide_half_up, shortest, to_decimal

_FOUR_PLACES = Decimal("0.0001")
_ONE = Decimal(1)

# What a line is of: goods, or a gift card, which is no sale (transforms.order.gift_cards). A refund line is of either,
# of an amount of which nobody knows the goods, or gives back a service charge or money beyond what was owed.
LineKind = Literal["goods", "gift_card", "amount", "service_charge", "overpayment"]


class Line(Struct):
    """A sale line, or a refund line with everything negative but the unit price.

    net: quantity times unit price, minor units, without tax and discount. discounts, taxes: (name or component,
    minor units). unit_price: major units. refund_id: of a refund line, the refund it was made for. charge_id: of goods
    that were sold again after their return, the charge that sold them; None for the first sale.
    """

    id: str
    quantity: Decimal
    unit_price: Decimal
    net: int
    tax: int = 0
    discounts: list[tuple[str, int]] = field(default_factory=list)
    taxes: list[tuple[TaxComponentRef, int]] = field(default_factory=list)
    tax_percentage: Decimal = Decimal(0)
    product: Ref | None = None
    refund_id: str | None = None
    kind: LineKind = "goods"
    charge_id: str | None = None

    @property
    def discount(self) -> int:
        return sum([amount for _, amount in self.discounts]) if self.discounts else 0

    @property
    def total(self) -> int:
        return self.net - self.discount + self.tax

    def again(self, time: int, charge_id: str) -> "Line":
        """The same goods sold another time, by a charge."""
        return replace(
            self,
            id=f"{self.id}_{time}",
            discounts=list(self.discounts),
            taxes=list(self.taxes),
            charge_id=charge_id,
        )


def extended(quantity: Decimal, unit_price: Decimal, exponent: int) -> int:
    """Quantity times unit price in minor units, halves away from zero."""
    return int((quantity * unit_price).scaleb(exponent).quantize(_ONE, ROUND_HALF_UP))


def unit_price(
    quantity: Decimal, net: int, exponent: int, preferred: Decimal | None = None
) -> Decimal | None:
    """The price of one of ``quantity`` (positive) that comes to ``net``; None where four decimals are too few.

    ``preferred`` is taken when it comes to the same: a refund shows the price of the sale.
    """
    if preferred is not None and extended(quantity, preferred, exponent) == net:
        return preferred
    if quantity == 1:
        return to_decimal(net, exponent)
    price = (Decimal(net).scaleb(-exponent) / quantity).quantize(_FOUR_PLACES, ROUND_HALF_UP)
    return shortest(price) if extended(quantity, price, exponent) == net else None


def effective_rate(tax: int, taxed: int) -> Decimal:
    """Tax in percent of the taxed amount, four decimals at most; 0 when nothing was taxed or the signs differ."""
    if tax == 0 or taxed == 0 or (tax < 0) != (taxed < 0):
        return Decimal(0)
    return shortest(Decimal(divide_half_up(abs(tax) * 1_000_000, abs(taxed))).scaleb(-4))
