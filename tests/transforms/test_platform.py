"""What the platform tells of an order: when it is asked, how its rows are read, and when they make the order add up."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.money import divide_half_up
from transforms.model import MappedOrder, Merchant, Severity
from transforms.order.lines import UNRECONCILED
from transforms.order.order import map_order
from transforms.read.group import parse_group
from transforms.read.platform import needs_platform, with_platform

MERCHANT = Merchant("MERCHANT00001", "Juniper Goods", "USA", "USD", "America/New_York")
RUN_START = datetime(2027, 1, 1, tzinfo=UTC)
START = 1_791_208_800_000


def order(amount: int, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {"id": "ORDER1", "amount": amount, "currency": "USD", "created": START, "status": "paid"}
    return {**plain, "items": list(items), **more}


def mapped(row: dict[str, Any], platform: dict[str, Any] | None, *charges: dict[str, Any]) -> MappedOrder:
    plain = {
        "id": "C1",
        "amount": row["amount"],
        "captured": True,
        "status": "succeeded",
        "created": START + 60_000,
    }
    group, broken = parse_group(row, charges or [plain], [])
    assert not broken
    return map_order(with_platform(group, platform), MERCHANT, previous=None, run_start=RUN_START)


LAMP, RUG = {"amount": 1000, "description": "Lamp"}, {"amount": 500, "description": "Rug"}
LINES = {
    "lineItems": {
        "elements": [{"id": "L1", "name": "Lamp", "price": 1000}, {"id": "L2", "name": "Rug", "price": 500}]
    }
}


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (order(1500, LAMP, RUG), False),
        (order(1620, LAMP, RUG, tax_amount=120), False),
        (order(1500, LAMP, RUG, tax_amount=120), False),
        (order(1700, LAMP, RUG, tip_amount=200), False),
        (order(1545, LAMP, RUG, surcharge_amount=45), False),
        (order(1900, LAMP, RUG, {"type": "shipping", "amount": 400}), False),
        (order(1300, LAMP, RUG, {"type": "discount", "amount": 200}), False),
        (order(2500, LAMP, RUG), True),
        (order(1300, LAMP, RUG), True),
        (order(1300, {**LAMP, "quantity": 1}, {**RUG, "quantity": 1}), True),
        (order(1500), False),
        (order(1500, LAMP, RUG, amount_returned=300), True),
        (order(1500, {**LAMP, "amount_refunded": 300}, RUG, amount_returned=300), False),
        (order(1000, LAMP, amount_returned=300), False),
        ({"id": "ORDER1", "items": [LAMP]}, False),
        ({"id": "ORDER1", "amount": "much"}, False),
        ({"amount": 5, "items": "junk"}, False),
    ],
)
def test_the_platform_is_asked_where_the_items_cannot_explain_the_order(
    row: dict[str, Any], asked: bool
) -> None:
    assert needs_platform(row) is asked


@pytest.mark.parametrize(
    ("amount", "more", "discount", "service"),
    [
        (1300, {"discounts": {"elements": [{"id": "D", "name": "Harvest", "amount": -200}]}}, 200, 0),
        (1300, {"discounts": [{"name": "Harvest", "amount": 200}]}, 200, 0),
        (1350, {"discounts": {"elements": [{"name": "Ten", "percentage": 10}]}}, 150, 0),
        (1312, {"discounts": {"elements": [{"name": "P", "percentage": 12, "percentageDecimal": 125000}]}}, 188, 0),
        (1250, {"discounts": {"elements": [{"name": "A", "amount": -100}, {"name": "B", "percentage": 10}]}}, 250, 0),
        (1665, {"serviceCharge": {"name": "Service", "percentage": 11, "percentageDecimal": 110000}}, 0, 165),
        (1650, {"serviceCharge": {"name": "Service", "percentage": 10}}, 0, 150),
        (1580, {"serviceCharge": {"name": "Service", "amount": 80, "percentageDecimal": 110000}}, 0, 80),
        (1430, {"discounts": [{"amount": -200}], "serviceCharge": {"percentageDecimal": 100000}}, 200, 130),
    ],
)  # fmt: skip
def test_a_discount_or_service_charge_of_the_whole_order_makes_it_add_up(
    amount: int, more: dict[str, Any], discount: int, service: int
) -> None:
    """With the platform's lines or beside the Ecommerce items."""
    for platform in ({**LINES, **more}, more):
        result = mapped(order(amount, LAMP, RUG), platform)
        found = result.order
        assert found is not None
        assert (found.total_amount * 100, found.total_discount * 100) == (amount, discount)
        assert sum(charge.total_amount for charge in found.service_charges) * 100 == service
        assert UNRECONCILED not in {line.id for line in found.order_line_items}
        assert [one for one in result.issues if one.severity is not Severity.INFO] == []


@pytest.mark.parametrize(
    "more",
    [
        {"discounts": {"elements": [{"name": "Other", "amount": -333}]}},
        {"serviceCharge": {"name": "Off", "enabled": False, "amount": -200}},
        {"discounts": {"elements": [{"name": "Nothing"}, None, 7]}},
        {"discounts": "junk", "serviceCharge": 7},
    ],
)
def test_what_makes_nothing_add_up_is_not_used(more: dict[str, Any]) -> None:
    result = mapped(order(1300, LAMP, RUG), {**LINES, **more})
    assert result.order is not None
    assert result.order.total_amount == Decimal(13)
    assert [(one.code, one.difference_minor) for one in result.issues] == [("source_total", -200)]


def test_a_line_without_id_is_a_line() -> None:
    """Two alike count twice, and keep their ids whatever the order of rows."""
    lines = [{"name": "Lamp", "price": 1000}, {"name": "Rug", "price": 500}, {"name": "Lamp", "price": 1000}]
    first = mapped(order(2500, LAMP, RUG), {"lineItems": {"elements": lines}})
    again = mapped(order(2500, LAMP, RUG), {"lineItems": {"elements": lines[::-1]}})
    assert first.order is not None
    assert again.order is not None
    assert [one.code for one in first.issues] == []
    ids = sorted(line.id for line in first.order.order_line_items)
    assert len(set(ids)) == 3
    assert ids == sorted(line.id for line in again.order.order_line_items)


def test_rows_that_cannot_be_used_are_left_out() -> None:
    group, _ = parse_group(order(1500, LAMP, RUG), [], [])
    rows = [{"id": "L1"}, {"id": "L2", "price": "12"}, None, 7, {"price": True}, {"id": "L3", "price": -5}]
    found = with_platform(group, {"lineItems": {"elements": rows}, "modifiedTime": START})
    assert [(line.id, line.price) for line in found.platform_lines] == [("L2", 12), ("L3", -5)]
    assert found.platform_modified == datetime.fromtimestamp(START // 1000, UTC)
    assert with_platform(group, None) is group


@given(
    st.lists(st.tuples(st.integers(1, 9_000), st.integers(1, 3)), min_size=1, max_size=4),
    st.integers(0, 60),
    st.integers(0, 3_000),
    st.sampled_from([0, 500_000, 1_000_000]),
    st.sampled_from([0, 50_000, 110_000]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_what_the_platform_names_adds_up_for_any_shop(
    sold: list[tuple[int, int]], percent: int, fixed: int, rate: int, service: int, by_lines: bool
) -> None:
    """Collapsed list prices on the one side; every unit, discounts and service on the other; tax on what is left."""
    goods = sum(price * count for price, count in sold)
    off = divide_half_up(goods * percent, 100)
    off += min(fixed, goods - off)
    tax = divide_half_up((goods - off) * rate, 10_000_000)
    fee = divide_half_up((goods - off) * service, 1_000_000)
    amount = goods - off + tax + fee
    items = [
        {"amount": price, "description": f"Thing {n}", **({} if by_lines else {"quantity": count})}
        for n, (price, count) in enumerate(sold)
    ]
    lines = [
        {"id": f"L{n}{unit}", "name": f"Thing {n}", "price": price}
        for n, (price, count) in enumerate(sold)
        for unit in range(count)
    ]
    platform: dict[str, Any] = {"lineItems": {"elements": lines}} if by_lines else {}
    platform["discounts"] = {
        "elements": [{"name": "Fixed", "amount": -fixed}, {"name": "Share", "percentage": percent}]
    }
    platform["serviceCharge"] = {"name": "Service", "percentageDecimal": service}
    result = mapped(order(amount, *items, tax_amount=tax), platform)
    found = result.order
    assert found is not None
    assert [one for one in result.issues if one.severity is not Severity.INFO] == []
    assert UNRECONCILED not in {line.id for line in found.order_line_items}
    assert found.total_amount * 100 == amount
    assert found.total_tax_amount * 100 == tax
