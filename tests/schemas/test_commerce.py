import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from schemas.commerce import Order, Payment, Ref, ServiceCharge
from schemas.commerce_enums import PaymentStatus, PaymentType
from schemas.money import shortest
from schemas.wire import encode, encode_sorted, members
from transforms.check.invariants import check_order

EXAMPLE = Path(__file__).parents[1] / "fixtures" / "codat-order-example.json"


def lost(before: object, after: object, where: str = "order") -> list[str]:
    if isinstance(before, dict):
        assert isinstance(after, dict)
        return [
            difference
            for name, value in before.items()
            for difference in lost(value, after.get(name), f"{where}.{name}")
        ]
    if isinstance(before, list):
        assert isinstance(after, list)
        assert len(before) == len(after)
        return [
            difference
            for index, value in enumerate(before)
            for difference in lost(value, after[index], f"{where}[{index}]")
        ]
    if isinstance(before, str) and before[:4].isdigit() and "T" in before:
        return [] if str(after).rstrip("Z") == before.rstrip("Z") else [where]
    return [] if before == after else [f"{where}: {after!r} instead of {before!r}"]


def test_codats_documented_order_is_read_and_written_without_loss() -> None:
    order = msgspec.json.decode(EXAMPLE.read_bytes(), type=Order)
    again = members(order)
    assert lost(json.loads(EXAMPLE.read_text()), again) == []
    assert "null" not in json.dumps(again)
    assert order.total_amount == Decimal(12)
    assert again["orderLineItems"][0]["taxes"] == [], "an array is written when it is empty"


def test_codats_documented_order_does_not_add_up_and_that_is_said() -> None:
    """Its service charge of 1.20 is in no total, and its tax of 0.20 neither."""
    order = msgspec.json.decode(EXAMPLE.read_bytes(), type=Order)
    found = {issue.code: issue.difference_minor for issue in check_order(order)}
    assert found == {"lines_total": -120, "tax_once": -20}


def test_numbers_are_written_in_their_shortest_exact_form() -> None:
    for text, expected in (
        ("12.50", b"12.5"),
        ("12.00", b"12"),
        ("-0.050", b"-0.05"),
        ("1E+2", b"100"),
        ("0.00", b"0"),
        ("1234567890123456.78", b"1234567890123456.78"),
        ("0.00001", b"0.00001"),
    ):
        payment = Payment(id="P", amount=shortest(Decimal(text)))
        assert encode(payment) == b'{"id":"P","amount":' + expected + b"}"


def test_enums_are_closed_and_know_unknown() -> None:
    assert PaymentStatus("Unknown")
    assert PaymentType("Unknown")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "P", "status": "Authorised"}, Payment)


@pytest.mark.parametrize(
    "broken",
    [{"id": ""}, {"id": "P", "amount": True}, {"id": "P", "amount": ""}, {"id": "P", "surprise": 1}, {}],
)
def test_what_codat_does_not_know_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(broken, Payment)


def test_a_service_charges_quantity_is_whole() -> None:
    charge = '{"totalAmount":1,"taxPercentage":0,"taxAmount":0,"type":"Generic","quantity":%s}'
    assert msgspec.json.decode(charge % "1", type=ServiceCharge).quantity == 1
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(charge % "1.5", type=ServiceCharge)


def test_a_record_is_written_with_what_it_has() -> None:
    assert encode(Ref(id="A")) == b'{"id":"A"}'
    assert members(Ref(id="A", name="B")) == {"id": "A", "name": "B"}
    assert encode_sorted(Ref(name="B", id="A")) == b'{"id":"A","name":"B"}'
