"""What an incremental sync costs when the store is small and when it is large, with the same fifty changes.

    python benchmarks/incremental_cost.py --small 1000 --large 100000

For each size: a generated shop is synced once (not counted), then 25 old orders are refunded and 25 new ones sold,
and the next ordinary sync is measured: requests to Clover, and seconds in the connector. Both syncs run in one process
of their own against a sandbox in this one, without latency. A third sync, with nothing changed, is counted too.

What a sync lists and asks again also grows with the sales of the last days: the overlap of a day, and orders that are
not settled yet. So that only the stores differ, neither shop sells anything in the ``--idle-days`` before the changes.
With 0 the large shop has its hundreds of sales a day until the end, and the figures show what those add.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.sandbox import Sandbox, Shapes
from connector.sandbox.shop import generate_shop

CHANGES = 25
SYNC = """
import json, sys, time
import structlog
from datetime import datetime
from pathlib import Path
from connector.config import load_config
from connector.ledger import open_store
from connector.sync.many import sync_all
from connector.sync.runtime import Runtime
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
config = load_config(Path(sys.argv[1]))
store = open_store(config.store)
for line in sys.stdin:
    at = datetime.fromisoformat(line.strip())
    started = time.perf_counter()
    run = sync_all(Runtime.of(config, store, now=lambda: at)).runs[0]
    seconds = time.perf_counter() - started
    print(json.dumps([run.status, run.requests, seconds, run.orders_inserted, run.orders_updated]), flush=True)
"""


def measure(orders: int, idle_days: int) -> dict[str, list[object]]:
    """The first sync, the one with changes and the quiet one: status, requests, seconds, inserted, updated."""
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    world = generate_shop(orders, seed=3, until=until - timedelta(days=idle_days), days=300)
    refundable = [
        book.order_id
        for book in world.books.orders()
        if book.published and book.captured_minor > 500 and not book.refunded_minor and not book.ambiguous
    ][: 3 * CHANGES]
    with (
        Sandbox(world, shapes=Shapes(order_rows="full", refund_rows="full")) as sandbox,
        tempfile.TemporaryDirectory() as at,
    ):
        sandbox.warm()
        merchant = {
            "merchant_id": world.merchant.id,
            "base_url": sandbox.base_url,
            "country": "USA",
            "timezone": "America/New_York",
            "token": sandbox.token,
            "start_date": (until - timedelta(days=320 + idle_days)).date().isoformat(),
        }
        limits = {"requests_per_second": 10000, "app_requests_per_second": 10000}
        config = Path(at) / "config.json"
        config.write_text(
            json.dumps(
                {"store": "data", "companies": [{"name": "B", "connections": [merchant]}], "limits": limits}
            )
        )
        process = subprocess.Popen(
            [sys.executable, "-c", SYNC, str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def sync(moment: datetime) -> list[object]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(moment.isoformat() + "\n")
            process.stdin.flush()
            return list(json.loads(process.stdout.readline()))

        found = {"first": sync(until + timedelta(hours=1))}
        done = 0
        for order_id in refundable:
            if done == CHANGES:
                break
            try:
                world.refund(until + timedelta(hours=2, minutes=done), order_id, 100)
            except (ValueError, KeyError):  # nothing left to give back, or a payment without an order
                continue
            done += 1
        for number in range(CHANGES):
            world.sell(until + timedelta(hours=3, minutes=number))
        found["changes"] = sync(until + timedelta(hours=5))
        found["quiet"] = sync(until + timedelta(hours=6))
        process.stdin.close()
        process.wait()
        return found


def main() -> None:
    """Measure both sizes and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--idle-days", type=int, default=40)
    options = parser.parse_args()
    rows = {}
    for orders in (options.small, options.large):
        with multiprocessing.get_context("spawn").Pool(
            1
        ) as pool:  # a process of its own: memory is given back
            rows[orders] = pool.apply(measure, (orders, options.idle_days))
    print(
        f"{'stored':>9} {'sync':>8} {'status':>10} {'requests':>9} {'seconds':>8} {'new':>7} {'changed':>8}"
    )
    for orders, found in rows.items():
        for name, (status, requests, seconds, inserted, updated) in found.items():
            print(
                f"{orders:>9} {name:>8} {status:>10} {requests:>9} {seconds:>8.2f} {inserted:>7} {updated:>8}"
            )
    if any(status != "succeeded" for found in rows.values() for status, *_ in found.values()):
        raise SystemExit("A sync failed: these figures compare nothing.")
    small, large = rows[options.small]["changes"], rows[options.large]["changes"]
    print(f"large / small: requests {large[1] / small[1]:.2f}, seconds {large[2] / small[2]:.2f}")


if __name__ == "__main__":
    main()
