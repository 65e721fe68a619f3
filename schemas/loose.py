"""How loosely Clover writes: the shapes a value may come in, and the base of its records.

Missing, ``null`` and ``""`` mean the same; numbers may be text; ids may be numbers; lists come bare, as ``{data}``,
as ``{elements}`` or as ``{data: {elements}}``; a reference may be expanded into the object it names.

What cannot be read even so is one of two things. Amounts, currencies and the ids that say whose money it is
(``vital`` of a model) are never guessed: the record is refused, naming the field. Anything else is a label. It is
left out as if it had not been sent, its name is kept in ``left_out``, and the money of the record stands.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from schemas.base import CloverModel
from schemas.times import as_milliseconds

LAST_MS = 253_402_300_799_000  # the year 9999
MOST = 10**14  # far beyond Clover's own ceiling of 99,999,999 a charge; keeps every sum exact


def whole(value: object) -> object:
    """The value, unless it is a boolean or no plain number. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not a boolean")
    if isinstance(value, str) and "_" in value:
        raise ValueError("a number is needed")
    return value


def _milliseconds(value: object) -> object:
    value = whole(value)
    if isinstance(value, str):
        value = value.strip()
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else value
    return as_milliseconds(value) if isinstance(value, int | float) else value


def _quantity(value: object) -> object:
    value = whole(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


Minor = Annotated[int, BeforeValidator(whole), Field(ge=-MOST, le=MOST)]
Positive = Annotated[int, BeforeValidator(whole), Field(ge=0, le=MOST)]
Milliseconds = Annotated[int, BeforeValidator(_milliseconds), Field(ge=0, le=LAST_MS)]
Quantity = Annotated[
    # How many decimals a scale sends is its own business; the mapping shows four.
    Decimal, BeforeValidator(_quantity), Field(ge=-(10**9), le=10**9, allow_inf_nan=False, max_digits=30)
]
Id = Annotated[str, Field(min_length=1, max_length=200)]

Fix = Callable[[Any], Any]


def rows(value: object) -> object:
    """The members of a list in any of Clover's envelopes; anything else is handed on to be refused."""
    if isinstance(value, Mapping):
        inner = value.get("data", value.get("elements"))
        if isinstance(inner, Mapping):
            inner = inner.get("elements", inner.get("data"))
        # An envelope that names only its url, as Clover's ``returns`` do, is an empty list.
        return [] if inner is None else inner
    return value


def reference(value: object) -> object:
    """The id of a reference, also when it was expanded into the object; None when it names nothing."""
    if isinstance(value, Mapping):
        return value.get("id") or None
    return value


def mapping(value: object) -> object:
    """An object; anything else becomes the ``value`` of one."""
    return value if isinstance(value, Mapping) else {"value": value}


def code(value: object) -> object:
    """The code of a failure, text or an object with a code."""
    return value.get("code") or value.get("type") if isinstance(value, Mapping) else value


def text(value: object) -> str | None:
    """Words that decide nothing: text or a number is kept, anything else is dropped."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def times(value: object) -> object:
    """Moments by name, in milliseconds; what is no moment is dropped."""
    if not isinstance(value, Mapping):
        return {}
    kept = {}
    for name, raw in value.items():
        try:
            moment = _milliseconds(raw)
        except ValueError:
            continue
        if isinstance(moment, int) and 0 < moment <= LAST_MS:
            kept[str(name)] = moment
    return kept


def additional_charges(value: object) -> list[Any]:
    """Surcharges in any of the three shapes Clover's samples allow: ``{elements}``, a list, or by key.

    Members without an amount are details, not charges, and are left out.
    """
    found = rows(value) if not isinstance(value, Mapping) or "elements" in value or "data" in value else value
    if isinstance(found, Mapping):
        if "amount" in found:
            found = [found]
        else:
            found = [
                {"type": key, **member} if isinstance(member, Mapping) else {"type": key, "amount": member}
                for key, member in found.items()
                if isinstance(member, Mapping) or (isinstance(member, int) and not isinstance(member, bool))
            ]
    if not isinstance(found, list):
        return []
    return [
        member for member in found if isinstance(member, Mapping) and member.get("amount") not in (None, "")
    ]


class LooseModel(CloverModel):
    """A Clover record after its empty members are dropped and its shapes are made one."""

    model_config = ConfigDict(hide_input_in_errors=True, coerce_numbers_to_str=True, protected_namespaces=())

    left_out: tuple[str, ...] = Field(default=(), exclude=True)
    """Names of labels that were sent and could not be read, sorted. Ours, never Clover's."""

    @classmethod
    def fixes(cls) -> Mapping[str, Fix]:
        """What to do to a field before it is read, by name."""
        return {}

    @classmethod
    def vital(cls) -> frozenset[str]:
        """Fields without which nobody knows how much money it is, or whose: they are never left out."""
        return frozenset()

    @model_validator(mode="wrap")
    @classmethod
    def _tidy(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, dict):
            return handler(data)
        broken: set[str] = set()
        kept = {name: value for name, value in data.items() if value is not None and value != ""}
        fixes = cls.fixes()
        for name in fixes.keys() & kept.keys():
            fixed = fixes[name](kept[name])
            if fixed is not None:
                kept[name] = fixed
                continue
            value = kept.pop(name)
            if value and not isinstance(value, str):
                broken.add(name)
        kept.pop("left_out", None)
        try:
            record: Self | None = handler(kept)
        except ValidationError as error:
            unread = {str(one["loc"][0]) if one["loc"] else "" for one in error.errors(include_url=False)}
            if not unread <= kept.keys() or unread & cls.vital():
                raise
            kept = {name: value for name, value in kept.items() if name not in unread}
            broken |= unread
            record = None
        if broken or record is None:
            record = handler({**kept, "left_out": tuple(sorted(broken))})
        return record
