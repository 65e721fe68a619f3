"""Syncing twice is syncing once, however time is cut, whatever the page size, and wherever the machine stands."""

import os
import time
from datetime import date, timedelta

import pytest
from timeline_stories import LEAVES_NO_TRACE, OPENED, not_begun, tell

from connector.sandbox.shop import generate_shop
from connector.sandbox.world import World

HOUR = timedelta(hours=1)


def told(days=(0, 1, 2, 3, 5, 9, 12, 15)):
    world, due = World(), not_begun(but=LEAVES_NO_TRACE)
    for day in days:
        tell(world, day, due)
    return world


def rows_of(bench, *tables):
    return {table: bench.rows(f"SELECT count(*) FROM ledger.{table}") for table in tables}


def test_a_second_sync_of_unchanged_data_writes_no_version_and_no_snapshot(bench):
    shop = bench(told())
    shop.sync(at=OPENED + timedelta(days=16))
    tables = ("order_versions", "record_versions", "source_records", "snapshots", "data_issues", "held_back")
    before, published = rows_of(shop, *tables), shop.orders()
    for _ in range(2):
        again = shop.sync()
        assert (again.orders_inserted, again.orders_updated, again.orders_deleted) == (0, 0, 0)
        assert again.snapshot_id is None
    assert rows_of(shop, *tables) == before
    assert shop.orders() == published


def test_a_quiet_merchant_costs_ten_requests_at_most(bench):
    """Nothing happened since: the three lists are asked, and no record again by its id. Deep scans cost their own."""
    shop = bench(generate_shop(80, seed=5, until=OPENED, days=30))
    shop.sync(at=OPENED + timedelta(days=3))
    for hours in (1, 2, 23):
        assert shop.sync(at=OPENED + timedelta(days=3, hours=hours)).requests <= 10
    shop.sync(at=OPENED + timedelta(days=4))  # the nightly scan
    assert shop.sync(at=OPENED + timedelta(days=4, hours=1)).requests <= 10


@pytest.mark.parametrize("window_days", [1, 2, 30, 89])
def test_any_window_gives_the_same_orders(bench, window_days):
    world = told()
    whole, cut = bench(world), bench(world, name="cut", window_days=window_days)
    whole.sync(at=OPENED + timedelta(days=16))
    cut.sync(at=OPENED + timedelta(days=16))
    assert cut.orders() == whole.orders()


def test_any_cut_of_time_into_syncs_gives_the_same_orders(bench):
    """One sync of everything, or one every few hours: the same totals in the end."""
    world = World()
    due = not_begun(but=LEAVES_NO_TRACE)
    often = bench(world)
    for day in (0, 1, 2, 3, 5, 9, 12, 15):
        tell(world, day, due)
        often.sync(at=OPENED + timedelta(days=day, minutes=20))
        often.sync(at=OPENED + timedelta(days=day, hours=7))
    once = bench(sandbox=often.sandbox, name="once")
    once.sync(at=OPENED + timedelta(days=16))
    often.sync(at=OPENED + timedelta(days=16))
    assert {o: row[:6] for o, row in once.orders().items()} == {
        o: row[:6] for o, row in often.orders().items()
    }
    once.check()


def test_asking_for_any_span_again_changes_nothing(bench):
    shop = bench(told())
    shop.sync(at=OPENED + timedelta(days=16))
    before = shop.orders()
    for since, until in ((0, 3), (2, 9), (9, 16)):
        span = {"since": OPENED + timedelta(days=since), "until": OPENED + timedelta(days=until)}
        assert shop.sync(**span).snapshot_id is None
    assert shop.sync(full=True).snapshot_id is None
    assert shop.orders() == before


def test_records_of_one_millisecond_at_the_edge_of_a_window_are_neither_lost_nor_doubled(bench):
    """Seven days after the start of the span a window ends: sales lie on, before and after that edge."""
    world = World()
    start = date(2026, 2, 2)
    midnight = OPENED.replace(month=2, day=2, hour=5)  # in New York
    edges = [midnight + timedelta(days=7 * n) for n in range(4)]
    for edge in edges:
        for shift in (-1000, -999, -1, 0, 0, 0, 1, 999, 1000):
            world.sell(edge + timedelta(milliseconds=shift), [("Pin", 100)])
    shop = bench(world, start_date=start)
    shop.sync(at=OPENED)
    before_the_start = set(world.books.order_ids()[:3])
    assert set(shop.differences()) <= before_the_start
    payments = shop.rows(
        "SELECT count(*), count(DISTINCT id) FROM (SELECT unnest(payments).id AS id FROM ledger.order_versions)"
    )
    assert payments in [[(n, n)] for n in (33, 35)]  # Clover rounds the last second before the start up to it


def test_records_of_the_millisecond_in_which_a_run_starts_are_neither_lost_nor_doubled(bench):
    shop = bench()
    for at in (OPENED, OPENED + HOUR, OPENED + 2 * HOUR):
        for shift in (-1, 0, 0, 1):
            shop.world.sell(at + timedelta(milliseconds=shift), [("Pin", 100)])
        shop.sync(at=at)
    shop.sync()
    shop.check()
    assert shop.rows("SELECT count(*) FROM ledger.order_versions WHERE replaced_by IS NULL") == [(12,)]


def test_a_hundred_sales_of_one_millisecond_come_over_several_pages(bench):
    shop = bench()
    for _ in range(230):
        shop.world.sell(OPENED, [("Pin", 100)])
    shop.sync(at=OPENED + HOUR)
    shop.check()
    assert len(shop.orders()) == 230


def test_a_record_that_is_listed_late_arrives_within_the_overlap(bench):
    """Created before a run, listed only after it: the overlap brings it in, once."""
    from connector.sandbox.shapes import Shapes

    shop = bench(shapes=Shapes(visibility_lag_seconds=6 * 3600))
    first = shop.world.sell(OPENED, [("Pin", 100)])
    shop.world.advance(OPENED + HOUR)
    shop.sync(at=OPENED + HOUR)
    assert shop.orders() == {}
    shop.world.advance(OPENED + 7 * HOUR)
    shop.sync(at=OPENED + 7 * HOUR)
    assert list(shop.orders()) == [first]
    shop.check()


def test_an_older_answer_never_overwrites_newer_knowledge(bench):
    """A cache in between serves the order as it was before its refund: the refund stays, its date does not go back."""
    shop = bench()
    order_id = shop.world.sell(OPENED, [("Teapot", 4900)])
    shop.sync(at=OPENED + HOUR)
    shop.world.refund(OPENED + 2 * HOUR, order_id, 900)
    shop.sync(at=OPENED + 3 * HOUR)
    newest = shop.rows("SELECT max(source_modified_date) FROM ledger.order_versions")
    refund_id = shop.world.refund_ids(order_id)[0]
    shop.world.fail_refund(OPENED + 4 * HOUR, refund_id)
    shop.sync(at=OPENED + 5 * HOUR)
    dates = [
        row[0]
        for row in shop.rows("SELECT source_modified_date FROM ledger.order_versions ORDER BY snapshot_id")
    ]
    assert dates == sorted(dates)
    assert dates[-1] > newest[0][0]
    shop.check()


@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/St_Johns", "UTC"])
def test_the_time_zone_of_the_machine_changes_nothing(bench, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        shop = bench(told())
        shop.sync(at=OPENED + timedelta(days=16))
        shop.check()
        found = shop.rows(
            "SELECT min(created_date), max(created_local_date), md5(string_agg(content_hash, '' ORDER BY order_id)),"
            " max(source_modified_date) FROM ledger.order_versions WHERE replaced_by IS NULL"
        )
        window = shop.rows('SELECT DISTINCT "cursor" FROM ledger.sync_state')
    finally:
        monkeypatch.delenv("TZ")
        os.environ.pop("TZ", None)
        time.tzset()
    assert found[0][0] == OPENED.replace(tzinfo=None)
    assert window == [((OPENED + timedelta(days=16)).replace(tzinfo=None),)]
    _SAME.setdefault("found", found)
    assert found == _SAME["found"]


_SAME = {}
