import duckdb
import pytest
from structlog.testing import capture_logs

from connector.errors import StoreTooNew
from connector.ledger import migrate as migrating
from connector.ledger.load.apply import apply_batch
from connector.ledger.migrate import migrate, migrations


def test_migrations_are_numbered_without_gaps():
    assert [version for version, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_store_that_is_up_to_date_is_not_touched(ledger, rows):
    before = ledger.execute("SELECT * FROM ledger.migrations").fetchall()
    assert migrate(ledger, at=rows.start) is False
    assert ledger.execute("SELECT * FROM ledger.migrations").fetchall() == before


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store, books, rows):
    with duckdb.connect(str(store.directory / "work.duckdb")) as connection:
        connection.execute("INSERT INTO ledger.migrations VALUES (999, 'from_the_future', now()::TIMESTAMP)")
    with pytest.raises(StoreTooNew) as caught:
        store.apply(books.batch(order_versions=[rows.order()]))
    assert "Upgrade" in (caught.value.hint or "")
    with pytest.raises(StoreTooNew):
        store.repair()
    with store.open_reader() as reader:
        assert reader.snapshot_id == 0


def test_a_migration_that_fails_leaves_nothing_half_done(tmp_path, rows):
    directory = tmp_path / "migrations"
    directory.mkdir()
    for version, name, file in migrations():
        (directory / f"{version:04d}_{name}.sql").write_text(file.read_text())
    bad = len(migrations()) + 1
    (directory / f"{bad:04d}_bad.sql").write_text(
        "CREATE TABLE ledger.half (a INTEGER); SELECT * FROM nowhere;"
    )
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA ledger")
        with pytest.raises(duckdb.Error):
            migrate(connection, at=rows.start, directory=directory)
        done = connection.execute("SELECT max(version) FROM ledger.migrations").fetchall()
        assert done == [(len(migrations()),)]
        assert connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'"
        ).fetchall() == [(0,)]


def test_views_of_another_version_are_made_again_and_published(store):
    with duckdb.connect(str(store.directory / "work.duckdb")) as connection:
        connection.execute("UPDATE ledger.view_definitions SET fingerprint = 'old'")
        connection.execute("DROP VIEW main.orders")
        connection.execute("CREATE VIEW main.no_longer_there AS SELECT 1 AS a")
    store.repair()
    with store.open_reader() as reader:
        views = {row[0] for row in reader.connection.execute("SHOW TABLES").fetchall()}
    assert "orders" in views
    assert "no_longer_there" not in views


def test_hot_tables_have_no_index(ledger):
    """DuckDB 1.5 has index faults under upserts; versions are unique by the way they are applied."""
    assert ledger.execute("SELECT * FROM duckdb_indexes()").fetchall() == []
    assert (
        ledger.execute(
            "SELECT * FROM duckdb_constraints() WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
        ).fetchall()
        == []
    )


def test_a_store_from_before_the_bookings_gets_them_and_says_how_far_it_is(ledger, rows, books, monkeypatch):
    """The same as a load makes, in whatever parts it is filled."""
    apply_batch(ledger, books.batch(order_versions=[rows.order(f"O{n}") for n in range(20)]), now=rows.start)
    kept = [
        "SELECT order_id, bookings FROM ledger.order_versions ORDER BY 1",
        "SELECT * FROM ledger.postings ORDER BY ALL",
    ]
    before = [ledger.execute(sql).fetchall() for sql in kept]
    assert len(before[1]) > 20
    ledger.execute("UPDATE ledger.order_versions SET bookings = NULL")
    ledger.execute("DELETE FROM ledger.postings")
    ledger.execute("DELETE FROM ledger.migrations WHERE version = 7")
    ledger.execute("ALTER TABLE ledger.order_versions DROP COLUMN bookings.element.gift_cards_sold")
    for view, sql in ledger.execute(
        "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal AND sql LIKE '%gift_cards_sold%'"
    ).fetchall():
        assert sql
        ledger.execute(f'DROP VIEW main."{view}"')
    ledger.execute("ALTER TABLE ledger.postings DROP COLUMN gift_cards_sold")
    ledger.execute("UPDATE ledger.view_definitions SET fingerprint = 'old'")
    monkeypatch.setattr(migrating, "_TELLS_FROM", 1)
    monkeypatch.setattr("connector.ledger.load.bookings._AT_ONCE", 5)
    with capture_logs() as lines:
        assert migrate(ledger, at=rows.start)
    said = [(line["step"], line["done"]) for line in lines if line["event"] == "store.upgrading"]
    assert [done for step, done in said if step == "bookings"][-1] == 20
    assert len(said) > 3
    assert said[-1] == ("postings", 20)
    after = [ledger.execute(sql).fetchall() for sql in kept]
    assert after[0] == before[0]
    assert after[1] == before[1]
