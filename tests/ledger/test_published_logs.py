"""A small load publishes its log with the copy before it: no second copy, the same states for every reader."""

import shutil
from pathlib import Path

import pytest

from connector.ledger import publish
from connector.ledger.database import log_of
from connector.ledger.interface import PublishTo
from connector.ledger.keep.backup import make_backup
from connector.ledger.keep.restore import restore_backup
from connector.ledger.publish import copies
from connector.ledger.published import attached
from connector.ledger.store import DuckStore

COUNT = "SELECT count(*) FROM orders"


@pytest.fixture
def load(books, rows):
    """Load so many orders more and publish them."""
    numbers = iter(range(1, 1_000))

    def load_into(store, orders=1):
        batch = [rows.order(f"O{number}") for number, _ in zip(numbers, range(orders), strict=False)]
        store.apply(books.batch(order_versions=batch))
        store.publish()

    return load_into


@pytest.fixture
def base(store, load):
    """A store that has made a copy of one order."""
    load(store)
    return store


def count(path):
    with attached(path) as connection:
        return connection.execute(COUNT).fetchone()[0]


def files_of(store):
    """The different files behind the published copies."""
    return {path.stat().st_ino for path in copies(store.directory)}


def test_small_loads_share_the_blocks_of_one_copy_and_each_shows_its_own_state(base, load):
    before = files_of(base)
    for _ in range(2):
        load(base)
    newest, middle, first, *_ = copies(base.directory)
    assert (count(newest), count(middle), count(first)) == (3, 2, 1)
    assert newest.samefile(first)
    assert files_of(base) == before
    assert 0 < log_of(newest).stat().st_size < 64 << 10
    assert newest.stat().st_mode & 0o777 == log_of(newest).stat().st_mode & 0o777 == 0o444


def test_a_reader_keeps_its_state_while_logs_come(base, load):
    with base.open_reader() as early:
        load(base)
        load(base)
        assert early.connection.execute(COUNT).fetchone() == (1,)
    with base.open_reader() as late:
        assert late.connection.execute(COUNT).fetchone() == (3,)


def test_a_log_that_has_grown_is_written_out_and_copied(base, load, monkeypatch):
    load(base)
    before = files_of(base)
    monkeypatch.setattr(publish, "MOST_LOG", 100)
    load(base)
    newest = copies(base.directory)[0]
    assert newest.stat().st_ino not in before
    assert not log_of(newest).exists()
    assert not (base.directory / "work.duckdb.wal").exists()
    assert count(newest) == 3


def no_second_names(monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)


def cut_short(monkeypatch):
    """The log arrives without its end."""
    whole = publish.copy_in_child

    def copy(source, target):
        whole(source, target)
        if source.suffix == ".wal":
            target.chmod(0o600)
            target.write_bytes(target.read_bytes()[:-40])

    monkeypatch.setattr(publish, "copy_in_child", copy)


@pytest.mark.parametrize("trouble", [no_second_names, cut_short])
def test_where_a_log_cannot_be_published_a_copy_is_made(base, load, monkeypatch, trouble):
    before = files_of(base)
    trouble(monkeypatch)
    load(base)
    newest = copies(base.directory)[0]
    assert newest.stat().st_ino not in before
    assert count(newest) == 2
    assert not list(base.directory.rglob("*.tmp"))


@pytest.mark.parametrize("lost", ["the log's link", "the store's link to it"])
def test_a_process_killed_between_two_links_is_repaired(base, load, lost):
    """DuckDB up to 1.4 looks for the log beside the link it was given."""
    load(base)
    link = base.directory / "published/commerce.duckdb.wal"
    (link if lost == "the log's link" else base.directory / "commerce.duckdb.wal").unlink()
    DuckStore(base.directory).repair()
    newest = copies(base.directory)[0]
    for path in (link, base.directory / "commerce.duckdb.wal"):
        assert path.exists() == log_of(newest).exists()
        assert not path.exists() or path.samefile(log_of(newest))
    assert count(newest) == 2


def test_a_writers_file_that_is_lost_is_made_from_copy_and_log(base, load):
    load(base)
    for path in base.directory.glob("work.duckdb*"):
        path.unlink()
    load(base)
    assert count(copies(base.directory)[0]) == 3


def test_a_backup_holds_what_the_log_holds(base, load, tmp_path):
    load(base)
    assert log_of(copies(base.directory)[0]).exists()
    make_backup(base.directory, tmp_path / "backup.tar", at=base._clock())
    restore_backup(tmp_path / "backup.tar", tmp_path / "again", clock=base._clock)
    assert count(copies(tmp_path / "again")[0]) == 2
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.tar"]


def test_a_mode_that_was_changed_holds_for_the_next_publication(store, load, tmp_path):
    for mode in (0o440, 0o444):
        here = DuckStore(
            store.directory, clock=store._clock, publish_to=PublishTo(tmp_path / "place", mode=mode)
        )
        load(here)
        load(here)
        assert {path.stat().st_mode & 0o777 for path in copies(here.directory)[:1]} == {mode}


def test_a_store_that_was_copied_elsewhere_makes_a_copy_first(base, load, tmp_path):
    shutil.copytree(base.directory, tmp_path / "moved", symlinks=True)
    moved = DuckStore(tmp_path / "moved", clock=base._clock)
    before = files_of(moved)
    load(moved)
    assert not files_of(moved) <= before
    assert count(copies(moved.directory)[0]) == 2
