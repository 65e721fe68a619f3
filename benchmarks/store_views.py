"""How fast the analysts' views answer on a large store.

Makes a store with synthetic orders (three lines each, every eighth refunded, every tenth with a second
version), then times each view over everything and over one company: the best of three runs, in milliseconds,
on as many threads as asked for. Numbers of one machine only compare with numbers of the same machine.

    python benchmarks/store_views.py --orders 1000000 --threads 2
    python benchmarks/store_views.py --dir /tmp/bench     # makes the store there once, then uses it again
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from connector.ledger.database import work_database
from connector.ledger.interface import now_utc
from connector.ledger.load.bookings import book
from connector.ledger.load.postings import post
from connector.ledger.migrate import migrate
from connector.ledger.store import DuckStore
from connector.ledger.views import definitions

COMPANIES = 20
DAYS = 730
AGGREGATE_MS, MONTH_MS, JOURNAL_MONTH_MS = 500, 100, 300
# The day or month by which a view is asked for a month of one company.
_DATES = ("entry_date", "day", "week", "month", "local_date", "created_local_date")
_FIRST, _LAST = "DATE '2025-03-01'", "DATE '2025-03-31'"
# The figure that a plain aggregate adds up: the first of these that a view has.
_MAIN = (
    "net_sales", "total_amount", "recurring_revenue", "net_amount", "charged_amount", "refunded_amount", "amount",
    "difference", "stored_amount", "difference_amount", "debit", "customers", "orders",
)  # fmt: skip
_BESIDE = """
INSERT INTO ledger.record_versions BY NAME
SELECT company_id, connection_id, 'customers' AS data_type, customer_id AS record_id,
  min(created_date) AS source_modified_date, md5(customer_id) AS content_hash, 1 AS snapshot_id, false AS is_deleted,
  any_value(customer_name) AS "name", min(created_date) AS created_date, max(modified_date) AS modified_date,
  '{"id":"' || customer_id || '","emailAddress":"somebody@example.com","addresses":[]}' AS doc
FROM ledger.order_versions WHERE customer_id IS NOT NULL GROUP BY ALL;
INSERT INTO ledger.record_versions BY NAME
SELECT company_id, connection_id, 'products' AS data_type, 'P' || p AS record_id, first_sale AS source_modified_date,
  md5('P' || p) AS content_hash, 1 AS snapshot_id, false AS is_deleted, 'Product ' || p AS "name",
  first_sale AS created_date, first_sale AS modified_date, '{"id":"P' || p || '","variants":[]}' AS doc
FROM (SELECT company_id, connection_id, min(created_date) AS first_sale FROM ledger.order_versions GROUP BY ALL),
  range(500) r(p);
INSERT INTO ledger.source_records BY NAME
SELECT company_id, connection_id, kind, kind || order_id AS record_id, order_id, created_date AS created_at,
  content_hash, 1 AS snapshot_id, false AS is_deleted,
  -- Hashes, so that it is as hard to compress as what Clover sends: 600 bytes a record.
  '{"id":"' || order_id || '","amount":1000,"rest":"'
    || array_to_string([md5(kind || order_id || k) for k in range(18)], '') || '"}' AS payload
FROM ledger.order_versions, (VALUES ('order'), ('charge')) k(kind) WHERE replaced_by IS NULL;
INSERT INTO ledger.data_issues BY NAME
SELECT company_id, connection_id, order_id, 'payments_total' AS code, 'warning' AS severity, 'less was paid' AS detail,
  -100 AS difference_minor, currency, 1 AS first_seen_snapshot, modified_date AS first_seen_at
FROM ledger.order_versions WHERE replaced_by IS NULL AND hash(order_id) % 50 = 0;
INSERT INTO ledger.held_back BY NAME
SELECT company_id, connection_id, 'order' AS record_kind, order_id AS record_id, order_id, 'open_cart' AS reason,
  'bench' AS first_seen_run, 'bench' AS last_seen_run
FROM ledger.order_versions WHERE replaced_by IS NULL AND hash(order_id) % 100 = 1;
INSERT INTO ledger.reconciliations BY NAME
SELECT 'bench' AS run_id, company_id, connection_id, max(modified_date) AS reconciled_at, created_local_date AS "day",
  stream, currency, count(*) AS clover_count, sum(paid_amount) AS clover_amount, count(*) AS stored_count,
  sum(paid_amount) AS stored_amount, 0 AS explained, 0 AS unexplained
FROM ledger.order_versions, (VALUES ('orders'), ('charges'), ('refunds')) k(stream) WHERE replaced_by IS NULL
GROUP BY ALL
"""

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
SELECT printf('8a210b68-6988-11ed-a1eb-%012d', c) AS company_id,
  printf('2e9d2c44-f675-40ba-8049-%012d', c) AS connection_id,
  printf('%013X', i) AS order_id, placed AS source_modified_date, md5(i::VARCHAR) AS content_hash,
  $snapshot AS snapshot_id,
  CASE WHEN $snapshot = 1 AND i % 10 = 0 THEN 2 END AS replaced_by, false AS is_deleted, false AS observed,
  printf('%013X', i) AS order_number, 'USA' AS country, 'USD' AS currency, placed AS created_date,
  placed::DATE AS created_local_date,
  (goods + 5 - CASE WHEN refunded THEN price ELSE 0 END + $snapshot)::DECIMAL(18,4) AS total_amount,
  -(CASE WHEN refunded THEN price ELSE 0 END)::DECIMAL(18,4) AS total_refund,
  (goods * 0.1::DECIMAL(2,1))::DECIMAL(18,4) AS total_tax_amount, 0 AS total_discount, 0 AS total_gratuity,
  (goods * 0.1::DECIMAL(2,1))::DECIMAL(18,4) AS sold_tax_amount, 0 AS sold_discount,
  5 AS service_charges_amount,
  (goods + 5 - CASE WHEN refunded THEN price ELSE 0 END + $snapshot)::DECIMAL(18,4) AS paid_amount,
  'M' || c AS location_id, 'Shop ' || c AS location_name, customer_id,
  'Customer ' || customer_id AS customer_name,
  TIMESTAMP '2026-01-01 00:00:00' + to_seconds($snapshot::INTEGER) AS modified_date,
  list_concat(
    [{'id': 'L' || k, 'quantity': 1::DECIMAL(18,4), 'unit_price': price::DECIMAL(18,4),
      'tax_percentage': 10::DECIMAL(9,4),
      'total_tax_amount': (price * 0.1::DECIMAL(2,1))::DECIMAL(18,4), 'total_amount': price::DECIMAL(18,4),
      'product_id': 'P' || ((i + k) % 500), 'product_name': 'Product ' || ((i + k) % 500),
      'variant_id': NULL::VARCHAR, 'variant_name': NULL::VARCHAR, 'kind': 'goods',
      'local_date': placed::DATE, 'refund_id': NULL::VARCHAR, 'refund_local_date': NULL::DATE,
      'discount_allocations': []::STRUCT("name" VARCHAR, total_amount DECIMAL(18,4))[]} for k in range(3)],
    [{'id': 'refund_L0', 'quantity': -1::DECIMAL(18,4), 'unit_price': price::DECIMAL(18,4),
      'tax_percentage': 10::DECIMAL(9,4), 'total_tax_amount': 0::DECIMAL(18,4),
      'total_amount': -price::DECIMAL(18,4),
      'product_id': 'P' || (i % 500), 'product_name': 'Product ' || (i % 500), 'variant_id': NULL::VARCHAR,
      'variant_name': NULL::VARCHAR, 'kind': 'goods', 'local_date': placed::DATE,
      'refund_id': 'R' || i, 'refund_local_date': placed::DATE,
      'discount_allocations': []::STRUCT("name" VARCHAR, total_amount DECIMAL(18,4))[]}
      for k in range(refunded::INTEGER)]
  ) AS order_line_items,
  list_concat(
    [{'id': 'CH' || i, 'amount': (goods + 5 + $snapshot)::DECIMAL(18,4), 'currency': 'USD',
      'type': 'OnlineCard', 'status': 'Paid', 'provider': 'clover',
      'created_date': placed, 'modified_date': NULL::TIMESTAMP,
      'source_modified_date': placed, 'local_date': placed::DATE, 'is_refund': false}],
    [{'id': 'R' || i, 'amount': -price::DECIMAL(18,4), 'currency': 'USD',
      'type': 'OnlineCard', 'status': 'Paid', 'provider': 'clover',
      'created_date': placed, 'modified_date': NULL::TIMESTAMP,
      'source_modified_date': placed, 'local_date': placed::DATE, 'is_refund': true}
      for k in range(refunded::INTEGER)]) AS payments,
  [{'description': 'Shipping', 'total_amount': 5::DECIMAL(18,4), 'tax_percentage': 0::DECIMAL(9,4),
    'tax_amount': 0::DECIMAL(18,4), 'quantity': 1::BIGINT, 'type': 'Shipping'}] AS service_charges,
  -- 1.5 kB, with the payloads 2.7 kB an order.
  '{"id":"' || i || '","rest":"' || array_to_string([md5(i || '-' || k) for k in range(46)], '') || '"}' AS doc
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
        for statement in connection.extract_statements(_BESIDE):
            connection.execute(statement)
        connection.execute("BEGIN")
        book(connection, "ledger.order_versions")
        post(connection)
        connection.execute("COMMIT")
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


def report(directory: Path, threads: int, runs: int) -> list[str]:
    """Print one line a view; the promises that were not kept."""
    path = (directory / "commerce.duckdb").resolve()
    connection = duckdb.connect(str(path), read_only=True, config={"threads": threads})
    company = f"printf('8a210b68-6988-11ed-a1eb-%012d', {COMPANIES // 2})"
    print(f"{path.stat().st_size / 2**20:,.0f} MiB, duckdb {duckdb.__version__}, {threads} threads")
    print(
        f"{'view':34} {'aggregate, ms':>14} {'its month, ms':>14} {'one company, ms':>16} {'every row, ms':>14}"
        f" {'rows':>12}"
    )
    broken = []
    for definition in definitions():
        name = f"{definition.name}(1)" if definition.name.endswith("as_of") else definition.name
        if definition.is_macro and name == definition.name:
            continue
        columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {name}").fetchall()]
        figure = next((f", sum({column})" for column in _MAIN if column in columns), "")
        aggregate = best_of(
            connection, f"SELECT company_id, count(*){figure} FROM {name} GROUP BY company_id", runs
        )
        one = best_of(connection, f"SELECT * FROM {name} WHERE company_id = {company}", runs)
        date = next((column for column in _DATES if column in columns), None)
        month = None
        if date is not None:
            in_month = f"{date} BETWEEN {_FIRST} AND {_LAST}"
            month = best_of(
                connection, f"SELECT * FROM {name} WHERE company_id = {company} AND {in_month}", runs
            )
        everything = best_of(connection, f"SELECT * FROM {name}", runs)
        rows = connection.execute("SELECT count(*) FROM result").fetchall()[0][0]
        shown = "" if month is None else f"{month:,.0f}"
        print(
            f"{definition.name:34} {aggregate:14,.0f} {shown:>14} {one:16,.0f} {everything:14,.0f} {rows:12,}",
            flush=True,
        )
        if aggregate >= AGGREGATE_MS:
            broken.append(f"{definition.name}: {aggregate:,.0f} ms, promised under {AGGREGATE_MS}")
        most = JOURNAL_MONTH_MS if definition.name.startswith("journal") else MONTH_MS
        if month is not None and month >= most:
            broken.append(
                f"{definition.name}, a month of one company: {month:,.0f} ms, promised under {most}"
            )
    return broken


def main() -> None:
    """Read the options, make the store if it is missing, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise is not kept")
    parser.add_argument("--dir", type=Path, help="keep the store here; default a temporary directory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = given.dir or Path(temporary)
        if not (directory / "commerce.duckdb").exists():
            make(directory, given.orders)
        broken = report(directory, given.threads, given.runs)
    print("\n".join(broken) or "Every promise is kept.")
    if given.check and broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
