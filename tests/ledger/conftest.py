"""Builders for the store's tests: rows as a run writes them, batches, stores whose clock is passed in."""

import itertools
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connector.ledger.load.batch import Batch, ConnectionRow, NdjsonWriter, RunRow
from connector.ledger.migrate import migrate
from connector.ledger.store import DuckStore

START = datetime(2026, 11, 20, 4, tzinfo=UTC)
COMPANY, CONNECTION = "company-1", "connection-1"


def order_row(order_id: str = "O1", **changed: Any) -> dict[str, Any]:
    """A paid order of 12.00, sold 2026-11-01 22:30 in New York: a line of 10.00 + 1.00 tax, 1.00 shipping."""
    row: dict[str, Any] = {
        "company_id": COMPANY,
        "connection_id": CONNECTION,
        "order_id": order_id,
        "source_modified_date": "2026-11-02 03:31:00",
        "content_hash": "a",
        "is_deleted": False,
        "observed": False,
        "order_number": order_id,
        "country": "USA",
        "currency": "USD",
        "created_date": "2026-11-02 03:30:00",
        "closed_date": None,
        "created_local_date": "2026-11-01",
        "total_amount": "12.0000",
        "total_refund": "0.0000",
        "total_tax_amount": "1.0000",
        "total_discount": "0.0000",
        "total_gratuity": "0.0000",
        "location_id": "M1",
        "location_name": "Juniper Goods",
        "customer_id": "C1",
        "customer_name": "Ada B.",
        "order_line_items": [line()],
        "payments": [payment(f"{order_id}-charge", "12.0000")],
        "service_charges": [
            {"description": "Shipping", "total_amount": "1.0000", "tax_percentage": "0.0000",
             "tax_amount": "0.0000", "quantity": 1, "type": "Shipping"}
        ],
        "doc": f'{{"id":"{order_id}","payments":[{{"id":"p","modifiedDate":"@loaded"}}],"modifiedDate":"@loaded"}}',
    }  # fmt: skip
    return row | changed


def line(line_id: str = "L1", **changed: Any) -> dict[str, Any]:
    row = {
        "id": line_id, "quantity": "1.0000", "unit_price": "10.0000", "tax_percentage": "10.0000",
        "total_tax_amount": "1.0000", "total_amount": "11.0000", "product_id": "P1", "product_name": "Mug",
        "variant_id": None, "variant_name": None, "discount_allocations": [],
    }  # fmt: skip
    return row | changed


def payment(payment_id: str, amount: str, **changed: Any) -> dict[str, Any]:
    row = {
        "id": payment_id, "amount": amount, "currency": "USD", "type": "OnlineCard", "status": "Paid",
        "provider": "clover", "created_date": "2026-11-02 03:31:00", "modified_date": None,
        "source_modified_date": "2026-11-02 03:31:00", "local_date": None, "is_refund": amount.startswith("-"),
    }  # fmt: skip
    return row | changed


class Books:
    """Loads rows into a store or a bare ledger, one batch a call, each an hour after the one before."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)

    def batch(
        self,
        tombstones: tuple[str, ...] = (),
        connection: ConnectionRow | None = None,
        cursors: dict[str, datetime] | None = None,
        run: dict[str, Any] | None = None,
        company_id: str = COMPANY,
        connection_id: str = CONNECTION,
        **tables: Any,
    ) -> Batch:
        """A batch of the given rows by table; every order in it counts as seen."""
        number = next(self._numbers)
        directory = self._directory / f"batch-{number}"
        directory.mkdir()
        seen = [row["order_id"] for row in tables.get("order_versions", ())]
        tables.setdefault("seen_orders", [{"order_id": order_id} for order_id in seen])
        with NdjsonWriter(directory) as writer:
            for table, rows in tables.items():
                writer.write(table, rows)  # type: ignore[arg-type]
            files = writer.close()
        started = START + timedelta(hours=number)
        fields = {"run_id": f"run-{number}", "kind": "sync", "started_at": started, "finished_at": started}
        return Batch(
            run=RunRow(company_id=company_id, connection_id=connection_id, **(fields | (run or {}))),
            connection=connection or connection_row(company_id=company_id, connection_id=connection_id),
            files=files,
            cursors=cursors or {},
            tombstones=tombstones,
        )


def connection_row(**changed: Any) -> ConnectionRow:
    fields: dict[str, Any] = {
        "company_id": COMPANY, "company_name": "Juniper Goods", "connection_id": CONNECTION, "merchant_id": "M1",
        "environment": "sandbox", "country": "USA", "currency": "USD", "timezone": "America/New_York",
    }  # fmt: skip
    return ConnectionRow(**(fields | changed))


@pytest.fixture
def books(tmp_path: Path) -> Books:
    directory = tmp_path / "batches"
    directory.mkdir()
    return Books(directory)


@pytest.fixture
def rows() -> Any:
    """The row builders, for tests that cannot import this file."""

    class Rows:
        order = staticmethod(order_row)
        line = staticmethod(line)
        payment = staticmethod(payment)
        connection = staticmethod(connection_row)
        start = START

    return Rows


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("empty") / "store"
    DuckStore(directory, clock=lambda: START).repair()
    return directory


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> DuckStore:
    """An empty, published store. Its clock stands still at START."""
    directory = tmp_path / "store"
    shutil.copytree(empty_store, directory, symlinks=True)
    return DuckStore(directory, clock=lambda: START, lock_wait=100)


@pytest.fixture(scope="session")
def one_ledger() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:", config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("ATTACH ':memory:' AS commerce")
    connection.execute("USE commerce")
    connection.execute("CREATE SCHEMA ledger")
    migrate(connection, at=START)
    yield connection
    connection.close()


@pytest.fixture
def ledger(one_ledger: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """An empty ledger in memory, without files and locks. Made once: its views take longer than the tests."""
    tables = one_ledger.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'ledger'"
    ).fetchall()
    for (table,) in tables:
        if table == "publication":
            one_ledger.execute(
                "UPDATE ledger.publication SET commit_id = 0, committed_at = '1970-01-01', snapshot_id = 0"
            )
        elif table not in ("migrations", "view_definitions", "view_grains"):
            one_ledger.execute(f"DELETE FROM ledger.{table}")
    return one_ledger
