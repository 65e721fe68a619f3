"""A mapped order as the row the store loads: header columns, nested parts, and the document that is served."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from schemas.commerce import OrderLineItem, Payment, ServiceCharge
from schemas.times import as_ledger_text, ledger_text
from transforms.model import MappedOrder


def order_row(company_id: str, connection_id: str, mapped: MappedOrder, doc: str) -> dict[str, Any]:
    """One row of ``ledger.order_versions``: money as exact decimal text, times as UTC without a zone."""
    order = mapped.order
    assert order is not None, "a held back order has no row"
    return {
        "company_id": company_id,
        "connection_id": connection_id,
        "order_id": mapped.order_id,
        "source_modified_date": ledger_text(mapped.source_modified_date),
        "content_hash": mapped.content_hash,
        "is_deleted": False,
        "observed": mapped.observed,
        "order_number": order.order_number,
        "country": order.country,
        "currency": order.currency,
        "created_date": as_ledger_text(order.created_date),
        "closed_date": as_ledger_text(order.closed_date),
        "created_local_date": mapped.created_local_date.isoformat() if mapped.created_local_date else None,
        "total_amount": money(order.total_amount),
        "total_refund": money(order.total_refund),
        "total_tax_amount": money(order.total_tax_amount),
        "total_discount": money(order.total_discount),
        "total_gratuity": money(order.total_gratuity),
        "location_id": order.location_ref.id if order.location_ref else None,
        "location_name": order.location_ref.name if order.location_ref else None,
        "customer_id": order.customer_ref.id if order.customer_ref else None,
        "customer_name": order.customer_ref.name if order.customer_ref else None,
        "order_line_items": [_line(line, mapped) for line in order.order_line_items or ()],
        "payments": [_payment(payment, mapped) for payment in order.payments or ()],
        "service_charges": [
            _service_charge(charge, charge_id)
            for charge, charge_id in zip(order.service_charges, mapped.fee_charges, strict=True)
        ],
        "doc": doc,
    }


def money(amount: Decimal | None) -> str | None:
    """Exact decimal text in major units, never an exponent."""
    if amount is None:
        return None
    text = str(amount)
    return format(amount, "f") if "E" in text else text


def _line(line: OrderLineItem, mapped: MappedOrder) -> Mapping[str, Any]:
    refund_id = mapped.line_refunds.get(line.id)
    refunded = mapped.refund_local_dates.get(refund_id) if refund_id is not None else None
    return {
        "id": line.id,
        "quantity": money(line.quantity),
        "unit_price": money(line.unit_price),
        "tax_percentage": money(line.tax_percentage),
        "total_tax_amount": money(line.total_tax_amount),
        "total_amount": money(line.total_amount),
        "product_id": line.product_ref.id if line.product_ref else None,
        "product_name": line.product_ref.name if line.product_ref else None,
        "variant_id": line.product_variant_ref.id if line.product_variant_ref else None,
        "variant_name": line.product_variant_ref.name if line.product_variant_ref else None,
        "refund_id": refund_id,
        "refund_local_date": refunded.isoformat() if refunded else None,
        "kind": mapped.line_kinds[line.id],
        "charge_id": mapped.line_charges.get(line.id),
        "discount_allocations": [
            {"name": share.name, "total_amount": money(share.total_amount)}
            for share in line.discount_allocations or ()
        ],
    }


def _payment(payment: Payment, mapped: MappedOrder) -> Mapping[str, Any]:
    local = mapped.refund_local_dates.get(payment.id)
    return {
        "id": payment.id,
        "amount": money(payment.amount),
        "currency": payment.currency,
        "type": payment.type,
        "status": payment.status,
        "provider": payment.payment_provider,
        "created_date": as_ledger_text(payment.created_date),
        "modified_date": None,
        "source_modified_date": as_ledger_text(payment.source_modified_date),
        "local_date": local.isoformat() if local else None,
        "is_refund": payment.amount is not None and payment.amount < 0,
    }


def _service_charge(charge: ServiceCharge, charge_id: str | None) -> Mapping[str, Any]:
    return {
        "description": charge.description,
        "total_amount": money(charge.total_amount),
        "tax_percentage": money(charge.tax_percentage),
        "tax_amount": money(charge.tax_amount),
        "quantity": charge.quantity,
        "type": charge.type,
        "charge_id": charge_id,
    }
