"""Where copies are published: one catalog name for every state, a place and readers of its own, nothing left behind."""

import grp
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from connector.errors import StoreError
from connector.ledger.failpoints import VARIABLE
from connector.ledger.interface import PublishTo
from connector.ledger.keep.backup import make_backup
from connector.ledger.keep.forget_proof import search
from connector.ledger.keep.restore import restore_backup
from connector.ledger.places import door, published_file
from connector.ledger.publish import copies, copy_whole, forget_base
from connector.ledger.store import DuckStore

COUNT = "SELECT count(*) FROM commerce.main.orders"
CLIENTS = [sys.executable, *([other] if (other := os.environ.get("OTHER_DUCKDB_PYTHON")) else [])]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "analysts"


@pytest.fixture
def to(store):
    """The same store, publishing to a place; ``None`` is inside itself."""

    def publishing(directory, **readers):
        there = None if directory is None else PublishTo(directory, **readers)
        return DuckStore(store.directory, clock=store._clock, lock_wait=100, publish_to=there)

    return publishing


def load(store, books, rows, order_id):
    store.apply(books.batch(order_versions=[rows.order(order_id)]))
    store.publish()


def orders(store):
    with store.open_reader() as reader:
        return reader.connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def files(directory):
    """Everything in a place, by its path in there."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("client", CLIENTS, ids=["this", "other"][: len(CLIENTS)])
@pytest.mark.parametrize("is_apart", [True, False], ids=["publish_to", "inside"])
def test_a_saved_query_names_the_same_catalog_after_every_sync(
    store, books, rows, to, place, client, is_apart
):
    """By the path of the link and by the path that it leads to, connected and attached."""
    here = to(place if is_apart else None)
    link = place / "commerce.duckdb" if is_apart else store.directory / "commerce.duckdb"
    for number in (1, 2, 3):
        load(here, books, rows, f"O{number}")
        for path in (link, link.resolve(), store.directory / "commerce.duckdb"):
            script = (
                f"import duckdb; c = duckdb.connect({str(path)!r}, read_only=True)\n"
                f"print(c.execute({COUNT!r}).fetchone()[0])\n"
                f"d = duckdb.connect(); d.execute(\"ATTACH '{path}' (READ_ONLY)\")\n"
                f"print(d.execute({COUNT!r}).fetchone()[0])"
            )
            done = subprocess.run([client, "-c", script], capture_output=True, text=True)
            assert done.stdout.split() == [str(number)] * 2, (path, done.stderr)


def test_the_place_holds_the_copies_and_nothing_else(store, books, rows, to, place):
    here = to(place)
    for number in range(1, 6):
        if number == 3:
            forget_base(store.directory)  # a second copy with blocks of its own
        load(here, books, rows, f"O{number}")
    kept = [f"{path.parent.name}/commerce.duckdb" for path in reversed(copies(store.directory))]
    logs = [f"{name}.wal" for name in kept if (place / f"{name}.wal").exists()]
    assert (len(kept), len(logs)) == (4, 3)
    assert files(place) == sorted([".published-by", *kept, *logs, "commerce.duckdb", "commerce.duckdb.wal"])
    assert door(store.directory) == place / "commerce.duckdb"
    assert files(store.directory / "published") == []
    assert orders(store) == 5, "who knows the store only finds it"


def test_modes_are_those_asked_for_and_the_store_keeps_its_own(store, books, rows, to, place):
    old = os.umask(0o077)
    try:
        load(to(place), books, rows, "O1")
    finally:
        os.umask(old)
    copy = published_file(store.directory)
    assert (mode(place), mode(copy.parent), mode(copy)) == (0o750, 0o750, 0o440)
    assert mode(store.directory) == 0o700
    assert mode(store.directory / "work.duckdb") == 0o600


@pytest.mark.parametrize(("asked", "directories"), [(0o444, 0o755), (0o400, 0o700)])
def test_a_directory_can_be_passed_by_whoever_may_read_in_it(
    store, books, rows, to, place, asked, directories
):
    load(to(place, mode=asked), books, rows, "O1")
    copy = published_file(store.directory)
    assert (mode(place), mode(copy.parent), mode(copy)) == (directories, directories, asked)


def test_a_directory_that_is_there_keeps_its_mode(store, books, rows, to, place):
    place.mkdir()
    place.chmod(0o2750)
    load(to(place), books, rows, "O1")
    assert mode(place) == 0o2750


@contextmanager
def in_the_open():
    """A directory that every account can enter: those of pytest can only be entered by their owner."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def read_as(path, *, group):
    """What an account that is only in that group gets to see of a published file."""
    script = (
        f"import duckdb; print(duckdb.connect({str(path)!r}, read_only=True).execute({COUNT!r}).fetchone())"
    )
    # As the interpreter may lie where only root gets to, it is loaded first and gives up its rights then.
    prelude = f"import os, duckdb\nos.setgroups([]); os.setgid({group}); os.setuid(65534)\n"
    done = subprocess.run([sys.executable, "-c", prelude + script], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_analysts_read_what_is_published_and_nothing_of_the_store(store, books, rows):
    group = grp.getgrnam("games")
    with in_the_open() as elsewhere:
        shutil.copytree(store.directory, elsewhere / "store", symlinks=True)
        there = PublishTo(elsewhere / "analysts", group="games")
        here = DuckStore(elsewhere / "store", clock=store._clock, publish_to=there)
        load(here, books, rows, "O1")
        link = elsewhere / "analysts" / "commerce.duckdb"
        assert read_as(link, group=group.gr_gid) == "(1,)"
        assert "ermission denied" in read_as(link, group=65534), "others do not get in"
        for name in ("commerce.duckdb", "work.duckdb"):
            assert "rror" in read_as(elsewhere / "store" / name, group=group.gr_gid), "nor into the store"
        load(here, books, rows, "O2")
        assert read_as(link, group=group.gr_gid) == "(2,)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the directory another group's")
def test_without_a_group_the_directory_s_own_is_taken(store, books, rows, to, place):
    place.mkdir()
    os.chown(place, -1, grp.getgrnam("games").gr_gid)
    load(to(place), books, rows, "O1")
    assert published_file(store.directory).stat().st_gid == grp.getgrnam("games").gr_gid


def test_a_group_that_does_not_exist_is_named_and_nothing_changes(store, books, rows, to, place):
    load(store, books, rows, "O1")
    store.apply(books.batch(order_versions=[rows.order("O2")]))
    with pytest.raises(StoreError, match="no group nobody-here"):
        to(place, group="nobody-here").publish()
    assert orders(store) == 1
    assert orders(to(None)) == 1
    to(place).publish()
    assert orders(store) == 2


def test_moving_empties_the_old_place_and_who_reads_there_goes_on(store, books, rows, to, place, tmp_path):
    load(store, books, rows, "O1")
    with store.open_reader() as before:
        to(place).repair()
        assert orders(store) == 1
        with store.open_reader() as first:
            to(tmp_path / "second").repair()
            assert files(place) == []
            assert [reader.connection.execute(COUNT).fetchone() for reader in (before, first)] == [(1,)] * 2
    assert door(store.directory) == tmp_path / "second" / "commerce.duckdb"
    to(None).repair()
    assert files(tmp_path / "second") == []
    assert orders(store) == 1
    assert (store.directory / "commerce.duckdb").readlink() == Path("published/commerce.duckdb")
    assert len(copies(store.directory)) == 1


def test_a_store_of_the_first_version_moves_over_with_the_next_run(store, books, rows, to):
    """Its copies are still read meanwhile, serve to mend with, and go as newer ones come."""
    load(store, books, rows, "O1")
    copy_whole(published_file(store.directory), store.directory / "serve-000000007.duckdb")
    shutil.rmtree(store.directory / "published")
    (store.directory / "commerce.duckdb").unlink()
    (store.directory / "commerce.duckdb").symlink_to("serve-000000007.duckdb")
    with duckdb.connect(str(store.directory / "work.duckdb")) as work:
        work.execute("UPDATE ledger.publication SET commit_id = 7")
    with store.open_reader() as early:
        assert orders(store) == 1
        here = to(None)
        here.repair()
        assert published_file(store.directory) == store.directory / "published/000000007/commerce.duckdb"
        assert copies(store.directory)[0] == published_file(store.directory)
        for number in (2, 3, 4):
            forget_base(store.directory)  # each is a copy with blocks of its own
            load(here, books, rows, f"O{number}")
        assert not list(store.directory.glob("serve-*"))
        assert early.connection.execute(COUNT).fetchone() == (1,)
    assert orders(store) == 4


def test_two_stores_do_not_publish_to_one_place(store, books, rows, to, place, empty_store, tmp_path):
    load(to(place), books, rows, "O1")
    shutil.copytree(empty_store, tmp_path / "other", symlinks=True)
    other = DuckStore(tmp_path / "other", clock=store._clock, publish_to=PublishTo(place))
    with pytest.raises(StoreError, match=r"is where the store .* publishes") as caught:
        other.repair()
    assert str(store.directory / "commerce.duckdb") in (caught.value.hint or "")
    assert duckdb.connect(str(place / "commerce.duckdb"), read_only=True).execute(COUNT).fetchone() == (1,)
    (store.directory / "commerce.duckdb").unlink()
    other.repair()
    assert duckdb.connect(str(place / "commerce.duckdb"), read_only=True).execute(COUNT).fetchone() == (0,)
    assert [path.parent.parent for path in copies(other.directory) if "published" not in path.parts] == [
        place
    ], "what the first store left is gone"


def test_a_restored_store_takes_the_place_over_though_it_counts_fewer_commits(
    store, books, rows, to, place, tmp_path
):
    here = to(place)
    load(here, books, rows, "O1")
    make_backup(store.directory, tmp_path / "backup.tar", at=rows.start)
    for number in (2, 3, 4):
        load(here, books, rows, f"O{number}")
    restore_backup(tmp_path / "backup.tar", tmp_path / "restored", clock=lambda: rows.start)
    assert orders(here) == 4, "restoring publishes nothing to analysts"
    shutil.rmtree(store.directory)
    again = DuckStore(tmp_path / "restored", clock=store._clock, publish_to=PublishTo(place))
    again.repair()
    assert duckdb.connect(str(place / "commerce.duckdb"), read_only=True).execute(COUNT).fetchone() == (1,)
    assert all(
        path == published_file(again.directory) for path in copies(again.directory) if place in path.parents
    )
    (again.directory / "work.duckdb").unlink()
    load(again, books, rows, "O9")
    assert orders(again) == 2, "a lost working file is made from its own history"


def test_a_forgotten_company_is_in_no_place_any_more(store, books, rows, to, place):
    other = {"company_id": "company-2", "connection_id": "connection-2"}
    here = to(place)
    load(here, books, rows, "O1")
    here.apply(
        books.batch(
            **other, connection=rows.connection(**other), order_versions=[rows.order("SECRET", **other)]
        )
    )
    here.publish()
    load(here, books, rows, "O2")
    assert any(str(place) in trace.where for trace in search(store.directory, ["company-2"]))
    here.forget("company-2")
    assert search(store.directory, ["company-2"]) == []
    assert len(copies(store.directory)) == 1
    assert orders(store) == 2


@pytest.mark.parametrize("failpoint", ["publish.before_copy", "publish.before_link", "publish.after_link"])
def test_a_kill_while_moving_leaves_a_whole_state_and_the_next_run_clears_up(
    store, books, rows, to, place, tmp_path, failpoint
):
    load(to(place), books, rows, "O1")
    script = (
        "import sys; from pathlib import Path; from connector.ledger.store import DuckStore\n"
        "from connector.ledger.interface import PublishTo\n"
        "DuckStore(Path(sys.argv[1]), publish_to=PublishTo(Path(sys.argv[2]))).repair()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(store.directory), str(tmp_path / "second")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), VARIABLE: failpoint},
    )
    assert ended.returncode == -signal.SIGKILL
    assert orders(store) == 1
    third = to(tmp_path / "third")
    third.repair()
    assert orders(store) == 1
    assert files(place) == files(tmp_path / "second") == []
    assert [name for name in files(tmp_path / "third") if name.endswith(".tmp")] == []


def test_a_damaged_copy_is_made_anew_in_the_place(store, books, rows, to, place):
    here = to(place)
    for number in (1, 2):
        load(here, books, rows, f"O{number}")
    copy = published_file(store.directory)
    copy.chmod(0o600)
    with copy.open("r+b") as file:
        file.seek(12_288)
        file.write(b"\x5a" * (copy.stat().st_size - 12_288))
    [said] = here.mend()
    assert str(copy) in said
    assert published_file(store.directory) != copy
    assert orders(store) == 2
