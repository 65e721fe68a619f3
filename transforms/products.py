"""Products: the distinct items that were sold, each with one variant of the same id, as Codat's Clover products have.

The price is the one of the line, without tax; the newest sale wins where records are put together. Refund lines and
lines without a product say nothing about products.
"""

from schemas.commerce import Order, Product, ProductStatus, ProductVariant, VariantPrice


def products_of(order: Order) -> list[Product]:
    """The products of an order's sale lines, in the order of the lines, each once."""
    found: dict[str, Product] = {}
    for line in order.order_line_items:
        if line.product_ref is None or line.quantity <= 0 or line.product_ref.id in found:
            continue
        name = line.product_ref.name
        found[line.product_ref.id] = Product(
            id=line.product_ref.id,
            name=name,
            status=ProductStatus.UNKNOWN,
            created_date=order.created_date,
            variants=[
                ProductVariant(
                    id=line.product_ref.id,
                    name=name,
                    is_tax_enabled=line.tax_percentage > 0,
                    vat_percentage=line.tax_percentage,
                    prices=[VariantPrice(currency=order.currency, unit_price=line.unit_price)],
                    status=ProductStatus.UNKNOWN,
                )
            ],
        )
    return list(found.values())
