"""Random loads against a plain-Python book: the ledger must say what the book says, at every snapshot."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.ledger.load.apply import apply_batch

_connections = itertools.count(1)

version = st.tuples(
    st.sampled_from(["O1", "O2", "O3", "O4"]),  # order
    st.integers(1, 5),  # source date: few, so that versions tie and come late
    st.sampled_from(["a", "b", "c"]),  # content
)
batch = st.tuples(
    st.lists(version, max_size=6),
    st.lists(st.sampled_from(["O1", "O2", "O9"]), max_size=1),
    st.booleans(),  # load it a second time
)


@dataclass
class Book:
    """The rules, in the plainest words. current: order -> (date, content, deleted)."""

    current: dict[str, tuple[int, str, bool]] = field(default_factory=dict)
    known: set[tuple[str, int, str]] = field(default_factory=set)
    history: dict[int, dict[str, tuple[int, str]]] = field(default_factory=dict)

    def load(self, versions, tombstones, deleted_on: int) -> bool:
        """Whether anything changed."""
        fresh = {v for v in versions if v not in self.known}
        self.known |= fresh
        changed = bool(fresh)
        for order_id in {order_id for order_id, _, _ in fresh}:
            newest = max((date, content) for o, date, content in fresh if o == order_id)
            held = self.current.get(order_id)
            if held is None or newest[0] >= held[0]:
                self.current[order_id] = (*newest, False)
        for order_id in tombstones:
            held = self.current.get(order_id)
            if held is not None and not held[2]:
                self.current[order_id] = (max(held[0], deleted_on), "deleted", True)
                changed = True
        return changed

    def state(self) -> dict[str, tuple[int, str]]:
        return {o: (date, content) for o, (date, content, deleted) in self.current.items() if not deleted}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(batch, min_size=1, max_size=6))
def test_every_snapshot_reads_back_as_the_book_had_it(ledger, books, rows, batches):
    """Late, tied and repeated versions and deletions; loading a batch twice adds no row."""
    connection_id = f"n{next(_connections)}"
    book = Book()
    for versions, tombstones, twice in batches:
        given_batch = books.batch(
            connection_id=connection_id,
            connection=rows.connection(connection_id=connection_id),
            tombstones=tuple(tombstones),
            run={"started_at": datetime(2026, 1, 3, 12, tzinfo=UTC)},
            order_versions=[
                rows.order(
                    order_id,
                    connection_id=connection_id,
                    source_modified_date=f"2026-01-0{date} 12:00:00",
                    content_hash=content,
                )
                for order_id, date, content in versions
            ],
        )
        applied = apply_batch(ledger, given_batch, now=rows.start)
        assert (applied.snapshot_id is not None) == book.load(versions, tombstones, deleted_on=3)
        if applied.snapshot_id is not None:
            book.history[applied.snapshot_id] = book.state()
        assert_sound(ledger, connection_id)
        if twice and not tombstones:
            assert apply_batch(ledger, given_batch, now=rows.start).snapshot_id is None
    for snapshot_id, state in book.history.items():
        assert read(ledger, f"orders_as_of({snapshot_id})", connection_id) == state
    assert read(ledger, "orders", connection_id) == book.state()


def read(ledger, source, connection_id):
    # The content is not in the orders view; the versions view has it.
    found = ledger.execute(
        f"SELECT o.order_id, v.source_modified_date, v.content_hash FROM {source} o JOIN order_versions v"
        " USING (connection_id, order_id, source_modified_date, snapshot_id) WHERE connection_id = ?"
        " AND (v.replaced_by IS NULL OR v.replaced_by > v.snapshot_id)",
        [connection_id],
    ).fetchall()
    assert len(found) == len({row[0] for row in found})
    return {order_id: (modified.day, content) for order_id, modified, content in found}


def assert_sound(ledger, connection_id):
    """One current version an order, every version once, and every replacement is a snapshot that exists."""
    per_order = ledger.execute(
        "SELECT count(*) FILTER (replaced_by IS NULL) FROM ledger.order_versions WHERE connection_id = ?"
        " GROUP BY order_id",
        [connection_id],
    ).fetchall()
    assert {row[0] for row in per_order} <= {1}
    doubled = ledger.execute(
        "SELECT order_id FROM ledger.order_versions WHERE connection_id = ?"
        " GROUP BY order_id, source_modified_date, content_hash HAVING count(*) > 1",
        [connection_id],
    ).fetchall()
    assert doubled == []
    unknown = ledger.execute(
        "SELECT snapshot_id, replaced_by FROM ledger.order_versions WHERE snapshot_id NOT IN"
        " (SELECT snapshot_id FROM ledger.snapshots) OR replaced_by NOT IN (SELECT snapshot_id FROM ledger.snapshots)"
    ).fetchall()
    assert unknown == []
