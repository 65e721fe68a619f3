from typing import Any

import pytest
from pydantic import ValidationError

from schemas.clover import AdditionalCharge, Charge, Customer, Order, Refund

CHARGE: dict[str, Any] = {"id": "C1", "amount": 1000}
SECRET = "ines.moreau@example.com"


@pytest.mark.parametrize("nothing", [None, ""])
def test_missing_null_and_empty_mean_the_same(nothing: Any) -> None:
    names = [name for name in Charge.model_fields if name not in CHARGE]
    assert Charge.model_validate({**CHARGE, **dict.fromkeys(names, nothing)}) == Charge.model_validate(CHARGE)


def test_numbers_may_be_text_and_ids_numbers() -> None:
    charge = Charge.model_validate(
        {"id": 42, "amount": "1250", "created": "1795015800000", "captured": "false", "order": 7}
    )
    assert (charge.id, charge.amount, charge.created, charge.captured, charge.order) == (
        "42",
        1250,
        1795015800000,
        False,
        "7",
    )


def test_a_time_in_seconds_is_understood() -> None:
    assert Charge.model_validate({**CHARGE, "created": 1795015800}).created == 1795015800000


@pytest.mark.parametrize(
    ("model", "record", "field"),
    [
        (Charge, {"id": "C1", "amount": "abc " + SECRET}, "amount"),
        (Charge, {"id": "C1", "amount": True}, "amount"),
        (Charge, {"id": "C1", "amount": 12.5}, "amount"),
        (Charge, {"id": "C1", "amount": 10**15}, "amount"),
        (Charge, {"id": "C1", "amount": -5}, "amount"),
        (Charge, {"amount": 1000, "receipt_email": SECRET}, "id"),
        (Charge, {**CHARGE, "currency": SECRET}, "currency"),
        (Order, {"id": "O1", "items": [{"amount": SECRET}]}, "items.0.amount"),
        (Order, {"id": "O1", "items": "nothing"}, "items"),
        (Refund, {"id": "R1", "amount": None}, "amount"),
    ],
)
def test_what_would_change_money_is_refused_by_name_and_never_repeated(
    model: Any, record: Any, field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(record)
    message = str(caught.value)
    assert field in message
    assert SECRET not in message


def test_what_moves_no_money_is_left_out_and_named() -> None:
    charge = Charge.model_validate(
        {**CHARGE, "created": SECRET, "captured": "perhaps", "description": [SECRET], "refunds": 7}
    )
    assert (charge.amount, charge.created, charge.captured, charge.refunds) == (1000, None, None, [])
    assert charge.left_out == ("captured", "created", "description", "refunds")
    assert Charge.model_validate(CHARGE).left_out == ()
    assert Charge.model_validate({**CHARGE, "left_out": ["amount"]}).left_out == (), "ours, not Clover's"


@pytest.mark.parametrize(
    "shape",
    [
        {"elements": [{"amount": 300, "type": "CREDIT_SURCHARGE"}]},
        [{"amount": "300", "type": "CREDIT_SURCHARGE"}],
        {"CREDIT_SURCHARGE": {"amount": 300}},
        {"CREDIT_SURCHARGE": 300},
        {"data": {"elements": [{"amount": 300, "type": "CREDIT_SURCHARGE"}]}},
        {"amount": 300, "type": "CREDIT_SURCHARGE"},
    ],
)
def test_surcharges_are_read_in_every_shape(shape: Any) -> None:
    found = Charge.model_validate({**CHARGE, "additional_charges": shape}).additional_charges
    assert [(extra.amount, extra.type) for extra in found] == [(300, "CREDIT_SURCHARGE")]
    assert isinstance(found[0], AdditionalCharge)


@pytest.mark.parametrize(
    "shape",
    [
        [{"id": "R1"}],
        {"data": [{"id": "R1"}]},
        {"elements": [{"id": "R1"}]},
        {"data": {"elements": [{"id": "R1"}]}},
    ],
)
def test_lists_are_read_in_every_envelope(shape: Any) -> None:
    assert Charge.model_validate({**CHARGE, "refunds": shape}).refunds == [{"id": "R1"}]


def test_an_envelope_without_rows_is_empty() -> None:
    assert (
        Order.model_validate(
            {"id": "O1", "returns": {"object": "list", "url": "/v1", "has_more": False}}
        ).returns
        == []
    )


def test_fields_that_come_in_two_shapes() -> None:
    charge = Charge.model_validate(
        {
            **CHARGE,
            "metadata": "a=b",
            "shipping": "12 Quay Street",
            "source": "alternate_tender",
            "failure_code": {"type": "card", "code": "declined"},
            "order": {"id": "O1"},
        }
    )
    assert (charge.metadata, charge.shipping, charge.source) == (
        {"value": "a=b"},
        {"value": "12 Quay Street"},
        {"value": "alternate_tender"},
    )
    assert (charge.failure_code, charge.order) == ("declined", "O1")
    assert Charge.model_validate({**CHARGE, "failure_code": "declined"}).failure_code == "declined"


def test_unknown_fields_are_kept() -> None:
    assert Refund.model_validate({"id": "R1", "amount": 1, "inReportingPeriod": False}).model_extra == {
        "inReportingPeriod": False
    }


def test_status_transitions_keep_what_is_a_time() -> None:
    order = Order.model_validate(
        {
            "id": "O1",
            "status_transitions": {
                "paid": 1791208872481,
                "fulfiled": None,
                "x": "y",
                "returned": "1791208872",
            },
        }
    )
    assert order.status_transitions == {"paid": 1791208872481, "returned": 1791208872000}


def test_a_customer_as_clover_returns_it() -> None:
    customer = Customer.model_validate(
        {
            "id": "JT97KB6CQ643D",
            "firstName": "Ines",
            "phone": 6175550147,
            "sources": {"data": ["5MFQ"]},
            "currency": "usd",
        }
    )
    assert (customer.first_name, customer.phone, customer.currency) == ("Ines", "6175550147", "USD")
