"""What went back: sums of Clover's that hold surcharges, tips or neither, and whose tip it was."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.model import MappedOrder, Merchant, Severity
from transforms.order.money import counted_refund
from transforms.order.order import map_order
from transforms.read.group import parse_group

MERCHANT = Merchant("MERCHANT00001", "Juniper Goods", "USA", "USD", "America/New_York")
RUN_START = datetime(2027, 1, 1, tzinfo=UTC)
START = 1_791_208_800_000


def charge(number: int, amount: int, **more: Any) -> dict[str, Any]:
    plain = {"captured": True, "status": "succeeded", "currency": "usd", "created": START + number}
    return {"id": f"C{number}", "amount": amount, **plain, **more}


def refund(number: int, of: int, amount: int, **more: Any) -> dict[str, Any]:
    moment = START + 90_000_000 + number
    plain = {"charge": f"C{of}", "created": moment, "status": "succeeded"}
    return {"id": f"R{number}", "amount": amount, **plain, **more}


def fee(amount: int) -> list[dict[str, Any]]:
    return [{"amount": amount, "type": "CREDIT_SURCHARGE"}]


def mapped(amount: int, charges: list[Any], refunds: list[Any], **order: Any) -> MappedOrder:
    row = {
        "id": "ORDER1",
        "amount": amount,
        "amount_paid": amount,
        "currency": "USD",
        "created": START,
        "status": "paid",
        "items": [{"amount": amount, "description": "Lamp"}],
        **order,
    }
    group, broken = parse_group(row, charges, refunds)
    assert not broken
    return map_order(group, MERCHANT, previous=None, run_start=RUN_START)


def figures(result: MappedOrder) -> tuple[int, int, int]:
    """(given back as payments, total, tips) in cents."""
    order = result.order
    assert order is not None
    back = sum(
        payment.amount or Decimal(0)
        for payment in order.payments
        if payment.status == "Paid" and (payment.amount or 0) < 0
    )
    return tuple(int(amount * 100) for amount in (back, order.total_amount, order.total_gratuity))  # type: ignore[return-value]


def warnings(result: MappedOrder) -> list[tuple[str, int | None]]:
    return [(one.code, one.difference_minor) for one in result.issues if one.severity is not Severity.INFO]


SURCHARGED = {"additional_charges": fee(300)}
# charge, refunds, members of the order -> (given back, total, tips), warnings
SHAPES: dict[str, tuple[dict[str, Any], list[Any], dict[str, Any], tuple[int, int, int], list[Any]]] = {
    "the sum holds the surcharge": (
        {**SURCHARGED, "amount_refunded": 10_300}, [refund(1, 1, 10_000, **SURCHARGED)], {}, (-10_300, 0, 0), [],
    ),
    "it does not": (
        {**SURCHARGED, "amount_refunded": 10_000}, [refund(1, 1, 10_000, **SURCHARGED)], {}, (-10_300, 0, 0), [],
    ),
    "the order's sum holds it": (
        SURCHARGED, [refund(1, 1, 10_000, **SURCHARGED)], {"amount_returned": 10_300}, (-10_300, 0, 0), [],
    ),
    "the order's sum does not": (
        SURCHARGED, [refund(1, 1, 10_000, **SURCHARGED)], {"amount_returned": 10_000}, (-10_300, 0, 0), [],
    ),
    "part of it, the sum holds the surcharge": (
        {**SURCHARGED, "amount_refunded": 4_120}, [refund(1, 1, 4_000, additional_charges=fee(120))],
        {"amount_returned": 4_120}, (-4_120, 6_180, 0), [],
    ),
    "part of it, it does not": (
        {**SURCHARGED, "amount_refunded": 4_000}, [refund(1, 1, 4_000, additional_charges=fee(120))],
        {"amount_returned": 4_000}, (-4_120, 6_180, 0), [],
    ),
    "two parts, the sum holds the surcharges": (
        {**SURCHARGED, "amount_refunded": 8_240},
        [refund(1, 1, 4_000, additional_charges=fee(120)), refund(2, 1, 4_000, additional_charges=fee(120))],
        {}, (-8_240, 2_060, 0), [],
    ),
    "the refund's amount holds the surcharge it names": (
        {**SURCHARGED, "amount_refunded": 10_300}, [refund(1, 1, 10_300, **SURCHARGED)], {}, (-10_300, 0, 0), [],
    ),
    "so does the amount of a part of it": (
        {**SURCHARGED, "amount_refunded": 4_120}, [refund(1, 1, 4_120, additional_charges=fee(120))],
        {}, (-4_120, 6_180, 0), [],
    ),
    "the refund's amount holds a surcharge it does not name": (
        {**SURCHARGED, "amount_refunded": 10_300}, [refund(1, 1, 10_300)], {}, (-10_300, 0, 0), [],
    ),
    "the sum leaves that out": (
        {**SURCHARGED, "amount_refunded": 10_000}, [refund(1, 1, 10_300)], {}, (-10_300, 0, 0), [],
    ),
    "only the sum tells of the surcharge": (
        {**SURCHARGED, "amount_refunded": 10_300}, [refund(1, 1, 10_000)], {}, (-10_300, 0, 0),
        [("source_total", 300)],
    ),
    "only the sum tells of a full refund with the surcharge": (
        {**SURCHARGED, "amount_refunded": 10_300}, [], {}, (-10_300, 0, 0), [("source_total", 10_300)],
    ),
    "the second of two refunds is missing, the sum holds the surcharges": (
        {**SURCHARGED, "amount_refunded": 10_300, "refunded": True},
        [refund(1, 1, 5_000, additional_charges=fee(150))], {}, (-10_300, 0, 0), [("source_total", 5_150)],
    ),
    "a surcharge inside the charge": (
        {"amount": 10_300, **SURCHARGED, "amount_refunded": 10_300}, [refund(1, 1, 10_300, **SURCHARGED)], {},
        (-10_300, 0, 0), [],
    ),
    "the tip goes back and the sum holds it": (
        {"tip_amount": 500, "amount_refunded": 10_500}, [refund(1, 1, 10_500)], {"amount_returned": 10_500},
        (-10_500, 0, 0), [],
    ),
    "the tip goes back and the sum leaves it out": (
        {"tip_amount": 500, "amount_refunded": 10_000}, [refund(1, 1, 10_500)], {"amount_returned": 10_000},
        (-10_500, 0, 0), [],
    ),
    "the tip stays": (
        {"tip_amount": 500, "amount_refunded": 10_000}, [refund(1, 1, 10_000)], {}, (-10_000, 0, 500), [],
    ),
    "tip and surcharge, the sum holds both": (
        {"tip_amount": 500, **SURCHARGED, "amount_refunded": 10_800}, [refund(1, 1, 10_500, **SURCHARGED)],
        {"amount_returned": 10_800}, (-10_800, 0, 0), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_nothing_is_taken_off_twice(shape: tuple[Any, ...]) -> None:
    members, refunds, order, expected, warned = shape
    result = mapped(10_000, [charge(1, **{"amount": 10_000, **members})], refunds, **order)
    assert figures(result) == expected
    assert warnings(result) == warned


@given(
    st.lists(
        st.tuples(st.integers(1, 9_000), st.integers(0, 900), st.integers(0, 300), st.booleans(), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["plain", "whole", None]),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_charge_that_is_refunded_whole_gives_back_its_own_tip_and_surcharge(
    parts: list[tuple[int, int, int, bool, bool]], sums: str | None, named: bool
) -> None:
    """However many charges, with whichever of Clover's readings of its own sum, in whichever order."""
    charges, refunds = [], []
    kept_goods = kept_tip = kept_fee = back = 0
    for number, (goods, tip, extra, is_back, with_tip) in enumerate(parts, start=1):
        row = charge(number, goods, tip_amount=tip)
        if extra:
            row["additional_charges"] = fee(extra)
        if is_back:
            tip_back = tip if with_tip else 0
            amount = goods + tip_back
            told = {"additional_charges": fee(extra)} if extra and named else {}
            refunds.append(refund(number, number, amount + (0 if named else extra), **told))
            if sums is not None:
                row["amount_refunded"] = amount + (extra if sums == "whole" or not named else 0)
            back += amount + extra
            kept_tip += tip - tip_back
        else:
            kept_goods, kept_tip, kept_fee = kept_goods + goods, kept_tip + tip, kept_fee + extra
        charges.append(row)
    result = mapped(sum(goods for goods, *_ in parts), charges, refunds)
    assert warnings(result) == []
    assert figures(result) == (-back, kept_goods + kept_fee, kept_tip)


@given(st.integers(2, 9_000), st.integers(1, 900), st.data())
@settings(max_examples=80, deadline=None)
def test_a_refund_within_the_goods_of_its_charge_holds_no_tip(
    goods: int, tip: int, data: st.DataObject
) -> None:
    part = data.draw(st.integers(1, goods))
    charges = [charge(1, goods, tip_amount=tip), charge(2, goods + tip, tip_amount=tip)]
    result = mapped(2 * goods + tip, charges, [refund(1, 1, part)])
    assert figures(result) == (-part, 2 * goods + tip - part, 2 * tip)


@pytest.mark.parametrize(
    ("row", "counted"),
    [
        ({"id": "R", "amount": 700}, 700),
        ({"id": "R", "amount": "700", "status": "SUCCEEDED"}, 700),
        ({"id": "R", "amount": 700, "status": "returned"}, 700),
        ({"id": "R", "amount": -700, "status": "succeeded"}, 700),
        ({"id": "R", "amount": 700, "status": "succeeded", "metadata": {"refundType": "VOID"}}, 700),
        ({"id": "R", "amount": 700, "status": "pending"}, 0),
        ({"id": "R", "amount": 700, "status": "Failed"}, 0),
        ({"id": "R", "amount": 700, "status": "succeeded", "voided": "true"}, 0),
        ({"id": "R", "amount": 700, "status": "succeeded", "object": "void_on_refund"}, 0),
        ({"id": "R", "amount": 700, "status": "never heard of"}, 0),
        ({"id": "R", "amount": "much"}, 0),
        ({"id": "R"}, 0),
    ],
)
def test_what_a_refund_row_adds_to_the_sum_of_its_charge(row: dict[str, Any], counted: int) -> None:
    assert counted_refund(row) == counted
