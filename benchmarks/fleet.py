"""What a fleet's store costs a company: a publication, a commit with its upload, a page from a warm file, the rate.

    python benchmarks/fleet.py [--orders 500] [--companies 40] [--bucket DIRECTORY|s3://…]

Starts a PostgreSQL of its own; the bucket is a directory unless a URL is given (with the cloud's usual environment).
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from connector.config import FleetPlace
from connector.fleet.published import FleetPublished
from connector.fleet.store import FleetStore
from tests.fleet.loading import ledger_rows
from tests.fleet.servers import start_postgres

AT = datetime(2026, 11, 20, 4, tzinfo=UTC)
ROUNDS = 15


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--orders", type=int, default=500)
    asked.add_argument("--companies", type=int, default=40)
    asked.add_argument("--bucket")
    options = asked.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="fleet-"))
    server = start_postgres(directory / "postgres" / "cluster")
    try:
        place = FleetPlace(
            server.database(), options.bucket or str(directory / "bucket"), directory / "cache"
        )
        (directory / "batches").mkdir()
        with closing(FleetStore(place, clock=lambda: AT)) as store:
            one_company(store, directory / "batches", options.orders)
            pages(place, directory / "api")
            many_companies(store, directory / "batches", options.companies)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def one_company(store: FleetStore, batches: Path, orders: int) -> None:
    books = ledger_rows.Books(batches)
    load(store, books, "company-1", [f"O{number}" for number in range(orders)])
    commits, publications = [], []
    for number in range(ROUNDS):
        run = store.store_of("company-1")
        run.repair("connection-1")
        batch = batch_of(books, "company-1", [f"N{number}-{n}" for n in range(10)])
        began = time.perf_counter()
        run.apply(batch)
        loaded = time.perf_counter()
        run.publish_soon("connection-1")
        publications.append(time.perf_counter() - loaded)
        commits.append(time.perf_counter() - began)
    tell(f"publish with upload, {orders} orders", publications, 0.100)
    tell("commit of 10 orders with upload", commits, 0.400)


def pages(place: FleetPlace, cache: Path) -> None:
    times = []
    with closing(FleetPublished(FleetPlace(place.database_url, place.bucket, cache))) as published:
        for number in range(200):
            began = time.perf_counter()
            with published.open("company-1") as publication:
                publication.cursor.execute(
                    "SELECT doc FROM ledger.order_versions WHERE company_id = ? AND replaced_by IS NULL"
                    " ORDER BY order_id LIMIT 100",
                    ["company-1"],
                ).fetchall()
            if number:
                times.append(time.perf_counter() - began)
    tell("page of 100 from a warm file", times, 0.010)


def many_companies(store: FleetStore, batches: Path, companies: int) -> None:
    (batches / "many").mkdir()
    books = ledger_rows.Books(batches / "many")
    todo = [f"company-{number:04d}" for number in range(companies)]
    for name in todo:
        load(store, books, name, ["O1", "O2"])
    ready = [(name, batch_of(books, name, ["O3"])) for name in todo]

    def run(one: tuple[str, object]) -> None:
        name, batch = one
        own = store.store_of(name)
        with own.run_lock(f"connection-of-{name}"):
            own.repair(f"connection-of-{name}")
            own.apply(batch)
            own.publish_soon(f"connection-of-{name}")

    began = time.perf_counter()
    with ThreadPoolExecutor(4) as side_by_side:
        list(side_by_side.map(run, ready))
    rate = companies / (time.perf_counter() - began)
    print(f"companies loaded and published: {rate:.1f} a second (asked: at least 4)")
    began = time.perf_counter()
    found = len(store.states())
    print(f"states of {found} connections from their rows: {1000 * (time.perf_counter() - began):.0f} ms")


def load(store: FleetStore, books, company: str, orders: list[str]) -> None:
    run = store.store_of(company)
    run.repair()
    run.apply(batch_of(books, company, orders))
    run.publish_soon("any")


def batch_of(books, company: str, orders: list[str]):
    connection = "connection-1" if company == "company-1" else f"connection-of-{company}"
    rows = [ledger_rows.order_row(one, company_id=company, connection_id=connection) for one in orders]
    return books.batch(company_id=company, connection_id=connection, order_versions=rows)


def tell(what: str, seconds: list[float], asked: float) -> None:
    p50, worst = 1000 * statistics.median(seconds), 1000 * max(seconds)
    print(f"{what}: p50 {p50:.0f} ms, longest {worst:.0f} ms (asked: at most {1000 * asked:.0f})")


if __name__ == "__main__":
    main()
