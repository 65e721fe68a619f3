"""A manual sync of many: large merchants do not hold up small ones, and what ends together is published once."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace

import pytest

from connector.errors import StoreError
from connector.sandbox.shapes import PLAIN
from connector.sandbox.shop import generate_shop
from connector.sync import commit as pipeline
from connector.sync import side_by_side
from connector.sync.commit import Commit
from connector.sync.failure import note_not_published
from connector.sync.report import RunReport
from connector.sync.side_by_side import free_places, run_side_by_side, smallest_first, stored_orders

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(side_by_side, "LOOK_EVERY", 0.005)


def pairs(*names):
    return [(None, SimpleNamespace(id=name)) for name in names]


def report_of(pair):
    name = pair[1].id
    return RunReport(f"run-{name}", "company", "Company", name, "sync", NOON, NOON)


def test_large_merchants_that_take_every_place_give_them_to_small_ones_after_a_minute():
    """Eight large ones, begun first, end only when every small one has."""
    minutes, left, all_small = [0], set(range(40)), threading.Event()
    large_begun = threading.Barrier(8, action=lambda: minutes.append(2))

    def run(pair):
        kind, number = pair[1].id
        if kind == "large":
            large_begun.wait(20)
            assert all_small.wait(20), "small merchants wait for large ones"
        else:
            left.discard(number)
            if not left:
                all_small.set()
        return report_of(pair)

    todo = pairs(*[("large", n) for n in range(8)], *[("small", n) for n in range(40)])
    ended = run_side_by_side(
        todo,
        run,
        side_by_side=8,
        now=lambda: NOON + timedelta(minutes=minutes[-1]),
        publish=lambda: None,
        not_published=note_not_published,
    )
    assert len(ended) == 48


def test_there_is_a_most_of_runs_at_once_however_long_they_take():
    long_ago = [NOON - timedelta(minutes=5)]
    assert free_places([NOON] * 8, NOON, 8) == 0
    assert free_places(long_ago * 3 + [NOON] * 5, NOON, 8) == 3
    assert free_places(long_ago * 12, NOON, 8) == 0


def test_the_smallest_begin_first_and_those_never_read_last():
    todo = pairs("never read", "large", "empty", "small")
    order = smallest_first(todo, {"large": 500_000, "small": 12, "empty": 0})
    assert [merchant.id for _, merchant in order] == ["empty", "small", "large", "never read"]


@pytest.mark.parametrize(("minutes_each", "most"), [(0, 2), (2, 4)], ids=["short", "long"])
def test_no_more_first_loads_at_once_than_memory_holds(minutes_each, most):
    """Each waits until as many run as may; those that take long give their place away twice, not more."""
    lock, running, seen, minutes, full = threading.Lock(), set(), [], [0], threading.Event()

    def run(pair):
        if pair[1].id[0] == "known":
            return report_of(pair)
        with lock:
            running.add(pair[1].id)
            seen.append(len(running))
            minutes[0] += minutes_each
            if len(running) == most:
                full.set()
        assert full.wait(20), "fewer first loads at once than may be"
        with lock:
            running.remove(pair[1].id)
        return report_of(pair)

    todo = pairs(*[("known", n) for n in range(5)], *[("first", n) for n in range(9)])
    ended = run_side_by_side(
        todo,
        run,
        side_by_side=8,
        now=lambda: NOON + timedelta(minutes=minutes[0]),
        publish=lambda: None,
        not_published=note_not_published,
        first_loads={("first", n) for n in range(9)},
    )
    assert len(ended) == 14
    assert max(seen) == most


def test_a_first_load_that_was_interrupted_is_still_one(bench, monkeypatch):
    """What it has stored so far says nothing of how large the merchant is."""
    shop = bench(world=generate_shop(120, seed=7, until=NOON, days=58), shapes=PLAIN)
    assert stored_orders(shop.store) == {}
    monkeypatch.setattr(pipeline, "_ROWS_A_COMMIT", 10)
    monkeypatch.setattr(pipeline, "_MOST_ROWS_A_COMMIT", 10)
    mapped, map_orders = [], Commit.map_orders
    monkeypatch.setattr(
        Commit, "map_orders", lambda *a, **b: mapped.append(1 // (1 - len(mapped))) or map_orders(*a, **b)
    )
    assert shop.sync(at=NOON).status == "failed"
    assert shop.orders()
    assert stored_orders(shop.store) == {}
    monkeypatch.undo()
    assert shop.sync().status == "succeeded"
    assert stored_orders(shop.store) == {shop.company.connections[0].id: len(shop.orders())}


def test_runs_that_end_together_are_published_once():
    published = []
    ended = run_side_by_side(
        pairs(*"abcde"),
        report_of,
        side_by_side=8,
        now=lambda: NOON,
        publish=lambda: published.append(1),
        not_published=note_not_published,
    )
    assert len(ended) == 5
    assert len(published) == 1


def test_what_has_ended_does_not_wait_for_a_long_run():
    published, seconds = threading.Event(), count()

    def run(pair):
        assert pair[1].id == "short" or published.wait(20)
        return report_of(pair)

    run_side_by_side(
        pairs("long", "short"),
        run,
        side_by_side=8,
        now=lambda: NOON + timedelta(seconds=next(seconds)),
        publish=published.set,
        not_published=note_not_published,
    )
    assert published.is_set()


def test_runs_that_could_not_be_made_visible_have_failed():
    def publish():
        raise StoreError("The disk is full.", hint="Make room.")

    failed = report_of(pairs("b")[0])
    failed.status, failed.error_kind, failed.error = "failed", "authorisation", "refused"
    ended = run_side_by_side(
        pairs("a", "b"),
        lambda pair: failed if pair[1].id == "b" else report_of(pair),
        side_by_side=8,
        now=lambda: NOON,
        publish=publish,
        not_published=note_not_published,
    )
    found = {one.connection_id: (one.status, one.error_kind, one.exit_code) for one in ended}
    assert found["a"] == ("failed", "store", 1)
    assert found["b"][:2] == ("failed", "authorisation")
