"""The store keeps its sessions of DuckDB between two uses, and nobody notices: no file stays open, no state leaks."""

import shutil
import subprocess
import sys

import duckdb
import pytest

from connector.errors import StoreError
from connector.ledger.database import WORK, WorkSession, log_of
from connector.ledger.published import PublishedSession, open_published, opened


def load(store, books, rows, order_id):
    store.apply(books.batch(order_versions=[rows.order(order_id)]))
    store.publish()


def test_between_two_uses_another_process_may_write_to_the_file(store, books, rows):
    load(store, books, rows, "O1")
    other = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import duckdb; duckdb.connect({str(store.directory / WORK)!r}).execute('CHECKPOINT')",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 0, other.stderr
    load(store, books, rows, "O2")
    with store.open_reader() as reader:
        assert reader.connection.execute("SELECT count(*) FROM orders").fetchall() == [(2,)]


def test_a_session_is_used_again_and_one_that_failed_is_not(store):
    session = WorkSession(store.directory)
    with session.work() as first:
        pass
    with session.work() as second:
        assert second is first
        assert second.execute("SELECT current_database()").fetchall() == [("work",)]
    with pytest.raises(ZeroDivisionError), session.work():
        1 / 0  # noqa: B018
    with session.work() as third:
        assert third is not first
    with pytest.raises(duckdb.ConnectionException):
        first.execute("SELECT 1")


def test_a_file_that_was_replaced_under_the_same_name_is_opened_anew(store, books, rows, tmp_path):
    load(store, books, rows, "O1")
    session = PublishedSession()
    with open_published(store.directory, session) as reader:
        path = reader.path
        assert reader.snapshot_id == 1
    kept = tmp_path / "kept.duckdb"
    shutil.copy(path, kept)
    load(store, books, rows, "O2")
    with open_published(store.directory, session) as reader:
        newest = reader.path
        assert reader.snapshot_id == 2
    newest.unlink()
    log_of(newest).unlink(missing_ok=True)
    shutil.copy(kept, newest)
    with open_published(store.directory, session) as reader:
        assert (reader.path, reader.snapshot_id) == (newest, 1)


def test_readers_of_one_session_do_not_see_each_others_settings_and_tables(store):
    with store.open_reader() as one, store.open_reader() as other:
        one.connection.execute("CREATE TEMP TABLE mine AS SELECT 1")
        one.connection.execute("SET TimeZone = 'Pacific/Apia'")
        with pytest.raises(duckdb.CatalogException):
            other.connection.execute("FROM mine")
        assert other.connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
    with store.open_reader() as later:
        assert later.connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_a_file_that_is_cleaned_away_while_it_is_opened_is_looked_for_again(store, books, rows):
    load(store, books, rows, "O1")
    tried = []

    def way(path):
        tried.append(path)
        if len(tried) == 1:
            load(store, books, rows, "O2")
            path.unlink()
            raise duckdb.IOException("No such file")
        return "opened"

    assert opened(store.directory, way) == (tried[1], "opened")
    assert tried[0] != tried[1]


def test_a_file_that_is_there_and_cannot_be_opened_is_tried_once(store, books, rows):
    load(store, books, rows, "O1")
    tried = []

    def way(path):
        tried.append(path)
        raise duckdb.IOException("not a database")

    with pytest.raises(StoreError, match="not a database") as caught:
        opened(store.directory, way)
    assert len(tried) == 1
    assert "connector check" in caught.value.hint
