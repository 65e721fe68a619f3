"""Every invariant must be able to fail: a sound order is spoilt in one place, and that place is named."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from pydantic.alias_generators import to_camel

from schemas.commerce import Order
from transforms.check.invariants import check_order
from transforms.model import Merchant
from transforms.order.order import map_order
from transforms.read.group import parse_group

RUN = datetime(2026, 12, 1, tzinfo=UTC)
ORDER: dict[str, Any] = {
    "id": "O1",
    "amount": 5861,
    "tax_amount": 386,
    "tip_amount": 100,
    "currency": "USD",
    "created": 1791279000000,
    "status": "paid",
    "items": [
        {
            "id": "A",
            "parent": "P1",
            "quantity": 2,
            "amount": 1500,
            "description": "Apron",
            "tax_rates": [{"name": "City", "rate": 825000}],
            "amount_refunded": 1500,
        },
        {
            "id": "B",
            "parent": "P2",
            "amount": 2200,
            "description": "Board",
            "tax_rates": [{"name": "City", "rate": 825000}],
        },
        {"type": "discount", "amount": -520, "description": "AUTUMN10"},
        {"type": "shipping", "amount": 795},
    ],
}
CHARGE: dict[str, Any] = {
    "id": "C1",
    "amount": 5861,
    "tip_amount": 100,
    "currency": "usd",
    "created": 1791279100000,
    "captured": True,
    "status": "succeeded",
}
REFUND: dict[str, Any] = {
    "id": "R1",
    "amount": 1461,
    "charge": "C1",
    "created": 1792611930000,
    "status": "succeeded",
}


def plain(value: Any) -> Any:
    """A record as dicts by its own names."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(member) for name, member in msgspec.structs.asdict(value).items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


def recorded(members: dict[str, Any]) -> Order:
    """``plain`` the other way round."""

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {to_camel(name): named(member) for name, member in value.items()}
        return [named(member) for member in value] if isinstance(value, list) else value

    return msgspec.convert(named(members), Order)


@pytest.fixture
def sound() -> dict[str, Any]:
    group, _ = parse_group(ORDER, [CHARGE], [REFUND])
    result = map_order(group, Merchant("M", country="USA"), previous=None, run_start=RUN)
    assert result.order is not None
    assert check_order(result.order) == []
    return plain(result.order)


def test_the_sound_order_by_hand(sound: dict[str, Any]) -> None:
    """One apron back: 15.00 less 1.50 discount, 1.11 of the 2.23 tax: 14.61."""
    back = sound["order_line_items"][2]
    assert (back["id"], back["quantity"], back["unit_price"], back["total_amount"]) == (
        "refund_A",
        -1,
        15,
        Decimal("-14.61"),
    )
    assert (back["total_tax_amount"], sound["total_refund"], sound["total_amount"]) == (
        Decimal("-1.11"),
        Decimal("-14.61"),
        44,
    )


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("total_amount",), 45, {"lines_total": 100, "payments_total": -100}),
        (("total_refund",), -14, {"refund_lines": 61}),
        (("total_refund",), 1, {"refund_lines": 1561}),
        (("total_tax_amount",), 3, {"tax_once": 25}),
        (("total_discount",), 5, {"discount_once": 130}),
        (("total_gratuity",), 0, {"payments_total": 100}),
        (("order_line_items", 0, "unit_price"), 16, {"line_arithmetic": -200}),
        (("order_line_items", 0, "unit_price"), -15, {"line_arithmetic": 6000}),
        (("order_line_items", 1, "total_tax_amount"), 2, {"line_arithmetic": -37, "tax_once": -37}),
        (("order_line_items", 0, "taxes", 0, "tax_amount"), 2, {"tax_once": 23}),
        (
            ("order_line_items", 0, "discount_allocations", 0, "total_amount"),
            4,
            {"line_arithmetic": 100, "discount_once": -100},
        ),
        (("order_line_items", 2, "quantity"), 1, {"line_arithmetic": -3000, "refund_lines": -1461}),
        (("service_charges", 0, "total_amount"), 8, {"lines_total": -5}),
        (("service_charges", 0, "tax_amount"), 1, {"tax_once": -100}),
        (("payments", 0, "amount"), 60, {"payments_total": 39}),
        (("payments", 1, "status"), "Failed", {"payments_total": 1461}),
        (("created_date",), "2027-01-01T00:00:00Z", {"dates": None}),
    ],
)
def test_a_spoilt_order_is_found_out(
    sound: dict[str, Any], path: tuple[Any, ...], value: Any, expected: dict[str, int | None]
) -> None:
    place: Any = sound
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    found: dict[str, int | None] = {}
    for issue in check_order(recorded(sound)):
        found.setdefault(issue.code, issue.difference_minor)
    assert found == expected


def test_amounts_of_other_currencies_are_never_added(sound: dict[str, Any]) -> None:
    sound["payments"][0]["currency"] = "JPY"
    assert check_order(recorded(sound)) == []
