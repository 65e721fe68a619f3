"""JSON text as it is written everywhere: compact UTF-8, decimals as numbers with all their digits."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from pydantic import BaseModel

from schemas.commerce import CommerceRecord


def _model(value: object) -> Any:
    if isinstance(value, BaseModel):
        return members(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_model)
_SORTED = msgspec.json.Encoder(decimal_format="number", enc_hook=_model, order="sorted")


def encode(value: Any) -> bytes:
    """JSON of a record, a model or plain values; None is left out of records and models, and of nothing else.

    Decimals are written as they are, so they are to be in their shortest form. Raises TypeError for what is no JSON.
    """
    return _ENCODER.encode(value)


def encode_sorted(value: Any) -> bytes:
    """The same with the names of every object sorted: equal bytes for equal content."""
    return _SORTED.encode(value)


def encode_present(value: Any) -> bytes:
    """JSON of plain values: members that are None are left out of every object, decimals in their shortest form."""
    return _ENCODER.encode(_present(value))


def members(record: CommerceRecord | BaseModel) -> dict[str, Any]:
    """The JSON members of a record as whoever reads the text has them; None is left out."""
    if isinstance(record, BaseModel):
        return record.model_dump(mode="json", by_alias=True, exclude_none=True)
    found: dict[str, Any] = msgspec.json.decode(_ENCODER.encode(record))
    return found


def number_text(amount: Decimal) -> str:
    """The shortest exact JSON number, without exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ready(text: str | bytes) -> msgspec.Raw:
    """JSON text that stands in another as it is."""
    return msgspec.Raw(text.encode() if isinstance(text, str) else text)


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _present(member) for name, member in value.items() if member is not None}
    if isinstance(value, list | tuple):
        return [_present(member) for member in value]
    return ready(number_text(value)) if isinstance(value, Decimal) else value
