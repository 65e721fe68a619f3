import random
from typing import Any

from transforms.model import Severity
from transforms.read.group import parse_group
from transforms.read.platform import platform_line

ORDER: dict[str, Any] = {"id": "O1", "amount": 1000, "items": [{"amount": 1000}]}
CHARGE: dict[str, Any] = {"id": "C1", "amount": 1000, "order": "O1"}
REFUND: dict[str, Any] = {"id": "R1", "amount": 100, "charge": "C1", "status": "succeeded"}
SECRET = "ines.moreau@example.com"


def test_a_charge_seen_in_the_list_and_in_its_order_is_one_charge() -> None:
    group, broken = parse_group(
        {**ORDER, "past_charges": [{**CHARGE, "amount_refunded": 0, "description": "old"}]},
        [{**CHARGE, "amount_refunded": 100}],
        [],
    )
    assert not broken
    assert [(charge.id, charge.amount_refunded, charge.description) for charge in group.charges] == [
        ("C1", 100, "old")
    ]


def test_a_refund_seen_thrice_is_one_refund() -> None:
    group, broken = parse_group(
        ORDER, [{**CHARGE, "refunds": {"data": [{"id": "R1", "amount": 100}]}}], [REFUND, REFUND]
    )
    assert not broken
    assert [(refund.id, refund.charge, refund.status) for refund in group.refunds] == [
        ("R1", "C1", "succeeded")
    ]


def test_a_refund_inside_its_charge_needs_no_list() -> None:
    group, _ = parse_group(ORDER, [{**CHARGE, "refunds": [{"id": "R1", "amount": 100}]}], [])
    assert [(refund.id, refund.charge) for refund in group.refunds] == [("R1", "C1")]


def test_a_refund_that_any_view_calls_void_is_void() -> None:
    for view in ({"object": "void_on_refund"}, {"voided": True}, {"voided": "true"}):
        group, _ = parse_group(
            ORDER,
            [{**CHARGE, "refunds": [{**REFUND, **view}]}],
            [{**REFUND, "object": "refund", "voided": False}],
        )
        refund = group.refunds[0]
        assert refund.voided or refund.object == "void_on_refund"


def test_a_broken_record_is_named_and_left_out_and_its_words_are_not_repeated() -> None:
    group, broken = parse_group(
        ORDER,
        [CHARGE, {"id": "C2", "amount": SECRET, "order": "O1"}, {"amount": 5}, None],
        [{**REFUND, "amount": [SECRET]}],
    )  # type: ignore[list-item]
    assert [charge.id for charge in group.charges] == ["C1"]
    assert group.refunds == ()
    assert {(issue.code, issue.severity, issue.order_id) for issue in broken} == {
        ("unreadable", Severity.ERROR, "O1")
    }
    assert {(issue.record_kind, issue.record_id) for issue in broken} == {
        ("charge", "C2"),
        ("charge", None),
        ("refund", "R1"),
    }
    assert not any(SECRET in issue.detail for issue in broken)
    assert any("amount" in issue.detail for issue in broken)


def test_an_order_that_cannot_be_read_is_named() -> None:
    group, broken = parse_group({"id": "O1", "amount": "x"}, [], [])
    assert group.order is None
    assert [(issue.record_kind, issue.record_id, issue.order_id) for issue in broken] == [
        ("order", "O1", "O1")
    ]


def test_the_order_of_rows_never_matters() -> None:
    charges = [{**CHARGE, "id": f"C{number}", "description": f"{number % 2}"} for number in range(5)] + [
        {**CHARGE, "id": "C1", "description": "again"}
    ]
    expected = parse_group(ORDER, charges, [])
    for seed in range(5):
        random.Random(seed).shuffle(charges)
        assert parse_group(ORDER, charges, []) == expected


def test_bare_ids_in_past_charges_are_pointers_not_errors() -> None:
    group, broken = parse_group({**ORDER, "past_charges": ["C1"]}, [CHARGE], [])
    assert (len(group.charges), broken) == (1, [])


def test_a_platform_line_by_weight_with_extras() -> None:
    line = platform_line(
        {
            "id": "L1",
            "name": "Nuts",
            "price": 1200,
            "unitQty": 250,
            "item": {"id": "I1"},
            "refunded": True,
            "modifications": {"elements": [{"amount": 30}, {"amount": 5}]},
            "taxRates": {"elements": [{"id": "T", "rate": 825000}]},
        }
    )
    assert line is not None
    assert (line.price, line.unit_qty, line.modifications, line.item_id, line.refunded) == (
        1200,
        250,
        35,
        "I1",
        True,
    )
    assert platform_line({"id": "L1"}) is None
