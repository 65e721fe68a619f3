import stat

import duckdb
import pytest

from connector.errors import ConfigError, StoreError
from connector.ledger.publish import forget_base, publish_copy
from connector.ledger.store import DuckStore


def load(store, books, rows, order_id="O1", **changed):
    store.apply(books.batch(order_versions=[rows.order(order_id, **changed)]))


def orders(reader):
    return reader.connection.execute("SELECT order_id FROM orders ORDER BY 1").fetchall()


def test_what_was_applied_is_seen_only_after_it_was_published(store, books, rows):
    load(store, books, rows)
    with store.open_reader() as reader:
        assert (orders(reader), reader.snapshot_id) == ([], 0)
    store.publish()
    with store.open_reader() as reader:
        assert (orders(reader), reader.snapshot_id) == ([("O1",)], 1)


def test_an_open_reader_keeps_its_state_and_holds_nobody_up(store, books, rows):
    load(store, books, rows, "O1")
    store.publish()
    with store.open_reader() as early:
        for order_id in ("O2", "O3", "O4", "O5"):
            load(store, books, rows, order_id)
            store.publish()
        assert not early.path.exists(), "older copies are cleaned away"
        assert orders(early) == [("O1",)]
        with store.open_reader() as late:
            assert len(orders(late)) == 5


def test_the_last_three_copies_are_kept_and_cannot_be_written(store, books, rows):
    for order_id in ("O1", "O2", "O3", "O4"):
        load(store, books, rows, order_id)
        store.publish()
        if order_id == "O1":
            forget_base(
                store.directory
            )  # the next is a copy with blocks of its own; those after it share them
    copies = sorted(store.directory.glob("published/0*/commerce.duckdb"))
    assert [int(path.parent.name) for path in copies] == [2, 3, 4, 5]
    assert len({path.stat().st_ino for path in copies}) == 2, "not all of them are lost with one block"
    assert {stat.S_IMODE(path.stat().st_mode) for path in copies} == {0o444}
    assert (store.directory / "commerce.duckdb").resolve() == copies[-1].resolve()
    assert not (store.directory / "commerce.duckdb").readlink().is_absolute()


def test_a_store_that_was_moved_is_still_published(store, books, rows, tmp_path):
    load(store, books, rows)
    store.publish()
    moved = DuckStore(store.directory.rename(tmp_path / "moved"))
    with moved.open_reader() as reader:
        assert orders(reader) == [("O1",)]


def test_only_the_owner_can_enter_the_store_and_read_the_working_file(tmp_path):
    store = DuckStore(tmp_path / "new")
    store.repair()
    modes = {
        name: stat.S_IMODE((store.directory / name).stat().st_mode)
        for name in (".", "work.duckdb", "locks", "staging")
    }
    assert modes == {".": 0o700, "work.duckdb": 0o600, "locks": 0o700, "staging": 0o700}


def test_the_files_open_in_duckdb_1_4_and_later(store):
    with duckdb.connect() as connection:
        path = (store.directory / "commerce.duckdb").resolve()
        connection.execute(f"ATTACH '{path}' AS published (READ_ONLY)")
        [(tags,)] = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = 'published'"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.4")


def test_a_log_that_was_not_written_out_is_never_published(store):
    (store.directory / "work.duckdb.wal").write_bytes(b"left over")
    before = (store.directory / "commerce.duckdb").resolve()
    with pytest.raises(StoreError, match=r"wal is not empty"):
        publish_copy(store.directory, 99)
    assert (store.directory / "commerce.duckdb").resolve() == before


def test_before_the_first_publication_a_reader_is_told_to_sync(tmp_path):
    with pytest.raises(StoreError, match="Nothing has been published") as caught:
        DuckStore(tmp_path / "none").open_reader()
    assert "connector sync" in (caught.value.hint or "")


def test_a_link_that_leads_to_nothing_is_repaired(store, books, rows):
    load(store, books, rows)
    store.publish()
    (store.directory / "commerce.duckdb").unlink()
    (store.directory / "commerce.duckdb").symlink_to("serve-000000777.duckdb")
    store.repair()
    with store.open_reader() as reader:
        assert orders(reader) == [("O1",)]


def test_repair_publishes_what_waits_and_then_has_nothing_to_do(store, books, rows):
    load(store, books, rows)
    (store.directory / "publishing-000000005.tmp").write_bytes(b"half a copy")
    store.repair()
    first = (store.directory / "commerce.duckdb").resolve()
    store.repair()
    assert (store.directory / "commerce.duckdb").resolve() == first
    assert list(store.directory.glob("*.tmp")) == []
    with store.open_reader() as reader:
        assert orders(reader) == [("O1",)]


def test_a_lost_working_file_is_made_again_from_the_published_one(store, books, rows):
    load(store, books, rows, "O1")
    store.publish()
    (store.directory / "work.duckdb").unlink()
    load(store, books, rows, "O2")
    store.publish()
    with store.open_reader() as reader:
        assert orders(reader) == [("O1",), ("O2",)]


def test_a_working_file_from_an_old_backup_does_not_take_back_what_was_published(
    store, books, rows, tmp_path
):
    backup = tmp_path / "backup"
    backup.write_bytes((store.directory / "work.duckdb").read_bytes())
    for order_id in ("O1", "O2"):
        load(store, books, rows, order_id)
        store.publish()
    backup.replace(store.directory / "work.duckdb")
    with pytest.raises(StoreError, match="Failure while replaying") as caught:
        store.publish()
    assert "connector sync makes it anew" in (caught.value.hint or "")
    (store.directory / "work.duckdb.wal").unlink()
    with pytest.raises(StoreError, match="older") as caught:
        store.publish()
    assert "Remove work.duckdb" in (caught.value.hint or "")
    with store.open_reader() as reader:
        assert len(orders(reader)) == 2


def test_a_reader_finds_the_snapshot_of_a_moment(store, books, rows):
    load(store, books, rows, "O1")
    load(store, books, rows, "O2")
    store.publish()
    with store.open_reader() as reader:
        assert reader.as_of(rows.start) == 1
        assert reader.as_of(None) == 2
        assert reader.as_of(1) == 1
        with pytest.raises(ConfigError, match="newest is 2"):
            reader.as_of(3)
        with pytest.raises(ConfigError, match="Nothing had been loaded"):
            reader.as_of(rows.start.replace(year=2020))


def test_readers_with_other_settings_may_have_the_file_open_in_the_same_process(store):
    path = (store.directory / "commerce.duckdb").resolve()
    with duckdb.connect(str(path), read_only=True, config={"threads": 1}), store.open_reader() as reader:
        assert orders(reader) == []
