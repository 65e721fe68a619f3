"""Two ``connector schedule`` of one fleet: no connection twice at once, a killed host's taken over, all books agree."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import yaml
from cryptography.fernet import Fernet

from connector.config import FleetPlace
from connector.fleet.store import FleetStore
from connector.ledger.interface import now_utc
from tests.operations.town import sandbox_of, worlds_of

ROOT = Path(__file__).resolve().parents[2]
MERCHANTS = 6


@pytest.fixture
def fleet(postgres_url, tmp_path):
    """Merchants with a sale each, their stand-in Clover that answers slowly, and a starter of hosts."""
    worlds = worlds_of(MERCHANTS)
    opened = datetime.now(UTC) - timedelta(days=2)
    for world in worlds:
        world.sell(opened, [("Teapot", 1100)])
    sandbox = sandbox_of(worlds, latency_seconds=0.15)
    started = []

    def start(name):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        companies = [
            {
                "name": f"Company {number}",
                "connections": [
                    {
                        "merchant_id": world.merchant.id,
                        "base_url": sandbox.base_url,
                        "country": "USA",
                        "timezone": "America/New_York",
                        "credential": f"env:TOKEN_{number}",
                        "start_date": str(opened.date() - timedelta(days=1)),
                        "schedule": "0 0 1 1 *",
                    }
                ],
            }
            for number, world in enumerate(worlds)
        ]
        settings = {
            "store": postgres_url,
            "bucket": str(tmp_path / "bucket"),
            "companies": companies,
            "scheduler": {"side_by_side": 2, "jitter_seconds": 0},
        }
        path = directory / "config.yaml"
        path.write_text(yaml.safe_dump(settings))
        tokens = {f"TOKEN_{number}": f"token-of-merchant-{number}" for number in range(MERCHANTS)}
        host = subprocess.Popen(
            [sys.executable, "-m", "connector", "--config", str(path), "--log-format", "json", "schedule"],
            env=os.environ | tokens | {"PYTHONPATH": str(ROOT), "CONNECTOR_KEY": KEY},
            stdout=subprocess.DEVNULL,
            stderr=(directory / "log").open("w"),
        )
        started.append(host)
        return host

    start.rows = lambda: _due_runs(postgres_url)
    start.place = FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "reader")
    start.worlds, start.sandbox = worlds, sandbox
    start.log = lambda name: [json.loads(line) for line in (tmp_path / name / "log").read_text().splitlines()]
    yield start
    for host in started:
        host.kill()
        host.wait(timeout=10)
    sandbox.stop()


KEY = Fernet.generate_key().decode()


def _due_runs(url):
    with psycopg.connect(url) as db:
        if db.execute("SELECT to_regclass('due_runs')").fetchone() == (None,):
            return []
        return db.execute("SELECT connection_id, host, status, started FROM due_runs ORDER BY 1").fetchall()


def wait_for(what, seconds=60):
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.1)
    return found


def test_two_schedulers_and_a_kill(fleet):
    dead, alive = fleet("dead"), fleet("alive")
    held = wait_for(lambda: [row for row in fleet.rows() if row[1] and f":{dead.pid}:" in row[1]])
    dead.send_signal(signal.SIGKILL)
    dead.wait(timeout=10)
    with psycopg.connect(fleet.place.database_url) as db:  # as if the lease's time had passed
        db.execute(
            "UPDATE due_runs SET lease_until = clock_timestamp() WHERE host LIKE %s", (f"%:{dead.pid}:%",)
        )
    wait_for(lambda: sum(row[2] == "succeeded" for row in fleet.rows()) == MERCHANTS)
    begun = [line for line in fleet.log("alive") if line["event"] == "schedule.run_begins"]
    assert {row[0] for row in held} <= {line["connection_id"] for line in begun}
    alive.send_signal(signal.SIGTERM)
    assert alive.wait(timeout=40) == 0
    assert all(row[1] is None for row in fleet.rows())
    store = FleetStore(fleet.place, clock=now_utc)
    try:
        for world, states in zip(fleet.worlds, _orders(store), strict=True):
            assert states == [(world.merchant.id, 1, 11)]
    finally:
        store.close()


def _orders(store):
    rows = {}
    for pointer, _ in store.pointers.all():
        with store.store_of(pointer.company_id).open_reader() as reader:
            found = reader.connection.execute(
                "SELECT merchant_id, count(*), sum(total_amount)::INTEGER FROM orders JOIN ledger.connections"
                " USING (connection_id) GROUP BY ALL"
            ).fetchall()
        rows[found[0][0]] = found
    return [rows[merchant] for merchant in sorted(rows)]
