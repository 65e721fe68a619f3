"""Reads loosely typed JSON of Clover where a whole model would be too much: numbers and nested lists."""

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]


def embedded(value: object) -> list[Row]:
    """The members of a nested list, in any of the envelopes Clover uses."""
    if isinstance(value, Mapping):
        value = value.get("data", value.get("elements", []))
        if isinstance(value, Mapping):
            value = value.get("elements", [])
    return [member for member in value if isinstance(member, Mapping)] if isinstance(value, list) else []


def whole_number(value: object) -> int | None:
    """A whole number, also one in a string; None when it is missing or no number (the mapping reports that)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return None
