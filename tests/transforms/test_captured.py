"""Which charges that read ``captured: false`` are believed, as a table of shapes and for any amounts."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.order.money import charges_taken
from transforms.read.group import parse_group

START = 1_791_208_800_000
VOID = {"metadata": {"refundType": "VOID"}}


def charge(number: int, amount: int, **more: Any) -> dict[str, Any]:
    plain = {"captured": False, "paid": True, "status": "succeeded", "currency": "usd", "order": "ORDER1"}
    return {"id": f"C{number}", "amount": amount, "created": START + number * 60_000, **plain, **more}


def refund(number: int, of: int, amount: int, **more: Any) -> dict[str, Any]:
    moment = START + 10_000_000 + number
    return {
        "id": f"R{number}",
        "charge": f"C{of}",
        "amount": amount,
        "created": moment,
        "status": "succeeded",
        **more,
    }


def standing(
    order: dict[str, Any] | None, charges: list[dict[str, Any]], refunds: list[dict[str, Any]]
) -> str:
    """The statuses of C1, C2, ... as their first letters."""
    row = None if order is None else {"id": "ORDER1", "currency": "USD", "created": START, **order}
    group, broken = parse_group(row, charges, refunds)
    assert not broken
    found = {one.charge.id: one.status for one in charges_taken(group, "USD")}
    return "".join(found[one["id"]][0] for one in charges)


OPEN = {"amount": 5000, "status": "created"}
PAID = {"amount": 5000, "amount_paid": 5000, "status": "paid"}
# Paid, Authorized, Cancelled, Failed
SHAPES: dict[str, tuple[str, dict[str, Any] | None, list[dict[str, Any]], list[dict[str, Any]]]] = {
    "the order names the second": ("AP", {**PAID, "charge": "C2"}, [charge(1, 5000), charge(2, 5000)], []),
    "the order names the first": ("PA", {**PAID, "charge": "C1"}, [charge(1, 5000), charge(2, 5000)], []),
    "it names none: the newest": ("AP", PAID, [charge(1, 5000), charge(2, 5000)], []),
    "it names one that is unknown": ("AP", {**PAID, "charge": "X"}, [charge(1, 5000), charge(2, 5000)], []),
    "only a status and an amount": ("AP", {"amount": 5000, "status": "paid"}, [charge(1, 5000), charge(2, 5000)], []),
    "only amount_paid": ("AP", {"amount_paid": 5000, "status": "created"}, [charge(1, 5000), charge(2, 5000)], []),
    "three holds and a sale": ("AAAP", {**PAID, "charge": "C4"}, [charge(n, 5000) for n in (1, 2, 3, 4)], []),
    "together they fit": ("PPP", PAID, [charge(1, 2000), charge(2, 1000), charge(3, 2000)], []),
    "two of three fit": ("PAP", PAID, [charge(1, 2000), charge(2, 5100), charge(3, 3000)], []),
    "two of three fit, one is named": (
        "PAP", {**PAID, "charge": "C3"}, [charge(1, 2000), charge(2, 3000), charge(3, 3000)], [],
    ),
    "a hold for more than the sale": ("AP", {**PAID, "charge": "C2"}, [charge(1, 7500), charge(2, 5000)], []),
    "a hold for less than the sale": ("AP", {**PAID, "charge": "C2"}, [charge(1, 100), charge(2, 5000)], []),
    "a tip inside the sale": (
        "AP", {**PAID, "charge": "C2", "tip_amount": 600}, [charge(1, 5000), charge(2, 5600)], [],
    ),
    "amount_paid holds the tip": (
        "AP", {"amount": 5000, "amount_paid": 5600, "status": "paid", "charge": "C2"},
        [charge(1, 5000), charge(2, 5000, tip_amount=600)], [],
    ),
    "the tax is not in the order's amount": (
        "AP", {**PAID, "charge": "C2", "tax_amount": 400}, [charge(1, 5400), charge(2, 5400)], [],
    ),
    "the one named is more than was paid": ("AP", {**PAID, "charge": "C2"}, [charge(1, 5000), charge(2, 5350)], []),
    "all are more than was paid": ("PA", PAID, [charge(1, 5200), charge(2, 5350)], []),
    "a captured one pays for it": ("AP", PAID, [charge(1, 5000), charge(2, 5000, captured=True)], []),
    "a captured one pays for part": (
        "APP", {**PAID, "charge": "C3"}, [charge(1, 5000), charge(2, 2000, captured=True), charge(3, 3000)], [],
    ),
    "part paid": ("PA", {**OPEN, "amount_paid": 2000}, [charge(1, 2000), charge(2, 5000)], []),
    "nothing paid": ("AA", {**OPEN, "amount_paid": 0}, [charge(1, 5000), charge(2, 5000)], []),
    "a paid order without amounts": ("PP", {"status": "paid"}, [charge(1, 5000), charge(2, 5000)], []),
    "no order": ("A", None, [charge(1, 5000, order=None)], []),
    "paid again after a return": (
        "PP", {**PAID, "amount_returned": 5000, "charge": "C2"},
        [charge(1, 5000, refunded=True, amount_refunded=5000), charge(2, 5000, created=START + 20_000_000)],
        [refund(1, 1, 5000)],
    ),
    "a duplicate was returned and the order is still paid": (
        "PP", {**PAID, "amount_returned": 5000, "charge": "C2"},
        [charge(1, 5000), charge(2, 5000, amount_refunded=5000, refunded=True)], [refund(1, 2, 5000)],
    ),
    "a hold, then a sale that was returned": (
        "AP", {**PAID, "status": "returned", "amount_returned": 5000, "charge": "C2"},
        [charge(1, 5000), charge(2, 5000)], [refund(1, 2, 5000)],
    ),
    "a hold, then a sale whose return only the order knows": (
        "AP", {**PAID, "status": "returned", "amount_returned": 5000, "charge": "C2"},
        [charge(1, 5000), charge(2, 5000)], [],
    ),
    "a hold, then a sale whose return only the charge knows": (
        "AP", {**PAID, "charge": "C2"}, [charge(1, 5000), charge(2, 5000, amount_refunded=5000)], [],
    ),
    "a refund proves that it was taken": ("P", OPEN, [charge(1, 5000)], [refund(1, 1, 500)]),
    "nothing captured": ("A", OPEN, [charge(1, 5000, amount_captured=0)], []),
    "nothing captured, the order says paid": ("A", PAID, [charge(1, 5000, amount_captured=0)], []),
    "nothing captured and let go": (
        "C", OPEN, [charge(1, 5000, amount_captured=0, refunded=True)], [],
    ),
    "nothing captured, without the flag": (
        "C", OPEN,
        [{k: v for k, v in charge(1, 5000, amount_captured=0).items() if k != "captured"}], [refund(1, 1, 5000)],
    ),
    "a void": ("C", OPEN, [charge(1, 5000)], [refund(1, 1, 5000, **VOID)]),
    "a void and what it claims": (
        "C", OPEN, [charge(1, 5000, refunded=True, amount_refunded=5000)],
        [refund(1, 1, 5000, **VOID)],
    ),
    "a void by its object": (
        "C", OPEN, [charge(1, 5000)], [refund(1, 1, 5000, object="void_on_refund")],
    ),
    "a void by its flag": ("C", OPEN, [charge(1, 5000)], [refund(1, 1, 5000, voided=True)]),
    "a voided charge": ("C", OPEN, [charge(1, 5000, voided=True)], []),
    "a void without order": ("C", None, [charge(1, 5000, order=None)], [refund(1, 1, 5000, **VOID)]),
    "a void beside a sale": (
        "CP", {**PAID, "charge": "C2"}, [charge(1, 5000), charge(2, 5000)], [refund(1, 1, 5000, **VOID)],
    ),
    "a sale that was voided": ("P", {**PAID, "status": "returned"}, [charge(1, 5000)], [refund(1, 1, 5000, **VOID)]),
    "another currency is not held against it": (
        "AP", {**PAID, "charge": "C2"}, [charge(1, 9200, currency="eur"), charge(2, 5000)], [],
    ),
    "another currency pays for it": ("P", PAID, [charge(1, 4600, currency="eur")], []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_where_a_charge_stands(shape: tuple[str, dict[str, Any] | None, list[Any], list[Any]]) -> None:
    expected, order, charges, refunds = shape
    assert standing(order, charges, refunds) == expected
    assert standing(order, charges[::-1], refunds) == expected[::-1], "the order of rows never matters"


amounts = st.integers(1, 20_000)


@given(st.lists(amounts, min_size=1, max_size=7), st.data())
@settings(max_examples=120, deadline=None)
def test_what_is_believed_is_what_the_order_says_was_paid(values: list[int], data: st.DataObject) -> None:
    """Sales and lapsed holds in any mix: to the cent what was paid, and all where all were sales."""
    sales = data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))
    claimed = sum(values[number] for number in sales)
    charges = [charge(number, amount) for number, amount in enumerate(values)]
    order = {"amount": claimed, "amount_paid": claimed, "status": "paid"}
    if data.draw(st.booleans()):
        order["charge"] = f"C{max(sales)}"
    letters = standing(order, charges, [])
    assert sum(amount for amount, letter in zip(values, letters, strict=True) if letter == "P") == claimed
    if len(sales) == len(values):
        assert set(letters) == {"P"}
    if "charge" in order:
        assert letters[max(sales)] == "P"


@given(st.lists(amounts, min_size=1, max_size=14), amounts, st.data())
@settings(max_examples=120, deadline=None)
def test_no_more_is_believed_than_the_order_says(
    values: list[int], claimed: int, data: st.DataObject
) -> None:
    charges = [charge(number, amount) for number, amount in enumerate(values)]
    order: dict[str, Any] = {"amount": claimed, "amount_paid": claimed, "status": "paid"}
    named = data.draw(st.one_of(st.none(), st.integers(0, len(values) - 1)))
    if named is not None:
        order["charge"] = f"C{named}"
    letters = standing(order, charges, [])
    believed = [number for number, letter in enumerate(letters) if letter == "P"]
    assert believed, "a paid order was paid by something"
    assert sum(values[number] for number in believed) <= claimed or len(believed) == 1
    if named is not None:
        assert named in believed
