from datetime import UTC, datetime, timedelta

from connector.sync.read.polling import next_poll

SEEN = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_young_order_is_polled_by_every_run():
    at = SEEN + timedelta(days=2)
    assert next_poll(SEEN, at, "authorized") == at


def test_later_it_is_polled_daily_and_after_day_35_only_deep_scans_watch_it():
    assert next_poll(SEEN, SEEN + timedelta(days=4), "authorized") == SEEN + timedelta(days=5)
    assert next_poll(SEEN, SEEN + timedelta(days=35), "authorized") is None


def test_an_open_cart_is_polled_daily_from_the_start():
    assert next_poll(SEEN, SEEN, "open_cart") == SEEN + timedelta(days=1)
