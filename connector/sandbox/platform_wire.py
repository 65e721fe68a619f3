"""Orders, payments, refunds, customers and the merchant as the platform's REST v3 writes them.

Two of a thing are two lines there, discounts are negative, rates are fractions x 10 000 000 (docs.clover.com,
Working with orders). Nested collections are ``{"elements": […]}``, cut at 100, and only there on expand.
"""

from typing import Any

from connector.sandbox.ids import die
from connector.sandbox.model import Charge, Customer, Order, Refund
from connector.sandbox.records import Merchant

Json = dict[str, Any]
NESTED = 100

_RESULTS = {
    "captured": "SUCCESS",
    "authorized": "AUTH",
    "pending": "PENDING",
    "failed": "FAIL",
    "voided": "VOIDED",
}
_TENDERS = {
    "card": ("Credit Card", "com.clover.tender.credit_card"),
    "cash": ("Cash", "com.clover.tender.cash"),
    "ach": ("ACH", "com.clover.tender.ach"),
    "giftCard": ("Gift Card", "com.clover.tender.gift_card"),
    "paypal": ("PayPal", "com.clover.tender.paypal"),
}


def elements(rows: list[Json]) -> Json:
    """A nested collection."""
    return {"elements": rows}


def merchant_json(merchant: Merchant, expand: set[str]) -> Json:
    """The merchant; address and properties are bare references unless expanded."""
    href = f"/v3/merchants/{merchant.id}"
    return {
        "id": merchant.id,
        "name": merchant.name,
        "defaultCurrency": None,
        "address": address_json(merchant) if "address" in expand else {"href": f"{href}/address"},
        "properties": properties_json(merchant) if "properties" in expand else {"href": f"{href}/properties"},
    }


def address_json(merchant: Merchant) -> Json:
    """The merchant's address; country in two letters."""
    return {
        "address1": merchant.address,
        "city": merchant.city,
        "state": merchant.state,
        "zip": merchant.zip,
        "country": merchant.country,
        "phoneNumber": merchant.phone,
    }


def properties_json(merchant: Merchant) -> Json:
    """Currency, time zone and whether prices contain the tax."""
    return {
        "defaultCurrency": merchant.currency,
        "timezone": merchant.timezone,
        "locale": merchant.locale,
        "vat": merchant.vat,
        "tipsEnabled": True,
    }


def platform_order(order: Order, expand: set[str]) -> Json:
    """An order; ``total`` has the tax in and the tip out."""
    row: Json = {
        "id": order.id,
        "currency": order.currency.upper(),
        "total": order.owed,
        "state": "locked" if order.paid_at else "open",
        "paymentState": _payment_state(order),
        "payType": "SPLIT_CUSTOM" if len(order.charges) > 1 else "FULL",
        "isVat": False,
        "taxRemoved": False,
        "manualTransaction": order.implicit,
        "groupLineItems": True,
        "testMode": False,
        "createdTime": order.created,
        "clientCreatedTime": order.created,
        "modifiedTime": order.modified,
    }
    if order.external_reference:
        row["externalReferenceId"] = order.external_reference
    if "lineItems" in expand:
        row["lineItems"] = elements(line_items(order)[:NESTED])
    if "discounts" in expand and order.discounts:
        row["discounts"] = elements(
            [
                {"id": f"D{order.id[1:-1]}{at}", "name": name, "amount": -amount}
                for at, (name, amount) in enumerate(order.discounts)
            ]
        )
    if "payments" in expand:
        row["payments"] = elements([payment_json(charge) for charge in order.charges[:NESTED]])
    if "refunds" in expand:
        refunds = [refund for charge in order.charges for refund in charge.refunds]
        row["refunds"] = elements([platform_refund(refund) for refund in refunds[:NESTED]])
    if "customers" in expand and order.customer is not None:
        row["customers"] = elements([{"id": order.customer.id}])
    return row


def line_items(order: Order) -> list[Json]:
    """One element a unit; shipping is an ordinary line, as far as anybody has seen."""
    lines: list[Json] = []
    for item in order.items:
        rate = {"id": "GQNMF2KDPB0NR", "name": "Sales Tax", "rate": item.rate, "isDefault": True}
        none = {"id": "3Y6T4HZ0PX9VM", "name": "NO_TAX_APPLIED", "rate": 0, "isDefault": False}
        lines += [
            {
                "id": item.line_id if unit == 0 else f"{item.line_id[:9]}{unit:04d}",
                "orderRef": {"id": order.id},
                "item": {"id": item.product},
                "name": item.name,
                "price": item.price,
                "printed": False,
                "exchanged": False,
                "refunded": unit < item.returned,
                "isRevenue": item.is_revenue,
                "createdTime": order.created,
                "taxRates": elements([rate if item.rate else none]),
            }
            for unit in range(item.quantity)
        ]
    if order.shipping:
        lines.append(
            {
                "id": f"H{order.id[1:]}",
                "orderRef": {"id": order.id},
                "name": order.shipping_name,
                "price": order.shipping,
                "printed": False,
                "exchanged": False,
                "refunded": False,
                "isRevenue": True,
                "createdTime": order.created,
            }
        )
    return lines


def payment_json(charge: Charge) -> Json:
    """A charge as a payment; ``result`` says what ``captured`` leaves open."""
    label, key = _TENDERS[charge.tender]
    result = (
        "AUTH_COMPLETED" if charge.preauthorized and charge.state == "captured" else _RESULTS[charge.state]
    )
    row: Json = {
        "id": charge.id,
        "tender": {"id": f"T{die(charge.tender, 10**6):06d}CE4QN5", "label": label, "labelKey": key},
        "amount": charge.captured if charge.state == "captured" else charge.amount,
        "tipAmount": charge.tip,
        "taxAmount": charge.tax,
        "cashbackAmount": 0,
        "createdTime": charge.created,
        "clientCreatedTime": charge.created,
        "modifiedTime": charge.modified,
        "offline": False,
        "result": result,
    }
    if charge.order is not None:
        row["order"] = {"id": charge.order.id}
    if charge.surcharge:
        row["additionalCharges"] = elements([{"amount": charge.surcharge, "type": "CREDIT_SURCHARGE"}])
    return row


def platform_refund(refund: Refund) -> Json:
    """A refund; it names its order, and tax and tip inside its amount."""
    row: Json = {
        "id": refund.id,
        "payment": {"id": refund.charge.id},
        "amount": refund.amount,
        "tipAmount": refund.tip,
        "voided": refund.voided_as is not None,
        "createdTime": refund.created,
    }
    if refund.charge.order is not None:
        row["orderRef"] = {"id": refund.charge.order.id}
    if refund.lines:
        row["lineItems"] = elements([{"id": item.line_id} for item, _ in refund.lines])
    if refund.surcharge:
        row["additionalCharges"] = elements([{"amount": refund.surcharge, "type": "CREDIT_SURCHARGE"}])
    return row


def customer_json(customer: Customer, expand: set[str]) -> Json:
    """A customer; there is no modification time."""
    row: Json = {
        "id": customer.id,
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "marketingAllowed": False,
        "customerSince": customer.since,
    }
    if "emailAddresses" in expand:
        row["emailAddresses"] = elements([{"id": f"E{customer.id[1:]}", "emailAddress": customer.email}])
    if "phoneNumbers" in expand:
        row["phoneNumbers"] = elements([{"id": f"P{customer.id[1:]}", "phoneNumber": customer.phone}])
    if "addresses" in expand:
        row["addresses"] = elements([])
    return row


def _payment_state(order: Order) -> str:
    taken = sum(charge.captured + charge.tip for charge in order.charges if charge.state == "captured")
    back = sum(charge.refunded for charge in order.charges)
    if not taken:
        return "OPEN"
    if back:
        return "REFUNDED" if back >= taken else "PARTIALLY_REFUNDED"
    return "PAID" if order.paid_at else "PARTIALLY_PAID"
