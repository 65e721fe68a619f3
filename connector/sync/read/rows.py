"""Reads loosely typed JSON of Clover where a whole model would be too much: numbers and nested lists."""

from collections.abc import Mapping
from typing import Any

from schemas.loose import reference, rows

Row = Mapping[str, Any]


def embedded(value: object) -> list[Row]:
    """The records of a nested list, in any of the envelopes Clover uses; bare ids in it are left out."""
    return [member for member in members(value) if isinstance(member, Mapping)]


def members(value: object) -> list[Any]:
    """Everything in a nested list, in any of the envelopes Clover uses: records, bare ids, and junk."""
    found = rows(value)
    return found if isinstance(found, list) else []


def identity(value: object) -> str | None:
    """The id of a record, or of a reference to one: an object with an id, or the bare id. None for anything else."""
    value = reference(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip()[:200] or None


def whole_number(value: object) -> int | None:
    """A whole number, also one in a string; None when it is missing or no number (the mapping reports that)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return None
