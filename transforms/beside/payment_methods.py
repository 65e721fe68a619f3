"""Payment methods: the ways an order was paid, by Codat's payment types.

Clover's Ecommerce API names a method (``card``, ``giftCard``) and no record of it, so the type is the id.
"""

from collections.abc import Callable

from schemas.commerce import Order, PaymentMethod
from schemas.commerce_enums import PaymentMethodStatus, PaymentType

_NAMES = {
    PaymentType.CARD: "Card, in person",
    PaymentType.ONLINE_CARD: "Card, online",
    PaymentType.PREPAID: "Gift card",
    PaymentType.PAYPAL: "PayPal",
    PaymentType.CASH: "Cash",
    PaymentType.CUSTOM: "Other",
    PaymentType.UNKNOWN: "Unknown",
}


def payment_methods_of(order: Order, wanted: Callable[[str], bool] = lambda _id: True) -> list[PaymentMethod]:
    """The methods of an order's payments, each once, in the order of their ids. wanted: of which ids."""
    used = sorted({p.type for p in order.payments if p.type is not None and wanted(p.type.value)})
    return [
        PaymentMethod(id=kind.value, name=_NAMES.get(kind, kind.value), status=PaymentMethodStatus.ACTIVE)
        for kind in used
    ]
