"""Clover's Ecommerce records, as loosely as Clover sends them.

Missing, ``null`` and ``""`` mean the same; numbers may be text; ids may be numbers; lists come bare, as ``{data}``,
as ``{elements}`` or as ``{data: {elements}}``; a reference may be expanded into the object it names. Unknown
fields are kept. What would change money or identity is never guessed: a broken amount or a missing id raises
ValidationError naming the field, without repeating what was sent.

Field names follow docs.clover.com, Ecommerce API reference. Amounts are whole minor units of the object's own
currency, times are milliseconds since 1970 in UTC. What the fields mean for the books is left to ``transforms``.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from schemas.base import CloverModel
from schemas.money import Currency

_SECONDS_BELOW = 10**11  # as milliseconds that would be before 1973: such a value counts seconds
_LAST_MS = 253_402_300_799_000  # the year 9999
_MOST = 10**14  # far beyond Clover's own ceiling of 99,999,999 a charge; keeps every sum exact


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not a boolean")
    if isinstance(value, str) and "_" in value:
        raise ValueError("a number is needed")
    return value


def _milliseconds(value: object) -> object:
    value = _whole(value)
    if isinstance(value, str):
        value = value.strip()
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else value
    return value * 1000 if isinstance(value, int | float) and 0 <= value < _SECONDS_BELOW else value


def _quantity(value: object) -> object:
    value = _whole(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


Minor = Annotated[int, BeforeValidator(_whole), Field(ge=-_MOST, le=_MOST)]
Positive = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=_MOST)]
Milliseconds = Annotated[int, BeforeValidator(_milliseconds), Field(ge=0, le=_LAST_MS)]
Quantity = Annotated[
    Decimal, BeforeValidator(_quantity), Field(ge=-(10**9), le=10**9, allow_inf_nan=False, decimal_places=4)
]
Id = Annotated[str, Field(min_length=1, max_length=200)]

_Fix = Callable[[Any], Any]


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


def _mapping(value: object) -> object:
    return value if isinstance(value, Mapping) else {"value": value}


def _code(value: object) -> object:
    return value.get("code") or value.get("type") if isinstance(value, Mapping) else value


def _text(value: object) -> str | None:
    """Words that decide nothing: text or a number is kept, anything else is dropped."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _times(value: object) -> object:
    if not isinstance(value, Mapping):
        return {}
    kept = {}
    for name, raw in value.items():
        try:
            moment = _milliseconds(raw)
        except ValueError:
            continue
        if isinstance(moment, int) and 0 < moment <= _LAST_MS:
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

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        """What to do to a field before it is read, by name."""
        return {}

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        kept = {name: value for name, value in data.items() if value is not None and value != ""}
        fixes = cls.fixes()
        for name in fixes.keys() & kept.keys():
            fixed = fixes[name](kept[name])
            if fixed is None:
                del kept[name]
            else:
                kept[name] = fixed
        return kept


class AdditionalCharge(LooseModel):
    """A surcharge or convenience fee, on top of ``amount`` of its charge or refund."""

    amount: Positive
    type: str | None = None
    rate: Any = None

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _ADDITIONAL_CHARGE


class TaxRate(LooseModel):
    """A tax on a line. rate: percent times 100,000. tax_amount: a flat tax in minor units, no rate."""

    name: str | None = None
    tax_rate_uuid: str | None = None
    rate: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=10**9)] | None = None
    tax_amount: Minor | None = None

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _TAX_RATE


class OrderItem(LooseModel):
    """A line of an order, or a pseudo-line of type tax, shipping or discount. No type means ``sku``."""

    amount: Minor
    id: str | None = None
    type: str | None = None
    parent: str | None = None
    inventory_id: str | None = None
    quantity: Quantity | None = None
    description: str | None = None
    tax_rates: list[TaxRate] = Field(default_factory=list)
    amount_refunded: Minor | None = None

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _ORDER_ITEM


class Refund(LooseModel):
    """Money given back for a charge; the amount is positive."""

    id: Id
    amount: Minor
    object: str | None = None
    charge: str | None = None
    created: Milliseconds | None = None
    status: str | None = None
    currency: Currency | None = None
    reason: str | None = None
    voided: bool | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    additional_charges: list[AdditionalCharge] = Field(default_factory=list)

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _REFUND


class Charge(LooseModel):
    """A payment, or the attempt at one. ``captured`` and ``paid`` alone do not say whether money was taken."""

    id: Id
    amount: Positive
    order: str | None = None
    customer: str | None = None
    currency: Currency | None = None
    created: Milliseconds | None = None
    captured: bool | None = None
    amount_captured: Positive | None = None
    paid: bool | None = None
    status: str | None = None
    voided: bool | None = None
    amount_refunded: Positive | None = None
    refunded: bool | None = None
    refunds: list[Any] = Field(default_factory=list)
    tax_amount: Minor | None = None
    tip_amount: Positive | None = None
    additional_charges: list[AdditionalCharge] = Field(default_factory=list)
    description: str | None = None
    external_reference_id: str | None = None
    failure_code: str | None = None
    payment_method_details: str | None = None
    source: dict[str, Any] = Field(default_factory=dict)
    tender: dict[str, Any] = Field(default_factory=dict)
    ecomind: str | None = None
    billing_details: dict[str, Any] = Field(default_factory=dict)
    shipping: dict[str, Any] = Field(default_factory=dict)
    receipt_email: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _CHARGE


class Order(LooseModel):
    """An order as read by its id; rows of a list may lack nearly everything."""

    id: Id
    amount: Minor | None = None
    amount_paid: Positive | None = None
    amount_returned: Positive | None = None
    tax_amount: Minor | None = None
    tip_amount: Positive | None = None
    surcharge_amount: Positive | None = None
    additional_charges: list[AdditionalCharge] = Field(default_factory=list)
    currency: Currency | None = None
    created: Milliseconds | None = None
    status: str | None = None
    status_transitions: dict[str, int] = Field(default_factory=dict)
    charge: str | None = None
    past_charges: list[Any] = Field(default_factory=list)
    customer: str | None = None
    email: str | None = None
    items: list[OrderItem] = Field(default_factory=list)
    returns: list[Any] = Field(default_factory=list)
    shipping: dict[str, Any] = Field(default_factory=dict)
    external_reference_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _ORDER


class Customer(LooseModel):
    """A customer as Clover's create and update calls return it; no read call shows one."""

    id: Id
    created: Milliseconds | None = None
    currency: Currency | None = None
    email: str | None = None
    name: str | None = None
    first_name: str | None = Field(default=None, alias="firstName")
    last_name: str | None = Field(default=None, alias="lastName")
    phone: str | None = None
    shipping: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def fixes(cls) -> Mapping[str, _Fix]:
        return _CUSTOMER


_ADDITIONAL_CHARGE: Mapping[str, _Fix] = {"type": _text}
_TAX_RATE: Mapping[str, _Fix] = {"name": _text, "tax_rate_uuid": _text}
_ORDER_ITEM: Mapping[str, _Fix] = {
    "id": reference,
    "parent": reference,
    "inventory_id": reference,
    "description": _text,
    "tax_rates": rows,
}
_REFUND: Mapping[str, _Fix] = {
    "charge": reference,
    "reason": _text,
    "metadata": _mapping,
    "additional_charges": additional_charges,
}
_CHARGE: Mapping[str, _Fix] = {
    "order": reference,
    "customer": reference,
    "refunds": rows,
    "additional_charges": additional_charges,
    "description": _text,
    "external_reference_id": _text,
    "failure_code": lambda value: _text(_code(value)),
    "payment_method_details": lambda value: _text(_code(value)),
    "source": _mapping,
    "tender": _mapping,
    "ecomind": _text,
    "billing_details": _mapping,
    "shipping": _mapping,
    "receipt_email": _text,
    "metadata": _mapping,
}
_ORDER: Mapping[str, _Fix] = {
    "charge": reference,
    "customer": reference,
    "email": _text,
    "items": rows,
    "past_charges": rows,
    "returns": rows,
    "additional_charges": additional_charges,
    "status_transitions": _times,
    "shipping": _mapping,
    "external_reference_id": _text,
    "metadata": _mapping,
}
_CUSTOMER: Mapping[str, _Fix] = {
    "email": _text,
    "name": _text,
    "firstName": _text,
    "lastName": _text,
    "phone": _text,
    "shipping": _mapping,
}
