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

Line items of Clover's platform take the place of the Ecommerce ones when those do not add up (equal lines arrive
collapsed, without quantity), or when they tell which goods came back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.clover import Charge, Order
from transforms.items import Items


@dataclass(frozen=True, slots=True)
class Reading:
    """How an order adds up. Minor units of the order's currency.

    goods: what one sale of everything comes to: tax and shipping in, discounts off, no tip, no surcharge.
    line_totals: amounts of items are line totals. tax_inside: prices contain the tax. difference: goods less what
    the parts come to; 0 when they reconcile. tax_conflict: ``tax_amount`` less tax lines, where both are given.
    """

    items: Items
    goods: int
    tax: int
    line_totals: bool = False
    tax_inside: bool = False
    difference: int = 0
    tip: int = 0
    tax_conflict: int = 0


def read_totals(
    order: Order, charges: Sequence[Charge], items: Items, platform: Items | None, collected: int
) -> Reading:
    """The reading of an order. charges: those that took money in its currency; collected: the sum of their amounts."""
    taxes, conflict = _tax_candidates(order, charges, items)
    tip = order.tip_amount or sum(charge.tip_amount or 0 for charge in charges)
    surcharge = order.surcharge_amount or sum(c.amount for c in order.additional_charges)
    surcharge = surcharge or sum(c.amount for charge in charges for c in charge.additional_charges)
    sources = [items] if platform is None else [items, platform]
    if platform is not None and platform.names_returns:
        sources.reverse()
    amount = order.amount
    if amount is None:
        unit = items.value(line_totals=False) + items.pseudo
        if not items.goods and not items.shipping:
            return Reading(
                items, collected, min(taxes[0], collected), tax_inside=True, tip=tip, tax_conflict=conflict
            )
        return Reading(items, unit + taxes[0], taxes[0], tip=tip, tax_conflict=conflict)
    if not items.has_lines and (platform is None or not platform.has_lines):
        # Clover makes such an order for every stand-alone charge. Charges count tax inside.
        return Reading(
            items, amount, min(taxes[0], max(amount, 0)), tax_inside=True, tip=tip, tax_conflict=conflict
        )
    for source in sources:
        for tax in taxes:
            for extra in dict.fromkeys((0, tip, surcharge, tip + surcharge)):
                found = _matching(
                    source, amount - extra, tax, collected, (0, tip, surcharge, tip + surcharge)
                )
                if found is not None:
                    line_totals, inside, goods = found
                    return Reading(source, goods, tax, line_totals, inside, tip=tip, tax_conflict=conflict)
    goods = _by_the_money(amount, taxes[0], tip, collected)
    parts = items.value(line_totals=False) + items.pseudo + taxes[0]
    return Reading(items, goods, taxes[0], difference=goods - parts, tip=tip, tax_conflict=conflict)


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


def _tax_candidates(order: Order, charges: Sequence[Charge], items: Items) -> tuple[list[int], int]:
    """Taxes to try, the likeliest first, and what ``tax_amount`` says beyond the tax lines."""
    if items.tax_lines is not None:
        named = order.tax_amount
        if named is None or named == items.tax_lines:
            return [items.tax_lines], 0
        return [items.tax_lines, named], named - items.tax_lines
    if order.tax_amount is not None:
        return [order.tax_amount], 0
    return list(_unnamed_tax(charges, items)), 0


def _unnamed_tax(charges: Sequence[Charge], items: Items) -> Iterator[int]:
    told = sum(charge.tax_amount or 0 for charge in charges)
    if told:
        yield told
    yield 0
    computed = items.computed_tax()
    if computed and computed != told:
        yield computed
