"""A sale line and what of it is still with the buyer: how much a return of part of it comes to.

Which refund returned what is decided in ``transforms.order.refunds``.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import combinations

from msgspec import Struct

from schemas.commerce import TaxComponentRef
from schemas.money import divide_half_up
from transforms.order.allocation import shares
from transforms.order.line import Line, extended

_MOST_RETURNED_ITEMS = 10  # combinations of returned items tried against one refund: 1,023


class SoldLine(Struct):
    """A sale line and what of it is still with the buyer. returned: list value Clover says was returned of it."""

    line: Line
    quantity: Decimal
    net: int
    tax: int
    discounts: list[tuple[str, int]]
    taxes: list[tuple[TaxComponentRef, int]]
    value: int
    returned: int = 0

    @property
    def total(self) -> int:
        return self.net - sum(amount for _, amount in self.discounts) + self.tax


def choices(known: Sequence[SoldLine]) -> Iterator[Sequence[SoldLine]]:
    """Sets of returned items, all of them first, then the smaller ones."""
    yield known
    if len(known) <= _MOST_RETURNED_ITEMS:
        for size in range(1, len(known)):
            yield from combinations(known, size)


def paid_for(sold: SoldLine) -> int:
    """Clover's figure read as money paid for what came back."""
    return min(sold.returned, sold.total)


def price_of(sold: SoldLine) -> int:
    """Clover's figure read as list price of what came back: its share of what the line came to."""
    if sold.value <= 0 or sold.returned >= sold.value:
        return sold.total
    return min(divide_half_up(sold.line.total * sold.returned, sold.value), sold.total)


def whole_units(sold: SoldLine, total: int) -> Decimal | None:
    """How many whole units a part of a line comes to, None when it is no whole number."""
    quantity = sold.line.quantity
    if quantity != int(quantity) or quantity <= 1 or sold.line.total <= 0:
        return None
    units = divide_half_up(int(quantity) * total, sold.line.total)
    if not 0 < units < sold.quantity:
        return None
    # A cent may be lost or won where the total of one unit is no whole number.
    near = abs(units * sold.line.total - total * int(quantity)) <= int(quantity)
    return Decimal(units) if near else None


def parts_of(
    sold: SoldLine, total: int, units: Decimal | None, exponent: int
) -> tuple[int, int, list[tuple[str, int]]]:
    """What a part of a line that comes to ``total`` consists of: (net, tax, discounts).

    Whole units at the price of the sale, where an odd cent fits into the discount or, without one, into the tax.
    Otherwise every part in proportion.
    """
    off = sum(amount for _, amount in sold.discounts)
    if units is not None:
        net = extended(units, sold.line.unit_price, exponent)
        part, whole = int(units), int(sold.quantity)
        tax = divide_half_up(sold.tax * part, whole)
        back = divide_half_up(off * part, whole)
        # The odd cent goes where it is less of a distortion.
        ways = [(tax, net + tax - total), (total - net + back, back)] if off else [(total - net, 0)]
        tax, back = min(
            ways, key=lambda way: abs(way[0] * whole - sold.tax * part) + abs(way[1] * whole - off * part)
        )
        if 0 <= back <= off and 0 <= tax <= sold.tax and net <= sold.net:
            cut = proportional(back, [amount for _, amount in sold.discounts])
            return net, tax, list(zip((name for name, _ in sold.discounts), cut, strict=True))
    tax = divide_half_up(sold.tax * total, sold.total)
    discounts = [(name, divide_half_up(amount * total, sold.total)) for name, amount in sold.discounts]
    return total - tax + sum(amount for _, amount in discounts), tax, discounts


def proportional(total: int, weights: list[int]) -> list[int]:
    """Shares of ``total`` by the size of the weights; none where there are none."""
    return shares(total, [abs(weight) for weight in weights]) if weights else []
