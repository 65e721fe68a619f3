"""Is the app's limit used in full, never exceeded, and shared fairly? Measured against a sandbox that enforces it.

    python benchmarks/fairness.py

Two questions. Throughput: merchants enough to fill the app's limit are read at once; the rate is counted at the server,
over the time in which work waits. Fairness: a small merchant is read alone, then while a large one is being read, which
must not take twice as long.
"""

import argparse
import logging
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from connector.logs import configure_logging
from connector.progress import Silent
from connector.sandbox import Merchant, RateLimits
from connector.sandbox.shop import generate_shop
from connector.sync.connect.connecting import Pace
from connector.sync.modes import SyncMode
from connector.sync.run import run_connection
from connector.sync.runtime import Runtime
from tests.operations.town import Clock, make_town, sandbox_of

LIMITS = {
    "requests_per_second": 15,
    "concurrent_requests": 5,
    "app_requests_per_second": 45,
    "app_concurrent_requests": 9,
}
LATENCY = 0.05
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def shops(sizes: list[int]) -> list:
    """Shops of so many orders over sixty days."""
    return [
        generate_shop(size, seed=n + 1, until=NOW, days=60, merchant=Merchant(id=f"MERCHANT{n:05d}"))
        for n, size in enumerate(sizes)
    ]


def town_of(directory: Path, sizes: list[int]):
    worlds = shops(sizes)
    sandbox = sandbox_of(worlds, limits=RateLimits(), latency_seconds=LATENCY)
    sandbox.warm()
    start = (NOW - timedelta(days=60)).date()
    return make_town(directory, sandbox, worlds, Clock(NOW), limits=LIMITS, start_date=start)


def read(town, pace: Pace, number: int) -> float:
    """Read one merchant from the beginning; seconds."""
    runtime = Runtime(town.config, town.store, pace, lambda: NOW)
    company = town.config.companies[number]
    began = time.perf_counter()
    report = run_connection(runtime, company, company.connections[0], SyncMode(full=True), Silent())
    assert report.status == "succeeded", report.error
    return time.perf_counter() - began


def throughput(merchants: int, orders: int) -> None:
    """The rate at the server while every second has work, and the fullest second anywhere."""
    with tempfile.TemporaryDirectory() as directory:
        town = town_of(Path(directory), [orders] * merchants)
        pace = Pace(town.config)
        threads = [threading.Thread(target=read, args=(town, pace, n)) for n in range(merchants)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        town.sandbox.stop()
        log = list(town.sandbox.log)
    times = sorted(entry.at for entry in log)
    refused = sum(entry.status == 429 for entry in log)
    # Work waits as long as at least four merchants ask: three fill the limit of the app.
    last = sorted(max(e.at for e in log if e.merchant == world.merchant.id) for world in town.worlds)
    begin, end = times[0] + 1, last[-4]
    steady = sum(begin <= at < end for at in times) / (end - begin)
    fullest = max(sum(at <= other < at + 1 for other in times) for at in times)
    allowed = LIMITS["app_requests_per_second"]
    print(
        f"throughput: {merchants} merchants, {len(times)} requests; {steady:.1f}/s of {allowed}/s "
        f"({steady / allowed:.0%}) over {end - begin:.0f} s in which work waits; fullest second {fullest}, "
        f"Clover's limit 50; {refused} refused"
    )
    assert 0.9 <= steady / allowed <= 1.0
    assert fullest <= 50
    assert refused == 0


def fairness(large: int, small: int) -> None:
    """The small merchant's time alone and beside the large one."""
    with tempfile.TemporaryDirectory() as directory:
        town = town_of(Path(directory), [large, small, small, small, small])
        alone = read(town, Pace(town.config), 1)
        pace = Pace(town.config)
        busy = threading.Thread(target=read, args=(town, pace, 0))
        busy.start()
        time.sleep(2)
        beside = read(town, pace, 2)
        still = busy.is_alive()
        busy.join()
        town.sandbox.stop()
    print(
        f"fairness: a small merchant alone {alone:.1f} s, beside a large one {beside:.1f} s ({beside / alone:.2f}x)"
    )
    assert still, "the large one must take longer than the small one"
    assert beside < 2 * alone


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--merchants", type=int, default=6)
    parser.add_argument("--orders", type=int, default=250)
    parser.add_argument("--large", type=int, default=800)
    parser.add_argument("--small", type=int, default=80)
    arguments = parser.parse_args()
    configure_logging()
    logging.getLogger().setLevel(logging.CRITICAL)
    throughput(arguments.merchants, arguments.orders)
    fairness(arguments.large, arguments.small)


if __name__ == "__main__":
    main()
