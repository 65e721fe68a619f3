"""Values as text: nothing is lost and nothing is rounded."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from connector.cli.terminal.output import json_text, plain
from connector.cli.terminal.times import ago, parse_duration, parse_time
from schemas.money import money

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234567.8900", "USD", "1,234,567.89"),
        ("-4.5", "USD", "-4.50"),
        ("0.0000", "USD", "0.00"),
        ("500.0000", "JPY", "500"),
        ("1.2340", "KWD", "1.234"),
        ("1.2345", "USD", "1.2345"),
        ("99999999999999.9999", "USD", "99,999,999,999,999.9999"),
        ("100", "XXX", "100.00"),
    ],
)
def test_money_is_shown_in_the_currencys_digits_and_never_rounded(amount, currency, text):
    assert money(Decimal(amount), currency) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("12.5000"), "12.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.0000"), "0"),
        (Decimal("100"), "100"),
        (
            datetime(2026, 11, 20, 4),  # noqa: DTZ001 - the wall's time somewhere, as DuckDB gives it
            "2026-11-20T04:00:00",
        ),
        (datetime(2026, 11, 20, 4, tzinfo=timezone(timedelta(hours=2))), "2026-11-20T02:00:00Z"),
        (timedelta(minutes=1, milliseconds=500), "60.5"),
        (None, ""),
        (True, "true"),
    ],
)
def test_values_are_plain_text(value, text):
    assert plain(value) == text


def test_json_is_valid_and_exact():
    value = {"a": [Decimal("900719925474.0993"), None, True, {"b": ()}], "when": NOW, "é": "ü\n"}
    for indent in (None, 2):
        assert json.loads(json_text(value, indent=indent), parse_float=str) == {
            "a": ["900719925474.0993", None, True, {"b": []}],
            "when": "2026-11-20T04:00:00Z",
            "é": "ü\n",
        }
    assert json.loads(json_text([float("nan"), Decimal("NaN"), 0.5])) == [None, None, 0.5]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00-05:00", datetime(2026, 1, 31, 17, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 13, 4, tzinfo=UTC)),
        ("1d12h", datetime(2026, 11, 18, 16, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_utc_unless_it_says_otherwise(text, moment):
    assert parse_time(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7", "d", "2026-13-01", "1h-2m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_time(text, now=NOW)


def test_durations_add_up():
    assert parse_duration("1h30m") == timedelta(minutes=90)
    assert parse_duration("2w") == timedelta(days=14)


def test_ages_are_told_in_two_units():
    assert ago(NOW - timedelta(days=2, hours=3, minutes=4), NOW) == "2d 3h"
    assert ago(NOW, NOW) == "0s"
    assert ago(NOW + timedelta(hours=1), NOW) == "0s"
