"""Was the money taken? What a charge says about itself, read together with its order.

``captured: false`` on a read does not mean that no money was taken: Clover's own samples show it beside an
``amount_captured`` and on sales that were refunded since (docs.clover.com, Get charges). So evidence is weighed,
first match wins: failed; pending; an amount captured; captured; an order that says it is paid; else authorised only.

The order's word covers what the order owes and no more. Where charges that are captured beyond doubt already pay for
it, a further charge with ``captured: false`` is an authorisation that was never drawn on, not a second payment.
"""

from collections.abc import Iterable

from schemas.clover import Charge, Order
from schemas.commerce import PaymentStatus, PaymentType

_PAID_ORDER = frozenset({"paid", "fulfilled", "returned", "refunded"})
_VOID = frozenset({"canceled", "cancelled", "voided", "void"})
_TYPES = {
    "card": PaymentType.ONLINE_CARD,
    "paypal": PaymentType.PAYPAL,
    "giftcard": PaymentType.PREPAID,
    "gift_card": PaymentType.PREPAID,
    "cash": PaymentType.CASH,
    "ach": PaymentType.CUSTOM,
}


def statuses(
    charges: Iterable[Charge], order: Order | None, given_back: int, first_return_ms: int | None = None
) -> dict[str, PaymentStatus]:
    """Charge id -> where it stands.

    given_back: minor units refunded on this order, as far as known; first_return_ms: when the first of it was.
    """
    found = {}
    doubtful = []
    certain = 0
    for charge in charges:
        status = _alone(charge)
        if status is not None:
            found[charge.id] = status
            if status is PaymentStatus.PAID:
                certain += charge.amount_captured or charge.amount
        else:
            doubtful.append(charge)
    if doubtful:
        owed = order.amount or 0 if order is not None else 0
        says_paid = _says_paid(order)
        paid_so_far = 0 if order is None else (order.amount_paid or 0) - certain
        for charge in doubtful:
            # After a return the order may have been paid again, so only what came before it is covered for sure.
            before = first_return_ms is not None and (charge.created or 0) <= first_return_ms
            covered = 0 < owed <= (certain if before else certain - given_back)
            taken = says_paid and not covered
            if (charge.amount_refunded or 0) > 0 or charge.refunded or taken:
                found[charge.id] = PaymentStatus.PAID
            elif 0 < charge.amount <= paid_so_far:
                found[charge.id] = PaymentStatus.PAID
                paid_so_far -= charge.amount
            else:
                found[charge.id] = PaymentStatus.AUTHORIZED
    return found


def _alone(charge: Charge) -> PaymentStatus | None:
    """Where a charge stands by its own words; None where it takes the order to tell."""
    status = (charge.status or "").lower()
    if status == "failed":
        return PaymentStatus.FAILED
    if charge.voided or status in _VOID:
        return PaymentStatus.CANCELLED
    if status == "pending":
        return PaymentStatus.PENDING
    if (charge.amount_captured or 0) > 0 or charge.captured:
        return PaymentStatus.PAID
    if charge.captured is False:
        return None if charge.paid is not False else PaymentStatus.UNKNOWN
    # ``captured`` is missing: succeeded is Clover's word for a sale that went through.
    if status == "succeeded" and charge.paid is not False:
        return PaymentStatus.PAID
    if not status and charge.paid is not None:
        return PaymentStatus.PAID if charge.paid else PaymentStatus.FAILED
    return PaymentStatus.UNKNOWN


def _says_paid(order: Order | None) -> bool:
    if order is None:
        return False
    return (order.status or "").lower() in _PAID_ORDER or "paid" in order.status_transitions


def payment_type(charge: Charge) -> PaymentType:
    """How it was paid. A card at the till is ``Card``, on the web ``OnlineCard``."""
    method = (charge.payment_method_details or "").lower()
    if not method:
        method = _method_by_source(charge)
    if method == "card" and (charge.ecomind or "").lower() == "retail":
        return PaymentType.CARD
    return _TYPES.get(method, PaymentType.CUSTOM if method == "custom" else PaymentType.UNKNOWN)


def _method_by_source(charge: Charge) -> str:
    # How cash and other tenders read back is not documented; a tender names itself by label.
    tender = charge.tender or charge.source.get("tender")
    if isinstance(tender, dict) and tender:
        words = (
            f"{tender.get('label_key') or tender.get('labelKey') or ''} {tender.get('label') or ''}".lower()
        )
        return "cash" if "cash" in words else "custom"
    brand = charge.source.get("brand")
    if isinstance(brand, str) and brand:
        return "giftcard" if brand.upper() == "GIFT_CARD" else "card"
    return "custom" if charge.source.get("value") == "alternate_tender" else ""
