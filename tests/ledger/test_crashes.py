"""A process killed at any step: nothing committed is lost or doubled, readers never meet a torn state."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connector.ledger.publish import forget_base
from connector.ledger.store import DuckStore

FAILPOINTS = {
    "apply.before_commit": 0,
    "apply.after_commit": 1,
    "publish.begins": 1,
    "publish.before_copy": 1,
    "publish.after_copy": 1,
    "publish.before_link": 1,
    "publish.after_link": 1,
}
_CHILD = """
import pickle, sys
from pathlib import Path
from connector.ledger.store import DuckStore
store = DuckStore(Path(sys.argv[1]))
batch = pickle.loads(Path(sys.argv[2]).read_bytes())
with store.run_lock("connection-1"):
    store.begin_run("doomed")
    store.apply(batch)
    store.publish()
"""


@pytest.mark.parametrize("is_copied", [True, False], ids=["a copy", "the log"])
@pytest.mark.parametrize(("place", "committed"), FAILPOINTS.items())
def test_a_kill_at_any_step_is_healed_by_the_next_run(
    store, books, rows, tmp_path, place, committed, is_copied
):
    store.apply(books.batch(order_versions=[rows.order("O1")]))
    store.publish()
    if is_copied:
        forget_base(store.directory)
    batch = books.batch(order_versions=[rows.order("O2")])
    ended = run_child(store, batch, tmp_path, CONNECTOR_FAILPOINT=place)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with store.open_reader() as reader:
        assert count(reader) in (1, 1 + committed), "readers keep a whole state"
    with store.run_lock("connection-1"):
        store.repair()
        with store.open_reader() as reader:
            assert count(reader) == 1 + committed
        assert (store.apply(batch).snapshot_id is None) == bool(committed)
        store.publish()
        store.begin_run("next")
    with store.open_reader() as reader:
        assert count(reader) == 2
        assert reader.connection.execute("SELECT count(*) FROM snapshots").fetchall() == [(2,)]
    assert list(store.directory.glob("*.tmp")) == []
    assert [path.name for path in (store.directory / "staging").iterdir() if path.name != "duckdb.tmp"] == [
        "next"
    ]


def test_every_failpoint_is_tried():
    source = Path(sys.modules[DuckStore.__module__].__file__ or "").parent
    named = {
        line.split('"')[1]
        for file in source.rglob("*.py")
        for line in file.read_text().splitlines()
        if line.strip().startswith('failpoint("')
    }
    assert named == {*FAILPOINTS, "forget.before_replace"}


def run_child(store, batch, tmp_path, **environment):
    import pickle

    given = tmp_path / "batch.pickle"
    given.write_bytes(pickle.dumps(batch))
    return subprocess.run(
        [sys.executable, "-c", _CHILD, str(store.directory), str(given)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def count(reader):
    return reader.connection.execute("SELECT count(*) FROM orders").fetchone()[0]
