"""What the one encoder writes, held against the standard library's."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.platform import Link, Links
from schemas.wire import encode, encode_present, encode_sorted, members, number_text, ready

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**14), max_value=10**14, places=9)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | TEXTS | AMOUNTS,
    lambda some: st.lists(some) | st.dictionaries(TEXTS, some),
    max_leaves=12,
)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_none(member) for name, member in value.items() if member is not None}
    return [without_none(member) for member in value] if isinstance(value, list) else value


@given(VALUES)
def test_what_is_written_reads_back_exactly_without_its_nulls(value: Any) -> None:
    written = encode_present(value)
    assert json.loads(written, parse_float=Decimal) == without_none(value)


@given(
    st.recursive(
        st.none() | st.booleans() | TEXTS, lambda some: st.lists(some) | st.dictionaries(TEXTS, some)
    )
)
def test_the_bytes_are_those_of_compact_json(value: Any) -> None:
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    assert encode(value).decode() == json.dumps(value, **compact)
    assert encode_sorted(value).decode() == json.dumps(value, sort_keys=True, **compact)


def test_a_number_has_its_shortest_text_and_no_exponent() -> None:
    for text, expected in (
        ("12.5000", "12.5"),
        ("1E+3", "1000"),
        ("1E-9", "0.000000001"),
        ("0.0000", "0"),
        ("7", "7"),
    ):
        assert number_text(Decimal(text)) == expected
        assert encode_present({"n": Decimal(text)}) == b'{"n":' + expected.encode() + b"}"


def test_a_model_has_codats_names_and_no_nulls() -> None:
    links = Links(self_=Link(href="/a"), current=Link(href="/b"))
    assert members(links) == {"self": {"href": "/a"}, "current": {"href": "/b"}}
    assert encode([links]) == b'[{"self":{"href":"/a"},"current":{"href":"/b"}}]'


def test_ready_text_is_not_read() -> None:
    assert encode({"record": ready('{"a": 1.50}')}) == b'{"record":{"a": 1.50}}'


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        encode({"x": object()})
