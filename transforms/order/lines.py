"""Sale lines: what was sold, each line with its share of discount and tax, to the last minor unit.

Discounts of the order are shared out in proportion to line value, one after the other, each in proportion to what
the ones before left of a line, so that no line is discounted below nothing. Tax without amounts by line follows the
lines' own rates, on the value after discount; where no line names a rate (or all deny any), the lines' values alone.
With no goods of any value the tax stays with the shipping, and a discount with nothing to lower is a line of its own
(quantity 1, price 0), as in Codat's own Clover orders.

A difference that no reading explains becomes the line ``unreconciled``: quantity 1, its price the difference; where
it lowers the order, price 0 and the difference as an allocation, because a quantity below zero marks a refund. An
order without any lines is one line for its amount, under the order's id.

What would be below zero otherwise (tax inside a price that is more than the price, an amount below zero) is a price of
0 and an allocation ``Adjustment``. It is never without an issue (``transforms.check.agreement``).

A line's price is without tax. Where that takes more than four decimals, the line is split in two whose prices are
whole: 3 for 10.01 stay one line, 1001 for 10.00 become two.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from schemas.commerce import TaxComponentRef
from schemas.money import shortest, to_decimal
from transforms.order.allocation import shares
from transforms.order.items import Goods, Items, line_ids
from transforms.order.line import Line, effective_rate, unit_price
from transforms.order.service_charges import Charged, Fee, FeeKind, shipping, surcharge
from transforms.order.totals import Reading

UNRECONCILED = "unreconciled"
ADJUSTMENT = "Adjustment"
_RATE_SCALE = 10_000_000  # a rate is a fraction times this


def sale_lines(
    order_id: str, reading: Reading, exponent: int
) -> tuple[list[Line], list[Fee], dict[str, Goods]]:
    """(lines, shipping, line id -> the item behind it). Together they come to ``reading.goods``."""
    items = reading.items
    lines: list[Line] = []
    origin: dict[str, Goods] = {}
    fees = _fees_of(items)
    if not items.has_lines:
        net = reading.goods - reading.tax
        return [_one_line(order_id, net, reading.tax, exponent)], fees, origin
    goods = list(items.goods)
    values = [item.amount if reading.line_totals else item.unit_value for item in goods]
    discounts = [list(item.discounts) for item in goods]
    left = [value - sum(amount for _, amount in own) for value, own in zip(values, discounts, strict=True)]
    if goods:
        _place_discounts(items.discounts, discounts, left)
    tax_on_goods = bool(goods) and (not fees or max(left) > 0)
    taxes = [0] * len(goods)
    if tax_on_goods and reading.tax:
        taxes = shares(reading.tax, tax_weights(goods, left, inside=reading.tax_inside))
    for index, (line_id, item) in enumerate(zip(line_ids(order_id, goods), goods, strict=True)):
        tax = taxes[index]
        net = values[index] - (tax if reading.tax_inside else 0)
        percentage = _percentage_of(item, tax, left[index] - (tax if reading.tax_inside else 0))
        written = _Written(line_id, item, net, tax, discounts[index], percentage)
        built = _lines_of(written, reading, exponent)
        if item.is_gift_card:
            for line in built:
                line.kind = "gift_card"
        lines += built
        origin.update(dict.fromkeys((line.id for line in built), item))
    if not goods:
        lines += _lines_of_discounts(items.discounts, exponent)
    if reading.tax and not tax_on_goods:
        _tax_fees(order_id, fees, lines, reading.tax, inside=reading.tax_inside)
    if reading.difference:
        lines.append(_unreconciled(reading.difference, exponent))
    return lines, fees, origin


def _fees_of(items: Items) -> list[Fee]:
    fees = [shipping(name, amount) for name, amount in items.shipping]
    return fees + [surcharge(Charged(FeeKind.OTHER, name), amount) for name, amount in items.service_charges]


def _place_discounts(
    whole: Sequence[tuple[str, int]], discounts: list[list[tuple[str, int]]], left: list[int]
) -> None:
    """Share the discounts of the whole order out to its lines. left: what each line has left, minor units."""
    for name, amount in whole:
        for index, share in enumerate(shares(amount, left) if amount else ()):
            if share:
                discounts[index].append((name, share))
                left[index] -= share


def _lines_of_discounts(discounts: Sequence[tuple[str, int]], exponent: int) -> list[Line]:
    """Discounts of an order without goods: a line each."""
    lines = []
    for number, (name, amount) in enumerate((one for one in discounts if one[1]), start=1):
        line = _one_line(f"Discount: {name}" if number == 1 else f"Discount: {name} {number}", 0, 0, exponent)
        line.discounts.append((name, amount))
        lines.append(line)
    return lines


def tax_weights(goods: Sequence[Goods], left: Sequence[int], *, inside: bool) -> list[int]:
    """How heavily each line is taxed. left: minor units after discount.

    By rates where every taxed line names one; a line that names no tax at all is untaxed as soon as another names
    one. By value among the taxed lines where a rate is known only by its id, and among all lines as a last resort.
    """
    known = all(tax.rate is not None or tax.flat for item in goods for tax in item.taxes or ())
    weights = []
    for item, value in zip(goods, left, strict=True):
        value = max(value, 0)
        if not item.taxes:
            weights.append(0)
        elif known:
            rate = sum(tax.rate or 0 for tax in item.taxes)
            taxed = value * rate * 1000
            if inside:
                taxed = taxed * _RATE_SCALE // (_RATE_SCALE + rate)
            weights.append(taxed + 1000 * _RATE_SCALE * sum(tax.flat for tax in item.taxes))
        else:
            weights.append(value)
    return weights if any(weight > 0 for weight in weights) else [max(value, 0) for value in left]


class _Written(Struct, frozen=True):
    """One line of goods as it is written down. net, tax and discounts in minor units."""

    id: str
    item: Goods
    net: int
    tax: int
    discounts: list[tuple[str, int]]
    percentage: Decimal

    def line(self, quantity: Decimal, price: Decimal) -> Line:
        return Line(
            self.id,
            quantity,
            price,
            self.net,
            self.tax,
            self.discounts,
            _component_shares(self.item, self.tax),
            self.percentage,
            self.item.product,
        )


def _lines_of(written: _Written, reading: Reading, exponent: int) -> list[Line]:
    item, net = written.item, written.net
    preferred = (
        to_decimal(item.amount, exponent) if not reading.tax_inside and not reading.line_totals else None
    )
    price = unit_price(item.quantity, net, exponent, preferred)
    if price is not None and price >= 0:
        return [written.line(item.quantity, price)]
    if price is not None or item.quantity != int(item.quantity) or net < 0:
        # More tax inside than the goods come to, or a broken number of units: one of them, for what it comes to.
        if net < 0:
            written = replace(written, net=0, discounts=[*written.discounts, (ADJUSTMENT, -net)])
        return [written.line(Decimal(1), to_decimal(written.net, exponent))]
    low, more = divmod(net, int(item.quantity))
    counts = [int(item.quantity) - more, more]
    nets = [counts[0] * low, counts[1] * (low + 1)]
    taxes = shares(written.tax, nets)
    off = [shares(amount, nets) for _, amount in written.discounts]
    parts = []
    for part in (0, 1):
        named = zip(written.discounts, off, strict=True)
        some = replace(
            written,
            id=written.id if part == 0 else f"{written.id}_b",
            net=nets[part],
            tax=taxes[part],
            discounts=[(name, cut[part]) for (name, _), cut in named if cut[part]],
        )
        parts.append(some.line(Decimal(counts[part]), to_decimal(low + part, exponent)))
    return parts


def _percentage_of(item: Goods, tax: int, taxed: int) -> Decimal:
    """Tax of a line in percent: what its rates say, else what it comes to of the taxed minor units."""
    if item.taxes and all(applied.rate is not None and not applied.flat for applied in item.taxes) and tax:
        return shortest(Decimal(sum(applied.rate or 0 for applied in item.taxes)).scaleb(-5))
    return effective_rate(tax, taxed)


def _component_shares(item: Goods, tax: int) -> list[tuple[TaxComponentRef, int]]:
    """The tax of a line, minor units, by the taxes that it names."""
    if not item.taxes or not tax:
        return []
    parts = shares(tax, [(applied.rate or 0) + applied.flat * _RATE_SCALE for applied in item.taxes])
    return [(applied.component, part) for applied, part in zip(item.taxes, parts, strict=True)]


def _one_line(line_id: str, net: int, tax: int, exponent: int) -> Line:
    if net < 0:
        return Line(line_id, Decimal(1), Decimal(0), 0, tax, [(ADJUSTMENT, -net)])
    return Line(line_id, Decimal(1), to_decimal(net, exponent), net, tax, [], [], effective_rate(tax, net))


def _unreconciled(difference: int, exponent: int) -> Line:
    line = _one_line(UNRECONCILED, difference, 0, exponent)
    line.discounts = [("Unreconciled", amount) for _, amount in line.discounts]
    return line


def _tax_fees(order_id: str, fees: list[Fee], lines: list[Line], tax: int, *, inside: bool) -> None:
    if not fees:
        lines.append(Line(order_id, Decimal(1), Decimal(0), 0, tax))
        return
    for fee, part in zip(fees, shares(tax, [fee.total for fee in fees]), strict=True):
        fee.total += 0 if inside else part
        fee.tax = part
        fee.tax_percentage = effective_rate(part, fee.total - part)
