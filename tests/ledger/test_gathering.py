"""Publications that are gathered: one copy for a burst of runs, and nobody who must see a commit misses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from connector.ledger.bursts import Gathering
from connector.ledger.store import DuckStore

ROOT = Path(__file__).parents[2]


def copies(store):
    return sorted(path.parent.name for path in store.directory.glob("published/0*/commerce.duckdb"))


def orders(store):
    with store.open_reader() as reader:
        return [
            row[0] for row in reader.connection.execute("SELECT order_id FROM orders ORDER BY 1").fetchall()
        ]


@pytest.fixture
def burst(store, books, rows):
    """A gathering, and ``end(number)``: a run of that connection comes to its end."""
    gathering = Gathering(store)

    def end(number):
        connection_id = f"connection-{number}"
        gathering.apply(
            books.batch(
                connection_id=connection_id,
                connection=rows.connection(connection_id=connection_id),
                order_versions=[rows.order(f"O{number}", connection_id=connection_id)],
            )
        )
        gathering.publish_soon(connection_id)

    return gathering, end


def test_runs_that_end_together_are_published_in_one_copy(store, burst):
    gathering, end = burst
    before = copies(store)
    for number in (1, 2, 3):
        gathering.repair(f"connection-{number}")
        end(number)
    assert orders(store) == []
    assert copies(store) == before
    gathering.publish()
    assert orders(store) == ["O1", "O2", "O3"]
    assert len(copies(store)) == len(before) + 1


def test_the_next_run_of_a_connection_sees_what_its_last_one_stored(store, burst):
    gathering, end = burst
    end(1)
    end(2)
    gathering.repair("connection-1")
    assert orders(store) == ["O1", "O2"]


def test_a_commit_that_came_after_the_copy_waits_for_the_next(store, burst, monkeypatch):
    gathering, end = burst
    end(1)
    whole = store.publish

    def publish():
        path = whole()
        end(1)
        return path

    with monkeypatch.context() as patch:
        patch.setattr(store, "publish", publish)
        gathering.publish()
    gathering.repair("connection-1")
    assert gathering.publish().parent.name == copies(store)[-1]


def test_what_a_killed_process_left_gathered_is_published_by_the_next_run_of_anyone(store, burst):
    _, end = burst
    end(1)
    DuckStore(store.directory).repair("connection-2")
    assert orders(store) == ["O1"]


def test_after_another_process_has_written_a_run_does_not_wait(store, burst, books, rows):
    """The other one may have read the same connection, and been killed before it published."""
    gathering, end = burst
    end(1)
    other = DuckStore(store.directory)
    other.apply(books.batch(order_versions=[rows.order("O9")]))
    gathering.repair("connection-2")
    assert orders(store) == ["O1", "O9"]


def test_a_store_in_order_is_not_opened_to_see_that(store, burst, monkeypatch):
    gathering, end = burst
    end(1)
    gathering.publish()
    monkeypatch.setattr(DuckStore, "_work", None)
    monkeypatch.setattr(DuckStore, "_locked", None)
    gathering.repair("connection-1")
    store.repair()


def test_what_another_program_wrote_is_noticed(store, burst):
    gathering, end = burst
    end(1)
    gathering.publish()
    script = (
        f"import duckdb; c = duckdb.connect({str(store.directory / 'work.duckdb')!r});"
        "c.execute('UPDATE ledger.publication SET commit_id = commit_id + 1')"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    before = copies(store)[-1]
    gathering.repair("connection-1")
    assert copies(store)[-1] > before
