"""A published store of two invented companies, written row by row, and a server over it in this process."""

import atexit
import base64
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from starlette.testclient import TestClient

from connector.api.door import connections
from connector.api.state import ApiSettings, ApiState
from connector.control import companies as api_companies
from connector.control import keys as api_keys
from connector.ledger.load.bookings import book
from connector.ledger.load.postings import post
from connector.ledger.migrate import migrate
from connector.portal.app import create_app

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
JUNIPER_SHOP, JUNIPER_NEW, RIVAL_SHOP = "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-new", "n-rival"
NOW = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)


@cache
def _empty() -> Path:
    """An empty published file of this version's schema and views; made once, it takes longest."""
    path = Path(tempfile.mkdtemp(prefix="api-tests-")) / "empty.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE SCHEMA ledger")
        migrate(con, at=NOW)
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def number(value: Decimal) -> Any:
    return int(value) if value == value.to_integral() else float(value)


def money(value: str | int | Decimal) -> Decimal:
    return Decimal(value).quantize(Decimal("0.0001"))


def line(line_id: str, quantity: int, price: str, *, tax: str = "0", product: str = "P1") -> dict[str, Any]:
    total = quantity * Decimal(price) + Decimal(tax)
    return {
        "id": line_id,
        "quantity": Decimal(quantity),
        "unit_price": money(price),
        "tax_percentage": Decimal(0),
        "total_tax_amount": money(tax),
        "total_amount": money(total),
        "product_id": product,
        "product_name": f"Product {product}",
        "variant_id": None,
        "variant_name": None,
        "refund_id": None,
        "refund_local_date": None,
        "discount_allocations": [],
    }


def payment(payment_id: str, amount: str, at: datetime, status: str = "Paid") -> dict[str, Any]:
    return {
        "id": payment_id,
        "amount": money(amount),
        "currency": "USD",
        "type": "OnlineCard",
        "status": status,
        "provider": "clover",
        "created_date": at,
        "modified_date": None,
        "source_modified_date": at,
        "local_date": at.date(),
        "is_refund": Decimal(amount) < 0,
    }


@dataclass
class Shop:
    """One order as a test says it; the rest follows."""

    order_id: str
    created: datetime
    lines: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    gratuity: str = "0"
    customer: str | None = None
    modified: datetime | None = None
    snapshot: int = 1
    replaced_by: int | None = None
    deleted: bool = False
    closed: datetime | None = None
    company: str = JUNIPER
    connection: str = JUNIPER_SHOP
    currency: str = "USD"
    loaded: datetime = datetime(2026, 11, 18, 4, 0)  # noqa: DTZ001

    def row(self) -> dict[str, Any]:
        modified = self.modified or self.created
        total = sum((entry["total_amount"] for entry in self.lines), Decimal(0))
        refund = sum((e["total_amount"] for e in self.lines if e["quantity"] < 0), Decimal(0))
        tax = sum((e["total_tax_amount"] for e in self.lines), Decimal(0))
        document: dict[str, Any] = {
            "id": self.order_id,
            "orderNumber": f"no-{self.order_id}",
            "country": "USA",
            "currency": self.currency,
            "createdDate": wire(self.created),
            **({"closedDate": wire(self.closed)} if self.closed else {}),
            "totalAmount": number(total),
            "totalRefund": number(refund),
            "totalTaxAmount": number(tax),
            "totalDiscount": 0,
            "totalGratuity": number(Decimal(self.gratuity)),
            "orderLineItems": [
                {
                    "id": e["id"],
                    "quantity": number(e["quantity"]),
                    "taxPercentage": 0,
                    "totalAmount": number(e["total_amount"]),
                    "totalTaxAmount": number(e["total_tax_amount"]),
                    "unitPrice": number(e["unit_price"]),
                    "taxes": [],
                    "productRef": {"id": e["product_id"], "name": e["product_name"]},
                    "discountAllocations": [],
                }
                for e in self.lines
            ],
            "payments": [
                {
                    "id": p["id"],
                    "amount": number(p["amount"]),
                    "currency": "USD",
                    "type": p["type"],
                    "status": p["status"],
                    "paymentProvider": p["provider"],
                    "createdDate": wire(p["created_date"]),
                    "modifiedDate": wire(self.loaded),
                    "sourceModifiedDate": wire(p["source_modified_date"]),
                }
                for p in self.payments
            ],
            "serviceCharges": [],
            "locationRef": {"id": "MHT", "name": "Juniper, Main St"},
            **(
                {"customerRef": {"id": self.customer, "name": f"Name {self.customer}"}}
                if self.customer
                else {}
            ),
            "modifiedDate": wire(self.loaded),
            "sourceModifiedDate": wire(modified),
        }
        return {
            "company_id": self.company,
            "connection_id": self.connection,
            "order_id": self.order_id,
            "source_modified_date": modified,
            "content_hash": f"hash-{self.order_id}-{self.snapshot}",
            "snapshot_id": self.snapshot,
            "replaced_by": self.replaced_by,
            "is_deleted": self.deleted,
            "observed": False,
            "order_number": document["orderNumber"],
            "country": "USA",
            "currency": self.currency,
            "created_date": self.created,
            "closed_date": self.closed,
            "created_local_date": self.created.date(),
            "total_amount": money(total),
            "total_refund": money(refund),
            "total_tax_amount": money(tax),
            "total_discount": money(0),
            "total_gratuity": money(self.gratuity),
            "location_id": "MHT",
            "location_name": "Juniper, Main St",
            "customer_id": self.customer,
            "customer_name": f"Name {self.customer}" if self.customer else None,
            "modified_date": self.loaded,
            "order_line_items": self.lines,
            "payments": [{**p, "modified_date": self.loaded} for p in self.payments],
            "service_charges": [],
            "doc": json.dumps(document, separators=(",", ":")),
        }


@dataclass
class Books:
    """Rows to be published as one file."""

    directory: Path
    orders: list[Shop] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    snapshots: list[tuple[Any, ...]] = field(default_factory=list)
    connections: list[tuple[Any, ...]] = field(default_factory=list)
    issues: list[tuple[Any, ...]] = field(default_factory=list)
    reconciliations: list[tuple[Any, ...]] = field(default_factory=list)
    settings: list[tuple[Any, ...]] = field(default_factory=list)
    epoch: str = "epoch-1"
    published: int = 0

    def run(
        self, run_id: str, company: str, connection: str, at: datetime, status: str = "succeeded", **more: Any
    ) -> None:
        self.runs.append(
            (run_id, company, connection, "sync", at, at + timedelta(seconds=20), status, more.get("kind"))
        )

    def snapshot(self, snapshot_id: int, run_id: str, company: str, connection: str, at: datetime) -> None:
        self.snapshots.append((snapshot_id, run_id, company, connection, at))

    def record(
        self,
        data_type: str,
        record_id: str,
        document: dict[str, Any],
        *,
        name: str | None = None,
        **more: Any,
    ) -> None:
        at = datetime(2026, 11, 1)  # noqa: DTZ001
        self.records.append(
            {
                "company_id": more.get("company", JUNIPER),
                "connection_id": more.get("connection", JUNIPER_SHOP),
                "data_type": data_type,
                "record_id": record_id,
                "source_modified_date": at,
                "content_hash": "h",
                "snapshot_id": more.get("snapshot", 1),
                "replaced_by": None,
                "is_deleted": False,
                "name": name,
                "created_date": at,
                "modified_date": at,
                "doc": json.dumps({"id": record_id, **document}, separators=(",", ":")),
            }
        )

    def publish(self) -> Path:
        """A new file beside the old ones, and the link swapped to it."""
        self.published += 1
        path = self.directory / f"serve-{self.published:09d}.duckdb"
        shutil.copy(_empty(), path)
        with duckdb.connect(str(path)) as con:
            con.execute("UPDATE ledger.publication SET epoch = ?", [self.epoch])
            for table, rows in (
                ("order_versions", [order.row() for order in self.orders]),
                ("record_versions", self.records),
                ("source_records", self.sources),
            ):
                for row in rows:
                    names, marks = ", ".join(row), ", ".join("?" * len(row))
                    con.execute(f"INSERT INTO ledger.{table} ({names}) VALUES ({marks})", list(row.values()))
            for run in self.runs:
                con.execute(
                    "INSERT INTO ledger.sync_runs (run_id, company_id, connection_id, kind, started_at, finished_at,"
                    " status, error_kind, orders_inserted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 3)",
                    list(run),
                )
            for snapshot in self.snapshots:
                con.execute(
                    "INSERT INTO ledger.snapshots VALUES (?, ?, ?, ?, ?, NULL, NULL, 1, 0, 0, 0, 0, 0, 0)",
                    list(snapshot),
                )
            for connection in self.connections:
                con.execute(
                    "INSERT INTO ledger.connections (company_id, connection_id, status, currency) VALUES (?, ?, ?, ?)",
                    list(connection),
                )
            for issue in self.issues:
                con.execute(
                    "INSERT INTO ledger.data_issues (company_id, connection_id, order_id, code, severity, detail,"
                    " first_seen_snapshot, first_seen_at) VALUES (?, ?, ?, ?, ?, ?, 1, TIMESTAMP '2026-11-18')",
                    list(issue),
                )
            for day in self.reconciliations:
                con.execute(
                    "INSERT INTO ledger.reconciliations (run_id, company_id, connection_id, reconciled_at, day, stream,"
                    " currency, clover_count, clover_amount, stored_count, stored_amount, explained, unexplained)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    list(day),
                )
            for setting in self.settings:
                con.execute("INSERT INTO ledger.setting_changes VALUES (?, ?, ?, ?, ?, ?)", list(setting))
            book(con, "ledger.order_versions")
            post(con)
        link = self.directory / "commerce.duckdb.new"
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        link.rename(self.directory / "commerce.duckdb")
        return path


def day(number_of_day: int, hour: int = 12) -> datetime:
    return datetime(2026, 10, 1, hour) + timedelta(days=number_of_day)  # noqa: DTZ001


def juniper_books(directory: Path) -> Books:
    """30 orders of Juniper in two loads, one of them refunded later, one deleted; 5 of a rival between the loads."""
    books = Books(directory)
    second = datetime(2026, 11, 19, 4)  # noqa: DTZ001
    for i in range(30):
        price = f"{10 + i}.{(i * 25) % 100:02d}"
        created = day(i)
        shop = Shop(
            f"{i * 7 % 30:02d}ORDER",
            created,
            [line("L1", 1 + i % 3, price, tax="1.50")],
            [payment(f"CH{i:02d}", str((1 + i % 3) * Decimal(price) + Decimal("1.50") + i % 2), created)],
            gratuity=str(i % 2),
            customer=None if i % 5 == 4 else f"C{i % 4}",
            closed=created + timedelta(days=1) if i % 4 == 0 else None,
        )
        books.orders.append(shop)
    first = books.orders[0]
    first.replaced_by = 3
    books.orders.append(
        Shop(
            first.order_id,
            first.created,
            [*first.lines, line("refund_L1", -1, "10.00", tax="-1.50")],
            [*first.payments, payment("RF00", "-11.50", day(5))],
            customer=first.customer,
            closed=first.closed,
            modified=day(5),
            snapshot=3,
            loaded=second,
        )
    )
    gone = books.orders[1]
    gone.replaced_by = 3
    books.orders.append(
        Shop(
            gone.order_id, gone.created, gone.lines, gone.payments, modified=day(6), snapshot=3, deleted=True
        )
    )
    books.orders.append(
        Shop(
            "99FAILED",
            day(20),
            [line("L1", 1, "5.00")],
            [payment("CHF", "5.00", day(20), "Failed")],
            snapshot=3,
            loaded=second,
        )
    )
    for i in range(5):
        books.orders.append(
            Shop(
                f"RIVAL{i}",
                day(i),
                [line("L1", 1, "777.77")],
                [payment(f"RCH{i}", "777.77", day(i))],
                customer="RC1",
                snapshot=2,
                company=RIVAL,
                connection=RIVAL_SHOP,
            )
        )
    for i in range(4):
        books.record(
            "customers",
            f"C{i}",
            {
                "customerName": f"Name {'DBAC'[i]}",
                "emailAddress": f"c{i}@example.com",
                "addresses": [],
                "createdDate": "2026-11-01T00:00:00Z",
            },
            name=f"Name {'DBAC'[i]}",
        )
    books.record(
        "customers",
        "RC1",
        {"customerName": "Rival Buyer", "addresses": []},
        name="Rival Buyer",
        company=RIVAL,
        connection=RIVAL_SHOP,
        snapshot=2,
    )
    books.record(
        "products",
        "P1",
        {"name": "Product P1", "isGiftCard": False, "variants": [], "productCategoryRefs": []},
        name="Product P1",
    )
    books.record(
        "locations",
        "MHT",
        {"name": "Juniper, Main St", "address": {"type": "Inventory", "city": "Albany"}},
        name="Juniper, Main St",
    )
    books.record("paymentMethods", "card", {"name": "Card", "status": "Active"}, name="Card")
    books.record(
        "taxComponents", "T8", {"name": "Sales tax", "rate": 0.08875, "isCompound": False}, name="Sales tax"
    )
    books.record(
        "companyInfo", "info", {"companyName": "Juniper Goods", "baseCurrency": "USD"}, name="Juniper Goods"
    )
    books.sources.append(
        {
            "company_id": JUNIPER,
            "connection_id": JUNIPER_SHOP,
            "kind": "charge",
            "record_id": "CH00",
            "order_id": first.order_id,
            "created_at": first.created,
            "content_hash": "x",
            "snapshot_id": 1,
            "replaced_by": None,
            "is_deleted": False,
            "payload": '{"id":"CH00","amount":1150}',
        }
    )
    books.run("r1", JUNIPER, JUNIPER_SHOP, datetime(2026, 11, 18, 4))  # noqa: DTZ001
    books.run("r2", RIVAL, RIVAL_SHOP, datetime(2026, 11, 18, 5))  # noqa: DTZ001
    books.run("r3", JUNIPER, JUNIPER_SHOP, second)
    books.snapshot(1, "r1", JUNIPER, JUNIPER_SHOP, datetime(2026, 11, 18, 4))  # noqa: DTZ001
    books.snapshot(2, "r2", RIVAL, RIVAL_SHOP, datetime(2026, 11, 18, 5))  # noqa: DTZ001
    books.snapshot(3, "r3", JUNIPER, JUNIPER_SHOP, second)
    books.connections += [
        (JUNIPER, JUNIPER_SHOP, "Linked", "USD"),
        (RIVAL, RIVAL_SHOP, "Deauthorized", "USD"),
    ]
    books.issues.append((JUNIPER, JUNIPER_SHOP, first.order_id, "tax_once", "info", "estimated"))
    books.reconciliations.append(
        (
            "rc1",
            JUNIPER,
            JUNIPER_SHOP,
            second,
            day(0).date(),
            "charges",
            "USD",
            1,
            money("11.50"),
            1,
            money("11.50"),
            money(0),
            money(0),
        )
    )
    return books


@dataclass
class Server:
    """The application in this process, with keys."""

    state: ApiState
    client: TestClient
    books: Books

    def key(self, *scopes: str, companies: list[str] | None = None, **more: Any) -> dict[str, str]:
        """The headers of a new key."""
        _key, secret = api_keys.create_key(
            self.state.control, "lender", now=NOW, companies=companies, scopes=scopes or ("read",), **more
        )
        return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


DATA = f"/companies/{JUNIPER}/connections/{JUNIPER_SHOP}/data"


@pytest.fixture(scope="session")
def published_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Juniper's books as a file; made once, copied for each test."""
    return juniper_books(tmp_path_factory.mktemp("template")).publish()


def published_copy(directory: Path, file: Path) -> Books:
    made = juniper_books(directory)
    shutil.copyfile(file, directory / file.name)
    (directory / "commerce.duckdb").symlink_to(file.name)
    made.published = 1
    return made


@pytest.fixture
def books(tmp_path: Path, published_file: Path) -> Books:
    return published_copy(tmp_path, published_file)


async def no_sleep(_seconds: float) -> None:
    """Wrong keys wait; tests do not."""


def serve(books: Books, **more: Any) -> Iterator[Server]:
    settings = ApiSettings(
        directory=books.directory, **{"clock": lambda: NOW, "threads": 1, "sleep": no_sleep, **more}
    )
    app = create_app(settings)
    state: ApiState = app.state.api
    api_companies.take_from_config(
        state.control,
        [(JUNIPER, "Juniper Goods", [JUNIPER_SHOP, JUNIPER_NEW]), (RIVAL, "Rival Traders", [RIVAL_SHOP])],
        now=NOW,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Server(state, client, books)


@pytest.fixture
def server(books: Books) -> Iterator[Server]:
    yield from serve(books)


@pytest.fixture
def reader(server: Server) -> dict[str, str]:
    """Headers of a key that may read everything of Juniper, and nothing else."""
    return server.key("read", companies=[JUNIPER])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, published_file: Path) -> Iterator[Server]:
    """One server for tests that only read."""
    yield from serve(published_copy(tmp_path_factory.mktemp("store"), published_file))


@pytest.fixture(scope="session")
def builders() -> Any:
    """What tests need to write books of their own."""
    return SimpleNamespace(
        Books=Books,
        Shop=Shop,
        line=line,
        payment=payment,
        serve=serve,
        money=money,
        listening=listening,
        published_copy=published_copy,
        juniper_books=juniper_books,
        Portal=Portal,
        portal_client=portal_client,
        two_companies=two_companies,
        PORTAL_NOW=PORTAL_NOW,
        MARKUP=MARKUP,
        ENDLESS=ENDLESS,
        RIGHT_TO_LEFT=RIGHT_TO_LEFT,
    )


@contextmanager
def listening(
    directory: Path, *, serving: dict[str, Any] | None = None, **more: Any
) -> Iterator[tuple[str, ApiState]]:
    """The application on a loopback port, in a thread, over the connections it is served with."""
    app = create_app(ApiSettings(directory=directory, threads=1, **more))
    server = connections.Server(connections.ServerConfig(app, port=0, **(serving or {})))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", app.state.api
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


PORTAL_NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
MARKUP = "<script>alert('goods')</script> \"quoted\" & Co"
ENDLESS = "Long" * 60
RIGHT_TO_LEFT = "\u202e\u05e9\u05dc\u05d5\u05dd"  # an override, and Hebrew


@dataclass
class Portal:
    """Two synced shops behind the portal, one of them read twice with refunds in between, and compared with Clover."""

    directory: Path
    shop: Any
    rival: Any
    odd_order: str

    @property
    def ids(self) -> tuple[str, str]:
        return self.shop.id, self.shop.connections[0].id

    def served(self, **more: Any) -> ApiSettings:
        return ApiSettings(
            directory=self.directory, **{"clock": lambda: PORTAL_NOW, "sleep": no_sleep, **more}
        )

    def introduce(self, state: ApiState) -> None:
        """What ``connector serve`` takes from the configuration."""
        api_companies.take_from_config(
            state.control,
            [(one.id, one.name, [two.id for two in one.connections]) for one in (self.shop, self.rival)],
            now=PORTAL_NOW,
        )


def two_companies() -> tuple[Any, Any]:
    """Configured and never read."""
    return tuple(  # type: ignore[return-value]
        SimpleNamespace(id=f"c-{name}", name=name, connections=[SimpleNamespace(id=f"n-{name}")])
        for name in ("Never Read", "Nor This")
    )


@pytest.fixture(scope="session")
def portal_store(tmp_path_factory: pytest.TempPathFactory) -> Portal:
    """Made once; copied where a test changes something."""
    from connector.config import Company, Config, Connection
    from connector.ledger import open_store
    from connector.sandbox.records import Merchant
    from connector.sandbox.sandbox import Sandbox
    from connector.sandbox.shop import generate_shop
    from connector.sync.many import sync_all
    from connector.sync.reconcile.run import reconcile_all
    from connector.sync.runtime import Runtime

    first = PORTAL_NOW - timedelta(days=20)
    world = generate_shop(220, 7, first.replace(hour=0), days=120)
    rival = Merchant("RIVALQ2Z9WX61", "Rival Traders")
    other = generate_shop(12, 8, PORTAL_NOW.replace(hour=0), days=40, merchant=rival)
    with Sandbox({"shop-token": world, "rival-token": other}).start() as sandbox:
        clock = SimpleNamespace(now=first)
        sandbox.date = lambda: clock.now.timestamp()
        companies = [
            Company(
                name=name,
                connections=[
                    Connection(
                        merchant_id=made.merchant.id, merchant_name=name, base_url=sandbox.base_url, country="USA",
                        timezone="America/New_York", token=token, start_date=datetime(2026, 6, 1).date(),  # noqa: DTZ001
                    )
                ],
            )
            for name, made, token in (
                (f"Juniper {MARKUP}", world, "shop-token"), ("Rival Traders", other, "rival-token"),
            )
        ]  # fmt: skip
        fast = {"requests_per_second": 10_000, "app_requests_per_second": 10_000}
        directory = tmp_path_factory.mktemp("portal")
        config = Config(store=str(directory), companies=companies, limits=fast)
        store = open_store(config.store, clock=lambda: clock.now)
        runtime = Runtime.of(config, store, now=lambda: clock.now)
        sync_all(runtime)
        at = first + timedelta(days=3)
        customer = world.add_customer(at, MARKUP, RIGHT_TO_LEFT)
        odd = world.sell(
            at,
            [(MARKUP, 1100, 2), (ENDLESS, 650), (RIGHT_TO_LEFT, 999)],
            tip=200, tax_rate=8875000, customer=customer, name=MARKUP, shipping=500,
        )  # fmt: skip
        # Goods of months that were over at the first sync come back.
        before = (first - timedelta(days=40)).timestamp() * 1000
        settled = [
            one
            for one in world.orders.by_id.values()
            if one.paid_at and one.created < before and not one.has_return
        ]
        for order in settled[:3]:
            world.refund(at + timedelta(days=1), order.id)
        world.refund(at + timedelta(days=2), odd, items=[0])
        world.advance(PORTAL_NOW - timedelta(hours=2))
        clock.now = PORTAL_NOW - timedelta(hours=1)
        sync_all(runtime)
        reconcile_all(runtime)
    return Portal(directory, companies[0], companies[1], odd)


@pytest.fixture
def portal_copy(portal_store: Portal, tmp_path: Path) -> Portal:
    """For a server of its own: DuckDB opens a file once a process, with one set of settings."""
    directory = tmp_path / "store"
    shutil.copytree(portal_store.directory, directory, symlinks=True)
    return replace(portal_store, directory=directory)


@contextmanager
def portal_client(portal: Portal, **more: Any) -> Iterator[Server]:
    """The application over a portal's store, with a browser's cookies."""
    app = create_app(portal.served(threads=1, **more))
    state: ApiState = app.state.api
    portal.introduce(state)
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield Server(state, client, None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def portal(portal_store: Portal) -> Iterator[Any]:
    """One server for tests that only read."""
    with portal_client(portal_store) as server:
        yield SimpleNamespace(store=portal_store, state=server.state, client=server.client)
