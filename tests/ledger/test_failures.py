"""Full disks, missing rights, files open elsewhere: errors say what to do, nothing published is harmed."""

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from connector.errors import StoreBusy, StoreError
from connector.ledger.database import store_errors
from connector.ledger.store import DuckStore

_CHILD = """
import os, pickle, resource, sys
from pathlib import Path
from connector.errors import StoreError
from connector.ledger.store import DuckStore
directory, batch, limit, user = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
batch = pickle.loads(batch.read_bytes())
if user:
    os.setgid(user)
    os.setuid(user)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
store = DuckStore(directory)
try:
    store.apply(batch)
    store.publish()
except StoreError as error:
    print(error.message)
    print(error.hint)
    sys.exit(7)
"""


def attempt(store, batch, tmp_path, *, largest_file=0, user=0):
    given = tmp_path / "batch.pickle"
    given.write_bytes(pickle.dumps(batch))
    return subprocess.run(
        [sys.executable, "-c", _CHILD, str(store.directory), str(given), str(largest_file), str(user)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )


def published(store):
    with store.open_reader() as reader:
        return reader.connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def bulky(rows, count):
    return [rows.order(f"B{n}", doc=os.urandom(2000).hex()) for n in range(count)]


def test_a_load_that_does_not_fit_leaves_what_is_published_and_can_be_done_again(
    store, books, rows, tmp_path
):
    """As on a full disk: the file may not grow. After room was made the same load goes through."""
    store.apply(books.batch(order_versions=[rows.order()]))
    store.publish()
    batch = books.batch(order_versions=bulky(rows, 1500))
    size = (store.directory / "work.duckdb").stat().st_size
    ended = attempt(store, batch, tmp_path, largest_file=size + 1_000_000)
    assert ended.returncode == 7, ended.stdout + ended.stderr
    assert "unharmed" in ended.stdout
    assert published(store) == 1
    store.repair()
    store.apply(batch)
    store.publish()
    assert published(store) == 1501


def test_a_copy_that_does_not_fit_is_not_published(store, books, rows, tmp_path):
    store.apply(books.batch(order_versions=bulky(rows, 300)))
    size = (store.directory / "work.duckdb").stat().st_size
    ended = attempt(store, books.batch(), tmp_path, largest_file=size - 100_000)
    assert ended.returncode == 7, ended.stdout + ended.stderr
    assert published(store) == 0
    store.repair()
    assert published(store) == 300
    assert list(store.directory.glob("*.tmp")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_told_whose_the_store_is(store, books, tmp_path):
    with tempfile.TemporaryDirectory() as elsewhere:
        Path(elsewhere).chmod(0o755)  # where pytest keeps its files nobody else can look in at all
        theirs = DuckStore(Path(elsewhere) / "store")
        shutil.copytree(store.directory, theirs.directory, symlinks=True)
        ended = attempt(theirs, books.batch(), tmp_path, user=65534)
        assert ended.returncode == 7, ended.stdout + ended.stderr
        assert "owner" in ended.stdout
        assert published(theirs) == 0


def test_a_store_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        DuckStore(tmp_path / "file" / "store").repair()
    assert "directory" in (caught.value.hint or "")


def test_a_working_file_open_elsewhere_is_named_with_the_process(store, books):
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('SELECT 1');"
        " print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(store.directory / "work.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreBusy) as caught:
            store.apply(books.batch())
        assert caught.value.pid == other.pid
        assert "commerce.duckdb" in (caught.value.hint or "")
        assert published(store) == 0, "readers are not disturbed"
    finally:
        other.communicate()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("IO Error: Could not write file: No space left on device", "disk is full"),
        ("IO Error: Cannot open file: Permission denied", "permission denied"),
        (
            "IO Error: Detached database 'work', but CHECKPOINT during DETACH failed.",
            "committed before is kept",
        ),
        ("Something else entirely", "Something else"),
    ],
)
def test_errors_of_duckdb_become_errors_of_the_store(tmp_path, text, says):
    with pytest.raises(StoreError, match=says) as caught, store_errors(tmp_path, "load"):
        raise duckdb.IOException(text)
    assert caught.value.hint
