"""A shop, its stand-in Clover, a store and a clock in one: events happen, syncs follow, books are compared."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from connector.clover.http.pacing import AppPacer
from connector.config import Company, Config, Connection
from connector.ledger import open_store
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shapes import Shapes
from connector.sandbox.world import World
from connector.sync.connect.connecting import Pace
from connector.sync.many import sync_all
from connector.sync.modes import SyncMode
from connector.sync.reconcile.run import reconcile_all
from connector.sync.runtime import Runtime
from schemas.money import exponent, to_decimal

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FAST = {
    "requests_per_second": 10_000,
    "concurrent_requests": 4,
    "app_requests_per_second": 10_000,
    "app_concurrent_requests": 8,
}


class Waiting:
    """Seconds as the pacers count them. A wait moves them on and takes no time."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def wait(self, condition, seconds):
        if seconds is None:
            condition.wait()
        else:
            self.seconds += seconds


@dataclass
class Bench:
    """One merchant under test. ``world`` is what happens, ``sync`` reads it, ``check`` compares with the books.

    waiting: the clock that pauses between requests go by; they take no time. transport: in place of the network.
    """

    directory: object
    sandbox: Sandbox
    config: Config
    now: datetime = NOON
    waiting: Waiting = field(default_factory=Waiting)
    transport: object = None
    store: object = field(init=False)
    pace: Pace = field(init=False)

    def __post_init__(self):
        self.sandbox.date = lambda: self.now.timestamp()
        self.store = open_store(self.config.store, clock=lambda: self.now, fleet=self.config.fleet)
        self.store = self.store.store_of(self.company.id)
        limits = self.config.limits
        self.pace = Pace(self.config)
        self.pace.app = AppPacer(
            limits.app_requests_per_second,
            limits.app_concurrent_requests,
            clock=self.waiting,
            wait=self.waiting.wait,
        )

    @property
    def world(self) -> World:
        return self.sandbox.world

    @property
    def company(self):
        return self.config.companies[0]

    @property
    def runtime(self):
        return Runtime(self.config, self.store, self.pace, lambda: self.now, self.transport)

    def sync(self, at=None, **mode):
        """One run of the only connection; an hour after the last when ``at`` does not say. Its report."""
        return self.sync_all(at, **mode).runs[0]

    def sync_all(self, at=None, **mode):
        self.now = at or self.now + timedelta(hours=1)
        return sync_all(self.runtime, mode=SyncMode(**mode))

    def reconcile(self, **span):
        self.now += timedelta(minutes=1)
        return reconcile_all(self.runtime, **span)

    def rows(self, sql, *values):
        with self.store.open_reader() as reader:
            return reader.connection.execute(sql, list(values)).fetchall()

    def orders(self):
        """Order id -> the totals as published, with source date and hash: what two equal stores agree in."""
        rows = self.rows(
            "SELECT order_id, currency, total_amount, total_refund, total_tax_amount, total_discount,"
            " total_gratuity, content_hash FROM ledger.order_versions WHERE replaced_by IS NULL AND NOT is_deleted"
        )
        return {row[0]: row[1:] for row in rows}

    def differences(self):
        """Order id -> (as published, as the books have it), for every order in which the two differ."""
        published = self.orders()
        books = {book.order_id: book for book in self.world.books.orders()}
        found = {}
        for order_id in published.keys() | books.keys():
            said, true = published.get(order_id), books.get(order_id)
            said = said and said[:6]
            true = true and _as_published(true, said)
            if said != true:
                found[order_id] = (said, true)
        return found

    def check(self):
        """Every published order says what the books say, to the minor unit, and no other order is published."""
        assert self.differences() == {}


def _as_published(book, said):
    e = exponent(book.currency)
    # Tax and discount of refunds that name no lines are a convention, and so are those of lines that cannot add up.
    # Of an order that was deleted before anybody read it, its charges know no discount.
    open_to_reading = said and (book.ambiguous or book.estimated or book.deleted)
    return (
        book.currency,
        to_decimal(book.total_amount_minor, e),
        to_decimal(book.total_refund_minor, e),
        said[3] if open_to_reading else to_decimal(book.tax_net, e),
        said[4] if open_to_reading else to_decimal(book.discount_net, e),
        to_decimal(book.gratuity_kept, e),
    )


def benches(tmp_path, place=lambda directory: {"store": str(directory)}):
    """Gives a function that makes benches: ``make(world=…, shapes=…, name=…, sandbox=…, **sync settings)``.

    place: what the configuration says of where a bench of a name keeps its store.
    """
    open_sandboxes = []

    def make(world=None, shapes=None, name="store", sandbox=None, **settings):
        if sandbox is None:
            sandbox = Sandbox(world or World(), shapes=shapes or Shapes()).start()
            open_sandboxes.append(sandbox)
        connection = Connection(
            merchant_id=sandbox.world.merchant.id,
            merchant_name="Juniper Goods",
            base_url=sandbox.base_url,
            country="USA",
            timezone="America/New_York",
            token=sandbox.token,
            start_date=settings.pop("start_date", date(2026, 1, 1)),
            platform=settings.pop("platform", "off"),
        )
        config = Config(
            **place(tmp_path / name),
            companies=[Company(name="Juniper Goods", connections=[connection])],
            limits=settings.pop("limits", FAST),
            sync=settings,
        )
        return Bench(tmp_path, sandbox, config)

    yield make
    for sandbox in open_sandboxes:
        sandbox.stop()
