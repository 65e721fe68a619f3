"""How long a first sync takes and what it costs, beside two that map nothing, in one run on the same sandbox.

    python benchmarks/first_sync.py --orders 100000 --json first_sync.json

ours   `connector sync`: reads, links, maps, checks, stores and publishes.
floor  httpx, msgspec and DuckDB alone: fetches every page, decodes its rows, stores them in three tables.
dlt    the same through dlt's Arrow path (`pip install '.[benchmark]'`; said when it is not installed).

The sandbox runs in a process of its own and answers without latency; it takes its share of the cores in all three.
Each is a process of its own, started anew, and measured with all its children: CPU is user and system time, memory is
proportional (pages that two processes share count once), anonymous memory what of it belongs to no file.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DAYS = 300
PATHS = {"charges": "/v1/charges", "orders": "/v1/orders", "refunds": "/v1/refunds"}
# Clover's limit is 90 days; the sandbox answers for that many as quickly as for few.
WINDOW = timedelta(days=89)
COLUMNS = {
    "id": "VARCHAR", "created": "BIGINT", "amount": "BIGINT", "currency": "VARCHAR", "status": "VARCHAR",
    "row": "VARCHAR",
}  # fmt: skip


@dataclass
class Measured:
    """What one contender cost. wall, cpu: seconds; peak, anonymous: MB; the ratios are to the floor."""

    name: str
    wall: float
    cpu: float
    peak: float
    anonymous: float
    requests: int | None
    said: str = ""
    wall_ratio: float | None = None
    cpu_ratio: float | None = None


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


def pages(client: Any, path: str, since: datetime, until: datetime) -> Iterator[bytes]:
    """The body of every page of a list; who takes it sends back (how many rows it held, the id of the last)."""
    start = since
    while start < until:
        end = min(start + WINDOW, until)
        span = {"created.gte": int(start.timestamp() * 1000), "created.lt": int(end.timestamp() * 1000)}
        cursor: dict[str, str] = {}
        while True:
            rows, last = yield client.get(path, params={**span, **cursor, "limit": "100"}).content
            if rows < 100:
                break
            cursor = {"starting_after": last}
        start = end


def rows_of(client: Any, path: str, since: datetime, until: datetime) -> Iterator[list[dict[str, Any]]]:
    """The rows of each page, decoded, with the columns that are stored; each row once."""
    import msgspec

    class Row(msgspec.Struct):
        id: str
        created: int | None = None
        amount: int | None = None
        currency: str | None = None
        status: str | None = None

    class Envelope(msgspec.Struct):
        data: list[msgspec.Raw] = []

    envelope, row = msgspec.json.Decoder(Envelope), msgspec.json.Decoder(Row, strict=False)
    seen: set[str] = set()
    walk = pages(client, path, since, until)
    body = next(walk, None)
    while body is not None:
        raw = envelope.decode(body).data
        known = [row.decode(text) for text in raw]
        yield [
            {**msgspec.structs.asdict(one), "row": bytes(text).decode()}
            for one, text in zip(known, raw, strict=True)
            if one.id not in seen
        ]
        seen.update(one.id for one in known)
        try:
            body = walk.send((len(raw), known[-1].id if known else ""))
        except StopIteration:
            return


class Counted:
    """An httpx client that counts."""

    def __init__(self, base_url: str, token: str) -> None:
        import httpx

        self._client = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"})
        self._lock, self.requests = threading.Lock(), 0

    def get(self, path: str, params: dict[str, Any]) -> Any:
        with self._lock:
            self.requests += 1
        return self._client.get(path, params=params)


def floor(base_url: str, token: str, since: datetime, until: datetime, directory: Path) -> int:
    """Fetch, decode, store. How many requests it took."""
    import duckdb
    import msgspec

    client = Counted(base_url, token)

    def read(name: str) -> Path:
        file = directory / f"{name}.ndjson"
        encode = msgspec.json.Encoder().encode_lines
        with file.open("wb") as out:
            for rows in rows_of(client, PATHS[name], since, until):
                out.write(encode(rows))
        return file

    with ThreadPoolExecutor(len(PATHS)) as pool:
        files = list(pool.map(read, PATHS))
    with duckdb.connect(str(directory / "floor.duckdb")) as connection:
        for name, file in zip(PATHS, files, strict=True):
            connection.execute(
                f"CREATE TABLE {name} AS SELECT * FROM read_json($file, format='newline_delimited', columns=$columns)",
                {"file": str(file), "columns": COLUMNS},
            )
    return client.requests


def by_dlt(base_url: str, token: str, since: datetime, until: datetime, directory: Path) -> int:
    """The same with dlt: one resource a list, Arrow tables, its DuckDB destination. How many requests it took."""
    import dlt
    import pyarrow

    client = Counted(base_url, token)
    whole, text = pyarrow.int64(), pyarrow.string()
    schema = pyarrow.schema([(name, whole if kind == "BIGINT" else text) for name, kind in COLUMNS.items()])

    def resource(name: str) -> Any:
        def tables() -> Iterator[Any]:
            for rows in rows_of(client, PATHS[name], since, until):
                yield pyarrow.Table.from_pylist(rows, schema=schema)

        return dlt.resource(tables, name=name)

    pipeline = dlt.pipeline(
        "first_sync",
        pipelines_dir=str(directory / "pipelines"),
        destination=dlt.destinations.duckdb(str(directory / "dlt.duckdb")),
        dataset_name="clover",
    )
    pipeline.run([resource(name) for name in PATHS])
    return client.requests


class Memory(threading.Thread):
    """Samples the memory of a process and all its descendants together; ``peak`` and ``anonymous`` in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._stop_now = pid, threading.Event()
        self.peak = self.anonymous = 0.0

    def run(self) -> None:
        while not self._stop_now.wait(0.1):
            found = [self._memory(pid) for pid in self._family()]
            self.peak = max(self.peak, sum(whole for whole, _ in found))
            self.anonymous = max(self.anonymous, sum(part for _, part in found))

    def finish(self) -> None:
        self._stop_now.set()
        self.join()

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

    def _memory(self, pid: int) -> tuple[float, float]:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return 0.0, 0.0
        found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Pss")}
        return int(found.get("Pss", 0)) / 1024, int(found.get("Pss_Anon", 0)) / 1024


def measure(
    name: str, command: list[str], directory: Path, environment: dict[str, str]
) -> tuple[Measured, str]:
    """Run a command to its end; what it cost, and what it printed."""
    said, errors = directory / f"{name}.out", directory / f"{name}.err"
    started = time.perf_counter()
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=err)
        memory = Memory(process.pid)
        memory.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    memory.finish()
    if process.returncode not in (0, 3):
        sys.exit(errors.read_text() or said.read_text())
    if os.environ.get("SHOW_LOG"):
        print(errors.read_text())
    cpu = used.ru_utime + used.ru_stime
    return Measured(name, wall, cpu, memory.peak, memory.anonymous, None), said.read_text()


def ours(base_url: str, token: str, since: datetime, directory: Path) -> list[Measured]:
    """A first and a second sync."""
    config = directory / "config.yaml"
    connection = {
        "merchant_id": "MHT4QK2Z9WX61", "base_url": base_url, "country": "USA", "timezone": "America/New_York",
        "token": "${BENCH_TOKEN}", "start_date": since.date().isoformat(),
    }  # fmt: skip
    limits = {
        "requests_per_second": 10000, "concurrent_requests": 4, "app_requests_per_second": 10000,
        "app_concurrent_requests": 4,
    }  # fmt: skip
    companies = [{"name": "Bench", "connections": [connection]}]
    config.write_text(json.dumps({"store": "data", "companies": companies, "limits": limits}))
    command = [sys.executable, "-m", "connector", "--config", str(config), "sync", "--json"]
    found = []
    for name in ("ours", "second sync"):
        measured, said = measure(name, command, directory, {"BENCH_TOKEN": token})
        run = json.loads(said)["runs"][0]
        measured.requests = run["requests"]
        orders = run["orders"]
        measured.said = f"{orders['inserted']} inserted, {orders['updated']} updated, {run['status']}"
        found.append(measured)
    size = sum(path.stat().st_size for path in directory.glob("data/work.duckdb")) / 1e6
    found[0].said += f", store {size:.0f} MB"
    return found


def other(
    name: str, base_url: str, token: str, since: datetime, until: datetime, directory: Path
) -> Measured:
    command = [
        sys.executable, __file__, "--contender", name, "--url", base_url, "--token", token,
        "--since", since.isoformat(), "--until", until.isoformat(), "--directory", str(directory),
    ]  # fmt: skip
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    measured, said = measure(name, command, directory, quiet)
    measured.requests = json.loads(said.splitlines()[-1])["requests"]
    measured.said = "maps nothing"
    return measured


def table(found: list[Measured]) -> str:
    lines = ["              wall s   CPU s  peak MB  anonymous MB  requests  wall/floor  CPU/floor"]
    for one in found:
        ratios = [f"{ratio:.1f}" if ratio is not None else "" for ratio in (one.wall_ratio, one.cpu_ratio)]
        lines.append(
            f"{one.name:12}{one.wall:8.1f}{one.cpu:8.1f}{one.peak:9.0f}{one.anonymous:14.0f}{one.requests or 0:10}"
            f"{ratios[0]:>12}{ratios[1]:>11}  {one.said}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rows", choices=["full", "sparse"], default="full", help="how dense list rows are")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    for name in ("contender", "url", "token", "since", "until", "directory"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        run = {"floor": floor, "dlt": by_dlt}[options.contender]
        span = datetime.fromisoformat(options.since), datetime.fromisoformat(options.until)
        requests = run(options.url, options.token, *span, Path(options.directory))
        print(json.dumps({"requests": requests}))
        return
    context = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[tuple[str, str]] = context.Queue()
    server = context.Process(target=serve, args=(options.orders, options.rows, ready), daemon=True)
    server.start()
    base_url, token = ready.get(timeout=1_200)
    until = datetime.now(UTC)
    since = until - timedelta(days=DAYS)
    try:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            found = [other("floor", base_url, token, since, until, directory)]
            if find_spec("dlt") and find_spec("pyarrow"):
                found.append(other("dlt", base_url, token, since, until, directory))
            found += ours(base_url, token, since, directory)
    finally:
        server.terminate()
    for one in found[:-1]:
        one.wall_ratio, one.cpu_ratio = one.wall / found[0].wall, one.cpu / found[0].cpu
    print(
        f"{options.orders} orders, list rows {options.rows}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(table(found))
    if len(found) == 3:
        print("dlt is not installed and was not measured: pip install '.[benchmark]'")
    if options.json:
        figures = {"orders": options.orders, "rows": options.rows, "measured": [asdict(one) for one in found]}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
