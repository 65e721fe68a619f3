from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import Currency
from schemas.iso import ALPHA_3, alpha_3
from schemas.money import CURRENCIES, divide_half_up, exponent, shortest, to_decimal, to_minor


@pytest.mark.parametrize(
    ("minor", "currency", "major"),
    [
        (1250, "USD", "12.5"),
        (1200, "USD", "12"),
        (5400, "JPY", "5400"),
        (12345, "KWD", "12.345"),
        (-5, "USD", "-0.05"),
        (0, "CAD", "0"),
    ],
)
def test_minor_units_become_the_shortest_exact_decimal(minor: int, currency: str, major: str) -> None:
    assert str(to_decimal(minor, exponent(currency))) == major


@given(st.integers(-(10**14), 10**14), st.sampled_from(["USD", "JPY", "KWD", "CLF", "XXX"]))
def test_minor_units_survive_the_round_trip(minor: int, currency: str) -> None:
    assert to_minor(to_decimal(minor, exponent(currency)), exponent(currency)) == minor


def test_halves_are_rounded_away_from_zero() -> None:
    assert [divide_half_up(n, 2) for n in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]
    assert to_minor(Decimal("0.005"), 2) == 1
    assert to_minor(Decimal("-0.005"), 2) == -1


def test_a_number_never_shows_an_exponent() -> None:
    assert str(shortest(Decimal("1E+3"))) == "1000"
    assert str(shortest(Decimal("10.500"))) == "10.5"


def test_a_currency_is_three_letters_in_any_case() -> None:
    adapter = TypeAdapter(Currency)
    assert adapter.validate_python("usd") == "USD"
    for wrong in ("US", "US1", "DOLLAR", 5):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
    assert {"USD", "CAD", "JPY", "KWD"} <= CURRENCIES


def test_countries_become_three_letters() -> None:
    assert [alpha_3(code) for code in ("US", "gb ", "CAN", "ZZ", None, "")] == [
        "USA",
        "GBR",
        "CAN",
        "XXX",
        "XXX",
        "XXX",
    ]
    assert len(ALPHA_3) == 249
