"""Shops that could exist: orders with items, discounts, tax, tips, shipping, surcharges, payments and refunds.

Each example is built forwards, from what was agreed to what Clover would say of it, so the true books are known.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

CURRENCIES = ("USD", "JPY", "KWD")
NO_TAX = {"name": "NO_TAX_APPLIED"}


@dataclass
class Shop:
    order: dict[str, Any]
    charges: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    goods: int  # tax and shipping in, discounts off, no tip, no surcharge
    tax: int
    discount: int
    tip: int
    surcharge: int
    refunded: int = 0  # all that went back
    settled: bool = True
    notes: list[str] = field(default_factory=list)


@st.composite
def shops(draw: st.DrawFn, *, most_refunds: int = 4) -> Shop:
    items, goods_value = draw(goods())
    discount = draw(st.sampled_from([0, 1])) and draw(st.integers(0, goods_value))
    shipping = draw(st.sampled_from([0, 1])) and draw(st.integers(1, 5_000))
    rate = draw(st.sampled_from([0, 825_000, 2_000_000, 1_300_000]))
    tax = (goods_value - discount) * rate // 10_000_000 if rate else 0
    style = draw(st.sampled_from(["outside", "excluded", "line_total", "inside"]))
    pseudo = []
    if discount:
        pseudo.append(
            {"type": "discount", "amount": draw(st.sampled_from([-1, 1])) * discount, "description": "Sale"}
        )
    if shipping:
        pseudo.append({"type": "shipping", "amount": shipping, "description": "Ground"})
    base = goods_value - discount + shipping
    for item in items:
        if rate and style != "inside":
            item["tax_rates"] = [{"name": "Sales", "rate": rate}]
    goods_total = base if style == "inside" else base + tax
    amount = base if style == "excluded" else goods_total
    if style == "line_total":
        for item in items:
            item["amount"] *= item.get("quantity", 1)
    if tax and draw(st.booleans()) and style in ("outside", "line_total"):
        pseudo.append({"type": "tax", "amount": tax, "description": "Sales tax"})
    tip = draw(st.sampled_from([0, 1])) and draw(st.integers(1, 2_000))
    surcharge = draw(st.sampled_from([0, 0, 1])) and draw(st.integers(1, 900))
    currency = draw(st.sampled_from(CURRENCIES))
    created = 1_791_208_800_000
    order: dict[str, Any] = {
        "id": "ORDER00000001",
        "amount": amount,
        "amount_paid": amount,
        "currency": currency,
        "created": created,
        "status": "paid",
        "status_transitions": {"paid": created + 70_000},
        "items": [*items, *pseudo],
    }
    if tax:
        order["tax_amount"] = tax
    if tip:
        order["tip_amount"] = tip
    parts = draw(st.integers(1, 3)) if goods_total >= 3 else 1
    charges = []
    left = goods_total
    for number in range(parts):
        part = left if number == parts - 1 else draw(st.integers(0, left))
        left -= part
        charge: dict[str, Any] = {
            "id": f"CHARGE000000{number}",
            "amount": part,
            "currency": currency.lower(),
            "created": created + 60_000 + number * 1_000,
            "captured": True,
            "paid": True,
            "status": "succeeded",
            "order": order["id"],
        }
        if number == parts - 1:
            if tip:
                charge["tip_amount"] = tip
                if (
                    parts == 1
                    and draw(st.booleans())
                    and not surcharge
                    and tip not in (tax, discount, shipping)
                ):
                    charge["amount"] += tip
            if surcharge:
                charge["additional_charges"] = {
                    "elements": [{"amount": surcharge, "type": "CREDIT_SURCHARGE"}]
                }
        charges.append(charge)
    shop = Shop(order, charges, [], goods_total, tax, discount, tip, surcharge)
    if style == "inside" and tax and draw(st.booleans()):
        shop.notes.append("inside")
    _refunds(draw, shop, created, most_refunds)
    return shop


@st.composite
def goods(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int]:
    items, value = [], 0
    for number in range(draw(st.integers(1, 4))):
        price = draw(st.integers(1, 20_000))
        quantity = draw(st.integers(1, 12))
        item = {"parent": f"P{draw(st.integers(0, 2))}", "amount": price, "description": f"Thing {number}"}
        if quantity > 1 or draw(st.booleans()):
            item["quantity"] = quantity
        items.append(item)
        value += price * quantity
    return items, value


def _refunds(draw: st.DrawFn, shop: Shop, created: int, most: int) -> None:
    """Refunds of the charges, each within what its charge took."""
    for number in range(draw(st.integers(0, most))):
        charge = draw(st.sampled_from(shop.charges))
        mine = sum(refund["amount"] for refund in shop.refunds if refund["charge"] == charge["id"])
        tip = charge.get("tip_amount", 0)
        inside = (
            charge["amount"] + tip > shop.goods and len(shop.charges) == 1 and charge["amount"] > shop.goods
        )
        captured = charge["amount"] + (0 if inside else tip)
        if captured - mine <= 0:
            continue
        amount = draw(st.one_of(st.just(captured - mine), st.integers(1, captured - mine)))
        refund: dict[str, Any] = {
            "id": f"REFUND00000{number}",
            "object": "refund",
            "amount": amount,
            "charge": charge["id"],
            "created": created + 1_000_000 * (number + 1),
            "status": "succeeded",
        }
        shop.refunds.append(refund)
        shop.refunded += amount
        charge["amount_refunded"] = mine + amount
    if shop.refunded:
        shop.order["amount_returned"] = shop.refunded
