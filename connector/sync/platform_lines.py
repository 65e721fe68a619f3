"""Which orders need the platform's line items, and what those say. Pure: imported by the mapping's processes too."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connector.sync.records import embedded, whole_number
from transforms.model import PlatformLine


def needs_lines(order: Mapping[str, Any]) -> bool:
    """Whether an order's own items cannot explain it: collapsed lines, or a return without items."""
    items = embedded(order.get("items"))
    sold = [item for item in items if item.get("type") in (None, "", "sku")]
    if order.get("amount_returned") and not any(item.get("amount_refunded") for item in sold):
        return len(sold) > 1
    if all(item.get("quantity") for item in sold):
        return False
    goods = sum(
        (whole_number(item.get("amount")) or 0) * (whole_number(item.get("quantity")) or 1) for item in sold
    )
    other = sum(_signed(item) for item in items if item.get("type") in ("shipping", "discount"))
    lines_tax = sum(whole_number(item.get("amount")) or 0 for item in items if item.get("type") == "tax")
    tax = lines_tax or whole_number(order.get("tax_amount")) or 0
    amount = whole_number(order.get("amount")) or 0
    tip = whole_number(order.get("tip_amount")) or 0
    return amount not in {goods + other + tax, goods + other, goods + other + tax + tip}


def platform_view(record: Mapping[str, Any] | None) -> tuple[tuple[PlatformLine, ...], datetime | None]:
    """(lines, modified time) of a staged platform order; nothing when there is none."""
    if record is None:
        return (), None
    changed = whole_number(record.get("modifiedTime"))
    moment = None if changed is None else datetime.fromtimestamp(changed // 1000, tz=UTC)
    return tuple(_line(row) for row in embedded(record.get("lineItems"))), moment


def _line(row: Mapping[str, Any]) -> PlatformLine:
    item = row.get("item")
    return PlatformLine(
        id=str(row["id"]),
        name=row.get("name"),
        price=whole_number(row.get("price")) or 0,
        item_id=str(item["id"]) if isinstance(item, Mapping) and item.get("id") else None,
        unit_qty=whole_number(row.get("unitQty")),
        modifications=sum(whole_number(m.get("amount")) or 0 for m in embedded(row.get("modifications"))),
        refunded=row.get("refunded") is True,
        tax_rates=tuple(embedded(row.get("taxRates"))),
        discounts=tuple(embedded(row.get("discounts"))),
    )


def _signed(item: Mapping[str, Any]) -> int:
    amount = whole_number(item.get("amount")) or 0
    return -abs(amount) if item.get("type") == "discount" else amount
