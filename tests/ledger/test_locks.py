import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connector.errors import StoreBusy

_HOLDER = """
import sys
from pathlib import Path
from connector.ledger.store import DuckStore
with DuckStore(Path(sys.argv[1])).run_lock("connection-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_of_a_connection_is_told_who_runs(store):
    with store.run_lock("connection-1"):
        with pytest.raises(StoreBusy) as caught, store.run_lock("connection-1"):
            pass
        assert caught.value.pid == os.getpid()
        assert caught.value.exit_code == 4
        assert str(os.getpid()) in caught.value.message


def test_runs_of_different_connections_do_not_meet(store):
    with store.run_lock("connection-1"), store.run_lock("connection-2"):
        pass
    with store.run_lock("connection-1"):
        pass


def test_a_lock_held_by_another_process_is_free_once_it_is_killed(store):
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.directory)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy) as caught, store.run_lock("connection-1"):
        pass
    assert caught.value.pid == other.pid
    other.kill()
    other.communicate()
    with store.run_lock("connection-1"):
        pass


def test_what_a_dead_process_wrote_beside_a_lock_is_not_repeated(store):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with store.run_lock("connection-1"):
        [holder] = (store.directory / "locks").glob("connection-*.holder")
        holder.write_text(json.dumps({"pid": dead.pid, "since": "2026"}))
        with pytest.raises(StoreBusy) as caught, store.run_lock("connection-1"):
            pass
        assert caught.value.pid is None


@pytest.mark.parametrize("connection_id", ["../../etc/x", "a/b", "é", "x" * 300, ".hidden"])
def test_any_connection_id_makes_a_lock_inside_the_store(store, connection_id):
    with store.run_lock(connection_id):
        made = {path.parent for path in (store.directory / "locks").iterdir()}
    assert made == {store.directory / "locks"}


def test_files_of_a_live_run_stay_and_those_of_a_dead_one_go(store):
    live = store.begin_run("live")
    (live / "rows.ndjson").write_text("{}")
    dead = store.directory / "staging" / "dead"
    dead.mkdir()
    store.begin_run("next")
    assert live.exists()
    assert not dead.exists()
    store.end_run("live")
    assert not live.exists()
    assert not list((store.directory / "locks").glob("run-live*"))
