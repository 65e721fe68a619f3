"""What Clover's order amount contains: decided per order, the first reading that adds up exactly.

Clover's samples disagree on whether the amount of an item is a unit price or a line total, whether the amount of an
order has tax in it, and whether a tip is in it (docs.clover.com, Create and pay for orders, against Accept payments
and tips). With S goods, D discounts, H shipping, T tax, P tip and X surcharge the readings tried are, in this order:

1. S - D + H + T       prices without tax, tax in the amount
2. S - D + H           tax outside the amount: the order comes to amount + T
3. as 1 and 2 with items' amounts as line totals instead of unit prices
4. 1 to 3 with the tip in the amount, then with the surcharge, then with both; they are taken out

Reading 2 has a twin: the prices themselves contain the tax, and the order comes to the amount. The money decides:
when exactly the amount was collected, tax is inside; otherwise it is added.

Tax is the order's tax lines, else its ``tax_amount`` (never both), else what its charges name, else none or what
the rates of its lines come to. Where nothing adds up, the amount is the truth (less a tip, or with the tax, if
exactly that was collected), and the difference becomes a line of its own. An order without an amount comes to what
its lines say; one without lines comes to its amount.

What Clover's platform knows (``items.platform_items``) takes the place of the Ecommerce items when those do not add up
(equal lines arrive collapsed, without quantity; a discount of the whole order is not among them), or when it tells
which goods came back.

A tax is no reading where it is more than the order: an amount never holds more tax than it comes to, and tax beside it
that is more than the amount must have been collected. Such a tax is left out and reported by ``tax_conflict``; nothing
is booked as a discount to make room for it.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from schemas.clover import Charge, Order
from transforms.order.items import Items


class Reading(Struct, frozen=True):
    """How an order adds up. Minor units of the order's currency.

    goods: what one sale of everything comes to: tax and shipping in, discounts off, no tip, no surcharge.
    line_totals: amounts of items are line totals. tax_inside: prices contain the tax. difference: goods less what
    the parts come to; 0 when they reconcile. tax_conflict: ``tax_amount`` less tax lines, where both are given; where
    a tax is more than the order, that tax. tax_refused: whether the latter is the case.
    """

    items: Items
    goods: int
    tax: int
    line_totals: bool = False
    tax_inside: bool = False
    difference: int = 0
    tip: int = 0
    tax_conflict: int = 0
    tax_refused: bool = False


def read_totals(
    order: Order, charges: Sequence[Charge], items: Items, platform: Sequence[Items], collected: int
) -> Reading:
    """The reading of an order.

    charges: those that took money in its currency; collected: the sum of their amounts. platform: what the platform
    makes of the items, the likeliest first.
    """
    tip, surcharge = _extras(order, charges)
    extras = (0, tip, surcharge, tip + surcharge)
    sources = [items, *platform]
    if platform and platform[0].names_returns:
        sources = [*platform, items]
    amount = order.amount
    first, conflict, refused = _tax_candidates(order, charges, items, collected, extras)
    if amount is None:
        if not items.goods and not items.shipping:
            tax = min(first[0], collected)
            return Reading(items, collected, tax, False, True, 0, tip, conflict, refused)
        unit = items.value(line_totals=False) + items.pseudo
        return Reading(items, unit + first[0], first[0], False, False, 0, tip, conflict, refused)
    if not items.has_lines and not any(source.has_lines for source in platform):
        # Clover makes such an order for every stand-alone charge. Charges count tax inside.
        if first[0] > max(amount, 0):
            return Reading(items, amount, 0, False, True, 0, tip, first[0], True)
        return Reading(items, amount, first[0], False, True, 0, tip, conflict, refused)
    for source in sources:
        taxes = first if source is items else _tax_candidates(order, charges, source, collected, extras)[0]
        for tax in taxes:
            for extra in dict.fromkeys(extras):
                found = _matching(source, amount - extra, tax, collected, extras)
                if found is not None:
                    line_totals, inside, goods = found
                    return Reading(source, goods, tax, line_totals, inside, 0, tip, conflict, refused)
    goods = _by_the_money(amount, first[0], tip, collected)
    parts = items.value(line_totals=False) + items.pseudo + first[0]
    return Reading(items, goods, first[0], False, False, goods - parts, tip, conflict, refused)


def _extras(order: Order, charges: Sequence[Charge]) -> tuple[int, int]:
    """(tip, surcharge) that the order names, else its charges. Minor units."""
    tip = order.tip_amount or sum(charge.tip_amount or 0 for charge in charges)
    surcharge = order.surcharge_amount or sum(c.amount for c in order.additional_charges)
    return tip, surcharge or sum(c.amount for charge in charges for c in charge.additional_charges)


def _by_the_money(amount: int, tax: int, tip: int, collected: int) -> int:
    """What an order comes to whose lines do not tell.

    Its amount, less the tip or with the tax if exactly that was collected.
    """
    readings = (amount, amount + tip, amount - tip, amount + tax, amount + tax + tip)
    goods = (amount, amount, amount - tip, amount + tax, amount + tax)
    return next(
        (one for reading, one in zip(readings, goods, strict=True) if 0 < collected == reading), amount
    )


def _matching(
    items: Items, amount: int, tax: int, collected: int, extras: tuple[int, ...]
) -> tuple[bool, bool, int] | None:
    """(line totals, tax inside, goods) of the first reading that comes to ``amount``."""
    for line_totals in (False, True) if items.has_quantities else (False,):
        base = items.value(line_totals=line_totals) + items.pseudo
        if amount == base + tax:
            return line_totals, False, amount
        if amount == base and tax:
            if _collected_as(collected, amount, extras) and not _collected_as(
                collected, amount + tax, extras
            ):
                return line_totals, True, amount
            return line_totals, False, amount + tax
    return None


def _collected_as(collected: int, goods: int, extras: tuple[int, ...]) -> bool:
    if collected <= 0 or goods <= 0:
        return False
    return any(collected == goods + extra for extra in extras) or collected % goods == 0


def _tax_candidates(
    order: Order, charges: Sequence[Charge], items: Items, collected: int, extras: tuple[int, ...]
) -> tuple[list[int], int, bool]:
    """Taxes to try, the likeliest first; what does not agree about them; whether one was more than the order."""
    if items.tax_lines is not None:
        named = order.tax_amount
        if named is None or named == items.tax_lines:
            taxes, conflict = [items.tax_lines], 0
        else:
            taxes, conflict = [items.tax_lines, named], named - items.tax_lines
    elif order.tax_amount is not None:
        taxes, conflict = [order.tax_amount], 0
    else:
        taxes, conflict = list(_unnamed_tax(charges, items)), 0
    kept = [tax for tax in taxes if _may_be_tax(tax, order.amount, items, collected, extras)]
    if kept:
        return kept, conflict, False
    return [0], taxes[0], True


def _may_be_tax(tax: int, amount: int | None, items: Items, collected: int, extras: tuple[int, ...]) -> bool:
    """Whether an order of that amount can hold the tax, or was paid with the tax beside the amount."""
    base = max(amount, 0) if amount is not None else items.value(line_totals=False) + items.pseudo
    if amount is None and not items.goods and not items.shipping:
        base = collected
    return tax <= base or (amount is not None and _collected_as(collected, amount + tax, extras))


def _unnamed_tax(charges: Sequence[Charge], items: Items) -> Iterator[int]:
    told = sum(charge.tax_amount or 0 for charge in charges)
    if told:
        yield told
    yield 0
    computed = items.computed_tax()
    if computed and computed != told:
        yield computed
