"""Which items of an order are no sale but money owed in goods: gift cards sold.

Only Clover's platform says it, of each line (``isRevenue: false``: docs.clover.com, Line items): gift cards, and what
else a merchant takes money for without having sold anything yet. The Ecommerce items of the same order are found among
the platform's lines by their id, their product, or name and price; one that fits lines of both sorts is a sale.
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from transforms.model import PlatformLine
from transforms.order.items import Goods, Items

_Key = tuple[str | int | None, ...]


def with_gift_cards(items: Items, lines: Sequence[PlatformLine]) -> Items:
    """The Ecommerce items of an order, those that its platform lines say are no revenue marked as gift cards."""
    cards = {key for line in lines if not line.is_revenue for key in _keys_of_line(line)}
    if not cards:
        return items
    sales = {key for line in lines if line.is_revenue for key in _keys_of_line(line)}
    return replace(
        items,
        goods=tuple(
            replace(item, is_gift_card=True) if _is_among(item, cards, sales) else item
            for item in items.goods
        ),
    )


def _is_among(item: Goods, cards: set[_Key], sales: set[_Key]) -> bool:
    for key in _keys_of_item(item):
        if (key in cards) != (key in sales):
            return key in cards
    return False


def _keys_of_item(item: Goods) -> Iterator[_Key]:
    """The closest first. An item's ``parent`` has been seen to be a line, and a product."""
    for identity in (item.line_id, item.product_id):
        if identity is not None:
            yield ("line", identity)
    if item.product_id is not None:
        yield ("product", item.product_id)
    if item.name is not None:
        yield from (("name", item.name, item.amount), ("name", item.name))


def _keys_of_line(line: PlatformLine) -> Iterator[_Key]:
    if line.id is not None:
        yield ("line", line.id)
    if line.item_id is not None:
        yield ("product", line.item_id)
    if line.name is not None:
        yield from (("name", line.name, line.price + line.modifications), ("name", line.name))
