"""Charges and refunds as Clover writes them (docs.clover.com, Get charges; Refund charges)."""

from typing import Any

from connector.sandbox.ids import die
from connector.sandbox.model import Charge, Refund
from connector.sandbox.shapes import Shapes

Json = dict[str, Any]

_BRANDS = (
    ("VISA", "424242", "4242"),
    ("VISA", "400555", "0019"),
    ("MC", "555544", "1117"),
    ("AMEX", "374245", "1006"),
    ("DISCOVER", "601136", "6668"),
)
_ABSENT_CHARGE = ("customer", "description", "failure_code", "failure_message", "warning_message")
_ABSENT_REFUND = ("reason", "receipt_number", "failure_reason")


def tip_is_inside(charge: Charge, shapes: Shapes) -> bool:
    """Whether this charge's ``amount`` contains its tip: undocumented, but recorded."""
    if not charge.tip or charge.state != "captured" or charge.preauthorized or not charge.pays_alone:
        return False
    if shapes.charge_tip == "mixed":
        return charge.order is not None and 10 <= die(charge.order.id, 200, "amount") < 18
    return shapes.charge_tip == "inside"


def charge_json(charge: Charge, shapes: Shapes) -> Json:
    """A charge by id."""
    currency = charge.currency.upper() if shapes.currency_case == "upper" else charge.currency.lower()
    amount = charge.amount + _tip_inside(charge, shapes)
    row: Json = {
        "id": charge.id,
        "amount": amount,
        "currency": currency,
        "created": charge.created,
        **_parts(charge),
        **_given_back(charge, shapes),
        "captured": _captured(charge, shapes),
        **_amount_captured(charge, shapes),
        **_references(charge),
        **_result(charge, shapes),
    }
    if charge.surcharge:
        row["additional_charges"] = surcharge_json(charge.id, charge.surcharge, amount, shapes)
    if charge.tender == "cash":
        row["source"] = {}
        row["tender"] = {"label": "Cash", "label_key": "com.clover.tender.cash"}
    else:
        row["source"] = {"id": f"clv_1TSTex4mple{charge.id[:8]}", **source_json(charge)}
    row["ecomind"] = "retail" if charge.in_person else "ecom"
    if charge.partial_auth:
        row["partial_auth"] = True
    if charge.note:
        row["metadata"] = {"note": charge.note}
    return _finished(charge.id, row, _ABSENT_CHARGE, shapes)


def _tip_inside(charge: Charge, shapes: Shapes) -> int:
    return charge.tip if tip_is_inside(charge, shapes) else 0


def _parts(charge: Charge) -> Json:
    """What lies in the amount or on top of it, and how it was paid."""
    parts: Json = {"tax_amount": charge.tax, "tip_amount": charge.tip}
    if charge.tender != "cash":
        parts["payment_method_details"] = charge.tender
    return {name: value for name, value in parts.items() if value}


def _given_back(charge: Charge, shapes: Shapes) -> Json:
    """What was refunded, with the ten newest refunds where they are shown."""
    refunded = charge.refunded
    if not refunded:
        return {"amount_refunded": 0} if die(charge.id, 2, "zero") else {}
    row: Json = {"amount_refunded": refunded, "refunded": refunded >= charge.captured + charge.tip}
    if shapes.embedded_refunds == "present" or (
        shapes.embedded_refunds == "mixed" and die(charge.id, 2, "embedded")
    ):
        newest = sorted(charge.refunds, key=lambda refund: -refund.seq)
        shown = [refund for refund in newest if refund.voided_as != "gone"]
        row["refunds"] = {"data": [refund_json(refund, shapes) for refund in shown[:10]]}
    return row


def _amount_captured(charge: Charge, shapes: Shapes) -> Json:
    if charge.state != "captured":
        return {}
    if charge.preauthorized and shapes.amount_captured != "missing":
        return {"amount_captured": charge.captured}
    if shapes.amount_captured == "always":
        return {"amount_captured": charge.captured + _tip_inside(charge, shapes)}
    return {}


def _references(charge: Charge) -> Json:
    references = {
        "order": charge.order and charge.order.id,
        "customer": charge.customer and charge.customer.id,
        "description": charge.description,
    }
    return {name: value for name, value in references.items() if value}


def refund_json(refund: Refund, shapes: Shapes) -> Json:
    """A refund read by id, or a full row of the list."""
    row: Json = {"id": refund.id, "object": "refund", "amount": refund.amount, "charge": refund.charge.id}
    if refund.voided_as == "object":
        row["object"] = "void_on_refund"
        row["status"] = "succeeded"
        row["metadata"] = {"refundType": "VOID", **_gateway(refund.id)}
        return row
    row["created"] = refund.created
    row["status"] = refund.state
    if refund.reason:
        row["reason"] = refund.reason
    if refund.state == "failed":
        row["failure_reason"] = "The bank could not process the refund."
    if refund.voided_as == "flag":
        row["voided"] = True
    if refund.void:
        row["metadata"] = {"refundType": "VOID", **_gateway(refund.id)}
    if refund.surcharge:
        row["additional_charges"] = surcharge_json(refund.id, refund.surcharge, refund.amount, shapes)
    return _finished(refund.id, row, _ABSENT_REFUND, shapes)


def charge_row(charge: Charge, shapes: Shapes) -> Json:
    """A charge in a list: as by id, or without its order."""
    row = charge_json(charge, shapes)
    if shapes.charge_rows == "without_order" or (shapes.charge_rows == "mixed" and die(charge.id, 2, "row")):
        row.pop("order", None)
    return row


def refund_row(refund: Refund, shapes: Shapes) -> Json:
    """A refund in a list: sparse rows leave out charge, created and status."""
    if shapes.refund_rows == "full" or (shapes.refund_rows == "mixed" and die(refund.id, 2, "row")):
        return refund_json(refund, shapes)
    voided = refund.voided_as is not None
    return {"inReportingPeriod": False, "amount": refund.amount, "id": refund.id, "voided": voided}


def source_json(charge: Charge) -> Json:
    """The card, account or gift card, without its token."""
    if charge.tender == "giftCard":
        return {"brand": "GIFT_CARD", "first6": "777732", "last4": f"{die(charge.id, 10_000, 'card'):04d}"}
    if charge.tender in ("ach", "paypal"):
        return {}
    brand, first6, last4 = _BRANDS[die(charge.id, len(_BRANDS), "brand")]
    return {"brand": brand, "exp_month": "09", "exp_year": "2029", "first6": first6, "last4": last4}


def reference_json(charge: Charge) -> Json:
    """Gateway reference and authorisation code."""
    return {
        "ref_num": f"6{die(charge.id, 10**9, 'ref'):011d}",
        "auth_code": f"OK{die(charge.id, 10_000, 'auth'):04d}",
    }


def surcharge_json(record_id: str, amount: int, base: int, shapes: Shapes) -> Any:
    """``additional_charges``: its inner shape is unpublished; rate is percent x 10 000 as on the platform."""
    rate = (amount * 1_000_000 + base // 2) // base if base else 0
    member = {"id": f"S{record_id[1:]}", "amount": amount, "rate": rate, "type": "CREDIT_SURCHARGE"}
    if shapes.surcharge == "array":
        return [member]
    if shapes.surcharge == "keyed":
        return {"credit_surcharge": member}
    return {"elements": [member]}


def _captured(charge: Charge, shapes: Shapes) -> bool | str:
    """What ``captured`` claims. False on a captured charge stays provable by the order it paid."""
    if charge.state != "captured":
        return "false" if shapes.captured == "string" else False
    if shapes.captured == "true":
        return True
    if shapes.captured == "false":
        return False
    if shapes.captured == "string":
        return "true"
    if charge.preauthorized:
        return False
    if charge.refunded and charge.refunded >= charge.captured + charge.tip:
        return False
    provable = charge.order is not None and charge.order.paid_at is not None
    return not (provable and charge.order.deleted_at is None and die(charge.id, 12, "captured") == 0)  # type: ignore[union-attr]


def _result(charge: Charge, shapes: Shapes) -> Json:
    if charge.state == "failed":
        failed = {"network_status": "declined_by_network", "type": "issuer_declined"}
        code = "ach_returned" if charge.tender == "ach" else "card_declined"
        message = "DECLINED: do not honor"
        return {
            "outcome": failed,
            "paid": False,
            "status": "failed",
            "failure_code": code,
            "failure_message": message,
        }
    result: Json = reference_json(charge) if charge.tender != "cash" else {}
    if charge.state == "pending":
        return {**result, "paid": False, "status": "pending"}
    result["outcome"] = {"network_status": "approved_by_network", "type": "authorized"}
    missing = shapes.paid == "missing" or (
        shapes.paid == "mixed" and charge.state == "authorized" and die(charge.id, 2, "paid") == 0
    )
    if not missing:
        result["paid"] = True
    result["status"] = "succeeded"
    return result


def _gateway(record_id: str) -> Json:
    return {
        "authCode": f"{die(record_id, 10**6, 'auth'):06d}",
        "refNum": f"{die(record_id, 10**6, 'ref'):06d}",
        "gatewayResponseCode": "00",
    }


def _finished(record_id: str, row: Json, absent: tuple[str, ...], shapes: Shapes) -> Json:
    """Loose types and nulls, where the shapes ask for them."""
    if shapes.absent == "null":
        row |= {name: None for name in absent if name not in row}
    if shapes.loose_types == "always" or (
        shapes.loose_types == "rarely" and die(record_id, 200, "loose") == 0
    ):
        row |= {name: str(row[name]) for name in ("amount", "created") if name in row}
        if isinstance(row.get("captured"), bool):
            row["captured"] = "true" if row["captured"] else "false"
        if "ref_num" in row:
            row["ref_num"] = int(row["ref_num"])
        if "exp_month" in row.get("source", {}):
            row["source"] = row["source"] | {"exp_month": 9, "exp_year": 2029}
    return row
