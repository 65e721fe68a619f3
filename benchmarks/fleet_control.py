"""What ten thousand companies kept as data cost: commands, and a step of the scheduler.

``python benchmarks/fleet_control.py --companies 10000 --json``; of a fleet with ``--store postgresql://user@host/empty``,
an empty database, and ``pip install 'clover-codat-connector[fleet]'``.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

COLUMNS = "name", "merchant_id", "timezone", "country", "start_date", "schedule", "credential"
ZONES = "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Toronto"


def write_companies(path: Path, companies: int) -> None:
    """A CSV file of so many; every fifth is read hourly, the others each half hour."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(companies):
            schedule = "0 * * * *" if number % 5 == 0 else "*/30 * * * *"
            writer.writerow(
                (
                    f"Shop {number}",
                    f"M{number:012d}",
                    ZONES[number % 4],
                    "USA",
                    "2024-01-01",
                    schedule,
                    "kept",
                )
            )


def seconds_of(directory: Path, *arguments: str, times: int = 3) -> float:
    """The median of some calls of the command line, start of the process included."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "connector", "--config", str(directory / "config.yaml"), *arguments],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def step_milliseconds(directory: Path) -> dict[str, float]:
    """The scheduler's step while nothing is due, and when all are due at once; runs end at once and read nothing."""
    from connector.config import load_config
    from connector.control.kept import with_kept
    from connector.control.place import control_place
    from connector.ledger import open_store
    from connector.schedule.planner import LastRun
    from connector.schedule.scheduler import Scheduler
    from connector.sync.connect.connecting import Pace

    def leave(_work: object, *, name: str) -> None:
        """Begin nothing: only what the scheduler itself costs is measured."""

    base = load_config(directory / "config.yaml")
    config = with_kept(base, control_place(base))
    clock = [datetime(2026, 3, 2, 12, 10, tzinfo=UTC)]
    scheduler = Scheduler(
        config, open_store(config.store), load=lambda: base, now=lambda: clock[0], pace=Pace(config),
        begin=leave,
    )  # fmt: skip
    for _, connection in config.pairs():
        scheduler._turns.ended(connection.id, LastRun(clock[0], clock[0], "succeeded"))

    def timed(steps: int, seconds: float) -> float:
        taken = []
        for _ in range(steps):
            clock[0] += timedelta(seconds=seconds)
            began = time.perf_counter()
            scheduler._look_at_kept()
            scheduler._begin_due()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1000

    timed(1, 1)
    quiet = timed(60, 1)
    clock[0] += timedelta(hours=2)
    first = timed(1, 1)
    busy = timed(20, 1)
    return {"nothing_due": quiet, "all_come_due": first, "all_waiting": busy}


def fleet_milliseconds(directory: Path, companies: int) -> dict[str, float]:
    """What each host asks the database: a claim of eight runs, a look while nothing is due, a start of a request."""
    from connector.config import load_config
    from connector.control import pace
    from connector.control.place import open_control
    from connector.schedule.fleet_turns import FleetTurns
    from connector.schedule.planner import Job

    place = load_config(directory / "config.yaml").fleet
    assert place is not None, "only a fleet is measured here"
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    turns = FleetTurns(place)
    turns.set_jobs([Job(f"c{number}", "0 * * * *", "UTC") for number in range(companies)], noon)
    began = time.perf_counter()
    turns.take(noon, most=0, running=())
    rows = time.perf_counter() - began
    control = open_control(place, pace.TABLES)

    def median(work: Callable[[], object], times: int = 40) -> float:
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1000

    found = {
        "rows_of_all_connections": rows * 1000,
        "claim_of_8_while_all_are_due": median(lambda: turns.take(noon, most=8, running=())),
        "nothing_due": median(lambda: turns.take(noon - timedelta(days=1), most=8, running=())),
        "start_of_a_request": median(
            lambda: pace.reserve_start(control, "token", app_interval=1e-6, token_interval=1e-6)
        ),
    }
    turns.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=10_000)
    parser.add_argument("--store", default="./data", help="a directory, or an empty database of PostgreSQL")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet-control-") as name:
        directory = Path(name)
        is_fleet = given.store.startswith("postgresql:")
        bucket = "bucket: ./bucket\n" if is_fleet else ""
        (directory / "config.yaml").write_text(f"store: {given.store}\n{bucket}")
        write_companies(directory / "merchants.csv", given.companies)
        found = {
            "companies": given.companies,
            "import_seconds": seconds_of(
                directory, "companies", "import", str(directory / "merchants.csv"), times=1
            ),
            "companies_list_seconds": seconds_of(directory, "companies", "list"),
            "connections_seconds": seconds_of(directory, "connections"),
            "status_seconds": seconds_of(directory, "status"),
        }
        if is_fleet:
            found["database_milliseconds"] = fleet_milliseconds(directory, given.companies)
        else:
            found["scheduler_step_milliseconds"] = step_milliseconds(directory)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    for what, value in found.items():
        print(f"{what:32} {value}")


if __name__ == "__main__":
    main()
