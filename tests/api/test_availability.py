"""The server stays reachable: descriptors, connections, half-sent requests, callers without a key, many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connector.store.api_control import MOST_IDLE, ControlFile

DESCRIPTORS = Path("/proc/self/fd")


def open_files(of: str) -> int:
    """How many descriptors of this process point at a file whose name holds ``of``."""
    found = 0
    for link in DESCRIPTORS.iterdir():
        try:
            found += of in str(link.readlink())
        except OSError:  # closed meanwhile
            continue
    return found


@pytest.mark.parametrize("work", ["row", "rows", "write", "transaction", "failing"])
def test_threads_that_end_leave_no_descriptor_of_the_control_file(tmp_path, work):
    control = ControlFile(tmp_path, "CREATE TABLE IF NOT EXISTS t (n INTEGER)")

    def once(_n):
        barrier.wait()
        if work == "transaction":
            with control.transaction() as db:
                db.execute("INSERT INTO t VALUES (1)")
        elif work == "failing":
            with pytest.raises(ValueError, match="on purpose"), control.transaction():
                raise ValueError("on purpose")
        else:
            getattr(control, work)("INSERT INTO t VALUES (1)" if work == "write" else "SELECT * FROM t")

    after = []
    for _burst in range(6):
        barrier = threading.Barrier(16)
        with ThreadPoolExecutor(16) as burst:
            list(burst.map(once, range(16)))
        after.append(open_files(str(tmp_path)))
    # The file, its WAL and its index for each idle connection; and SQLite keeps what was closed while another
    # connection held a lock, for the next to open. With a connection a thread it would be 48 more each time.
    assert max(after) <= 3 * MOST_IDLE + 16, after
    control.close()
    assert open_files(str(tmp_path)) == 0


def test_a_statement_inside_a_transaction_belongs_to_it_and_leaves_with_it(tmp_path):
    control = ControlFile(tmp_path, "CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    with pytest.raises(ValueError, match="no"), control.transaction() as db:
        db.execute("INSERT INTO t VALUES (1)")
        control.write("INSERT INTO t VALUES (2)")
        assert len(control.rows("SELECT * FROM t")) == 2
        raise ValueError("no")
    assert control.rows("SELECT * FROM t") == []
    control.close()
