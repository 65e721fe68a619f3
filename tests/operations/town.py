"""Merchants, their stand-in Clover, a configuration and a clock: what the operations are tried on."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import yaml

from connector.clover.http.pacing import AppPacer
from connector.config import Company, Config, Connection
from connector.ledger import open_store
from connector.sandbox import Merchant, Sandbox, World
from connector.sync.connect.connecting import Pace
from connector.sync.many import sync_all
from connector.sync.modes import SyncMode
from connector.sync.runtime import Runtime
from schemas.money import exponent, to_decimal

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """Time that moves when told, or when somebody waits: seconds since it began, and aware UTC."""

    def __init__(self, start=NOON):
        self.start, self.seconds = start, 0.0

    def now(self):
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def wait(self, condition, seconds):
        """Only who waits for a time moves the clock; who waits for another thread lets it go on."""
        if seconds is None:
            condition.wait()
        else:
            self.seconds += seconds

    def advance(self, **duration):
        self.seconds += timedelta(**duration).total_seconds()


@dataclass
class Town:
    """Some merchants behind one stand-in Clover, and one store for all of them."""

    sandbox: Sandbox
    config: Config
    worlds: list[World]
    clock: Clock
    store: object = field(init=False)
    backup: object = None
    manifest: object = None
    control: object = None
    company: str = ""
    order_id: str = ""
    other_order_id: str = ""

    def __post_init__(self):
        self.store = open_store(self.config.store, clock=self.clock.now, fleet=self.config.fleet)

    def pace(self, real=False):
        """real: waits between attempts take real time; else they move the clock."""
        pace = Pace(self.config)
        if not real:
            limits = self.config.limits
            pace.app = AppPacer(
                limits.app_requests_per_second,
                limits.app_concurrent_requests,
                clock=self.clock.monotonic,
                wait=self.clock.wait,
            )
        return pace

    def sync(self, **mode):
        return sync_all(Runtime(self.config, self.store, self.pace(), self.clock.now), mode=SyncMode(**mode))

    def sell(self, number=0, *, amount=1100, at=None):
        """A sale ten minutes ago, or at a time."""
        return self.worlds[number].sell(at or self.clock.now() - timedelta(minutes=10), [("Teapot", amount)])

    def rows(self, sql, *values):
        with self.store.open_reader() as reader:
            return reader.connection.execute(sql, list(values)).fetchall()

    def connection(self, number=0):
        return self.config.companies[number].connections[0]

    def check_books(self):
        """Every merchant's published orders are those of its books, to the minor unit."""
        published = {}
        for connection_id, order_id, currency, amount, refund, gratuity in self.rows(
            "SELECT connection_id, order_id, currency, total_amount, total_refund, total_gratuity FROM orders"
        ):
            published.setdefault(connection_id, {})[order_id] = (currency, amount, refund, gratuity)
        for number, world in enumerate(self.worlds):
            books = {}
            for book in world.books.orders():
                if book.published:
                    e = exponent(book.currency)
                    books[book.order_id] = (
                        book.currency,
                        to_decimal(book.total_amount_minor, e),
                        to_decimal(book.total_refund_minor, e),
                        to_decimal(book.gratuity_kept, e),
                    )
            assert published.get(self.connection(number).id, {}) == books, f"merchant {number}"


def worlds_of(merchants):
    """So many empty shops, the same every time."""
    return [World(Merchant(id=f"MERCHANT{number:05d}"), seed=number + 1) for number in range(merchants)]


def sandbox_of(worlds, **settings):
    """A running stand-in Clover with a token for each shop."""
    return Sandbox({f"token-of-merchant-{n}": world for n, world in enumerate(worlds)}, **settings).start()


def make_town(directory, sandbox, worlds, clock, *, schedule="0 * * * *", name="store", **settings):
    """A town: a company a shop. settings: sections of the configuration, and start_date of every connection."""
    start_date = settings.pop("start_date", date(2026, 2, 1))
    sandbox.date = lambda: clock.now().timestamp()
    companies = [
        Company(
            name=f"Company {number}",
            connections=[
                Connection(
                    merchant_id=world.merchant.id,
                    base_url=sandbox.base_url,
                    country="USA",
                    timezone="America/New_York",
                    token=f"token-of-merchant-{number}",
                    start_date=start_date,
                    schedule=schedule,
                )
            ],
        )
        for number, world in enumerate(worlds)
    ]
    limits = {
        "requests_per_second": 10_000,
        "concurrent_requests": 4,
        "app_requests_per_second": 10_000,
        "app_concurrent_requests": 8,
    }
    config = Config(
        **{
            "store": str(directory / name),
            "companies": companies,
            "limits": limits,
            "scheduler": {"jitter_seconds": 0},
        }
        | settings
    )
    return Town(sandbox, config, worlds, clock)


def write_config(town, path, **changes):
    """The town's configuration as a file, tokens and all: it opens nothing but the stand-in."""
    document = json.loads(town.config.model_dump_json(exclude_none=True))
    for company, known in zip(document["companies"], town.config.companies, strict=True):
        for connection, whole in zip(company["connections"], known.connections, strict=True):
            connection["token"] = whole.token.get_secret_value()
    path.write_text(yaml.safe_dump(document | changes))
    return path
