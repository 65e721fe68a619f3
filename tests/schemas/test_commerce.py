import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from schemas.commerce import Order, Payment, PaymentStatus, PaymentType, Ref, ServiceCharge
from transforms.check.invariants import check_order
from transforms.document import wire

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


@pytest.mark.parametrize("written", ["wire", "dump"])
def test_codats_documented_order_is_read_and_written_without_loss(written: str) -> None:
    """Bare dates and dueDate are accepted; written again they carry their Z and everything else is as it was."""
    order = Order.model_validate_json(EXAMPLE.read_bytes())
    again = orjson.loads(orjson.dumps(wire(order))) if written == "wire" else order.model_dump_wire()
    assert lost(json.loads(EXAMPLE.read_text()), again) == []
    assert "null" not in json.dumps(again)
    assert again["payments"][0]["dueDate"] == "2021-04-04T03:00:14Z"
    assert order.created_date == datetime(2021, 3, 28, 3, 0, 14, tzinfo=UTC)


def test_codats_documented_order_does_not_add_up_and_that_is_said() -> None:
    """Its service charge of 1.20 is in no total, and its tax of 0.20 neither."""
    found = {
        issue.code: issue.difference_minor
        for issue in check_order(Order.model_validate_json(EXAMPLE.read_bytes()))
    }
    assert found == {"lines_total": -120, "tax_once": -20}


def test_the_unset_date_is_no_date() -> None:
    assert Payment.model_validate({"id": "P", "dueDate": "0001-01-01T00:00:00"}).due_date is None


def test_numbers_are_written_in_their_shortest_exact_form() -> None:
    payment = Payment.model_validate({"id": "P", "amount": Decimal("12.50")})
    assert orjson.dumps(wire(payment)) == b'{"id":"P","amount":12.5}'
    for text, expected in (
        ("12.00", b"12"),
        ("-0.050", b"-0.05"),
        ("1E+2", b"100"),
        ("0.00", b"0"),
        ("1234567890123456.78", b"1234567890123456.78"),
        ("0.0000001", b"0.0000001"),
    ):
        assert (
            orjson.dumps(wire(Payment(id="P", amount=Decimal(text))))
            == b'{"id":"P","amount":' + expected + b"}"
        )


def test_enums_are_closed_and_know_unknown() -> None:
    assert PaymentStatus("Unknown")
    assert PaymentType("Unknown")
    with pytest.raises(ValidationError):
        Payment.model_validate({"id": "P", "status": "Authorised"})


@pytest.mark.parametrize(
    "broken",
    [{"id": ""}, {"id": "P", "amount": True}, {"id": "P", "amount": ""}, {"id": "P", "surprise": 1}, {}],
)
def test_what_codat_does_not_know_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Payment.model_validate(broken)


def test_a_service_charges_quantity_is_whole() -> None:
    charge = {"totalAmount": 1, "taxPercentage": 0, "taxAmount": 0, "type": "Generic"}
    assert ServiceCharge.model_validate({**charge, "quantity": 1.0}).quantity == 1
    with pytest.raises(ValidationError):
        ServiceCharge.model_validate({**charge, "quantity": 1.5})


def test_records_that_are_built_equal_records_that_are_validated() -> None:
    assert Ref.built(id="A", name=None) == Ref(id="A")
    assert Ref.built(id="A", name="B").model_dump_wire() == {"id": "A", "name": "B"}
