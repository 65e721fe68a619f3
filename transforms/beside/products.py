"""Products: the distinct items that were sold, each with one variant of the same id, as Codat's Clover products have.

The price is the one of the line, without tax; the newest sale wins where records are put together. Refund lines and
lines without a product say nothing about products.
"""

from schemas.commerce import Order, Product, ProductStatus, ProductVariant, VariantPrice

# What is the same in all of them; checked once, because every line of every order makes one.
_VARIANT = ProductVariant(id="x", status=ProductStatus.UNKNOWN).__dict__
_PRODUCT = Product(id="x", status=ProductStatus.UNKNOWN).__dict__


def products_of(order: Order) -> list[Product]:
    """The products of an order's sale lines, in the order of the lines, each once."""
    found: dict[str, Product] = {}
    for line in order.order_line_items:
        if line.product_ref is None or line.quantity <= 0 or line.product_ref.id in found:
            continue
        name = line.product_ref.name
        variant = ProductVariant.built(
            **_VARIANT
            | {
                "id": line.product_ref.id,
                "name": name,
                "is_tax_enabled": line.tax_percentage > 0,
                "vat_percentage": line.tax_percentage,
                "prices": [VariantPrice.built(currency=order.currency, unit_price=line.unit_price)],
            }
        )
        found[variant.id] = Product.built(
            **_PRODUCT
            | {"id": variant.id, "name": name, "created_date": order.created_date, "variants": [variant]}
        )
    return list(found.values())
