import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.order.allocation import shares


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(-5, 10**9), min_size=1, max_size=30))
def test_shares_sum_exactly_and_are_within_one_of_their_part(total: int, weights: list[int]) -> None:
    found = shares(total, weights)
    assert sum(found) == total
    whole = sum(weight for weight in weights if weight > 0)
    if whole and len(weights) > 1:
        for share, weight in zip(found, weights, strict=True):
            assert abs(share * whole - total * max(weight, 0)) < whole


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=2, max_size=12))
def test_no_share_exceeds_its_weight_while_the_total_does_not(total: int, weights: list[int]) -> None:
    total = min(total, sum(weights))
    assert (
        all(share <= weight for share, weight in zip(shares(total, weights), weights, strict=True))
        or sum(weights) == 0
    )


def test_ties_go_to_the_earlier_one() -> None:
    assert shares(100, [1, 1, 1]) == [34, 33, 33]
    assert shares(-100, [1, 1, 1]) == [-34, -33, -33]
    assert shares(2, [1, 1, 1]) == [1, 1, 0]


def test_the_largest_remainder_goes_first() -> None:
    assert shares(386, [2700, 1980]) == [223, 163]


def test_without_weights_the_first_takes_it_all() -> None:
    assert shares(7, [0, 0]) == [7, 0]
    with pytest.raises(ValueError, match="nothing"):
        shares(7, [])
