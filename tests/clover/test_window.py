"""Arithmetic of windows, and hosts by environment."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.clover.hosts import hosts_for
from connector.clover.lists.window import Window
from connector.errors import ConfigError

times = st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(times, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from([0.25, 1, 7, 89]))
def test_pieces_adjoin_cover_the_window_and_are_short_enough(since, length, days):
    window = Window(since, since + length)
    pieces = window.split(days)
    if length:
        assert (pieces[0].since, pieces[-1].until) == (window.since, window.until)
    else:
        assert pieces == ()
    assert all(one.until == two.since for one, two in pairwise(pieces))
    assert all(timedelta(0) < piece.until - piece.since <= timedelta(days=days) for piece in pieces)


@given(times, st.timedeltas(timedelta(0), timedelta(days=7)))
def test_halves_share_no_millisecond_and_leave_none_out(since, length):
    window = Window(since, since + length)
    halves = window.halves()
    if halves is None:
        assert window.until_ms - window.since_ms <= 1
    else:
        one, two = halves
        assert (one.since_ms, one.until_ms, two.until_ms) == (window.since_ms, two.since_ms, window.until_ms)
        assert one.since_ms < one.until_ms


def test_milliseconds_are_exact():
    window = Window(
        datetime(2026, 10, 5, 14, tzinfo=UTC), datetime(2026, 10, 5, 14, 0, 0, 999_999, tzinfo=UTC)
    )
    assert (window.since_ms, window.until_ms) == (1791208800000, 1791208800999)


def test_windows_that_would_ask_for_the_whole_history_are_refused():
    good = datetime(2026, 10, 5, tzinfo=UTC)
    for since, until in (
        (datetime(1970, 1, 21, tzinfo=UTC), good),
        (good, good - timedelta(days=1)),
        (good.replace(tzinfo=None), good),
    ):
        with pytest.raises(ConfigError):
            Window(since, until)
    with pytest.raises(ConfigError):
        Window(good, good).split(0)


def test_hosts_follow_environment_region_and_override():
    assert hosts_for("production").scl == "https://scl.clover.com"
    assert hosts_for("sandbox").scl == "https://scl-sandbox.dev.clover.com"
    assert hosts_for("production", region="eu").refresh_url == "https://api.eu.clover.com/oauth/v2/refresh"
    local = hosts_for("production", "http://127.0.0.1:9000/")
    assert (local.scl, local.token_url) == ("http://127.0.0.1:9000", "http://127.0.0.1:9000/oauth/v2/token")
    for environment, base_url, region in (
        ("live", None, "na"),
        ("production", None, "mars"),
        ("sandbox", "x", "na"),
    ):
        with pytest.raises(ConfigError):
            hosts_for(environment, base_url, region=region)
