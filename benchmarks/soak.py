"""Weeks of a town's life with faults, kills and outages, in simulated time; books and alerts are compared at the end.

    python benchmarks/soak.py                            40 merchants, 30 days
    python benchmarks/soak.py --merchants 5 --days 2

The tests run the same with three merchants for a day (tests/operations/test_soak.py). 40 merchants for 30 days are
29,000 runs: an hour and a half on two cores that have other work too.
"""

import argparse
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from connector.logs import configure_logging
from tests.operations.soak import Soak
from tests.operations.town import Clock, make_town, sandbox_of, worlds_of


def main() -> None:
    """Soak, compare, and say what happened."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--merchants", type=int, default=40)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--sales-a-day", type=float, default=12)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    configure_logging()
    logging.getLogger().setLevel(logging.CRITICAL)
    worlds = worlds_of(arguments.merchants)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory, sandbox_of(worlds) as sandbox:
        alerts = {"webhook_url": "https://hooks.example.com/x"}
        town = make_town(Path(directory), sandbox, worlds, Clock(), alerts=alerts)
        soak = Soak(town, seed=arguments.seed, sales_a_day=arguments.sales_a_day)

        def tell(day: int) -> None:
            seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            size = (town.store.directory / "commerce.duckdb").resolve().stat().st_size
            print(
                f"day {day}: {soak.runs} runs in {seconds:.0f} s, {soak.kills} kills, "
                f"{size / 2**20:.1f} MiB published, at most {peak / 2**10:.0f} MiB of memory",
                file=sys.stderr,
                flush=True,
            )

        soak.live(arguments.days, each_day=tell)
        told = soak.check()
        [(orders, versions, snapshots)] = town.rows(
            "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM ledger.order_versions),"
            " (SELECT count(*) FROM snapshots)"
        )
        size = (town.store.directory / "commerce.duckdb").resolve().stat().st_size
    print(
        f"{arguments.merchants} merchants, {arguments.days:g} days in {time.perf_counter() - began:.0f} s: "
        f"{soak.runs} runs, {soak.kills} kills, {soak.outages} outages; {orders} orders in {versions} versions and "
        f"{snapshots} snapshots, {size / 2**20:.1f} MiB; every order agrees with the books."
    )
    print("Alerts, each told once: " + ", ".join(f"{count} {event}" for event, count in sorted(told.items())))


if __name__ == "__main__":
    main()
