from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from connector.sync.spans import DEEP_SCANS, asked_span, incremental_span, pieces

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FRESH = dict.fromkeys(DEEP_SCANS, NOW - timedelta(hours=1))


def span(cursor, scans=FRESH, now=NOW):
    return incremental_span(cursor=cursor, start=START, overlap=DAY, run_start=now, last_deep_scans=scans)


def test_the_overlap_widens_the_question_and_the_end_is_the_start_of_the_run():
    asked = span(NOW - timedelta(hours=1))
    assert (asked.since, asked.until) == (NOW - timedelta(hours=25), NOW)
    assert asked.moves_cursor
    assert asked.deep_scans == ()


def test_a_first_sync_reads_everything_and_thereby_does_every_deep_scan():
    asked = span(None, {})
    assert asked.since == START
    assert set(asked.deep_scans) == set(DEEP_SCANS)


def test_each_deep_scan_is_due_when_its_time_has_passed_and_reaches_as_far_back_as_it_should():
    week_ago = {**FRESH, "weekly": NOW - 7 * DAY}
    asked = span(NOW - timedelta(hours=1), week_ago)
    assert asked.deep_scans == ("weekly",)
    assert asked.since == NOW - 90 * DAY


def test_nothing_before_the_start_date_is_read():
    young = incremental_span(
        cursor=NOW - timedelta(hours=1),
        start=NOW - 2 * DAY,
        overlap=30 * DAY,
        run_start=NOW,
        last_deep_scans={},
    )
    assert young.since == NOW - 2 * DAY


def test_a_clock_that_was_set_back_still_reads_the_overlap():
    asked = span(NOW + 5 * DAY)
    assert asked.since == NOW - DAY
    assert asked.until == NOW


def test_a_span_that_would_leave_a_gap_does_not_move_the_cursor():
    cursor = NOW - 10 * DAY
    gap = asked_span(since=NOW - 2 * DAY, until=None, cursor=cursor, start=START, run_start=NOW)
    closed = asked_span(since=NOW - 11 * DAY, until=None, cursor=cursor, start=START, run_start=NOW)
    older = asked_span(since=NOW - 30 * DAY, until=NOW - 20 * DAY, cursor=cursor, start=START, run_start=NOW)
    assert (gap.moves_cursor, closed.moves_cursor, older.moves_cursor) == (False, True, False)


@given(st.integers(1, 2000), st.integers(1, 400))
def test_pieces_tile_the_span_without_gap_or_overlap(hours, longest):
    whole = asked_span(since=NOW - timedelta(hours=hours), until=NOW, cursor=None, start=START, run_start=NOW)
    cut = pieces(whole, timedelta(hours=longest))
    assert cut[0].since == whole.since
    assert cut[-1].until == whole.until
    assert all(a.until == b.since for a, b in pairwise(cut))
    assert all(piece.until - piece.since <= timedelta(hours=longest) for piece in cut)
