"""Orders as Clover writes them: by id with every line, in lists sparse (docs.clover.com, Paginate requests)."""

from connector.sandbox.ids import die
from connector.sandbox.model import Charge, Item, Order
from connector.sandbox.shapes import Shapes
from connector.sandbox.wire_charges import Json, charge_json, reference_json, source_json, surcharge_json


def order_json(order: Order, shapes: Shapes) -> Json:
    """An order read by id, or a full row of the list."""
    succeeded = _succeeded(order)
    row: Json = {
        "id": order.id,
        "object": "order",
        "amount": _amount(order, shapes),
        "currency": _currency(order, shapes),
        **_sums(order, shapes),
        "created": order.created,
        **_payment(order, succeeded, shapes),
        **_details(order, shapes),
        **_status(order, sum(charge.captured for charge in _current(order))),
        "ecomind": "retail" if succeeded and succeeded[-1].in_person else "ecom",
    }
    if order.external_reference:
        row["external_reference_id"] = order.external_reference
    if order.note:
        row["metadata"] = {"note": order.note}
    if shapes.absent == "null":
        row |= {name: None for name in ("customer", "email", "charge", "warning_message") if name not in row}
    if shapes.loose_types == "always":
        row |= {"amount": str(row["amount"]), "created": str(row["created"])}
    return row


def _succeeded(order: Order) -> list[Charge]:
    return [charge for charge in order.charges if charge.state != "failed"]


def _current(order: Order) -> list[Charge]:
    """Captured charges since the order was last opened again."""
    return [charge for charge in order.charges[order.settled_charges :] if charge.state == "captured"]


def _sums(order: Order, shapes: Shapes) -> Json:
    """What was owed, paid and given back, where it is not nothing."""
    amount, current = _amount(order, shapes), _current(order)
    taken = sum(charge.captured for charge in current)
    has_tax = bool(order.tax) and _tax_form(order, shapes) in ("field", "both")
    sums: Json = {"tax_amount": order.tax} if has_tax else {}
    if taken:
        sums["amount_paid"] = amount if taken >= order.owed else min(taken, amount)
        if has_tax:
            sums["tax_amount_paid"] = order.tax if taken >= order.owed else sum(one.tax for one in current)
    if back := _returned(order, shapes):
        sums["amount_returned"] = back
    if tip := sum(charge.tip for charge in current):
        sums["tip_amount"] = tip
    return sums


def _payment(order: Order, succeeded: list[Charge], shapes: Shapes) -> Json:
    """The latest charge that succeeded, the ones before it, and the surcharge where orders show one."""
    if not succeeded:
        return {}
    last, current = succeeded[-1], _current(order)
    row: Json = {"charge": last.id}
    if last.tender != "cash":
        row |= reference_json(last)
    row["source"] = source_json(last)
    if len(succeeded) > 1:
        row["past_charges"] = [charge_json(charge, shapes) for charge in succeeded[:-1]]
    surcharge = sum(charge.surcharge for charge in current)
    if surcharge and shapes.surcharge_on_order:
        row["surcharge_amount"] = surcharge
        taken = sum(charge.captured for charge in current)
        row["additional_charges"] = surcharge_json(order.id, surcharge, taken, shapes)
    return row


def _details(order: Order, shapes: Shapes) -> Json:
    """Who bought, what, and where it goes."""
    details: Json = {}
    if order.customer is not None:
        details["customer"] = order.customer.id
    if order.email:
        details["email"] = order.email
    if not order.implicit:
        details["items"] = items_json(order, shapes)
    if order.shipping:
        details["shipping"] = _address(order)
    return details


def order_row(order: Order, shapes: Shapes) -> Json:
    """An order in a list: sparse rows have neither ``created`` nor ``status``, some not even lines."""
    if shapes.order_rows == "full" or (shapes.order_rows == "mixed" and die(order.id, 2, "row")):
        return order_json(order, shapes)
    row: Json = {"id": order.id, "amount": _amount(order, shapes), "currency": _currency(order, shapes)}
    if succeeded := _succeeded(order):
        row["charge"] = succeeded[-1].id
    if not order.implicit and die(order.id, 5, "lines"):
        total = _items_are_totals(order, shapes)
        row["items"] = [
            {
                "quantity": item.quantity,
                "amount": item.value if total else item.price,
                "description": item.name,
            }
            for item in order.items
        ]
    return row


def items_json(order: Order, shapes: Shapes) -> list[Json]:
    """Goods, then discount, shipping and tax as pseudo-lines."""
    typed = shapes.item_types == "present" or (
        shapes.item_types == "mixed" and die(order.id, 2, "types") == 0
    )
    collapsed = order.collapsed or shapes.quantities == "collapsed"
    total = _items_are_totals(order, shapes)
    lines = [_line(item, typed, collapsed, total, order.currency) for item in order.items]
    negative = shapes.discount_sign == "negative" or (
        shapes.discount_sign == "mixed" and die(order.id, 10, "sign") != 0
    )
    lines += [
        {"type": "discount", "amount": -amount if negative else amount, "description": name}
        for name, amount in order.discounts
    ]
    if order.shipping:
        lines.append({"type": "shipping", "amount": order.shipping, "description": order.shipping_name})
    if order.tax and _tax_form(order, shapes) in ("line", "both"):
        lines.append({"type": "tax", "amount": order.tax, "description": "Sales Tax"})
    return lines


def _line(item: Item, typed: bool, collapsed: bool, total: bool, currency: str) -> Json:
    line: Json = {"type": "sku"} if typed else {}
    line["parent"] = item.product if die(item.line_id, 3, "parent") else item.line_id
    line["inventory_id"] = item.product
    if not collapsed:
        line["quantity"] = item.quantity
    line["amount"] = item.value if total else item.price
    if typed:
        line["currency"] = currency.lower()
    line["description"] = item.name
    if item.rate:
        line["tax_rates"] = [{"name": "Sales Tax", "rate": item.rate}]
    elif not item.tax:
        line["tax_rates"] = [{"name": "NO_TAX_APPLIED"}]
    if item.returned:
        line["amount_refunded"] = item.price * item.returned
    return line


def _amount(order: Order, shapes: Shapes) -> int:
    """``amount``: tax in and tip out is the rule; its exceptions are recorded as well."""
    form = shapes.order_amount
    if form == "mixed":
        form = "exclusive" if die(order.id, 200, "amount") < 4 and order.tax else "inclusive"
    if form == "exclusive" and _tax_form(order, shapes) == "rates":
        form = "inclusive"
    if form == "exclusive":
        return order.owed - order.tax
    tip = sum(charge.tip for charge in order.charges if charge.state == "captured")
    return order.owed + (tip if form == "with_tip" else 0)


def _items_are_totals(order: Order, shapes: Shapes) -> bool:
    if shapes.item_amount == "mixed":
        return 4 <= die(order.id, 200, "amount") < 10 and not order.collapsed
    return shapes.item_amount == "total"


def _tax_form(order: Order, shapes: Shapes) -> str:
    if shapes.tax != "mixed":
        return shapes.tax
    return ("both", "both", "field", "field", "line")[die(order.id, 5, "tax")]


def _returned(order: Order, shapes: Shapes) -> int:
    """``amount_returned``: what refunds gave back, tip inside."""
    refunds = [refund for charge in order.charges for refund in charge.refunds if refund.counts]
    if shapes.amount_returned == "items_only":
        refunds = [refund for refund in refunds if refund.lines]
    return sum(refund.amount for refund in refunds)


def _status(order: Order, taken: int) -> Json:
    """Any item return, however small, makes an order ``returned`` and empties its transitions."""
    current = order.charges[order.settled_charges :]
    refunds = [refund for charge in current for refund in charge.refunds if refund.counts]
    paid = sum(charge.captured + charge.tip for charge in current if charge.state == "captured")
    in_full = paid > 0 and sum(refund.amount for refund in refunds) >= paid
    if in_full or any(refund.lines for refund in refunds):
        return {"status": "returned", "status_transitions": {}}
    if order.paid_at is not None and taken:
        return {"status": "paid", "status_transitions": {"paid": order.paid_at}}
    return {"status": "created"}


def _currency(order: Order, shapes: Shapes) -> str:
    return order.currency.lower() if shapes.currency_case == "lower" else order.currency.upper()


def _address(order: Order) -> Json:
    """Ship-to; a customer without a name reads "null null", as recorded."""
    name = order.name
    if name is None and order.customer is not None:
        name = f"{order.customer.first_name or 'null'} {order.customer.last_name or 'null'}"
    address = {"line1": "12 Quay Street", "city": "Boston", "state": "MA", "postal_code": "02109"}
    return {"name": name or "null null", "carrier": "UPS", "address": {**address, "country": "US"}}
