"""Any sequence of shop events, syncs, crashes and faults ends in the truth; every past snapshot reads as it did.

A shop, its books and a store are driven at random. What a next ordinary sync must show is compared after it; what no
feed shows (edits, deletions, settlements) is compared once everything was read again. A power cut is an exception that
no code catches, thrown before, within or after the store's transaction.
"""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

sys.path.insert(0, str(Path(__file__).parents[1] / "sync"))

from sync_bench import NOON, benches

from connector.sandbox import faults
from connector.sandbox.shapes import PLAIN, Shapes
from connector.sandbox.world import World

PRICES = st.sampled_from([100, 333, 1999, 4900])
WAITS = st.sampled_from([0, 1, 59, 3_600, 30_000, 86_400, 200_000])
FAULTS = st.sampled_from(
    [
        faults.error(500),
        faults.error(429),
        faults.reset(),
        faults.truncated(),
        faults.html(),
        faults.stuck(),
        faults.empty_page(),
        faults.duplicates(),
        faults.poison("amount"),
        faults.poison("no_id"),
        faults.poison("null_items"),
        faults.poison("not_an_object"),
    ]
)


class PowerCut(BaseException):
    """The process is gone; nothing catches this."""


class Failing:
    """A store that loses power at one place, once."""

    def __init__(self, store, place):
        self._store, self._place = store, place

    def __getattr__(self, name):
        return getattr(self._store, name)

    def store_of(self, _company_id):
        return self

    def _cut(self, place):
        if self._place == place:
            raise PowerCut(place)

    def apply(self, batch):
        self._cut("before the transaction")
        applied = self._store.apply(batch)
        self._cut("after the transaction")
        return applied

    def publish(self):
        self._cut("before publishing")
        path = self._store.publish()
        self._cut("after publishing")
        return path

    def publish_soon(self, connection_id):
        self.publish()


class Syncing(RuleBasedStateMachine):
    """hidden: orders changed in a way that only a complete reading shows. seen_charges: ids of charges that were read
    as they are now, an authorisation that was captured since is none. snapshots: what each one said."""

    @initialize(
        shapes=st.sampled_from([PLAIN, Shapes(), Shapes(cursor="exclusive", has_more="missing", tax="line")]),
        seed=st.integers(1, 10**6),
    )
    def open_shop(self, shapes, seed):
        self.folder = tempfile.TemporaryDirectory()
        self._making = benches(Path(self.folder.name))
        self.bench = next(self._making)(World(seed=seed), shapes=shapes)
        self.world = self.bench.world
        self.at = NOON
        self.orders, self.carts = [], []
        self.authorized, self.debits, self.pending, self.given = [], [], [], []
        self.hidden = set()
        self.seen_charges = set()
        self.snapshots = {}
        self.published = False  # whether the published file holds all that was committed

    def teardown(self):
        if hasattr(self, "bench"):
            try:
                self.read_everything()
            finally:
                next(self._making, None)
                self.folder.cleanup()

    # -- the shop

    def later(self, seconds):
        self.at += timedelta(seconds=seconds)
        return self.at

    @rule(
        wait=WAITS,
        prices=st.lists(PRICES, min_size=1, max_size=3),
        tip=st.sampled_from([0, 0, 250]),
        off=st.booleans(),
    )
    def sell(self, wait, prices, tip, off):
        items = [(f"Item {price}", price, 1 + n) for n, price in enumerate(prices)]
        order = self.world.sell(self.later(wait), items, tip=tip, discount=50 if off else 0, tax_rate=825000)
        self.orders.append(order)

    @rule(wait=WAITS, price=PRICES, way=st.sampled_from(["cart", "authorize", "debit"]))
    def open_order(self, wait, price, way):
        order = self.world.open_order(self.later(wait), [("Lamp", price)])
        if way == "authorize":
            self.authorized.append((order, self.world.authorize(self.at, order)))
        elif way == "debit":
            self.debits.append((order, self.world.pay_ach(self.at, order)))
        else:
            self.carts.append(order)

    @precondition(lambda self: self.carts)
    @rule(wait=WAITS, data=st.data())
    def pay_cart(self, wait, data):
        order = self.carts.pop(data.draw(st.integers(0, len(self.carts) - 1)))
        self.world.charge(self.later(wait), order)
        self.orders.append(order)

    @precondition(lambda self: self.authorized)
    @rule(wait=WAITS, less=st.booleans())
    def capture(self, wait, less):
        order, charge = self.authorized.pop()
        self.world.capture(self.later(wait), charge, 90 if less else None)
        self.hide(order)
        self.orders.append(order)

    @precondition(lambda self: self.debits)
    @rule(wait=WAITS, fails=st.booleans())
    def settle(self, wait, fails):
        order, charge = self.debits.pop()
        (self.world.fail_ach if fails else self.world.settle_ach)(self.later(wait), charge)
        self.hide(order)

    @precondition(lambda self: self.orders)
    @rule(wait=WAITS, data=st.data(), how=st.sampled_from(["part", "all", "line", "pending"]))
    def refund(self, wait, data, how):
        order = data.draw(st.sampled_from(self.orders))
        kind = {
            "part": {"amount": 77},
            "all": {},
            "line": {"items": [0], "tip_back": 0},
            "pending": {"amount": 33, "status": "pending"},
        }[how]
        try:
            refund = self.world.refund(self.later(wait), order, **kind)
        except (ValueError, KeyError):
            return  # nothing left to give back, or the order was deleted
        (self.pending if how == "pending" else self.given).append((order, refund))

    @precondition(lambda self: self.pending)
    @rule(wait=WAITS, succeeds=st.booleans())
    def settle_refund(self, wait, succeeds):
        order, refund = self.pending.pop()
        (self.world.succeed_refund if succeeds else self.world.fail_refund)(self.later(wait), refund)
        self.hide(order)

    @precondition(lambda self: self.given)
    @rule(wait=WAITS, shown_as=st.sampled_from(["object", "flag", "gone"]))
    def void_refund(self, wait, shown_as):
        order, refund = self.given.pop()
        self.world.void_refund(self.later(wait), refund, shown_as=shown_as)
        self.hide(order)

    @precondition(lambda self: self.orders)
    @rule(wait=WAITS, data=st.data(), how=st.sampled_from(["refund", "gone"]))
    def void_charge(self, wait, data, how):
        order = data.draw(st.sampled_from(self.orders))
        charges = self.world.charge_ids(order)
        if how == "gone" and not set(charges) <= self.seen_charges:
            return  # what is gone before anybody looked leaves nothing to be read
        try:
            self.world.void(self.later(wait), charges[-1], how=how)
        except (ValueError, KeyError, IndexError):
            return
        self.hide(order)

    @precondition(lambda self: len(self.orders) > 1)
    @rule(wait=WAITS, data=st.data())
    def delete(self, wait, data):
        order = self.orders.pop(data.draw(st.integers(0, len(self.orders) - 1)))
        for waiting in (self.pending, self.given):
            waiting[:] = [pair for pair in waiting if pair[0] != order]
        self.world.delete_order(self.later(wait), order)
        self.hide(order)

    @precondition(lambda self: self.orders)
    @rule(wait=WAITS, data=st.data())
    def edit(self, wait, data):
        order = data.draw(st.sampled_from(self.orders))
        self.world.edit_order(self.later(wait), order, external_reference=f"WEB-{order}")
        self.hide(order)

    def hide(self, order):
        self.hidden.add(order)
        self.seen_charges -= set(self.world.charge_ids(order))

    # -- the connector

    @rule(wait=WAITS)
    def sync(self, wait):
        report = self.bench.sync(at=self.later(wait + 1))
        assert (report.status, report.unreadable) == ("succeeded", []), report.error
        assert set(self.bench.differences()) <= self.hidden
        self.remember()

    @rule()
    def read_everything(self):
        report = self.bench.sync(at=self.later(1), full=True)
        assert (report.status, report.unreadable) == ("succeeded", []), report.error
        self.bench.check()
        self.hidden.clear()
        self.remember()

    @rule(wait=WAITS, fault=FAULTS, probability=st.sampled_from([0.1, 0.3, 1.0]), seed=st.integers(0, 99))
    def sync_through_faults(self, wait, fault, probability, seed):
        """Whatever comes of it: a run that failed stored nothing, and the next reading sets all right."""
        self.bench.sandbox.faults.rate(fault, probability, seed)
        before = self.bench.rows("SELECT count(*) FROM ledger.order_versions") if self.published else None
        report = self.bench.sync(at=self.later(wait + 1))
        self.bench.sandbox.faults.clear()
        self.bench.waiting.seconds += 3_600
        if report.status == "failed" and before is not None:
            assert self.bench.rows("SELECT count(*) FROM ledger.order_versions") == before
        if report.status == "succeeded":
            assert set(self.bench.differences()) <= self.hidden
        self.remember()

    @rule(
        wait=WAITS,
        place=st.sampled_from(
            ["before the transaction", "after the transaction", "before publishing", "after publishing"]
        ),
    )
    def lose_power(self, wait, place):
        store = self.bench.store
        self.bench.store = Failing(store, place)
        with pytest.raises(PowerCut):
            self.bench.sync(at=self.later(wait + 1))
        self.bench.store = store
        self.published = False

    def remember(self):
        self.published = True
        stored = self.bench.rows("SELECT record_id FROM ledger.source_records WHERE kind = 'charge'")
        unsure = {charge for order in self.hidden for charge in self.world.charge_ids(order)}
        self.seen_charges = {charge for (charge,) in stored} - unsure
        newest = self.bench.rows("SELECT max(snapshot_id) FROM ledger.snapshots")[0][0]
        for snapshot, rows in self.snapshots.items():
            assert self.as_of(snapshot) == rows, "history was rewritten"
        if newest is not None:
            self.snapshots.setdefault(newest, self.as_of(newest))

    def as_of(self, snapshot):
        return self.bench.rows(
            "SELECT order_id, total_amount, total_refund, total_gratuity, source_modified_date, modified_date"
            " FROM orders_as_of(?) ORDER BY order_id",
            snapshot,
        )


TestSyncing = pytest.mark.slow(Syncing.TestCase)
TestSyncing.settings = settings(
    max_examples=4,
    stateful_step_count=18,
    deadline=None,
    # Shrinking repeats whole histories for minutes; the failing one is printed as it is.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
