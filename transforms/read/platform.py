"""Clover's platform v3 as a second witness of an order: the one reader of its rows, and when it has to be asked.

The platform lists every unit sold, and it names discounts and service charges of the whole order, which the Ecommerce
API shows nowhere (docs.clover.com, Working with orders). ``order.items`` offers them as readings of the order, and
``order.totals`` takes the first that adds up exactly; what makes nothing add up is not used, because the
platform's own totals are written by apps and may be stale.

A row that cannot be used is left out, never an error: a line without a price, a discount without amount and rate. A
line without an id is a line all the same; it is known by what it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from schemas.clover import Order
from schemas.loose import rows
from schemas.times import from_ms
from transforms.model import OrderGroup, PlatformLine, PlatformPart
from transforms.order.items import items_of
from transforms.order.totals import read_totals

Row = Mapping[str, Any]
_PERCENT = 10_000  # of percentageDecimal: 110000 is 11 %


def needs_platform(order: Row) -> bool:
    """Whether an order's own items cannot explain it: they do not come to its amount, or a return names no items.

    order: as the Ecommerce API sends it. One that cannot be read needs nothing; the mapping reports it.
    """
    try:
        record = Order.model_validate(dict(order))
    except (ValidationError, TypeError, ValueError, RecursionError):
        return False
    items = items_of(record)
    if record.amount_returned and not any(item.returned for item in items.goods):
        return len(items.goods) > 1
    return read_totals(record, [], items, (), 0).difference != 0


def with_platform(group: OrderGroup, order: Row | None) -> OrderGroup:
    """The group with what the platform's own record of the order tells; as it is where there is none."""
    if order is None:
        return group
    changed = _whole(order.get("modifiedTime"))
    return replace(
        group,
        platform_lines=tuple(
            line for row in _dicts(order.get("lineItems")) if (line := platform_line(row)) is not None
        ),
        platform_discounts=tuple(_parts(_dicts(order.get("discounts")), "Discount")),
        platform_service_charges=tuple(_parts(_service_charges(order), "Service charge")),
        platform_modified=None if changed is None else from_ms(changed),
    )


def sells_gift_cards(order: Row) -> bool:
    """Whether an order of the platform, its lines in it, has one that is no revenue."""
    return any(row.get("isRevenue") is False for row in _dicts(order.get("lineItems")))


def platform_line(row: Row) -> PlatformLine | None:
    """A line item; None when it cannot be used."""
    price = _whole(row.get("price"))
    if price is None:
        return None
    item = row.get("item")
    return PlatformLine(
        id=str(row["id"]) if row.get("id") else None,
        name=str(row["name"]) if row.get("name") else None,
        price=price,
        item_id=str(item["id"]) if isinstance(item, Mapping) and item.get("id") else None,
        unit_qty=_whole(row.get("unitQty")) or None,
        modifications=sum(_whole(member.get("amount")) or 0 for member in _dicts(row.get("modifications"))),
        refunded=row.get("refunded") is True,
        tax_rates=tuple(_dicts(row.get("taxRates"))),
        discounts=tuple(_dicts(row.get("discounts"))),
        is_revenue=row.get("isRevenue") is not False,
    )


def _parts(found: Iterable[Row], name: str) -> Iterator[PlatformPart]:
    for row in found:
        amount, share, exact = (_whole(row.get(key)) for key in ("amount", "percentage", "percentageDecimal"))
        # percentage is cut off where it has decimals; percentageDecimal is not.
        rate = exact if exact is not None else None if share is None else share * _PERCENT
        if amount is not None or rate is not None:
            label = str(row["name"]) if row.get("name") else name
            yield PlatformPart(label, None if amount is None else abs(amount), abs(rate or 0))


def _service_charges(order: Row) -> list[Row]:
    found = order.get("serviceCharge")
    listed = [found] if isinstance(found, Mapping) and "elements" not in found else _dicts(found)
    return [row for row in listed if row.get("enabled") is not False]


def _dicts(value: object) -> list[Row]:
    found = rows(value)
    return [member for member in found if isinstance(member, Mapping)] if isinstance(found, list) else []


def _whole(value: object) -> int | None:
    """A whole number, also one in a string; None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 10**15 else None
