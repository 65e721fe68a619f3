"""How fast the API answers over 1,000,000 orders, beside a bare server that sends the very same bytes.

    python benchmarks/api_pages.py [--orders 1000000] [--companies 20] [--requests 300]

Makes a published file, serves it with one uvicorn worker on a loopback port, and asks over HTTP with a kept-alive
connection: first pages, later pages, filtered pages, a page of 5000, single orders. For each it prints the median
and the 99th percentile in milliseconds, the bare server's median for the same bytes in the same run, and the
ratio of the two medians.
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
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import httpx

ROOT = Path(__file__).parents[1]
MIGRATION = ROOT / "connector/store/migrations/0001_ledger.sql"
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
    con.execute(MIGRATION.read_text())
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


def make_key(directory: Path, companies: int) -> str:
    """The companies in the control file, and the base64 of a key that may read them all."""
    sys.path.insert(0, str(ROOT))
    from connector.api.state import TABLES
    from connector.store import api_companies, api_keys
    from connector.store.api_control import ControlFile

    control = ControlFile(directory, *TABLES)
    now = datetime.now(UTC)
    api_companies.take_from_config(
        control, [(f"C{n}", f"Company {n}", [f"N-C{n}"]) for n in range(companies)], now=now
    )
    secret = api_keys.create_key(control, "benchmark", now=now, requests_per_minute=10**9)[1]
    control.close()
    return base64.b64encode(secret.encode()).decode()


@contextmanager
def served(code: str, *arguments: str) -> Iterator[str]:
    """A uvicorn of one worker in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", code, str(port), *arguments], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{url}/health/live")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(20)


API = """
import sys, uvicorn; from pathlib import Path
from connector.api.app import create_app; from connector.api.state import ApiSettings
from connector.logs import configure_logging; configure_logging("json")
uvicorn.run(create_app(ApiSettings(Path(sys.argv[2]))), port=int(sys.argv[1]), log_level="warning", access_log=False)
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


def main() -> None:
    """Make, serve, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--companies", type=int, default=20)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store, bytes_of = Path(scratch, "store"), Path(scratch, "bytes")
        store.mkdir()
        bytes_of.mkdir()
        make_store(store, asked.orders, asked.companies)
        key = make_key(store, asked.companies)
        with duckdb.connect(str(store / "serve-000000001.duckdb"), read_only=True) as con:
            sample = con.execute(
                "SELECT company_id, order_id FROM ledger.order_versions USING SAMPLE 500 ROWS (reservoir, 7)"
            ).fetchall()
        headers = {"Authorization": f"Basic {key}", "Accept-Encoding": "identity"}

        def of(n: int) -> str:
            company = f"C{n % asked.companies}"
            return f"/companies/{company}/connections/N-{company}/data/commerce-orders"

        def order(i: int) -> str:
            company, order_id = sample[i % len(sample)]
            return f"/companies/{company}/connections/N-{company}/data/commerce-orders/{order_id}"

        per_company = asked.orders // asked.companies
        cases: list[tuple[str, Callable[[int], str], int]] = [
            ("page of 100, first", lambda i: of(i), asked.requests),
            ("page of 100, newest", lambda i: of(i) + "?orderBy=-modifiedDate", asked.requests),
            (
                "page of 100, any",
                lambda i: f"{of(i)}?page={1 + i * 7919 % max(1, per_company // 100)}",
                asked.requests,
            ),
            (
                "page of 100, filtered",
                lambda i: f"{of(i)}?query=totalAmount>{i % 400}%26%26customerRef.id~k1",
                asked.requests,
            ),
            ("page of 5000", lambda i: of(i) + "?pageSize=5000", max(5, asked.requests // 20)),
            ("single order", order, asked.requests),
        ]
        rows = []
        with (
            served(API, str(store)) as url,
            httpx.Client(base_url=url, headers=headers, timeout=60) as client,
        ):
            timed(client, of, 10)
            measured = [(name, *timed(client, path, n), n) for name, path, n in cases]
            for index, (_name, _took, body, _n) in enumerate(measured):
                (bytes_of / str(index)).write_bytes(body)
            with served(BARE, str(bytes_of)) as bare, httpx.Client(base_url=bare, headers=headers) as plain:
                for index, (name, took, body, n) in enumerate(measured):
                    floor, _ = timed(plain, lambda _i, at=f"/{index}": at, n)
                    p50, p99 = took[n // 2], took[min(n - 1, int(n * 0.99))]
                    rows.append(
                        {
                            "case": name,
                            "requests": n,
                            "kilobytes": len(body) // 1024,
                            "p50_ms": round(p50, 2),
                            "p99_ms": round(p99, 2),
                            "bare_p50_ms": round(floor[n // 2], 2),
                            "ratio": round(p50 / floor[n // 2], 1),
                        }
                    )
    if asked.json:
        print(json.dumps({"orders": asked.orders, "companies": asked.companies, "cases": rows}, indent=1))
        return
    print(f"{asked.orders:,} orders, {asked.companies} companies, one worker, duckdb {duckdb.__version__}")
    for row in rows:
        print(
            f"{row['case']:24} {row['kilobytes']:>6} kB  p50 {row['p50_ms']:>8} ms  p99 {row['p99_ms']:>8} ms"
            f"  bare {row['bare_p50_ms']:>7} ms  x{row['ratio']}"
        )


if __name__ == "__main__":
    main()
