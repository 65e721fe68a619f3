"""How fast the API answers over 1,000,000 orders, beside a bare server that sends the very same bytes; and whether it
goes on answering beside attackers, after bursts, and for long.

    python benchmarks/api_pages.py [--orders 1000000] [--companies 20] [--requests 300] [--workers 1]
    python benchmarks/api_pages.py --companies 1     # the same with all orders in one company
    python benchmarks/api_pages.py --siege 30        # beside 1,000 connections without a key and 300 half-sent requests
    python benchmarks/api_pages.py --bursts 10       # open descriptors after each burst of 64 connections
    python benchmarks/api_pages.py --long 200000     # memory in twenty parts of a long run

Makes a published file, runs ``connector serve`` over it on a loopback port, and asks over HTTP with kept-alive
connections: first, middle, last and any pages, filtered pages, a page of 5000, single orders, small answers. For each
it prints the median, the 99th percentile and the longest time in milliseconds (the second request of a kind keeps what
the later ones need), the bare server's median for the same bytes in the same run, and the ratio of the two medians.
"""

import argparse
import base64
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import api_siege
import duckdb
import httpx

ROOT = Path(__file__).parents[1]
MIGRATIONS = sorted((ROOT / "connector/ledger/migrations").glob("*.sql"))
LINE = (
    '{"id":"L1","quantity":2,"taxPercentage":20,"totalAmount":54,"totalTaxAmount":9,"unitPrice":25,"taxes":'
    '[{"taxComponentRef":{"id":"T20","name":"Sales tax 20%"},"rate":9,"taxAmount":9}],"productRef":{"id":"P1",'
    '"name":"Mug"},"discountAllocations":[{"name":"Autumn","totalAmount":5}]}'
)


def make_store(directory: Path, orders: int, companies: int) -> None:
    """One published file: every order once, clustered by company as the store writes it."""
    path = directory / "serve-000000001.duckdb"
    con = duckdb.connect(config={"threads": 2})
    con.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION 'v1.4.0')")
    con.execute("USE made")
    con.execute("CREATE SCHEMA ledger")
    for migration in MIGRATIONS:
        con.execute(migration.read_text())
    con.execute(
        f"""
        INSERT INTO ledger.order_versions BY NAME
        WITH o AS (SELECT i, upper(substr(md5(i::VARCHAR), 1, 13)) AS order_id, 'C' || (i % {companies}) AS company,
                     TIMESTAMP '2025-01-01' + to_seconds(i * 30) AS sold, 'K' || (i % 50000) AS customer,
                     ((i * 37) % 50000) / 100 AS amount FROM range({orders}) t(i))
        SELECT company AS company_id, 'N-' || company AS connection_id, order_id, sold AS source_modified_date,
          md5(order_id) AS content_hash, 1 + i // (1 + {orders} // 10) AS snapshot_id, NULL::BIGINT AS replaced_by,
          FALSE AS is_deleted, FALSE AS observed, order_id AS order_number, 'USA' AS country, 'USD' AS currency,
          sold AS created_date, sold::DATE AS created_local_date, amount::DECIMAL(18,4) AS total_amount,
          0 AS total_refund, 9 AS total_tax_amount, 5 AS total_discount, 0 AS total_gratuity, 'M' AS location_id,
          customer AS customer_id, 'Name ' || customer AS customer_name,
          TIMESTAMP '2026-11-01' + to_seconds(i // (1 + {orders} // 10)) AS modified_date,
          [{{'id': 'L1', 'quantity': 2, 'unit_price': 25, 'total_amount': 54}}] AS order_line_items,
          [{{'id': 'CH' || order_id, 'amount': amount, 'currency': 'USD', 'type': 'OnlineCard', 'status': 'Paid'}}]
            AS payments,
          '{{"id":"' || order_id || '","orderNumber":"' || order_id || '","country":"USA","currency":"USD"'
            || ',"createdDate":"' || strftime(sold, '%Y-%m-%dT%H:%M:%SZ') || '","totalAmount":' || amount
            || ',"totalRefund":0,"totalTaxAmount":9,"totalDiscount":5,"totalGratuity":0,"orderLineItems":'
            || '[{LINE},{LINE},{LINE}],"payments":[{{"id":"CH' || order_id || '","amount":' || amount
            || ',"currency":"USD","type":"OnlineCard","status":"Paid","paymentProvider":"clover"}}],'
            || '"serviceCharges":[],"customerRef":{{"id":"' || customer || '","name":"Name ' || customer
            || '"}},"modifiedDate":"2026-11-01T00:00:00Z","sourceModifiedDate":"'
            || strftime(sold, '%Y-%m-%dT%H:%M:%SZ') || '"}}' AS doc
        FROM o ORDER BY company, i"""
    )
    for n in range(companies):
        con.execute(
            "INSERT INTO ledger.sync_runs (run_id, company_id, connection_id, kind, started_at, finished_at, status)"
            " VALUES (?, ?, ?, 'sync', TIMESTAMP '2026-11-01', TIMESTAMP '2026-11-01', 'succeeded')",
            [f"r{n}", f"C{n}", f"N-C{n}"],
        )
        con.execute(
            "INSERT INTO ledger.snapshots SELECT s, 'r', ?, ?, TIMESTAMP '2026-11-01' + to_seconds(s), NULL, NULL,"
            " 0, 0, 0, 0, 0, 0, 0 FROM range(1, 11) t(s)",
            [f"C{n}", f"N-C{n}"],
        )
    con.execute("CHECKPOINT")
    con.close()
    (directory / "commerce.duckdb").symlink_to(path.name)


def make_key(directory: Path, companies: int, *, only: str | None = None) -> str:
    """The companies in the control file, and the base64 of a key that may read them all, or one."""
    sys.path.insert(0, str(ROOT))
    from connector.api.state import TABLES
    from connector.control import companies as api_companies
    from connector.control import keys as api_keys
    from connector.control.file import ControlFile

    control = ControlFile(directory, *TABLES)
    now = datetime.now(UTC)
    api_companies.take_from_config(
        control, [(f"C{n}", f"Company {n}", [f"N-C{n}"]) for n in range(companies)], now=now
    )
    secret = api_keys.create_key(
        control, "benchmark", now=now, requests_per_minute=10**9, companies=None if only is None else [only]
    )[1]
    control.close()
    return base64.b64encode(secret.encode()).decode()


def write_config(directory: Path, companies: int) -> Path:
    """A configuration of the store that was made."""
    lines = [f"store: {directory}", "companies:"]
    for n in range(companies):
        lines += [
            f"  - id: C{n}",
            f"    name: Company {n}",
            f"    connections: [{{id: N-C{n}, merchant_id: M{n}, country: USA, timezone: UTC, start_date: 2024-01-01,",
            '      token: "${NONE_IS_NEEDED:-none}"}]',
        ]
    path = directory / "config.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def served(code: str, *arguments: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", code, str(port), *arguments], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(400):
            try:
                httpx.get(f"{url}/health/live")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


API = """
import sys; from connector.cli import main
main(["--config", sys.argv[2], "--log-format", "json", "serve", "--port", sys.argv[1], "--workers", sys.argv[3]])
"""
BARE = """
import sys, uvicorn; from pathlib import Path
files = {f"/{p.name}": p.read_bytes() for p in Path(sys.argv[2]).iterdir()}
async def app(scope, receive, send):
    if scope["type"] != "http": return
    body = files.get(scope["path"], b"{}")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


def timed(client: httpx.Client, path: Callable[[int], str], n: int) -> tuple[list[float], bytes]:
    """Milliseconds of ``n`` requests, sorted, and the last body."""
    took, body = [], b""
    for i in range(n):
        address = path(i)
        began = time.perf_counter()
        answer = client.get(address)
        body = answer.content
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text[:300]
    return sorted(took), body


@dataclass(frozen=True)
class Paths:
    """What is asked for, by the number of the request."""

    companies: int
    orders: int
    sample: list[tuple[str, str]]

    def of(self, n: int) -> str:
        company = f"C{n % self.companies}"
        return f"/companies/{company}/connections/N-{company}/data/commerce-orders"

    def order(self, n: int) -> str:
        company, order_id = self.sample[n % len(self.sample)]
        return f"/companies/{company}/connections/N-{company}/data/commerce-orders/{order_id}"

    def any_page(self, n: int) -> str:
        return f"{self.of(n)}?page={1 + n * 7919 % max(1, self.orders // self.companies // 100)}"

    def mixed(self, n: int) -> str:
        """A page for nine single orders."""
        return self.any_page(n) if n % 10 == 0 else self.order(n)


def measure_pages(
    url: str, headers: dict[str, str], paths: Paths, requests: int, scratch: Path
) -> list[dict]:
    """Each kind of question one by one on one connection, and the bare server with the same bytes."""
    of, rows = paths.of, []
    last = max(1, paths.orders // paths.companies // 100)
    half = "query=totalAmount>=250"
    cases: list[tuple[str, Callable[[int], str], int]] = [
        ("page of 100, first", of, requests),
        ("page of 100, middle", lambda i: f"{of(i)}?page={last // 2}", requests),
        ("page of 100, last", lambda i: f"{of(i)}?page={last}", requests),
        ("page of 100, any", paths.any_page, requests),
        ("any page by -modifiedDate", lambda i: paths.any_page(i) + "&orderBy=-modifiedDate", requests),
        (
            "any page of a half",
            lambda i: f"{of(i)}?{half}&page={1 + i * 7919 % max(1, last // 2 - 1)}",
            requests,
        ),
        (
            "first page, ever new query",
            lambda i: f"{of(i)}?query=totalAmount>{i % 400}.{i}%26%26customerRef.id~k1",
            requests,
        ),
        ("any page of payments", lambda i: paths.any_page(i).replace("-orders", "-payments"), requests),
        ("page of 5000", lambda i: of(i) + "?pageSize=5000", max(5, requests // 20)),
        ("single order", paths.order, requests),
        ("one company", lambda i: f"/companies/C{i % paths.companies}", requests),
        ("health", lambda _i: "/health/live", requests),
    ]
    scratch.mkdir()
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        timed(client, of, 10)
        measured = [(name, *timed(client, path, n), n) for name, path, n in cases]
    for index, (_name, _took, body, _n) in enumerate(measured):
        (scratch / str(index)).write_bytes(body)
    with served(BARE, str(scratch)) as (bare, _pid), httpx.Client(base_url=bare, headers=headers) as plain:
        for index, (name, took, body, n) in enumerate(measured):
            floor, _ = timed(plain, lambda _i, at=f"/{index}": at, n)
            p50, p99 = took[n // 2], took[min(n - 1, int(n * 0.99))]
            rows.append(
                {
                    "case": name,
                    "requests": n,
                    "bytes": len(body),
                    "p50_ms": round(p50, 2),
                    "p99_ms": round(p99, 2),
                    "longest_ms": round(took[-1], 2),
                    "bare_p50_ms": round(floor[n // 2], 2),
                    "ratio": round(p50 / floor[n // 2], 1),
                }
            )
            print(
                f"{name:24} {len(body):>9,} bytes  p50 {p50:>7.2f} ms  p99 {p99:>7.2f} ms"
                f"  longest {took[-1]:>7.0f} ms"
                f"  bare {floor[n // 2]:>6.2f} ms  x{rows[-1]['ratio']}"
            )
    return rows


def measure_small(url: str, headers: dict[str, str], paths: Paths) -> dict[str, float]:
    """Small answers on one kept-alive connection: together, and as many a second as there are."""
    client = api_siege.Client(url, headers)
    client.get("/health/live")

    def together(path: Callable[[int], str], n: int) -> float:
        began = time.perf_counter()
        for i in range(n):
            client.get(path(i))
        return time.perf_counter() - began

    found = {
        "twenty_companies_ms": round(together(lambda i: f"/companies/C{i % paths.companies}", 20) * 1000, 1),
        "hundred_orders_ms": round(together(paths.order, 100) * 1000, 1),
        "health_a_second": round(2000 / together(lambda _i: "/health/live", 2000)),
    }
    assert set(client.statuses) == {200}, client.statuses
    client.close()
    print(found)
    return found


def measure_siege(
    url: str, headers: dict[str, str], other: str, paths: Paths, store: Path, seconds: float
) -> dict[str, object]:
    """Four clients with a good key alone and beside attackers; then the attackers by themselves."""

    def good() -> dict[str, float | int]:
        end = time.monotonic() + seconds
        took, statuses = api_siege.asked(
            url, headers, paths.mixed, clients=4, until=lambda _n: time.monotonic() > end
        )
        return api_siege.figures(took, statuses)

    def control_bytes() -> int:
        return sum(path.stat().st_size for path in store.glob("control.sqlite*"))

    found: dict[str, object] = {"alone": good()}
    with api_siege.besieged(url, keyless=1000, half_sent=300, other_key=other) as answered:
        found["besieged"] = good()
        time.sleep(3)  # what was read is written by then
        before = control_bytes()
        time.sleep(seconds)
        found["control_file_grew_bytes"] = control_bytes() - before
    found["attackers"] = {str(what): times for what, times in answered.items()}
    for name, value in found.items():
        print(f"{name:24} {value}")
    return found


def main() -> None:
    """Make, serve, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--companies", type=int, default=20)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--siege", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--bursts", type=int, default=0)
    parser.add_argument("--long", type=int, default=0, metavar="REQUESTS")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch, "store")
        store.mkdir()
        make_store(store, asked.orders, asked.companies)
        key = make_key(store, asked.companies)
        other = make_key(store, asked.companies, only="C1")
        with duckdb.connect(str(store / "serve-000000001.duckdb"), read_only=True) as con:
            sample = con.execute(
                "SELECT company_id, order_id FROM ledger.order_versions USING SAMPLE 500 ROWS (reservoir, 7)"
            ).fetchall()
        headers = {"Authorization": f"Basic {key}", "Accept-Encoding": "identity"}
        paths = Paths(asked.companies, asked.orders, sample)
        print(
            f"{asked.orders:,} orders, {asked.companies} companies, {asked.workers} worker(s),"
            f" duckdb {duckdb.__version__}"
        )
        found: dict[str, object] = {}
        with served(API, str(write_config(store, asked.companies)), str(asked.workers)) as (url, pid):
            if not (asked.siege or asked.bursts or asked.long):
                found["pages"] = measure_pages(url, headers, paths, asked.requests, Path(scratch, "bytes"))
                found["small"] = measure_small(url, headers, paths)
            if asked.siege:
                found["siege"] = measure_siege(url, headers, other, paths, store, asked.siege)
            if asked.bursts:
                found["descriptors"] = api_siege.bursts(url, headers, paths.mixed, pid, times=asked.bursts)
                print("descriptors", found["descriptors"])
            if asked.long:
                found["long"] = api_siege.long_run(url, headers, paths.mixed, pid, requests=asked.long)
    if asked.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
