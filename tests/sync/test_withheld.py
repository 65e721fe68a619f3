"""Money that is in no published order is never behind a green light: named with reason and amount, exit 3."""

from datetime import timedelta

import pytest
from sync_bench import NOON

from schemas.clover import Charge, Order, Refund
from transforms.model import OrderGroup
from transforms.publication import HeldBack
from transforms.withheld import UNPAID, is_withheld, money_withheld


def withheld(report):
    return [(held.reason, held.currency, held.amount, held.records) for held in report.withheld]


def test_captured_money_of_a_deleted_order_is_named_and_stays_so_until_it_is_no_longer_withheld(bench):
    shop = bench()
    order = shop.world.sell(NOON, [("Teapot", 4900)], tip=100)
    shop.world.sell(NOON, [("Pin", 100)])
    assert shop.sync_all(NOON + timedelta(hours=1)).exit_code == 0
    shop.world.refund(NOON + timedelta(hours=1), order, 900)
    shop.world.delete_order(NOON + timedelta(hours=1), order)
    for _ in range(3):
        report = shop.sync_all()
    assert withheld(report.runs[0]) == [("deleted", "USD", 4100, 1)]
    assert report.exit_code == 3
    assert report.runs[0].as_json()["withheld"] == [
        {"reason": "deleted", "currency": "USD", "records": 1, "amount": "41"}
    ]
    # Later runs do not look at the order, and are not green for it.
    assert shop.rows("SELECT status FROM ledger.sync_runs ORDER BY started_at DESC LIMIT 1") == [
        ("partly_done",)
    ]
    assert shop.rows("SELECT reason, amount_minor, currency FROM held_back WHERE resolved_run IS NULL") == [
        ("deleted", 4100, "USD")
    ]


def test_what_nobody_has_paid_yet_is_held_back_and_the_light_is_green(bench):
    shop = bench()
    shop.world.open_order(NOON, [("Teapot", 4900)])
    shop.world.authorize(NOON, shop.world.open_order(NOON, [("Pin", 100)]))
    shop.world.decline(NOON, shop.world.open_order(NOON, [("Pin", 100)]))
    shop.world.pay_ach(NOON, shop.world.open_order(NOON, [("Pin", 100)]))
    report = shop.sync_all(NOON + timedelta(hours=1))
    assert sum(report.runs[0].held_back.values()) == 4
    assert (report.exit_code, withheld(report.runs[0])) == (0, [])


def order(**more):
    return Order.model_validate({"id": "O", "currency": "usd", "amount": 5000, **more})


def charge(name, amount, **more):
    return Charge.model_validate(
        {"id": name, "amount": amount, "currency": "usd", "status": "succeeded", **more}
    )


CAPTURED = charge("C1", 5000, captured=True, tip_amount=300)
BACK = Refund.model_validate({"id": "R1", "charge": "C1", "amount": 1200, "status": "succeeded"})


@pytest.mark.parametrize(
    ("group", "reason", "amount"),
    [
        (OrderGroup(None, (CAPTURED,)), "deleted", 5300),
        (OrderGroup(None, (CAPTURED,), (BACK,)), "deleted", 4100),
        (
            OrderGroup(None, (charge("C1", 5000, captured=True), charge("C2", 70, captured=True))),
            "deleted",
            5070,
        ),
        (OrderGroup(None, (charge("C1", 5000, status="failed"),)), "deleted", 0),
        (OrderGroup(None, (charge("C1", 5000, captured=False),)), "deleted", 0),
        (OrderGroup(order(status="paid")), HeldBack.NO_PAYMENT, 5000),
        (OrderGroup(order(status="paid", amount_paid=4000)), HeldBack.NO_PAYMENT, 4000),
        (OrderGroup(order(status="paid", amount=0)), HeldBack.NO_PAYMENT, 0),
        (
            OrderGroup(order(), (charge("C1", 5000, status="escheated", paid=False),)),
            HeldBack.UNKNOWN_STATUS,
            5000,
        ),
    ],
)
def test_the_amount_is_what_was_taken_or_may_have_been_less_what_was_given_back(group, reason, amount):
    money = money_withheld(group, reason, "USD")
    assert (money.amount, money.currency.upper()) == (amount, "USD")
    assert is_withheld(reason, money.amount) is (amount != 0)


@pytest.mark.parametrize("reason", [*HeldBack, "deleted", "no_link", "a reason of a later version"])
def test_every_reason_but_being_unpaid_is_money(reason):
    assert is_withheld(reason, None) is (
        reason not in {"open_cart", "authorized", "pending", "failed", "canceled"}
    )
    assert is_withheld(reason, 100) is (reason not in UNPAID)
