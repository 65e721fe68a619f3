"""How long a first sync takes, and how much memory: the connector as a process of its own against a local sandbox.

    python benchmarks/first_sync.py --orders 100000

The sandbox runs in another process and answers without latency, so what is measured is the connector (and the
sandbox's own share of the two cores). Printed beside it: the floor, i.e. the time a bare loop needs to fetch the same
pages with httpx and decode them, in the same run.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAYS = 300


def serve(orders: int, rows: str, ready: "multiprocessing.Queue[tuple[str, str]]") -> None:
    from connector.sandbox import Sandbox, Shapes
    from connector.sandbox.shop import generate_shop

    until = datetime.now(UTC) - timedelta(minutes=5)
    world = generate_shop(orders, seed=1, until=until, days=DAYS - 10)
    shapes = Shapes(order_rows=rows, refund_rows=rows)
    sandbox = Sandbox(world, shapes=shapes).start()
    sandbox.warm()
    ready.put((sandbox.base_url, sandbox.token))
    time.sleep(3600)


def floor(base_url: str, token: str, since: datetime, until: datetime) -> tuple[float, int]:
    """Seconds and pages of a loop that fetches and decodes every page and does nothing with it."""
    import httpx
    import orjson

    started, pages = time.perf_counter(), 0
    with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}) as client:
        for path in ("/v1/charges", "/v1/orders", "/v1/refunds"):
            start = since
            while start < until:
                end = min(start + timedelta(days=7), until)
                span = {
                    "created.gte": int(start.timestamp() * 1000),
                    "created.lt": int(end.timestamp() * 1000),
                }
                cursor: dict[str, str] = {}
                seen: set[str] = set()
                while True:
                    body = orjson.loads(client.get(path, params={**span, **cursor, "limit": "100"}).content)
                    pages += 1
                    fresh = [row["id"] for row in body["data"] if row["id"] not in seen]
                    if not fresh:
                        break
                    seen.update(fresh)
                    cursor = {"starting_after": body["data"][-1]["id"]}
                start = end
    return time.perf_counter() - started, pages


class Memory(threading.Thread):
    """Samples the resident memory of a process and all its descendants together; ``peak`` in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._stop_now, self.peak = pid, threading.Event(), 0.0

    def run(self) -> None:
        while not self._stop_now.wait(0.1):
            self.peak = max(self.peak, sum(self._resident(pid) for pid in self._family()))

    def finish(self) -> float:
        self._stop_now.set()
        self.join()
        return self.peak

    def _family(self) -> set[int]:
        family, parents = {self._pid}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(path.parent.name)] = int(fields[1])
        grew = True
        while grew:
            children = {pid for pid, parent in parents.items() if parent in family} - family
            grew = bool(children)
            family |= children
        return family

    def _resident(self, pid: int) -> float:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0.0
        # Proportional: pages that two processes share count once.
        return next(int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rows", choices=["full", "sparse"], default="full", help="how dense list rows are")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[tuple[str, str]] = context.Queue()
    server = context.Process(target=serve, args=(options.orders, options.rows, ready), daemon=True)
    server.start()
    base_url, token = ready.get(timeout=600)
    now = datetime.now(UTC)
    since = now - timedelta(days=DAYS)
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "config.yaml"
        config.write_text(
            json.dumps(
                {
                    "store": "data",
                    "companies": [
                        {
                            "name": "Bench",
                            "connections": [
                                {
                                    "merchant_id": "MHT4QK2Z9WX61",
                                    "base_url": base_url,
                                    "country": "USA",
                                    "timezone": "America/New_York",
                                    "token": "${BENCH_TOKEN}",
                                    "start_date": since.date().isoformat(),
                                }
                            ],
                        }
                    ],
                    "limits": {
                        "requests_per_second": 10000,
                        "concurrent_requests": 4,
                        "app_requests_per_second": 10000,
                        "app_concurrent_requests": 4,
                    },
                }
            )
        )
        command = [sys.executable, "-m", "connector", "--config", str(config), "sync", "--json"]
        runs = []
        for name in ("first sync", "second sync"):
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                env={**os.environ, "BENCH_TOKEN": token},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            memory = Memory(process.pid)
            memory.start()
            out, errors = process.communicate()
            seconds, peak = time.perf_counter() - started, memory.finish()
            if process.returncode not in (0, 3):
                sys.exit(errors or out)
            if os.environ.get("SHOW_LOG"):
                print(errors)
            run = json.loads(out)["runs"][0]
            runs.append((name, seconds, peak, run))
        store = Path(directory) / "data"
        size = sum(path.stat().st_size for path in store.glob("work.duckdb")) / 1e6
        bare, pages = floor(base_url, token, since, now)
    for name, seconds, peak, run in runs:
        print(
            f"{name}: {seconds:.1f} s wall, {peak:.0f} MB peak (all its processes), {run['requests']} requests,"
            f" {run['orders']['inserted']} inserted, {run['orders']['updated']} updated, status {run['status']}"
        )
    print(f"store: {size:.0f} MB; floor (fetch and decode {pages} pages, nothing else): {bare:.1f} s")
    print(f"first sync / floor: {runs[0][1] / bare:.1f}")
    server.terminate()


if __name__ == "__main__":
    main()
