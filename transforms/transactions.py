"""Transactions: the money that moved for an order.

A ``Payment`` for each captured charge, a ``Refund`` for each refund that counted, both pointing at the order.
They carry the ids of their payments, by which Codat joins the two. Fees and payouts are unknown to Clover's
Ecommerce API.
"""

from decimal import Decimal

from schemas.commerce import (
    Order,
    PaymentStatus,
    Transaction,
    TransactionSourceRef,
    TransactionSourceType,
    TransactionType,
)


def transactions_of(order: Order) -> list[Transaction]:
    """The transactions of an order, in the order of its payments."""
    return [
        Transaction(
            id=payment.id,
            total_amount=payment.amount,
            currency=payment.currency,
            type=TransactionType.REFUND if payment.amount < 0 else TransactionType.PAYMENT,
            sub_type="refund" if payment.amount < 0 else "charge",
            transaction_source_ref=TransactionSourceRef(id=order.id, type=TransactionSourceType.ORDER),
            created_date=payment.created_date,
            source_modified_date=payment.source_modified_date,
        )
        for payment in order.payments
        if payment.status is PaymentStatus.PAID and isinstance(payment.amount, Decimal)
    ]
