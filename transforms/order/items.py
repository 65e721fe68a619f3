"""The items of an order sorted into goods, discounts, shipping and tax, whichever way Clover lists them.

Clover lists tax, shipping and discounts as pseudo-lines among the goods (docs.clover.com, Accept payments and tips).
A discount lowers the order whatever its sign. Goods with a negative amount or quantity lower it too, so they are read
as discounts: a quantity below zero is kept for refunds. An unknown type is goods. No quantity, and 0, mean one.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from schemas.clover import Order, OrderItem, TaxRate
from schemas.commerce import Ref, TaxComponentRef
from schemas.money import divide_half_up
from transforms.model import OrderGroup, PlatformLine, PlatformPart

SHOWN_DECIMALS = 4
_ONE = Decimal(1)
_SHOWN = Decimal(1).scaleb(-SHOWN_DECIMALS)
_NO_TAX = "NO_TAX_APPLIED"


class Tax(Struct, frozen=True):
    """A tax on a line. rate: percent times 100,000; None when only its name is known. flat: minor units."""

    component: TaxComponentRef
    rate: int | None
    flat: int


class Goods(Struct, frozen=True):
    """One item sold. amount: as Clover gives it; unit_value and line_value: both ways to read it, minor units.

    discounts: its own, positive. returned: what Clover says was refunded of it. fully_returned: all of it was.
    is_gift_card: see ``transforms.order.gift_cards``.
    """

    key: str
    quantity: Decimal
    amount: int
    unit_value: int
    name: str | None = None
    product_id: str | None = None
    line_id: str | None = None
    taxes: tuple[Tax, ...] | None = None
    discounts: tuple[tuple[str, int], ...] = ()
    returned: int = 0
    fully_returned: bool = False
    is_gift_card: bool = False

    @property
    def product(self) -> Ref | None:
        return None if self.product_id is None else Ref(id=self.product_id, name=self.name)


class Items(Struct, frozen=True):
    """What is in an order.

    discounts, shipping, service_charges: (description, positive minor units). tax_lines: their sum, None when there
    are none.
    """

    goods: tuple[Goods, ...] = ()
    discounts: tuple[tuple[str, int], ...] = ()
    shipping: tuple[tuple[str, int], ...] = ()
    tax_lines: int | None = None
    names_returns: bool = False
    service_charges: tuple[tuple[str, int], ...] = ()

    @property
    def has_lines(self) -> bool:
        return bool(self.goods or self.shipping or self.discounts)

    @property
    def has_quantities(self) -> bool:
        return any(item.quantity != 1 for item in self.goods)

    @property
    def pseudo(self) -> int:
        """Shipping and service charges less discounts."""
        added = sum(amount for _, amount in (*self.shipping, *self.service_charges))
        return added - sum(amount for _, amount in self.discounts)

    def value(self, *, line_totals: bool) -> int:
        """What the goods come to, their own discounts off."""
        return sum(
            (item.amount if line_totals else item.unit_value) - sum(amount for _, amount in item.discounts)
            for item in self.goods
        )

    def computed_tax(self) -> int:
        """Tax as the rates of the lines have it: each rate on its share after discounts, halves up
        (docs.clover.com, Calculate order totals)."""
        off = sum(amount for _, amount in self.discounts)
        whole = self.value(line_totals=False)
        taxed: dict[int, int] = {}
        flat = 0
        for item in self.goods:
            value = item.unit_value - sum(amount for _, amount in item.discounts)
            for tax in item.taxes or ():
                flat += tax.flat
                if tax.rate:
                    taxed[tax.rate] = taxed.get(tax.rate, 0) + value
        if whole <= 0:
            return flat
        return flat + sum(
            divide_half_up(value * (whole - off) * rate, whole * 10_000_000) for rate, value in taxed.items()
        )


def items_of(order: Order) -> Items:
    """The Ecommerce items of an order."""
    goods: list[Goods] = []
    discounts: list[tuple[str, int]] = []
    shipping: list[tuple[str, int]] = []
    tax_lines: int | None = None
    for item in order.items:
        kind = (item.type or "sku").lower()
        if kind == "tax":
            tax_lines = (tax_lines or 0) + item.amount
        elif kind == "shipping" and item.amount < 0:
            discounts.append((item.description or "Shipping discount", -item.amount))
        elif kind == "shipping":
            if item.amount:
                shipping.append((item.description or "Shipping", item.amount))
        elif kind == "discount":
            discounts.append((item.description or "Discount", abs(item.amount)))
        elif (value := extended_minor(item.amount, quantity := item.quantity or _ONE)) < 0 or quantity < 0:
            discounts.append((item.description or "Discount", abs(value)))
        else:
            goods.append(_goods_of(item, value))
    return Items(_hinted(order, goods), tuple(discounts), tuple(shipping), tax_lines)


def _hinted(order: Order, goods: list[Goods]) -> tuple[Goods, ...]:
    """The goods with what the order's returns say of them, where they say nothing themselves."""
    hints = _returned_items(order) if order.returns else {}
    if hints and not any(item.returned for item in goods):
        return tuple(_with_hint(item, hints) for item in goods)
    return tuple(goods)


def _goods_of(item: OrderItem, value: int) -> Goods:
    """A line of goods. value: its amount times its quantity, minor units."""
    return Goods(
        key="\x1f".join(
            (item.parent or "", item.inventory_id or "", item.description or "", str(item.amount))
        ),
        quantity=shown_quantity(item.quantity or _ONE) or _ONE,
        amount=item.amount,
        unit_value=value,
        name=item.description,
        product_id=item.inventory_id or item.parent,
        line_id=item.id,
        taxes=taxes_of(item.tax_rates) if item.tax_rates else None,
        returned=max(item.amount_refunded or 0, 0),
    )


def platform_items(group: OrderGroup, own: Items) -> list[Items]:
    """The same order as Clover's platform knows it, in the readings that may add up, the likeliest first.

    own: the Ecommerce items, whose shipping, discounts and tax lines stand beside the platform's lines. Lines of the
    platform alone, then with the discounts and service charges it names for the whole order; these beside the
    Ecommerce items last. Discounts are taken off in the order of docs.clover.com, Calculate order totals: by percent,
    then by amount; a service charge is on what is left.
    """
    found = []
    sources = [own] if own.goods else []
    if group.platform_lines:
        sources.insert(0, _by_platform_lines(group.platform_lines, own))
        found.append(sources[0])
    named = group.platform_discounts, group.platform_service_charges
    for source in sources:
        found += [
            _with_parts(source, discounts, charges)
            for discounts, charges in ((named[0], ()), ((), named[1]), named)
            if discounts or charges
        ]
    return found


def _with_parts(items: Items, discounts: Sequence[PlatformPart], charges: Sequence[PlatformPart]) -> Items:
    left = items.value(line_totals=False) - sum(amount for _, amount in items.discounts)
    off = []
    for part in sorted(discounts, key=lambda part: part.amount is not None):
        amount = min(_comes_to(part, left), max(left, 0))
        left -= amount
        off.append((part.name, amount))
    added = [(part.name, _comes_to(part, left)) for part in charges]
    return replace(
        items,
        discounts=(*items.discounts, *off),
        service_charges=(*items.service_charges, *(fee for fee in added if fee[1])),
    )


def _comes_to(part: PlatformPart, base: int) -> int:
    return part.amount if part.amount is not None else divide_half_up(max(base, 0) * part.rate, 1_000_000)


def _by_platform_lines(lines: Sequence[PlatformLine], own: Items) -> Items:
    """A line that is the shipping is left out of the goods; one that lowers the order is a discount."""
    shipping = list(own.shipping)
    discounts = list(own.discounts)
    goods = []
    for line in lines:
        price = line.price + line.modifications
        quantity = _ONE if line.unit_qty is None else Decimal(line.unit_qty).scaleb(-3)
        value = extended_minor(price, quantity)
        if value < 0:
            discounts.append((line.name or "Discount", -value))
        if quantity <= 0 or value < 0:
            continue
        if line.item_id is None and (line.name or "Shipping", value) in shipping:
            shipping.remove((line.name or "Shipping", value))
            continue
        goods.append(
            Goods(
                key=line.id or "\x1f".join((line.item_id or "", line.name or "", str(price))),
                quantity=quantity,
                amount=price,
                unit_value=value,
                name=line.name,
                product_id=line.item_id,
                line_id=line.id,
                taxes=_platform_taxes(line.tax_rates),
                discounts=tuple(_platform_discounts(line.discounts, value)),
                returned=value if line.refunded else 0,
                fully_returned=line.refunded,
                is_gift_card=not line.is_revenue,
            )
        )
    names_returns = any(item.fully_returned for item in goods)
    return Items(tuple(goods), tuple(discounts), own.shipping, own.tax_lines, names_returns)


def shown_quantity(quantity: Decimal) -> Decimal:
    """A quantity as lines show it: four decimals at most, halves away from zero."""
    return quantity if quantity == quantity.to_integral_value() else quantity.quantize(_SHOWN, ROUND_HALF_UP)


def extended_minor(amount: int, quantity: Decimal) -> int:
    """Amount times quantity in minor units, halves away from zero."""
    if quantity == 1:
        return amount
    return int((amount * quantity).quantize(_ONE, ROUND_HALF_UP))


def line_ids(order_id: str, goods: Sequence[Goods]) -> list[str]:
    """A stable id for every item: Clover's own, else made of the order and what the item is.

    Items that are alike are counted, so a reordered answer gives the same ids.
    """
    found: list[str] = []
    used: set[str] = set()
    for item in goods:
        base = item.line_id
        if base is None:
            digest = hashlib.blake2b(item.key.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
            base = f"{order_id}_{digest}"
        name, count = base, 1
        while name in used:
            count += 1
            name = f"{base}_{count}"
        used.add(name)
        found.append(name)
    return found


def taxes_of(rates: Iterable[TaxRate]) -> tuple[Tax, ...]:
    """The taxes of an Ecommerce item. NO_TAX_APPLIED is the zero rate and no tax at all."""
    found = []
    for rate in rates:
        if rate.name == _NO_TAX or (rate.rate == 0 and not rate.tax_amount):
            continue
        if rate.name is None and rate.tax_rate_uuid is None and rate.rate is None and not rate.tax_amount:
            continue
        found.append(_tax(rate.tax_rate_uuid, rate.name, rate.rate, rate.tax_amount or 0))
    return tuple(found)


@lru_cache(maxsize=1_024)
def _tax(identity: str | None, name: str | None, rate: int | None, flat: int) -> Tax:
    label = name or "Tax"
    if identity is None:
        # Without Clover's id a tax is known by its name and rate: two rates of one name are two taxes.
        identity = label if rate is None else f"{label} {percent(rate)}%"
    return Tax(TaxComponentRef(id=identity, name=label), rate, flat)


def percent(rate: int) -> str:
    """A rate (percent times 100,000) in percent: 825000 is 8.25."""
    whole, part = divmod(rate, 100_000)
    return f"{whole}.{part:05}".rstrip("0") if part else str(whole)


def _platform_taxes(rates: Iterable[Mapping[str, object]]) -> tuple[Tax, ...] | None:
    found = []
    seen = False
    for rate in rates:
        seen = True
        scaled, flat = rate.get("rate"), rate.get("taxAmount")
        scaled = scaled if isinstance(scaled, int) and 0 < scaled < 10**9 else 0
        flat = flat if isinstance(flat, int) and not isinstance(flat, bool) else 0
        name = str(rate["name"]) if rate.get("name") else None
        if name == _NO_TAX or (not scaled and not flat):
            continue
        # A flat tax must not be read as a rate.
        found.append(_tax(str(rate["id"]) if rate.get("id") else None, name, None if flat else scaled, flat))
    return tuple(found) if seen else None


def _platform_discounts(discounts: Iterable[Mapping[str, object]], value: int) -> Iterable[tuple[str, int]]:
    left = value
    for discount in discounts:
        amount, share = discount.get("amount"), discount.get("percentage")
        if isinstance(amount, int) and not isinstance(amount, bool):
            off = abs(amount)
        elif isinstance(share, int) and not isinstance(share, bool):
            off = divide_half_up(value * abs(share), 100)
        else:
            continue
        off = min(off, left)
        left -= off
        yield str(discount.get("name") or "Discount"), off


def _returned_items(order: Order) -> dict[tuple[str, int], int]:
    """Returned lines where the order lists its returns: (product or line, unit amount) -> minor units."""
    found: dict[tuple[str, int], int] = {}
    for returned in order.returns:
        items = returned.get("items") if isinstance(returned, Mapping) else None
        for item in items if isinstance(items, list) else ():
            if not isinstance(item, Mapping) or item.get("type", "sku") != "sku":
                continue
            amount, quantity = item.get("amount"), item.get("quantity") or 1
            name = item.get("inventory_id") or item.get("parent")
            if isinstance(amount, int) and isinstance(quantity, int) and isinstance(name, str):
                key = (name, abs(amount))
                found[key] = found.get(key, 0) + abs(amount * quantity)
    return found


def _with_hint(item: Goods, hints: dict[tuple[str, int], int]) -> Goods:
    key = (item.product_id or "", item.amount)
    returned = min(hints.get(key, 0), item.unit_value)
    if not returned:
        return item
    hints[key] -= returned
    return replace(item, returned=returned)
