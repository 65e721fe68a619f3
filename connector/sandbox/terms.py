"""What may be written for items and discounts when a cart is opened."""

from collections.abc import Sequence

from connector.sandbox.model import Item

AnyItem = Item | tuple[str, int] | tuple[str, int, int]
Discounts = int | tuple[str, int] | Sequence[tuple[str, int]]


def named(discount: Discounts) -> list[tuple[str, int]]:
    """Every discount as (name, positive amount)."""
    if isinstance(discount, int):
        return [("Discount", discount)] if discount else []
    if isinstance(discount, tuple) and len(discount) == 2 and isinstance(discount[0], str):
        return [(discount[0], int(discount[1]))]
    return [(str(name), int(amount)) for name, amount in discount]
