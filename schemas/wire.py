"""JSON text as it is written everywhere: compact UTF-8, decimals as numbers with all their digits."""

from typing import Any

import msgspec

from schemas.commerce import CommerceRecord

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SORTED = msgspec.json.Encoder(decimal_format="number", order="sorted")


def encode(value: Any) -> bytes:
    """JSON of a record or of plain values. Raises TypeError for what is no JSON."""
    return _ENCODER.encode(value)


def encode_sorted(value: Any) -> bytes:
    """The same with the names of every object sorted: equal bytes for equal content."""
    return _SORTED.encode(value)


def members(record: CommerceRecord) -> dict[str, Any]:
    """The JSON members of a record as whoever reads the text has them; None is left out."""
    found: dict[str, Any] = msgspec.json.decode(_ENCODER.encode(record))
    return found
