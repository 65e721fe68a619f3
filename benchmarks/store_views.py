"""How fast the analysts' views answer on a large store.

Makes a store with synthetic orders (three lines each, every eighth refunded, every tenth with a second
version), then times each view over everything and over one company: the best of three runs, in milliseconds,
on as many threads as asked for. Numbers of one machine only compare with numbers of the same machine.

    python benchmarks/store_views.py --orders 1000000 --threads 2
    python benchmarks/store_views.py --dir /tmp/bench          # makes the store there once, then uses it
    again
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from connector.store.database import work_database
from connector.store.duck_store import DuckStore
from connector.store.interface import now_utc
from connector.store.migrate import migrate
from connector.store.views import definitions

COMPANIES = 20
DAYS = 730

_ORDERS = """
INSERT INTO ledger.order_versions BY NAME
WITH n AS (
  SELECT i, i % $companies AS c, hash(i + 2) % $days AS day, hash(i) AS h,
    ((hash(i) % 9000)::INTEGER + 1000) * 0.01::DECIMAL(3,2) AS price,
    CASE WHEN hash(i + 1) % 5 = 0 THEN NULL
      ELSE printf('C%d-%d', i % $companies, hash(i + 1) % $customers) END AS customer_id
  FROM range($orders) r(i) ORDER BY c, i
),
o AS (
  SELECT *, (price * 3)::DECIMAL(18,4) AS goods, (i % 8 = 0) AS refunded,
    TIMESTAMP '2024-01-01 12:00:00' + to_days(day::INTEGER) + to_seconds((i % 40000)::INTEGER) AS placed
  FROM n
)
SELECT printf('8a210b68-6988-11ed-a1eb-%012d', c) AS company_id, printf('2e9d2c44-f675-40ba-8049-%012d', c) AS
  connection_id,
  printf('%013X', i) AS order_id, placed AS source_modified_date, md5(i::VARCHAR) AS content_hash, $snapshot
    AS snapshot_id,
  CASE WHEN $snapshot = 1 AND i % 10 = 0 THEN 2 END AS replaced_by, false AS is_deleted, false AS observed,
  printf('%013X', i) AS order_number, 'USA' AS country, 'USD' AS currency, placed AS created_date,
    placed::DATE AS created_local_date,
  (goods + 5 - CASE WHEN refunded THEN price ELSE 0 END + $snapshot)::DECIMAL(18,4) AS total_amount,
  -(CASE WHEN refunded THEN price ELSE 0 END)::DECIMAL(18,4) AS total_refund,
  (goods * 0.1::DECIMAL(2,1))::DECIMAL(18,4) AS total_tax_amount, 0 AS total_discount, 0 AS total_gratuity,
  (goods * 0.1::DECIMAL(2,1))::DECIMAL(18,4) AS sold_tax_amount, 0 AS sold_discount, 5 AS
    service_charges_amount,
  (goods + 5 - CASE WHEN refunded THEN price ELSE 0 END + $snapshot)::DECIMAL(18,4) AS paid_amount,
  'M' || c AS location_id, 'Shop ' || c AS location_name, customer_id, 'Customer ' || customer_id AS
    customer_name,
  TIMESTAMP '2026-01-01 00:00:00' + to_seconds($snapshot::INTEGER) AS modified_date,
  list_concat(
    [{'id': 'L' || k, 'quantity': 1::DECIMAL(18,4), 'unit_price': price::DECIMAL(18,4), 'tax_percentage':
      10::DECIMAL(9,4),
      'total_tax_amount': (price * 0.1::DECIMAL(2,1))::DECIMAL(18,4), 'total_amount': price::DECIMAL(18,4),
      'product_id': 'P' || ((i + k) % 500), 'product_name': 'Product ' || ((i + k) % 500), 'variant_id':
        NULL::VARCHAR,
      'variant_name': NULL::VARCHAR, 'refund_id': NULL::VARCHAR, 'refund_local_date': NULL::DATE,
      'discount_allocations': []::STRUCT("name" VARCHAR, total_amount DECIMAL(18,4))[]} for k in range(3)],
    [{'id': 'refund_L0', 'quantity': -1::DECIMAL(18,4), 'unit_price': price::DECIMAL(18,4),
      'tax_percentage': 10::DECIMAL(9,4), 'total_tax_amount': 0::DECIMAL(18,4), 'total_amount':
        -price::DECIMAL(18,4),
      'product_id': 'P' || (i % 500), 'product_name': 'Product ' || (i % 500), 'variant_id': NULL::VARCHAR,
      'variant_name': NULL::VARCHAR, 'refund_id': 'R' || i, 'refund_local_date': placed::DATE,
      'discount_allocations': []::STRUCT("name" VARCHAR, total_amount DECIMAL(18,4))[]} for k in
        range(refunded::INTEGER)]
  ) AS order_line_items,
  list_concat(
    [{'id': 'CH' || i, 'amount': (goods + 5 + $snapshot)::DECIMAL(18,4), 'currency': 'USD', 'type':
      'OnlineCard',
      'status': 'Paid', 'provider': 'clover', 'created_date': placed, 'modified_date': NULL::TIMESTAMP,
      'source_modified_date': placed, 'local_date': placed::DATE, 'is_refund': false}],
    [{'id': 'R' || i, 'amount': -price::DECIMAL(18,4), 'currency': 'USD', 'type': 'OnlineCard', 'status':
      'Paid',
      'provider': 'clover', 'created_date': placed, 'modified_date': NULL::TIMESTAMP, 'source_modified_date':
        placed,
      'local_date': placed::DATE, 'is_refund': true} for k in range(refunded::INTEGER)]) AS payments,
  [{'description': 'Shipping', 'total_amount': 5::DECIMAL(18,4), 'tax_percentage': 0::DECIMAL(9,4),
    'tax_amount': 0::DECIMAL(18,4), 'quantity': 1::BIGINT, 'type': 'Shipping'}] AS service_charges,
  '{"id":"' || i || '","padding":"' || repeat(md5(i::VARCHAR), 20) || '"}' AS doc
FROM o WHERE $snapshot = 1 OR i % 10 = 0
"""


def make(directory: Path, orders: int) -> None:
    """A published store with ``orders`` orders of 20 companies over two years."""
    store = DuckStore(directory)
    store.repair()
    with work_database(directory) as connection:
        migrate(connection, at=now_utc())
        for snapshot in (1, 2):
            connection.execute(
                _ORDERS,
                {"orders": orders, "companies": COMPANIES, "days": DAYS, "snapshot": snapshot,
                 "customers": max(1, orders // COMPANIES // 6)},
            )  # fmt: skip
            connection.execute(
                "INSERT INTO ledger.snapshots SELECT ?, 'bench', 'c', 'n', now()::TIMESTAMP + to_seconds(?::INTEGER),"
                " NULL, NULL, 0, 0, 0, 0, 0, 0, 0",
                [snapshot, snapshot],
            )
        connection.execute(
            "INSERT INTO ledger.connections (company_id, connection_id)"
            " SELECT DISTINCT company_id, connection_id FROM ledger.order_versions"
        )
        connection.execute("UPDATE ledger.publication SET commit_id = commit_id + 1")
    started = time.perf_counter()
    store.publish()
    print(f"published in {time.perf_counter() - started:.2f} s")


def best_of(connection: duckdb.DuckDBPyConnection, sql: str, runs: int) -> float:
    """Milliseconds of the fastest run; every column is computed, no row is fetched."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        connection.execute(f"CREATE OR REPLACE TEMP TABLE result AS {sql}")
        times.append((time.perf_counter() - started) * 1000)
    return min(times)


def report(directory: Path, threads: int, runs: int) -> None:
    """Print one line a view."""
    path = (directory / "commerce.duckdb").resolve()
    connection = duckdb.connect(str(path), read_only=True, config={"threads": threads})
    company = f"printf('8a210b68-6988-11ed-a1eb-%012d', {COMPANIES // 2})"
    print(f"{path.stat().st_size / 2**20:,.0f} MiB, duckdb {duckdb.__version__}, {threads} threads")
    print(f"{'view':28} {'all companies, ms':>18} {'one company, ms':>16} {'rows':>12}")
    for definition in definitions():
        name = f"{definition.name}(1)" if definition.name.endswith("as_of") else definition.name
        if definition.is_macro and name == definition.name:
            continue
        columns = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {name}").fetchall()}
        everything = best_of(connection, f"SELECT * FROM {name}", runs)
        rows = connection.execute("SELECT count(*) FROM result").fetchall()[0][0]
        one = ""
        if "company_id" in columns:
            one = f"{best_of(connection, f'SELECT * FROM {name} WHERE company_id = {company}', runs):,.0f}"
        print(f"{definition.name:28} {everything:18,.0f} {one:>16} {rows:12,}")


def main() -> None:
    """Read the options, make the store if it is missing, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument("--dir", type=Path, help="keep the store here; default a temporary directory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = given.dir or Path(temporary)
        if not (directory / "commerce.duckdb").exists():
            make(directory, given.orders)
        report(directory, given.threads, given.runs)


if __name__ == "__main__":
    main()
