"""What a sync costs in requests, as numbers: Clover answers sixteen a second, so requests are the time it takes.

Three sizes of shop, three shapes of list rows, and a first, an incremental and a quiet sync of each. A figure that
falls is written down anew; one that rises has to be explained.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from connector.sandbox.shapes import Shapes
from connector.sandbox.shop import generate_shop
from connector.sandbox.wire_charges import charge_row
from connector.sandbox.world import World

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
START = date(2026, 1, 1)
FULL = Shapes(order_rows="full", refund_rows="full")
SHAPES = {
    "full rows": FULL,
    "sparse rows": Shapes(),
    "no order on rows": Shapes(charge_rows="without_order", order_rows="full", refund_rows="full"),
}
NEW_SALES = 5


class Counted:
    """A bench whose requests are counted by what they ask for."""

    def __init__(self, bench, shapes, world, start_date=START):
        self.bench = bench(world=world, shapes=shapes, start_date=start_date)
        self.asked = Counter()
        self.bench.sandbox.faults.before_each(self._count)

    def _count(self, request):
        parts = request.path.strip("/").split("/")
        kind = "by id" if len(parts) > 2 else "of a charge" if request.param("charge") else "lists"
        self.asked[kind] += 1

    def sync(self, at, **mode):
        """(list pages, reads by id, refunds of one charge) of a run."""
        self.asked.clear()
        report = self.bench.sync(at=at, **mode)
        assert (report.status, report.unreadable) == ("succeeded", []), report.error
        assert report.requests == sum(self.asked.values())
        # An order that waits for its payment is in the books and not published.
        waiting = self.bench.rows("SELECT order_id FROM ledger.held_back WHERE reason = 'open_cart'")
        assert set(self.bench.differences()) <= {row[0] for row in waiting}
        return self.asked["lists"], self.asked["by id"], self.asked["of a charge"]


def shop_with_charges_of_no_order(orders):
    """Every eleventh sale is a charge that stands alone."""
    world = generate_shop(orders, seed=5, until=NOON, days=55)
    for number in range(orders // 10):
        world.charge_alone(NOON - timedelta(days=50) + number * timedelta(hours=12), 700 + number)
    return world


# (list pages, records read by id, lists of one charge's refunds) of the three syncs.
COSTS = {
    ("full rows", 30): ((17, 4, 0), (3, 0, 0), (3, 0, 0)),
    ("full rows", 300): ((22, 11, 0), (4, 2, 0), (4, 2, 0)),
    ("full rows", 900): ((33, 12, 0), (3, 2, 0), (3, 2, 0)),
    ("sparse rows", 30): ((22, 33, 0), (4, 5, 0), (4, 0, 0)),
    ("sparse rows", 300): ((33, 326, 0), (4, 7, 0), (4, 2, 0)),
    ("sparse rows", 900): ((44, 957, 0), (3, 7, 0), (3, 2, 0)),
    ("no order on rows", 30): ((17, 34, 0), (3, 5, 0), (3, 0, 0)),
    ("no order on rows", 300): ((21, 334, 0), (3, 7, 0), (3, 2, 0)),
    ("no order on rows", 900): ((33, 1006, 0), (3, 7, 0), (3, 2, 0)),
}


@pytest.mark.parametrize(("shape", "orders"), COSTS)
def test_what_a_first_an_incremental_and_a_quiet_sync_cost(bench, shape, orders):
    shop = Counted(bench, SHAPES[shape], shop_with_charges_of_no_order(orders))
    first = shop.sync(NOON)
    for number in range(NEW_SALES):
        shop.bench.world.sell(NOON + timedelta(minutes=number), [("Teapot", 4900)])
    incremental = shop.sync(NOON + timedelta(hours=1))
    quiet = shop.sync(NOON + timedelta(hours=2))
    assert (first, incremental, quiet) == COSTS[shape, orders]


@pytest.mark.parametrize(("orders", "lists", "by_id"), [(0, 52, 0), (600, 63, 4)])
def test_a_long_history_of_a_small_shop_costs_few_lists(bench, orders, lists, by_id):
    """Three years in windows of a week would be 471 lists, and more where rows come."""
    world = generate_shop(orders, seed=7, until=NOON, days=1_080) if orders else World()
    shop = Counted(bench, FULL, world=world, start_date=date(2023, 3, 1))
    assert shop.sync(NOON) == (lists, by_id, 0)


@pytest.mark.parametrize(("orders", "lists"), [(0, 54), (600, 73)])
def test_a_reconciliation_lists_in_windows_of_the_length_that_fits(bench, orders, lists):
    """About as many lists as a first sync, and nothing by id where every row is stored."""
    world = generate_shop(orders, seed=7, until=NOON, days=1_080) if orders else World()
    shop = Counted(bench, FULL, world=world, start_date=date(2023, 3, 1))
    shop.sync(NOON)
    shop.asked.clear()
    report = shop.bench.reconcile()
    assert report.exit_code == 0
    assert shop.asked == Counter({"lists": lists})
    assert report.connections[0].requests == lists


def charges_asked_for(bench, shapes):
    """A shop with charges that stand alone, and the ids of the charges that its first sync read by id."""
    world = shop_with_charges_of_no_order(200)
    shop = bench(world=world, shapes=shapes)
    asked = []
    shop.sandbox.faults.before_each(lambda request: asked.append(request.path))
    assert shop.sync(at=NOON).status == "succeeded"
    shop.check()
    prefix = "/v1/charges/"
    return world, [path.removeprefix(prefix) for path in asked if path.startswith(prefix)]


def test_of_charges_that_stand_alone_ten_are_asked_whether_they_do(bench):
    world, asked = charges_asked_for(bench, FULL)
    alone = [charge.id for charge in world.charges.by_id.values() if charge.order is None]
    assert len(alone) > 19
    assert len(set(asked) & set(alone)) == 10


def test_a_list_that_leaves_out_orders_here_and_there_is_not_believed(bench):
    """Rows of other charges do name their orders; the charges whose rows do not are all read, and none is lost."""
    world, asked = charges_asked_for(bench, replace(FULL, charge_rows="mixed"))
    silent = {
        c.id
        for c in world.charges.by_id.values()
        if "order" not in charge_row(c, replace(FULL, charge_rows="mixed"))
    }
    assert len(silent) > 100
    assert silent <= set(asked)
    assert len(asked) == len(set(asked))


def later_refund(bench, shapes, between=lambda _world, _order_id: None):
    """An order refunded before one sync and again before the next; that sync's report and what it asked by charge."""
    shop = bench(shapes=shapes)
    order_id = shop.world.sell(NOON - timedelta(days=20), [("Teapot", 4900)])
    shop.world.refund(NOON - timedelta(days=19), order_id, 900)
    shop.sync(at=NOON - timedelta(days=1))
    between(shop.world, order_id)
    shop.world.refund(NOON - timedelta(hours=1), order_id, 700)
    asked = []
    shop.sandbox.faults.before_each(lambda request: asked.append(request.param("charge")))
    assert shop.sync(at=NOON).status == "succeeded"
    shop.check()
    kept = shop.rows(
        "SELECT count(*) FROM ledger.source_records WHERE kind = 'refund' AND replaced_by IS NULL"
    )
    assert kept == [(2,)]
    return [charge_id for charge_id in asked if charge_id]


@pytest.mark.parametrize("embedded", ["missing", "present"])
@pytest.mark.parametrize("rows", ["full", "sparse"])
def test_stored_refunds_that_add_up_to_what_the_charge_says_are_not_asked_for(bench, rows, embedded):
    assert later_refund(bench, Shapes(refund_rows=rows, embedded_refunds=embedded, loose_types="never")) == []


def test_where_the_sums_differ_the_charge_is_asked(bench):
    """The stored refund was voided since: what the charge says no longer covers it."""

    def void(world, order_id):
        refund = next(iter(world.refunds.by_id.values()))
        world.void_refund(NOON - timedelta(hours=2), refund.id)

    assert len(set(later_refund(bench, replace(FULL, embedded_refunds="missing"), void))) == 1
