"""Disks that fill up or cannot be written: a run fails clean wherever it is, and the next one heals all of it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from connector.control.access_log import TABLES, Access, AccessLog
from connector.control.file import ControlFile
from connector.ledger import open_store
from connector.ledger.keep.forget_proof import search
from connector.ledger.publish import forget_base
from tests.operations.processes import ended

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own; remounted with other options by calling it."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(*options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(path)], capture_output=True
        )

    if sys.platform != "linux" or mount("size=64m").returncode != 0:
        pytest.skip("a disk that is full or read-only needs the right to mount one")
    mount.path = path
    yield mount
    subprocess.run(["umount", "-l", str(path)], check=False)


def failed_clean(code, out, err):
    """What the run says of its failure, if it failed; in words that say what to do."""
    assert code in (0, 1), err
    assert "Traceback" not in err
    if not code:
        return None
    told = json.loads(out)
    error = told["runs"][0]["error"] if "runs" in told else told["error"]
    assert error["kind"] == "store"
    assert error["hint"], "what to do"
    return error["message"]


@contextmanager
def copy_of_work(here):
    """The writer's file with its log, as the next run will find it."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("work.duckdb", "work.duckdb.wal"):
            if (here.store.directory / name).exists():
                shutil.copy(here.store.directory / name, directory)
        with duckdb.connect(str(Path(directory) / "work.duckdb")) as work:
            yield work


def test_a_disk_that_is_full_after_any_number_of_bytes_fails_clean_and_recovers(today, process, disk):
    """Twice the room at every attempt, until it is enough: each write of a run is the one that fails, some time."""
    here = today(store=str(disk.path / "store"))
    here.sell(at=here.clock.now() - timedelta(hours=20))
    here.sync()
    sold, shown, failures, room = 1, 1, [], 0
    while True:
        here.sell()
        sold += 1
        forget_base(here.store.directory)  # a whole copy is written, and not only the log
        with (disk.path / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, max(1, shutil.disk_usage(disk.path).free - room))
        failure = failed_clean(*ended(process(here, "sync", "--json")))
        (disk.path / "filler").unlink()
        [(orders, total)] = here.rows("SELECT count(*), sum(total_amount) FROM orders")
        assert shown <= orders <= sold, "a complete snapshot, not older than before"
        assert total == 11 * orders
        with copy_of_work(here) as work:
            kept = work.execute("SELECT count(*) FROM ledger.order_versions").fetchone()[0]
        if failure is None:
            break
        assert kept < sold or "Nothing of" not in failure, f"what was committed is kept: {failure}"
        failures.append(failure)
        shown, room = orders, max(4096, room * 2)
    assert orders == sold
    told = {failure.split(":")[0].split("/")[0] for failure in failures}
    assert len(told) > 2, "the notes, the load, the copy"
    here.clock.start = datetime.now(UTC)
    assert here.sync().exit_code == 0
    here.check_books()
    assert here.rows("SELECT count(*) FROM ledger.order_versions") == [(sold,)]
    assert not list(here.store.directory.glob("*.tmp"))


@pytest.mark.parametrize("room", [0, 20_000, 200_000, 1_000_000, 2_000_000])
def test_a_file_that_may_not_grow_fails_clean_and_recovers(today, process, room):
    """No file beyond ``room`` bytes: staging, payloads, the writer's file, the copy, the control file."""
    here = today()
    first = here.sell(at=here.clock.now() - timedelta(hours=20))
    here.sync()
    here.worlds[0].refund(here.clock.now() - timedelta(minutes=30), first)
    failed_clean(*ended(process(here, "sync", "--json", limit_file_size=room)))
    assert here.rows("SELECT total_refund FROM orders") in ([(0,)], [(-11,)])
    here.clock.start = datetime.now(UTC)
    assert here.sync().exit_code == 0
    here.check_books()


def test_a_read_only_disk_fails_clean_and_recovers(today, process, disk):
    here = today(store=str(disk.path / "store"))
    here.sell()
    here.sync()
    disk("remount", "ro")
    here.sell(amount=2500)
    code, _out, err = ended(process(here, "sync"))
    assert code == 1, err
    assert "read-only" in err.lower()
    assert here.rows("SELECT count(*) FROM orders") == [(1,)]
    disk("remount", "rw")
    here.clock.start = datetime.now(UTC)
    here.store = open_store(here.config.store, clock=here.clock.now)
    assert here.sync().exit_code == 0
    here.check_books()


@pytest.mark.parametrize("is_published", [True, False], ids=["published", "loaded but not published"])
def test_a_company_is_forgotten_on_a_full_disk(today, process, disk, is_published):
    """Not one byte is free: what goes first gives the room for the rest, and the others lose nothing."""
    here = today(2, store=str(disk.path / "store"))
    gone = here.sell(0, at=here.clock.now() - timedelta(hours=20))
    kept = here.sell(1, at=here.clock.now() - timedelta(hours=20))
    here.sync()
    if not is_published:
        here.sell(1)
        with pytest.raises(ZeroDivisionError), stopped_before_publishing():
            here.sync()
        here.store = open_store(here.config.store, clock=here.clock.now)
    with closing(ControlFile(here.store.directory, TABLES)) as control:
        now, of_it = f"{here.clock.now():%Y-%m-%dT%H:%M:%SZ}", here.config.companies[0].id
        access = Access(now, "c", "key-1", "GET", "/x", of_it, None, None, 1, 1, 200, 1.0, "203.0.113.9")
        log = AccessLog(control, clock=here.clock.now)
        log.add(access)
        log.close()
    with (disk.path / "filler").open("wb") as filler:
        while free := shutil.disk_usage(disk.path).free:
            os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), min(free, 1 << 20))
            filler.seek(0, os.SEEK_END)
    code, out, err = ended(
        process(here, "forget", "--company", here.config.companies[0].id, "--yes", "--json")
    )
    assert code == 0, err
    told = json.loads(out)
    assert told["left"] == []
    assert told["room"]["freeBytes"] == 0 < told["room"]["neededBytes"]
    assert "Needs up to" in err
    assert told["removed"]["control.access_log"] == 1
    assert search(here.store.directory, [gone, here.config.companies[0].id]) == []
    assert (kept,) in here.rows("SELECT order_id FROM orders")
    assert here.rows("SELECT count(*) FROM orders") == [(1 if is_published else 2,)]
    (disk.path / "filler").unlink()


@contextmanager
def stopped_before_publishing():
    """As a kill between the load and the publication leaves a store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connector.ledger.store.publish_log", lambda *_: 1 // 0)
        patch.setattr("connector.sync.failure.explained", lambda error: (_ for _ in ()).throw(error))
        yield
