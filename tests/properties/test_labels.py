"""A field that moves no money never withholds an order, whatever stands in it: for every field of every model."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.clover import AdditionalCharge, Charge, Customer, Order, OrderItem, Refund, TaxRate
from schemas.loose import LooseModel
from transforms.beside.customers import customers_of
from transforms.beside.products import products_of
from transforms.check.labels import label_issues
from transforms.document import document
from transforms.model import MappedOrder, Merchant, Severity
from transforms.order.order import map_order
from transforms.read.group import parse_group

MERCHANT = Merchant("MERCHANT00001", "Juniper Goods", "USA", "USD", "America/New_York")
RUN_START = datetime(2027, 1, 1, tzinfo=UTC)
START = 1_791_208_800_000
CLOVER: dict[str, Any] = {
    "order": {
        "id": "ORDER1",
        "amount": 10_600,
        "amount_paid": 10_600,
        "currency": "USD",
        "created": START,
        "status": "paid",
        "items": [
            {
                "amount": 2500,
                "quantity": 4,
                "description": "Lamp",
                "parent": "P1",
                "tax_rates": [{"name": "City", "rate": 600_000}],
            }
        ],
        "tax_amount": 600,
    },
    "charges": [
        {
            "id": "C1",
            "amount": 10_600,
            "amount_captured": 10_600,
            "tip_amount": 500,
            "tax_amount": 600,
            "currency": "usd",
            "created": START + 1_000,
            "captured": True,
            "paid": True,
            "status": "succeeded",
            "order": "ORDER1",
            "additional_charges": [{"amount": 300, "type": "CREDIT_SURCHARGE"}],
        }
    ],
    "refunds": [
        {"id": "R1", "amount": 1060, "charge": "C1", "created": START + 90_000_000, "status": "succeeded"}
    ],
}
# Says whether money moved: without it the rest of the evidence decides, and not as this table expects.
EVIDENCE = {"captured", "paid", "voided", "refunded", "status", "object", "created", "status_transitions"}
HOLD_RECORDS = {"past_charges", "refunds"}
PLACES: dict[type[LooseModel], Any] = {
    Order: lambda clover: clover["order"],
    OrderItem: lambda clover: clover["order"]["items"][0],
    TaxRate: lambda clover: clover["order"]["items"][0]["tax_rates"][0],
    Charge: lambda clover: clover["charges"][0],
    AdditionalCharge: lambda clover: clover["charges"][0]["additional_charges"][0],
    Refund: lambda clover: clover["refunds"][0],
}
# A flat tax and what came back of an item are amounts, though they only share money out.
LABELS = [
    (model, name)
    for model in PLACES
    for name in sorted(model.model_fields)
    if name not in model.vital() and name != "left_out"
]
JUNK: list[Any] = [
    True,
    -1,
    7,
    8.25,
    1.0662857,
    1e300,
    2**64,
    "8.25",
    "two",
    "\x00",
    "x" * 100_000,
    [],
    [7, "x", None, {"y": []}],
    {"a": {"b": [1]}},
    {"elements": "x"},
    {"id": {"id": []}},
    [[[]]],
]
junk = st.one_of(
    st.sampled_from(JUNK),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=50),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)


def mapped(clover: dict[str, Any]) -> MappedOrder:
    group, broken = parse_group(clover["order"], clover["charges"], clover["refunds"])
    assert broken == []
    result = map_order(group, MERCHANT, previous=None, run_start=RUN_START)
    customers_of(group)
    return result


def money(result: MappedOrder) -> Any:
    order = result.order
    assert order is not None, result.held_back
    document(result, None)
    products_of(order)
    return (
        [(payment.id, payment.amount, payment.status) for payment in order.payments],
        (order.currency, order.total_amount, order.total_refund, order.total_gratuity),
    )


TRUE = money(mapped(CLOVER))


@pytest.mark.parametrize(
    ("model", "name"), LABELS, ids=[f"{model.__name__}.{name}" for model, name in LABELS]
)
@pytest.mark.parametrize("value", JUNK, ids=[repr(value)[:20] for value in JUNK])
def test_a_label_never_withholds_an_order(model: type[LooseModel], name: str, value: Any) -> None:
    stands(model, name, value)


@given(st.sampled_from(LABELS), junk)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_label_the_money_stands(label: tuple[type[LooseModel], str], value: Any) -> None:
    stands(*label, value)


def stands(model: type[LooseModel], name: str, value: Any) -> None:
    clover = copy.deepcopy(CLOVER)
    PLACES[model](clover)[name] = value
    _, broken = parse_group(clover["order"], clover["charges"], clover["refunds"])
    if name in HOLD_RECORDS and broken:
        # A record inside, of which nobody knows whose it is: it may be money.
        assert {issue.detail.partition(": ")[2] for issue in broken} == {"id: Field required"}
        return
    result = mapped(clover)
    if name in EVIDENCE:
        assert result.held_back != "unreadable"
    else:
        assert money(result) == TRUE


@given(st.lists(st.tuples(st.sampled_from(LABELS), junk), max_size=6))
@settings(max_examples=150, deadline=None)
def test_many_broken_labels_are_no_worse_than_one(
    broken: list[tuple[tuple[type[LooseModel], str], Any]],
) -> None:
    clover = copy.deepcopy(CLOVER)
    for (model, name), value in broken:
        if name not in EVIDENCE | HOLD_RECORDS and model not in (TaxRate, OrderItem):
            PLACES[model](clover)[name] = value
    assert money(mapped(clover)) == TRUE


@pytest.mark.parametrize(
    ("model", "name", "value", "told"),
    [
        (Charge, "captured", "perhaps", "warning: captured of a charge cannot be read and was left out"),
        (Charge, "created", "yesterday", "warning: created of a charge cannot be read and was left out"),
        (Charge, "description", ["x"], "info: description of a charge cannot be read and was left out"),
        (Order, "customer", 8.5, "info: customer of an order cannot be read and was left out"),
        (OrderItem, "quantity", "two", "info: quantity of an item cannot be read and was left out"),
        (OrderItem, "quantity", 4.00001, "info: a quantity has more than 4 decimals; its line shows it rounded"),
        (TaxRate, "rate", 8.25, "info: rate of a tax rate of an item cannot be read and was left out"),
        (TaxRate, "rate", "six", "info: rate of a tax rate of an item cannot be read and was left out"),
        (Refund, "reason", {"a": 1}, "info: reason of a refund cannot be read and was left out"),
        (AdditionalCharge, "type", [1], "info: type of an additional charge cannot be read and was left out"),
    ],
)  # fmt: skip
def test_what_was_left_out_is_named_and_never_repeated(
    model: type[LooseModel], name: str, value: Any, told: str
) -> None:
    clover = copy.deepcopy(CLOVER)
    if name == "customer":
        value = [value]
    PLACES[model](clover)[name] = value
    group, _ = parse_group(clover["order"], clover["charges"], clover["refunds"])
    assert [f"{one.severity.value}: {one.detail}" for one in label_issues(group, "ORDER1")] == [told]
    assert "label" in {issue.code for issue in mapped(clover).issues}


@pytest.mark.parametrize("model", [*PLACES, Customer])
def test_money_and_identity_still_withhold(model: type[LooseModel]) -> None:
    """Every field that says how much or whose is vital; nothing else is."""
    amounts = {name for name in model.model_fields if name.endswith("amount") or name.startswith("amount")}
    assert amounts <= model.vital()
    assert model.vital() <= amounts | {"id", "order", "charge", "currency", "items", "additional_charges"}
    for name in model.vital() & PLACES.get(model, lambda _: {})(copy.deepcopy(CLOVER)).keys():
        clover = copy.deepcopy(CLOVER)
        if model is TaxRate:
            continue
        PLACES[model](clover)[name] = {"x": [1]} if name in ("currency", "charge", "order") else "much"
        _, broken = parse_group(clover["order"], clover["charges"], clover["refunds"])
        if name not in ("charge", "order", "id", "additional_charges"):
            assert {(one.code, one.severity) for one in broken} == {("unreadable", Severity.ERROR)}, name
