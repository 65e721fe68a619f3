"""Any sequence of shop events, syncs and crashes ends in the truth, and every past snapshot reads as it did."""

import contextlib
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from connector.config import Company, Config, Connection
from connector.errors import StoreError
from connector.sandbox import Sandbox, World
from connector.store import open_store
from connector.sync.runner import sync_all
from schemas.money import exponent, to_decimal

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMITS = {
    "requests_per_second": 10_000,
    "concurrent_requests": 2,
    "app_requests_per_second": 10_000,
    "app_concurrent_requests": 4,
}


class Crashing:
    """A store whose process dies at a step: before the load is committed, or before it is published."""

    def __init__(self, store, step):
        self._store, self._step = store, step

    def __getattr__(self, name):
        if name == self._step:
            return self._die
        return getattr(self._store, name)

    def _die(self, *_args, **_kwargs):
        raise StoreError("the process died here")


class ShopAndStore(RuleBasedStateMachine):
    orders = Bundle("orders")

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.world = World()
        self.sandbox = Sandbox(self.world).start()
        self.now = START
        self.read_as = {}
        merchant = Connection(
            merchant_id=self.world.merchant.id,
            base_url=self.sandbox.base_url,
            country="USA",
            timezone="America/New_York",
            token=self.sandbox.token,
            start_date=date(2026, 2, 25),
        )
        company = Company(name="Juniper Goods", connections=[merchant])
        self.config = Config(store=str(self.directory / "store"), companies=[company], limits=LIMITS)
        self.store = open_store(self.config.store, clock=lambda: self.now)

    @initialize(target=orders)
    def first_order(self):
        return self.world.sell(self.later())

    def later(self, minutes=17):
        self.now += timedelta(minutes=minutes)
        return self.now

    @rule(target=orders, tip=st.integers(0, 900), tax=st.integers(0, 500), quantity=st.integers(1, 4))
    def sell(self, tip, tax, quantity):
        return self.world.sell(self.later(), items=[("Beeswax candle", 1200, quantity)], tip=tip, tax=tax)

    @rule(target=orders)
    def open_a_cart(self):
        return self.world.open_order(self.later(), items=[("Desk lamp", 4000, 1)])

    @rule(order=orders)
    def pay(self, order):
        if self.world.books.order(order).outstanding_minor > 0:
            self.attempt(self.world.charge, order)

    @rule(order=orders, amount=st.integers(1, 700))
    def refund_some(self, order, amount):
        self.attempt(self.world.refund, order, amount)

    @rule(order=orders)
    def refund_the_rest(self, order):
        self.attempt(self.world.refund, order)

    @rule(days=st.integers(1, 40))
    def time_passes(self, days):
        self.now += timedelta(days=days)

    @rule()
    def sync(self):
        self.later()
        run = sync_all(self.config, self.store, now=lambda: self.now).runs[0]
        assert run.status == "succeeded", run.error
        self.compare()
        with self.store.open_reader() as reader:
            newest = reader.snapshot_id
            rows = "SELECT order_id, total_amount, total_refund, source_modified_date FROM orders_as_of(?) ORDER BY ALL"
            if newest:
                self.read_as.setdefault(newest, reader.connection.execute(rows, [newest]).fetchall())
            for snapshot, then in self.read_as.items():
                assert reader.connection.execute(rows, [snapshot]).fetchall() == then

    @rule(step=st.sampled_from(["apply", "publish"]))
    def crash(self, step):
        self.later()
        run = sync_all(self.config, Crashing(self.store, step), now=lambda: self.now).runs[0]
        assert run.status == "failed"

    def attempt(self, event, *arguments):
        # The shop refuses what no shop could do, e.g. giving back more than was taken.
        with contextlib.suppress(ValueError):
            event(self.later(), *arguments)

    def compare(self):
        with self.store.open_reader() as reader:
            rows = reader.connection.execute(
                "SELECT order_id, total_amount, total_refund, total_gratuity FROM orders"
            ).fetchall()
        books = {}
        for book in self.world.books.orders():
            if book.published:
                e = exponent(book.currency)
                sums = (book.total_amount_minor, book.total_refund_minor, book.gratuity_kept)
                books[book.order_id] = tuple(to_decimal(minor, e) for minor in sums)
        assert {row[0]: row[1:] for row in rows} == books

    def teardown(self):
        try:
            self.sync()
        finally:
            self.sandbox.stop()
            shutil.rmtree(self.directory, ignore_errors=True)


ShopAndStore.TestCase.settings = settings(
    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnySequenceEndsInTheTruth = ShopAndStore.TestCase
