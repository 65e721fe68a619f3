"""Merchants, their stand-in Clover, a configuration and a clock: what the operations are tried on."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from connector.clover import AppPacer
from connector.config import Company, Config, Connection
from connector.sandbox import Merchant, Sandbox, World
from connector.store import open_store
from connector.sync.connecting import Pace
from connector.sync.modes import SyncMode
from connector.sync.runner import sync_all
from schemas.money import exponent, to_decimal

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """Time that moves when told, or when somebody waits: seconds since it began, and aware UTC."""

    def __init__(self, start=NOON):
        self.start, self.seconds = start, 0.0

    def now(self):
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def wait(self, _condition, seconds):
        self.seconds += 0.001 if seconds is None else seconds

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
        self.store = open_store(self.config.store, clock=self.clock.now)

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
        return sync_all(self.config, self.store, mode=SyncMode(**mode), now=self.clock.now, pace=self.pace())

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


def write_config(town, path, **changes):
    """The town's configuration as a file, tokens and all: it opens nothing but the stand-in."""
    document = json.loads(town.config.model_dump_json(exclude_none=True))
    for company, known in zip(document["companies"], town.config.companies, strict=True):
        for connection, whole in zip(company["connections"], known.connections, strict=True):
            connection["token"] = whole.token.get_secret_value()
    path.write_text(yaml.safe_dump(document | changes))
    return path


@pytest.fixture
def process(town, tmp_path):
    """``process(town, *arguments)``: the command line in a process of its own, started; killed at the end."""
    started = []

    def start(here, *arguments, config=None, limit_file_size=None, **environment):
        config = config or write_config(here, tmp_path / "config.yaml")

        def before():
            if limit_file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_size, limit_file_size))

        one = subprocess.Popen(
            [sys.executable, "-m", "connector", "--config", str(config), *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT), "CONNECTOR_CONFIG": str(config)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )
        started.append(one)
        return one

    start.config = write_config
    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def town(tmp_path, clock):
    """Make a town: ``town(merchants, worlds=None, **settings)``."""
    sandboxes = []

    def make(merchants=2, *, worlds=None, schedule="0 * * * *", name="store", sandbox=None, **settings):
        worlds = worlds or [World(Merchant(id=f"MERCHANT{n:05d}"), seed=n + 1) for n in range(merchants)]
        if sandbox is None:
            sandbox = Sandbox({f"token-of-merchant-{n}": world for n, world in enumerate(worlds)}).start()
            sandboxes.append(sandbox)
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
                        start_date=settings.get("start_date", date(2026, 2, 1)),
                        schedule=schedule,
                    )
                ],
            )
            for number, world in enumerate(worlds)
        ]
        settings.pop("start_date", None)
        limits = {
            "requests_per_second": 10_000,
            "concurrent_requests": 4,
            "app_requests_per_second": 10_000,
            "app_concurrent_requests": 8,
        }
        config = Config(
            **{
                "store": str(tmp_path / name),
                "companies": companies,
                "limits": limits,
                "scheduler": {"jitter_seconds": 0},
            }
            | settings
        )
        return Town(sandbox, config, worlds, clock)

    yield make
    for sandbox in sandboxes:
        sandbox.stop()


class Hook:
    """An endpoint for alerts: what it received, and the statuses it will answer with (200 when none are left)."""

    def __init__(self):
        self.bodies, self.answers = [], []

    def __call__(self, url, text):
        self.bodies.append(json.loads(text))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def events(self):
        return [body["event"] for body in self.bodies]


@pytest.fixture
def hook():
    return Hook()
