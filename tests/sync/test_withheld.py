"""Money that is in no published order is never behind a green light: named with reason and amount, exit 3."""

from datetime import timedelta

import pytest
from sync_bench import NOON
from told_clover import ToldClover, told_bench

from schemas.clover import Charge, Order, Refund
from transforms.check.publication import HeldBack
from transforms.check.withheld import UNPAID, is_withheld, money_withheld
from transforms.model import OrderGroup


def withheld(report):
    return [(held.reason, held.currency, held.amount, held.records) for held in report.withheld]


STRAY = {"id": "STRAYREFUND01", "amount": 4100, "created": 1795535600000, "status": "succeeded"}


def test_money_that_leads_to_no_order_is_named_and_stays_so_until_its_link_is_learned(tmp_path):
    clover = ToldClover(refunds=[{**STRAY, "charge": "STRAYCHARGE01"}])
    shop = told_bench(tmp_path, clover)
    for _ in range(3):
        report = shop.sync_all()
    assert withheld(report.runs[0]) == [("no_link", "USD", -4100, 1)]
    assert report.exit_code == 3
    assert report.runs[0].as_json()["withheld"] == [
        {"reason": "no_link", "currency": "USD", "records": 1, "amount": "-41"}
    ]
    assert shop.rows("SELECT status FROM ledger.sync_runs ORDER BY started_at DESC LIMIT 1") == [
        ("partly_done",)
    ]
    assert shop.rows("SELECT reason, amount_minor, currency FROM held_back WHERE resolved_run IS NULL") == [
        ("no_link", -4100, "USD")
    ]
    charge = {
        "id": "STRAYCHARGE01",
        "amount": 5000,
        "currency": "usd",
        "captured": True,
        "status": "succeeded",
    }
    clover.tell(charges=[{**charge, "created": 1795535500000}])
    report = shop.sync_all()
    assert (report.exit_code, withheld(report.runs[0])) == (0, [])
    assert shop.rows("SELECT * FROM held_back WHERE resolved_run IS NULL") == []


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
