import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connector.ledger.failpoints import VARIABLE


@pytest.fixture
def two_companies(store, books, rows):
    other = {"company_id": "company-2", "connection_id": "connection-2"}
    store.apply(books.batch(order_versions=[rows.order("O1"), rows.order("O2")]))
    store.publish()
    store.apply(
        books.batch(
            **other,
            connection=rows.connection(**other),
            order_versions=[rows.order("SECRET-ORDER", **other)],
            open_orders=[
                {"order_id": "SECRET-ORDER", "reason": "pending", "polled_at": "2026-11-20 00:00:00"}
            ],
        )
    )
    store.publish()
    store.apply(books.batch(**other, connection=rows.connection(**other), tombstones=("SECRET-ORDER",)))
    store.publish()
    return store


def test_a_forgotten_company_is_in_no_file_any_more(two_companies):
    """Not as a row, not as history, not as bytes; the other company is untouched."""
    store = two_companies
    removed = store.forget("company-2")
    assert removed == {
        "connections": 1,
        "open_orders": 1,
        "order_versions": 2,
        "postings": 2,
        "snapshots": 2,
        "sync_runs": 2,
    }
    files = [path for path in store.directory.rglob("*") if path.is_file()]
    assert len([path for path in files if path.name == "commerce.duckdb" and not path.is_symlink()]) == 1
    for path in files:
        assert b"SECRET-ORDER" not in path.read_bytes(), path
        assert b"company-2" not in path.read_bytes(), path
    with store.open_reader() as reader:
        assert reader.connection.execute("SELECT order_id FROM orders ORDER BY 1").fetchall() == [
            ("O1",),
            ("O2",),
        ]
        assert len(reader.connection.execute("SELECT * FROM orders_as_of(1)").fetchall()) == 2
        comments = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'orders' AND comment IS NULL"
        assert reader.connection.execute(comments).fetchall() == [(0,)]


def test_ids_of_forgotten_snapshots_are_not_given_again(two_companies, books, rows):
    two_companies.forget("company-2")
    applied = two_companies.apply(books.batch(order_versions=[rows.order("O3")]))
    assert applied.snapshot_id == 4


def test_a_kill_while_forgetting_removes_nothing_and_can_be_done_again(two_companies):
    store = two_companies
    script = "import sys; from pathlib import Path; from connector.ledger.store import DuckStore;"
    script += " DuckStore(Path(sys.argv[1])).forget('company-2')"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(store.directory)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), VARIABLE: "forget.before_replace"},
    )
    assert ended.returncode == -signal.SIGKILL
    store.repair()
    assert list(store.directory.glob("*.tmp*")) == []
    with store.open_reader() as reader:
        assert reader.connection.execute("SELECT count(*) FROM connections").fetchall() == [(2,)]
    assert store.forget("company-2")["connections"] == 1


def test_forgetting_a_company_that_is_not_there_removes_nothing(store):
    assert store.forget("nobody") == {}
