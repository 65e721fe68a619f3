"""`connector sandbox` as a process: says how to reach it, answers, and stops when told to."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import yaml

from connector.cli.commands.demo import demo_config
from connector.cli.processes.stand_in import NEWEST_SALE, stand_in
from connector.config import load_config


def test_it_prints_a_connection_answers_and_stops_on_sigterm(tmp_path):
    command = [
        sys.executable,
        "-c",
        "from connector.cli import main; main()",
        "sandbox",
        "--port",
        "0",
        "--orders",
        "3",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        printed = "".join(process.stdout.readline() for _ in range(9))
        [connection] = yaml.safe_load(printed)["connections"]
        answer = httpx.get(
            f"{connection['base_url']}/v1/orders",
            headers={"Authorization": f"Bearer {connection['token']}"},
            timeout=20,
        )
        assert answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_same_seed_is_the_same_shop_on_any_later_day():
    later = datetime(2031, 5, 1, 17, tzinfo=UTC)
    with stand_in(orders=5, seed=3) as one, stand_in(orders=5, seed=3, now=later) as other:
        bodies = [
            httpx.get(
                f"{shop.base_url}/v1/charges", headers={"Authorization": f"Bearer {shop.token}"}
            ).content
            for shop in (one, other)
        ]
        assert bodies[0] == bodies[1]


def test_a_machine_in_the_past_gets_a_shop_without_future_sales():
    now = datetime(2025, 3, 9, 15, tzinfo=UTC)
    assert now < NEWEST_SALE
    with stand_in(orders=5, seed=3, now=now) as shop:
        rows = httpx.get(
            f"{shop.base_url}/v1/charges", headers={"Authorization": f"Bearer {shop.token}"}
        ).json()["data"]
    assert rows
    assert max(row["created"] for row in rows) < now.timestamp() * 1000


def test_the_demos_config_loads(tmp_path):
    with stand_in(orders=1, seed=1) as clover:
        (tmp_path / "config.yaml").write_text(demo_config(clover, orders=1, seed=1))
        connection = load_config(tmp_path / "config.yaml", {}).companies[0].connections[0]
        assert connection.ecommerce_url == clover.base_url
        assert connection.country == "USA"
