"""Payments of an order: every charge and every refund, each under its own id, refunds negative.

Failed, authorised and pending ones are listed and are no money; who adds payments up takes only those that are
``Paid``. The amount holds tips and surcharges. A charge in another currency keeps its own.
"""

from collections.abc import Sequence

from schemas.commerce import Payment
from schemas.commerce_enums import PaymentType
from schemas.money import exponent, to_decimal
from schemas.times import from_ms, wire_text
from transforms.order.captured import payment_type
from transforms.order.money import Returned, Taken

PROVIDER = "clover"


def payments(taken: Sequence[Taken], refunds: Sequence[Returned]) -> list[Payment]:
    """All payments, oldest first; a charge comes before a refund of the same moment."""
    if not refunds:
        return [_of_charge(one) for one in taken]
    dated = [(one.created_ms, 0, one.charge.id, _of_charge(one)) for one in taken]
    dated += [(one.created_ms, 1, one.id, _of_refund(one)) for one in refunds]
    dated.sort(key=lambda entry: entry[:3])
    return [payment for *_, payment in dated]


def _of_charge(one: Taken) -> Payment:
    created = wire_text(from_ms(one.created_ms))
    return Payment(
        id=one.charge.id,
        amount=to_decimal(one.money, exponent(one.currency)),
        currency=one.currency,
        type=payment_type(one.charge),
        status=one.status,
        payment_provider=PROVIDER,
        created_date=created,
        source_modified_date=created,
    )


def _of_refund(one: Returned) -> Payment:
    created = wire_text(from_ms(one.created_ms))
    return Payment(
        id=one.id,
        amount=to_decimal(-one.money, exponent(one.currency)),
        currency=one.currency,
        type=payment_type(one.taken.charge) if one.taken is not None else PaymentType.UNKNOWN,
        status=one.status,
        payment_provider=PROVIDER,
        created_date=created,
        source_modified_date=created,
    )
