"""kill -9 at any moment of a sync, and the next run ends in the rows of an undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from connector.sandbox import Sandbox
from connector.sandbox.shop import generate_shop

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10


@pytest.fixture(scope="module")
def shop():
    until = datetime.now(UTC) - timedelta(hours=1)
    with Sandbox(generate_shop(250, seed=7, until=until, days=20)) as sandbox:
        yield sandbox


def process(directory, sandbox):
    """A sync as a process of its own, on a store in ``directory``."""
    config = directory / "config.yaml"
    if not config.exists():
        merchant = {
            "merchant_id": sandbox.world.merchant.id,
            "base_url": sandbox.base_url,
            "country": "USA",
            "timezone": "America/New_York",
            "token": "${SHOP_TOKEN}",
            "start_date": (datetime.now(UTC) - timedelta(days=30)).date().isoformat(),
        }
        limits = dict.fromkeys(("requests_per_second", "app_requests_per_second"), 10_000)
        config.write_text(
            json.dumps(
                {"store": "data", "companies": [{"name": "J", "connections": [merchant]}], "limits": limits}
            )
        )
    return subprocess.Popen(
        [sys.executable, "-m", "connector", "--config", str(config), "sync"],
        cwd=ROOT,
        env={**os.environ, "SHOP_TOKEN": sandbox.token},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(directory):
    """What the store says of every order and record, without the times it was loaded."""
    with duckdb.connect(str((directory / "data" / "commerce.duckdb").resolve()), read_only=True) as store:
        orders = store.execute(
            "SELECT order_id, source_modified_date, content_hash, total_amount, total_refund, total_gratuity"
            " FROM ledger.order_versions WHERE replaced_by IS NULL AND NOT is_deleted ORDER BY ALL"
        ).fetchall()
        records = store.execute(
            "SELECT kind, record_id, order_id, content_hash FROM ledger.source_records"
            " WHERE replaced_by IS NULL AND NOT is_deleted ORDER BY ALL"
        ).fetchall()
    return orders, records


def test_ten_kills_at_random_moments_change_nothing_in_the_end(shop, tmp_path):
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    calm.mkdir()
    stormy.mkdir()
    started = time.monotonic()
    undisturbed = process(calm, shop)
    assert undisturbed.wait(timeout=120) == 0, undisturbed.stderr.read()
    whole = time.monotonic() - started
    moments = random.Random(20)
    killed = 0
    for _ in range(3 * KILLS):
        if killed == KILLS:
            break
        run = process(stormy, shop)
        try:
            run.wait(timeout=moments.uniform(0.2, 0.7) * whole)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            killed += 1
        run.stderr.close()
    assert killed == KILLS
    last = process(stormy, shop)
    assert last.wait(timeout=120) == 0, last.stderr.read()
    assert rows(stormy) == rows(calm)
    assert [path.name for path in (stormy / "data" / "staging").iterdir() if path.is_dir()] == []
    undisturbed.stderr.close()
    last.stderr.close()
