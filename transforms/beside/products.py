"""Products: the distinct items that were sold, each with one variant of the same id, as Codat's Clover products have.

The price is the one of the line, without tax; the newest sale wins where records are put together. Refund lines and
lines without a product say nothing about products.
"""

from collections.abc import Callable, Collection
from decimal import Decimal

from schemas.commerce import Inventory, Order, Product, ProductVariant, VariantPrice
from schemas.commerce_enums import ProductStatus

_ZERO = Decimal(0)


def products_of(
    order: Order, wanted: Callable[[str], bool] = lambda _id: True, gift_cards: Collection[str] = ()
) -> list[Product]:
    """The products of an order's sale lines, in the order of the lines, each once.

    wanted: of which ids. gift_cards: ids of the lines that are gift cards.
    """
    found: dict[str, Product] = {}
    for line in order.order_line_items:
        if line.product_ref is None or line.quantity <= 0 or line.product_ref.id in found:
            continue
        if not wanted(line.product_ref.id):
            continue
        name = line.product_ref.name
        variant = ProductVariant(
            id=line.product_ref.id,
            name=name,
            is_tax_enabled=line.tax_percentage > 0,
            shipping_required=False,
            vat_percentage=line.tax_percentage,
            prices=[VariantPrice(currency=order.currency, unit_price=line.unit_price)],
            inventory=Inventory(),
            status=ProductStatus.UNKNOWN,
            quantity=_ZERO,
        )
        found[variant.id] = Product(
            id=variant.id,
            name=name,
            is_gift_card=line.id in gift_cards,
            variants=[variant],
            status=ProductStatus.UNKNOWN,
            created_date=order.created_date,
        )
    return list(found.values())
