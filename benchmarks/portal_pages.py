"""How fast the portal's pages answer for a company with many orders, and how large they are as they travel.

    python benchmarks/portal_pages.py [--orders 100000] [--requests 100]

A shop of the bundled sandbox is synced twice, three weeks apart, and served on a loopback port. Each page is asked for
over HTTP by a session: once after the publication, which reads the figures, and then many times. For each it prints
that first answer, the median and the 99th percentile in milliseconds, and the compressed bytes. The figures of a
publication never change, so they are read once; a query nobody asked before is not remembered, which "orders, other
queries" shows.
"""

import argparse
import re
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from connector.api.door.connections import Server, ServerConfig
from connector.api.state import ApiSettings, ApiState
from connector.config import Company, Config, Connection
from connector.control.companies import take_from_config
from connector.control.keys import create_key
from connector.ledger import open_store
from connector.logs import configure_logging
from connector.portal.app import create_app
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shop import generate_shop
from connector.sync.many import sync_all
from connector.sync.runtime import Runtime

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def synced(directory: Path, orders: int) -> tuple[str, str]:
    """The shop, read at the end of October and three weeks later; ids of company and connection."""
    first = NOW - timedelta(days=21)
    world = generate_shop(orders, 7, first.replace(hour=0), days=700)
    with Sandbox(world).start() as sandbox:
        clock = [first]
        sandbox.date = lambda: clock[0].timestamp()
        connection = Connection(
            merchant_id=world.merchant.id, merchant_name="Quay Street Goods", base_url=sandbox.base_url, country="USA",
            timezone="America/New_York", token=sandbox.token, start_date=(first - timedelta(days=705)).date(),
        )  # fmt: skip
        company = Company(name="Quay Street Goods", connections=[connection])
        fast = {"requests_per_second": 10_000, "app_requests_per_second": 10_000}
        config = Config(store=str(directory), companies=[company], limits=fast)
        store = open_store(config.store, clock=lambda: clock[0])
        runtime = Runtime.of(config, store, now=lambda: clock[0])
        sync_all(runtime)
        world.advance(NOW - timedelta(hours=2))
        clock[0] = NOW - timedelta(hours=1)
        sync_all(runtime)
    return company.id, connection.id


def main() -> None:
    """Read the options, make the store, ask."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--dir", type=Path, help="make the store there once, then use it again")
    options = parser.parse_args()
    configure_logging()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.dir or Path(temporary)
        if (directory / "commerce.duckdb").exists():
            with open_store(str(directory)).open_reader() as reader:
                [company] = reader.connection.execute(
                    "SELECT company_id, connection_id FROM connections"
                ).fetchall()
        else:
            company = synced(directory, options.orders)
        app = create_app(ApiSettings(directory=directory, clock=lambda: NOW))
        state: ApiState = app.state.api
        take_from_config(state.control, [(company[0], "Quay Street Goods", [company[1]])], now=NOW)
        server = Server(ServerConfig(app, port=0, log_level="warning"))
        thread = Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Accept-Encoding": "gzip"}, timeout=60
        ) as client:
            _key, secret = create_key(state.control, "bench", now=NOW, scopes=("read", "lineage"))
            assert client.post("/portal/sign-in", data={"key": secret}).status_code == 303
            report(client, company, options.requests)
        server.should_exit = True
        thread.join(20)


def report(client: httpx.Client, company: tuple[str, str], requests: int) -> None:
    """One line a page."""
    here = f"/portal/companies/{company[0]}"
    orders = f"{here}/connections/{company[1]}/orders"
    [an_order] = re.findall(r'<tbody>\s*<tr><th scope="row"><a href="([^"]+)"', client.get(orders).text)[:1]
    pages = {
        "companies": lambda _n: "/portal",
        "company, by month": lambda _n: here,
        "company, by day": lambda _n: f"{here}?by=day",
        "company, as of the first sync": lambda _n: f"{here}?asOf={(NOW - timedelta(days=20)):%Y-%m-%d}",
        "orders": lambda _n: orders,
        "orders, other queries": lambda n: f"{orders}?query=totalAmount%3E{n}",
        "one order": lambda _n: an_order,
        "runs": lambda _n: f"{here}/sync",
    }
    print(f"{'page':32} {'first, ms':>10} {'p50, ms':>9} {'p99, ms':>9} {'bytes':>9}")
    for name, path in pages.items():
        times, size = [], 0
        for number in range(requests + 1):
            started = time.perf_counter()
            answer = client.get(path(number))
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, (name, answer.status_code)
            size = int(answer.headers["content-length"])
        first, *rest = times
        rest.sort()
        print(
            f"{name:32} {first:10.1f} {rest[len(rest) // 2]:9.1f} {rest[len(rest) * 99 // 100]:9.1f} {size:9,}"
        )


if __name__ == "__main__":
    main()
