"""Money moves long after an order was first read: each movement is there after the next ordinary sync.

Every story is a customer of one shop. All stories run side by side over three months; a sync follows every round of
events, and after each the published orders are compared with the shop's books. Each story is a test of its own.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

OPENED = datetime(2026, 3, 2, 12, tzinfo=UTC)
CANDLE, TEAPOT = ("Beeswax candle", 1200, 2), ("Teapot", 4900)
ROUNDS = (0, 1, 2, 3, 5, 7, 9, 12, 15, 20, 26, 33, 45, 60, 90)  # days after the opening


def second_and_twelfth_refund(shop, at):
    order = shop.sell(at, [("Desk", 24000)])
    for number in range(12):
        at = yield 1
        shop.refund(at, order, 1000 + number)


def twelve_refunds_in_a_row(shop, at):
    order = shop.sell(at, [("Desk", 24000)])
    at = yield 30
    for number in range(12):
        shop.refund(at + timedelta(seconds=number // 2), order, 1000 + number)


def paid_twice(shop, at):
    order = shop.sell(at, [TEAPOT], tax=400)
    second = shop.pay_twice((yield 1), order)
    shop.refund((yield 9), charge_id=second, reason="duplicate")
    shop.refund((yield 9), order, 900)


def paid_twice_and_the_older_payment_goes_back(shop, at):
    order = shop.sell(at, [TEAPOT], tax_rate=825000)
    shop.pay_twice((yield 1), order)
    shop.refund((yield 12), charge_id=shop.charge_ids(order)[0])


def one_of_two_lines_returned_then_the_other(shop, at):
    order = shop.sell(at, [CANDLE, TEAPOT], tax_rate=825000, discount=("Autumn", 730), tip=500)
    shop.refund((yield 20), order, items=[1], tip_back=0)
    shop.refund((yield 20), order, items=[0], tip_back=0)


def one_unit_returned_then_the_other_two(shop, at):
    order = shop.sell(at, [("Mug", 1500, 3), TEAPOT], tax_rate=700000)
    shop.refund((yield 1), order, items=[(0, 1)])
    shop.refund((yield 1), order, items=[(0, 2)])


def full_refund_with_tip_and_shipping(shop, at):
    order = shop.sell(at, [CANDLE, TEAPOT], tax_rate=825000, shipping=795, tip=600)
    shop.refund((yield 60), order)


def refund_voided(shop, at, shown_as):
    order = shop.sell(at, [TEAPOT], tax_rate=825000)
    refund = shop.refund((yield 20), order, 1000)
    shop.void_refund((yield 2), refund, shown_as=shown_as)
    shop.refund((yield 2), order, 1200)


def refund_reported_failed(shop, at, state):
    order = shop.sell(at, [TEAPOT])
    refund = shop.refund((yield 2), order, 1000)
    shop.fail_refund((yield 2), refund, state=state)


def refund_pending_then_succeeded(shop, at):
    order = shop.sell(at, [TEAPOT])
    refund = shop.refund((yield 40), order, 1000, status="pending")
    shop.succeed_refund((yield 2), refund)


def refund_pending_then_failed(shop, at):
    order = shop.sell(at, [TEAPOT])
    refund = shop.refund((yield 40), order, 1000, status="pending")
    shop.fail_refund((yield 9), refund)


def captured(shop, at, amount=None):
    order = shop.open_order(at, [TEAPOT])
    charge = shop.authorize((yield 1), order)
    shop.capture((yield 12), charge, amount)


def captured_and_refunded(shop, at):
    order = shop.open_order(at, [TEAPOT])
    charge = shop.authorize(at, order, tip=250)
    shop.capture((yield 4), charge, 4000)
    shop.refund((yield 20), order)


def bank_debit_settles(shop, at):
    order = shop.open_order(at, [TEAPOT], tax=321)
    charge = shop.pay_ach((yield 1), order)
    shop.settle_ach((yield 4), charge)


def bank_debit_bounces_and_a_card_pays(shop, at):
    order = shop.open_order(at, [TEAPOT])
    charge = shop.pay_ach((yield 1), order)
    shop.fail_ach((yield 4), charge)
    shop.charge((yield 1), order)


def declined_then_paid(shop, at):
    order = shop.open_order(at, [TEAPOT])
    shop.decline(at, order)
    shop.charge((yield 1), order)


def cart_paid_weeks_later(shop, at):
    order = shop.open_order(at, [TEAPOT])
    shop.charge((yield 50), order)


def split_tender_days_apart_and_returned_in_two_steps(shop, at):
    order = shop.open_order(at, [TEAPOT, CANDLE], tax_rate=825000)
    shop.charge((yield 1), order, 3000, tender="giftCard")
    shop.charge((yield 3), order, tip=300)
    shop.refund((yield 20), order, 2000)
    shop.refund((yield 20), order)


def paid_in_part_only(shop, at):
    order = shop.open_order(at, [TEAPOT], tax_rate=825000)
    shop.charge((yield 1), order, 2000)


def paid_again_after_a_full_return(shop, at):
    order = shop.sell(at, [TEAPOT], tax_rate=825000)
    shop.refund((yield 12), order)
    shop.pay_again((yield 2), order)
    shop.refund((yield 20), order, 700)


def deleted(shop, at):
    order = shop.sell(at, [TEAPOT])
    shop.delete_order((yield 1), order)


def charge_voided(shop, at, how):
    order = shop.sell(at, [TEAPOT], tip=300)
    shop.void((yield 1), shop.charge_ids(order)[0], how=how)


def dispute_noted(shop, at):
    order = shop.sell(at, [TEAPOT])
    shop.note_dispute((yield 1), shop.charge_ids(order)[0])


def tip_adjusted(shop, at):
    order = shop.sell(at, [TEAPOT], tip=300)
    shop.change_tip((yield 1), shop.charge_ids(order)[0], 500)


def line_added_on_a_device(shop, at):
    order = shop.sell(at, [TEAPOT])
    shop.edit_order((yield 1), order, add=("Strainer", 650))


def charge_without_an_order(shop, at):
    charge = shop.charge_alone(at, 2500)
    shop.refund((yield 60), charge_id=charge, amount=900)


def charge_for_which_clover_made_the_order(shop, at):
    charge = shop.charge_alone(at, 1900, with_order=True)
    shop.refund((yield 30), charge_id=charge)


def yen(shop, at):
    order = shop.sell(at, [("Kettle", 5200)], currency="JPY")
    shop.refund((yield 60), order, 1200)


def surcharged(shop, at):
    order = shop.sell(at, [TEAPOT], tax_rate=825000, surcharge=159, tip=400)
    shop.refund((yield 5), order, 1000)
    shop.refund((yield 5), order)


STORIES = {
    "second and twelfth refund": second_and_twelfth_refund,
    "twelve refunds between two syncs": twelve_refunds_in_a_row,
    "paid twice": paid_twice,
    "paid twice, the older payment goes back": paid_twice_and_the_older_payment_goes_back,
    "one of two lines returned": one_of_two_lines_returned_then_the_other,
    "one unit of a line returned": one_unit_returned_then_the_other_two,
    "full refund with tip and shipping": full_refund_with_tip_and_shipping,
    "refund voided, shown as another object": partial(refund_voided, shown_as="object"),
    "refund voided, shown by a flag": partial(refund_voided, shown_as="flag"),
    "refund voided, gone from the list": partial(refund_voided, shown_as="gone"),
    "refund reported failed": partial(refund_reported_failed, state="failed"),
    "refund reported canceled": partial(refund_reported_failed, state="canceled"),
    "refund pending, then succeeded": refund_pending_then_succeeded,
    "refund pending, then failed": refund_pending_then_failed,
    "captured in full": captured,
    "captured less": partial(captured, amount=4000),
    "captured more": partial(captured, amount=5300),
    "captured less and refunded": captured_and_refunded,
    "bank debit settles": bank_debit_settles,
    "bank debit bounces, a card pays": bank_debit_bounces_and_a_card_pays,
    "declined, then paid": declined_then_paid,
    "cart paid weeks later": cart_paid_weeks_later,
    "split tender": split_tender_days_apart_and_returned_in_two_steps,
    "paid in part only": paid_in_part_only,
    "paid again after a full return": paid_again_after_a_full_return,
    "order deleted": deleted,
    "charge voided, shown as a refund": partial(charge_voided, how="refund"),
    "charge voided, gone from the list": partial(charge_voided, how="gone"),
    "dispute noted": dispute_noted,
    "tip adjusted": tip_adjusted,
    "line added on a device": line_added_on_a_device,
    "charge without an order": charge_without_an_order,
    "charge for which Clover made the order": charge_for_which_clover_made_the_order,
    "sold in yen": yen,
    "surcharged": surcharged,
}


class Told:
    """All stories, told side by side. wrong: story -> what was published at which round against the books."""

    def __init__(self, bench):
        self.bench = bench
        self.wrong = {name: [] for name in STORIES}
        self.orders = {}
        self.snapshots = {}
        self.changed_history = []
        due = {name: (0, None) for name in STORIES}
        for day in ROUNDS:
            for number, name in enumerate(STORIES):
                if name in due and due[name][0] <= day:
                    self._tell(name, OPENED + timedelta(days=day, minutes=number), day, due)
            report = bench.sync(at=OPENED + timedelta(days=day, hours=2))
            assert (report.status, report.unreadable) == ("succeeded", []), report
            self._look(day, report)
        assert not due, "more rounds are needed"

    def _tell(self, name, at, day, due):
        before = len(self.bench.world.books)
        try:
            wait = (
                next(story := STORIES[name](self.bench.world, at))
                if due[name][1] is None
                else (story := due[name][1]).send(at)
            )
            due[name] = (day + wait, story)
        except StopIteration:
            del due[name]
        for order_id in self.bench.world.books.order_ids()[before:]:
            self.orders[order_id] = name

    def _look(self, day, report):
        for order_id, (said, true) in self.bench.differences().items():
            self.wrong[self.orders[order_id]].append(f"day {day}: published {said}, in the books {true}")
        if report.snapshot_id:
            self.snapshots[report.snapshot_id] = self.bench.orders()
        for snapshot, orders in self.snapshots.items():
            rows = self.bench.rows(
                "SELECT order_id, total_amount, total_refund FROM orders_as_of(?)", snapshot
            )
            if sorted(rows) != sorted((order_id, *totals[1:3]) for order_id, totals in orders.items()):
                self.changed_history.append((snapshot, day))


@pytest.fixture(scope="module")
def told(module_bench):
    return Told(module_bench())


@pytest.mark.parametrize("name", STORIES)
def test_orders_follow_the_books(told, name):
    """After every sync the story's orders say what the shop's books say."""
    assert told.wrong[name] == []
    assert name in told.orders.values()


def test_no_later_sync_changed_what_an_earlier_snapshot_says(told):
    assert told.snapshots
    assert told.changed_history == []


def test_every_refund_is_a_payment_of_its_own(told):
    order_id = next(o for o, name in told.orders.items() if name == "twelve refunds between two syncs")
    payments = told.bench.rows(
        "SELECT len(payments), len(list_distinct([p.id for p in payments])) FROM ledger.order_versions"
        " WHERE order_id = ? AND replaced_by IS NULL",
        order_id,
    )
    assert payments == [(13, 13)]


def test_reconciliation_after_three_months_leaves_no_cent_unexplained(told):
    report = told.bench.reconcile()
    assert report.exit_code == 0, report.connections[0].differences


def test_a_refund_of_a_300_day_old_order_is_there_after_the_next_sync_and_history_stays(bench):
    """The refund's time is the new version's sourceModifiedDate; as of yesterday the order is still unrefunded."""
    shop = bench(start_date=date(2025, 1, 1))
    order_id = shop.world.sell(OPENED, [CANDLE, TEAPOT], tax_rate=825000)
    shop.sync(at=OPENED + timedelta(hours=1))
    yesterday = shop.sync(at=OPENED + timedelta(days=299)).snapshot_id or 1
    refunded_at = OPENED + timedelta(days=300, seconds=7)
    shop.world.refund(refunded_at, order_id, 1500)
    report = shop.sync(at=OPENED + timedelta(days=300, hours=1))
    assert (report.orders_updated, report.orders_inserted) == (1, 0)

    versions = shop.rows(
        "SELECT source_modified_date, total_refund, observed FROM ledger.order_versions ORDER BY ALL"
    )
    assert versions[-1] == (refunded_at.replace(tzinfo=None), Decimal("-15.00"), False)
    assert len(versions) == 2
    assert shop.rows("SELECT total_refund FROM orders") == [(Decimal("-15.00"),)]
    assert shop.rows("SELECT total_refund FROM orders_as_of(?)", yesterday) == [(Decimal(0),)]


def test_a_deleted_order_leaves_a_tombstone_its_history_and_the_reason(bench):
    shop = bench()
    order_id = shop.world.sell(OPENED, [TEAPOT])
    shop.sync(at=OPENED + timedelta(hours=1))
    shop.world.delete_order(OPENED + timedelta(hours=2), order_id)
    report = shop.sync(at=OPENED + timedelta(hours=3))
    assert report.orders_deleted == 1
    assert shop.rows(
        "SELECT is_deleted, replaced_by IS NULL FROM ledger.order_versions ORDER BY snapshot_id"
    ) == [
        (False, False),
        (True, True),
    ]
    held = shop.rows("SELECT order_id, reason FROM ledger.held_back WHERE resolved_run IS NULL")
    assert held == [(order_id, "deleted")]
    assert shop.sync().orders_deleted == 0


@pytest.mark.parametrize("change", ["deleted", "edited", "tip"])
def test_what_no_feed_shows_of_an_old_order_is_found_by_the_next_deep_scan(bench, change):
    """Deleted, edited or tipped 55 days later: seen by the weekly scan, and dated by when it was observed."""
    shop = bench()
    order_id = shop.world.sell(OPENED, [TEAPOT])
    shop.sync(at=OPENED + timedelta(hours=1))
    shop.sync(at=OPENED + timedelta(days=55))
    later = OPENED + timedelta(days=55, hours=1)
    if change == "deleted":
        shop.world.delete_order(later, order_id)
    elif change == "edited":
        shop.world.edit_order(later, order_id, add=("Strainer", 650))
    else:
        shop.world.change_tip(later, shop.world.charge_ids(order_id)[0], 300)
    shop.sync(at=OPENED + timedelta(days=62, hours=1))
    shop.check()
    observed = shop.rows(
        "SELECT observed FROM ledger.order_versions WHERE replaced_by IS NULL AND NOT is_deleted"
    )
    assert observed == ([] if change == "deleted" else [(True,)])
