"""When connections come due: cron in the merchant's time zone, delay, catching up, requests, trying again."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.schedule.planner import (
    Due,
    Job,
    LastRun,
    delay_of,
    due,
    in_order,
    next_due,
    next_tick,
    places,
    previous_tick,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOURLY = Job("c", "0 * * * *", "UTC")


def ran(at, **more):
    return LastRun(at, at + timedelta(minutes=1), **({"status": "succeeded"} | more))


def failed(at, kind="clover", failures=1):
    return ran(at, status="failed", error_kind=kind, failures=failures)


def test_a_connection_that_never_ran_is_due_at_once():
    assert due(HOURLY, None, NOON).reason == "first"


def test_a_tick_is_due_from_its_very_second_on_and_only_once():
    before = NOON - timedelta(minutes=5)
    assert due(HOURLY, ran(before), NOON - timedelta(seconds=1)) is None
    assert due(HOURLY, ran(before), NOON) == Due("c", "scheduled", NOON)
    assert due(HOURLY, ran(NOON), NOON + timedelta(minutes=59)) is None


def test_downtime_is_caught_up_once_not_once_per_missed_tick():
    found = due(HOURLY, ran(NOON - timedelta(days=3)), NOON + timedelta(minutes=7))
    assert found == Due("c", "scheduled", NOON)
    assert due(HOURLY, ran(NOON + timedelta(minutes=7)), NOON + timedelta(minutes=8)) is None


def test_without_an_expression_only_requests_count():
    job = Job("c", None, "UTC")
    assert due(job, None, NOON) is None
    assert next_due(job, None, NOON) is None
    assert due(job, None, NOON, requested=NOON).reason == "requested"


def test_the_expression_is_read_in_the_merchants_time_zone():
    job = Job("c", "30 2 * * *", "America/New_York")
    assert next_tick(job, NOON) == datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
    assert next_tick(job, datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2026, 7, 1, 6, 30, tzinfo=UTC)


def test_a_local_time_that_the_clock_change_skips_still_runs_that_day():
    """New York, 2026-03-08: the clock goes from 2:00 to 3:00."""
    job = Job("c", "30 2 * * *", "America/New_York")
    tick = next_tick(job, datetime(2026, 3, 8, 5, tzinfo=UTC))
    assert tick.astimezone(ZoneInfo("America/New_York")).date().isoformat() == "2026-03-08"
    assert next_tick(job, tick) - tick > timedelta(hours=22)


def test_a_local_time_that_comes_twice_runs_once():
    """New York, 2026-11-01: 1:30 comes twice."""
    job = Job("c", "30 1 * * *", "America/New_York")
    first = next_tick(job, datetime(2026, 11, 1, 4, tzinfo=UTC))
    assert next_tick(job, first) - first > timedelta(hours=23)


@pytest.mark.parametrize("kind", ["clover", "store"])
def test_a_failure_that_may_pass_is_tried_again_ever_more_rarely(kind):
    daily = Job("c", "0 0 * * *", "UTC")
    ended = NOON + timedelta(minutes=1)
    for failures, minutes in ((1, 5), (2, 10), (4, 40), (5, 60), (50, 60)):
        last = failed(NOON, kind, failures)
        again = ended + timedelta(minutes=minutes)
        assert due(daily, last, again - timedelta(seconds=1)) is None
        assert due(daily, last, again).reason == "retry"
        assert next_due(daily, last, NOON + timedelta(minutes=2)) == again


@pytest.mark.parametrize("kind", ["config", "authorisation", "bug"])
def test_a_failure_that_needs_a_person_waits_for_the_next_tick(kind):
    last = failed(NOON, kind)
    assert due(HOURLY, last, NOON + timedelta(minutes=59)) is None
    assert due(HOURLY, last, NOON + timedelta(hours=1)).reason == "scheduled"


def test_a_run_that_was_stopped_begins_again_at_once():
    assert due(HOURLY, failed(NOON, "stopped"), NOON + timedelta(minutes=2)).reason == "interrupted"


def test_a_run_that_never_ended_begins_again():
    last = LastRun(NOON, None, "running")
    assert due(HOURLY, last, NOON + timedelta(minutes=2)).reason == "interrupted"


def test_the_delay_is_the_connections_own_always_the_same_and_small():
    jobs = [Job(f"c{n}", "*/30 * * * *", "UTC", timedelta(minutes=1)) for n in range(200)]
    delays = [delay_of(job).total_seconds() for job in jobs]
    assert delays == [delay_of(job).total_seconds() for job in jobs]
    assert 0 <= min(delays) < 10
    assert 50 < max(delays) < 60
    often = Job("c1", "* * * * *", "UTC", timedelta(minutes=1))
    assert delay_of(often) <= timedelta(seconds=6)


def test_what_somebody_waits_for_comes_first_then_who_waited_longest():
    runs = {"old": ran(NOON - timedelta(days=2)), "new": ran(NOON), "asked": ran(NOON)}
    found = [Due("new", "scheduled", NOON), Due("old", "scheduled", NOON), Due("asked", "requested", NOON)]
    found.append(Due("never", "first", NOON))
    assert [one.connection_id for one in in_order(found, runs)] == ["asked", "never", "old", "new"]


def test_long_runs_give_their_place_away_but_not_without_end():
    limits = {"side_by_side": 2, "long_after": timedelta(minutes=10)}
    fresh, old = NOON - timedelta(minutes=1), NOON - timedelta(hours=2)
    assert places([], NOON, **limits) == 2
    assert places([fresh, fresh], NOON, **limits) == 0
    assert places([old, old, fresh], NOON, **limits) == 1
    assert places([old] * 8, NOON, **limits) == 0


MOMENTS = st.integers(0, 94_000_000).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
EXPRESSIONS = st.sampled_from(
    ["*/30 * * * *", "0 * * * *", "15 2 * * *", "0 */6 * * *", "30 1 * * 1-5", "5 4 1 * *", "*/7 8-18 * * *"]
)
ZONES = st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@settings(deadline=None)
@given(moment=MOMENTS, expression=EXPRESSIONS, zone=ZONES, name=st.text(max_size=5))
def test_the_tick_before_and_the_tick_after_enclose_every_moment(moment, expression, zone, name):
    job = Job(name, expression, zone, timedelta(minutes=2))
    before, after = previous_tick(job, moment), next_tick(job, moment)
    assert before <= moment < after
    assert next_tick(job, before) > before
    assert due(job, ran(before), moment) is None
    assert due(job, ran(before - timedelta(seconds=1)), moment) == Due(name, "scheduled", before)
    assert next_due(job, ran(before), moment) == after
