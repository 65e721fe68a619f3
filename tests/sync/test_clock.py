"""A clock that was or is wrong: nothing is lost for it, and it is said."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sync_bench import NOON

from connector.sync.spans import CLOCK_TOLERANCE, DEEP_SCANS, believed, check_clock, incremental_span

YEAR, HOUR, DAY = timedelta(days=365), timedelta(hours=1), timedelta(days=1)


def cursors(bench):
    return {at for (at,) in bench.rows('SELECT "cursor" FROM ledger.sync_state')}


def true_clock(bench, ahead=timedelta()):
    """Clover's clock: the bench's less what the machine is ahead."""
    bench.sandbox.date = lambda: (bench.now - ahead).timestamp()


def plain(moment):
    return moment.replace(tzinfo=None)


def test_a_clock_a_year_ahead_moves_no_cursor_beyond_clovers_time_and_later_sales_are_read(bench):
    shop = bench()
    first = shop.world.sell(NOON, [("Teapot", 4900)])
    shop.sync(at=NOON + HOUR)
    true_clock(shop, ahead=YEAR)
    report = shop.sync(at=NOON + 2 * HOUR + YEAR)
    assert cursors(shop) == {plain(NOON + 2 * HOUR)}
    assert any("ahead of Clover's" in text for text in report.warnings)
    assert report.as_json()["warnings"] == report.warnings
    assert shop.rows(
        "SELECT count(*) FROM ledger.deep_scans WHERE last_completed > ?", plain(NOON + 3 * HOUR)
    ) == [(0,)]
    true_clock(shop)
    second = shop.world.sell(NOON + 40 * DAY, [("Pin", 100)])
    report = shop.sync(at=NOON + 41 * DAY)
    assert set(shop.orders()) == {first, second}
    assert report.warnings == []


def test_dates_that_a_wrong_clock_left_in_the_store_are_not_believed(bench):
    """A store of an earlier version: Clover's time was not asked, and cursor, deep scans and polls are a year ahead."""
    shop = bench()
    cart = shop.world.open_order(NOON, [("Teapot", 4900)])
    hold = shop.world.authorize(NOON, shop.world.open_order(NOON, [("Kettle", 900)]))
    shop.world.sell(NOON, [("Pin", 100)])
    shop.sync(at=NOON + HOUR)
    shop.sandbox.date = lambda: shop.now.timestamp()
    shop.sync(at=NOON + YEAR)
    assert cursors(shop) == {plain(NOON + YEAR)}
    sold = shop.world.sell(NOON + 40 * DAY, [("Pin", 100)])
    shop.world.capture(NOON + 40 * DAY, hold)
    report = shop.sync(at=NOON + 41 * DAY)
    assert any("a clock was wrong" in text for text in report.warnings)
    assert sold in shop.orders()
    assert shop.rows("SELECT count(*) FROM orders") == [(3,)]
    assert cursors(shop) == {plain(NOON + 41 * DAY)}
    assert shop.rows("SELECT DISTINCT last_completed FROM ledger.deep_scans") == [(plain(NOON + 41 * DAY),)]
    assert shop.rows("SELECT last_polled FROM ledger.open_orders WHERE order_id = ?", cart) == [
        (plain(NOON + 41 * DAY),)
    ]
    assert shop.sync(at=NOON + 41 * DAY + HOUR).warnings == []


def test_a_clock_that_is_behind_is_said(bench):
    shop = bench()
    true_clock(shop, ahead=-3 * HOUR)
    assert ["behind Clover's" in text for text in shop.sync(at=NOON).warnings] == [True]


@pytest.mark.parametrize("seconds", [-200, -2, 0, 2, 200])
def test_clocks_that_differ_by_little_say_nothing(bench, seconds):
    shop = bench()
    true_clock(shop, ahead=timedelta(seconds=seconds))
    assert shop.sync(at=NOON).warnings == []
    assert cursors(shop) == {plain(NOON)}


MOMENTS = st.integers(-800 * 86_400, 800 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds))


@given(
    cursor=st.none() | MOMENTS,
    scans=st.dictionaries(st.sampled_from(sorted(DEEP_SCANS)), MOMENTS),
    last_success=st.none() | MOMENTS.filter(lambda at: at <= NOON),
)
def test_nothing_of_the_future_is_believed_and_the_span_begins_where_reading_was_sure(
    cursor, scans, last_success
):
    position = believed(cursor, scans, run_start=NOON, last_success=last_success)
    sure = cursor if cursor is None or cursor <= NOON else last_success
    assert position.cursor == sure
    assert position.deep_scans == {tier: at for tier, at in scans.items() if at <= NOON}
    assert (position.ahead is None) == all(at <= NOON for at in (cursor, *scans.values()) if at is not None)
    span = incremental_span(
        cursor=position.cursor,
        start=NOON - 3 * YEAR,
        overlap=DAY,
        run_start=NOON,
        last_deep_scans=position.deep_scans,
    )
    assert span.since <= (sure or NOON - 3 * YEAR)
    assert set(span.deep_scans) >= {tier for tier in DEEP_SCANS if scans.get(tier, NOON + DAY) > NOON}


@given(ahead=st.integers(-10_000, 10_000), took=st.integers(0, 4_000))
def test_how_long_a_run_takes_is_no_difference_of_clocks(ahead, took):
    """took: seconds until Clover's first answer. Only a difference beyond the tolerance may be said."""
    date = NOON - timedelta(seconds=ahead - took)
    clock = check_clock(run_start=NOON, now=NOON + timedelta(seconds=took), first_date=date, last_date=date)
    if abs(ahead) <= CLOCK_TOLERANCE.total_seconds():
        assert clock.warning is None
    if clock.ceiling is not None:
        assert ahead > CLOCK_TOLERANCE.total_seconds()
        assert clock.ceiling <= NOON - CLOCK_TOLERANCE
