"""Clover's records where they come as documented: read at a tenth of the cost, into the same values.

Nearly every record is regular: whole numbers are numbers, references are ids, lists are lists. Such a one is checked by
msgspec and needs none of the mending of ``schemas.loose``. What does not fit in any point, were it only by a number
written as text, is not read here: ``schemas.clover`` reads it, and says what is wrong with it. So this module holds no
rule of its own; a property test reads every record both ways.

Fields nobody reads are not kept (``model_extra`` is empty).
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta, Struct, field

from schemas.clover import Charge, Order, OrderItem, Refund, TaxRate
from schemas.loose import LAST_MS, MOST, LooseModel
from schemas.loose import rows as rows_of
from schemas.money import CURRENCIES
from schemas.times import SECONDS_BELOW

_Model = TypeVar("_Model", bound=LooseModel)
_Values = dict[str, Any]

_Id = Annotated[str, Meta(min_length=1, max_length=200)]
_Word = Annotated[str, Meta(min_length=1)] | None
_Minor = Annotated[int, Meta(ge=-MOST, le=MOST)]
_Positive = Annotated[int, Meta(ge=0, le=MOST)]
_Moment = Annotated[int, Meta(ge=SECONDS_BELOW, le=LAST_MS)]
_Units = Annotated[int, Meta(ge=-(10**9), le=10**9)]
_Rate = Annotated[int, Meta(ge=0, le=10**9)]
_None = Annotated[list[Any], Meta(max_length=0)]
# Upper and lower case as Clover writes them; any other spelling is for ``schemas.clover``.
_CURRENCY = {spelt: code for code in CURRENCIES for spelt in (code, code.lower())}


class _TaxRate(Struct, gc=False):
    name: _Word = None
    tax_rate_uuid: _Word = None
    rate: _Rate | None = None
    tax_amount: _Minor | None = None
    left_out: tuple[()] = ()


class _OrderItem(Struct):
    amount: _Minor
    id: _Word = None
    type: _Word = None
    parent: _Word = None
    inventory_id: _Word = None
    quantity: _Units | None = None
    description: _Word = None
    tax_rates: list[_TaxRate] = field(default_factory=list)
    amount_refunded: _Minor | None = None
    left_out: tuple[()] = ()


class _Refund(Struct):
    id: _Id
    amount: _Minor
    object: _Word = None
    charge: _Word = None
    created: _Moment | None = None
    status: _Word = None
    currency: _Word = None
    reason: _Word = None
    voided: bool | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    additional_charges: _None = field(default_factory=list)
    left_out: tuple[()] = ()


class _Charge(Struct):
    id: _Id
    amount: _Positive
    order: _Word = None
    customer: _Word = None
    currency: _Word = None
    created: _Moment | None = None
    captured: bool | None = None
    amount_captured: _Positive | None = None
    paid: bool | None = None
    status: _Word = None
    voided: bool | None = None
    amount_refunded: _Positive | None = None
    refunded: bool | None = None
    refunds: list[Any] = field(default_factory=list)
    tax_amount: _Minor | None = None
    tip_amount: _Positive | None = None
    additional_charges: _None = field(default_factory=list)
    description: _Word = None
    external_reference_id: _Word = None
    failure_code: _Word = None
    payment_method_details: _Word = None
    source: dict[str, Any] = field(default_factory=dict)
    tender: dict[str, Any] = field(default_factory=dict)
    ecomind: _Word = None
    billing_details: dict[str, Any] = field(default_factory=dict)
    shipping: dict[str, Any] = field(default_factory=dict)
    receipt_email: _Word = None
    metadata: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[()] = ()


class _Order(Struct):
    id: _Id
    amount: _Minor | None = None
    amount_paid: _Positive | None = None
    amount_returned: _Positive | None = None
    tax_amount: _Minor | None = None
    tip_amount: _Positive | None = None
    surcharge_amount: _Positive | None = None
    additional_charges: _None = field(default_factory=list)
    currency: _Word = None
    created: _Moment | None = None
    status: _Word = None
    status_transitions: dict[str, _Moment] = field(default_factory=dict)
    charge: _Word = None
    past_charges: list[Any] = field(default_factory=list)
    customer: _Word = None
    email: _Word = None
    items: list[_OrderItem] = field(default_factory=list)
    returns: list[Any] = field(default_factory=list)
    shipping: dict[str, Any] = field(default_factory=dict)
    external_reference_id: _Word = None
    metadata: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[()] = ()


def read_regular(model: type[_Model], row: object) -> _Model | None:
    """The record as ``model`` reads it, if the row is as documented; None if that is for the model to say."""
    shape = _SHAPES.get(model)
    if shape is None or type(row) is not dict:
        return None
    kind, lists, finish = shape
    for name in lists:
        if type(row.get(name)) is dict:
            row = {**row, name: rows_of(row[name])}
    try:
        found = msgspec.convert(row, kind)
    except (msgspec.ValidationError, RecursionError):
        return None
    values = msgspec.structs.asdict(found)
    return cast(_Model, _made(model, values)) if finish(values) else None


def _made(model: type[LooseModel], values: _Values) -> LooseModel:
    """A record of values that are checked: what ``model_construct`` does, without a look at every field."""
    record = model.__new__(model)
    put = object.__setattr__
    put(record, "__dict__", values)
    put(record, "__pydantic_fields_set__", set())
    put(record, "__pydantic_extra__", {})
    put(record, "__pydantic_private__", None)
    return record


def _has_currency(values: _Values) -> bool:
    written = values["currency"]
    if written is not None:
        values["currency"] = code = _CURRENCY.get(written)
        return code is not None
    return True


def _strip(values: _Values, names: tuple[str, ...]) -> None:
    for name in names:
        text = values[name]
        if text is not None:
            values[name] = text.strip() or None


def _finish_refund(values: _Values) -> bool:
    _strip(values, ("reason",))
    return _has_currency(values)


def _finish_charge(values: _Values) -> bool:
    _strip(values, _CHARGE_TEXTS)
    return _has_currency(values)


def _finish_order(values: _Values) -> bool:
    _strip(values, ("email", "external_reference_id"))
    values["items"] = [_item(item) for item in values["items"]]
    return _has_currency(values)


def _item(item: _OrderItem) -> LooseModel:
    values = msgspec.structs.asdict(item)
    text = item.description
    if text is not None:
        values["description"] = text.strip() or None
    if item.quantity is not None:
        values["quantity"] = Decimal(item.quantity)
    values["tax_rates"] = [
        _tax_rate(rate.name, rate.tax_rate_uuid, rate.rate, rate.tax_amount) for rate in item.tax_rates
    ]
    return _made(OrderItem, values)


@lru_cache(maxsize=1_024)  # records are never changed, and most of these are a shop's few taxes
def _tax_rate(name: str | None, uuid: str | None, rate: int | None, amount: int | None) -> LooseModel:
    values = {"name": name, "tax_rate_uuid": uuid, "rate": rate, "tax_amount": amount, "left_out": ()}
    _strip(values, ("name", "tax_rate_uuid"))
    return _made(TaxRate, values)


_CHARGE_TEXTS = (
    "description", "external_reference_id", "failure_code", "payment_method_details", "ecomind", "receipt_email",
)  # fmt: skip
_SHAPES: dict[type[LooseModel], tuple[type[Struct], tuple[str, ...], Callable[[_Values], bool]]] = {
    Charge: (_Charge, ("refunds",), _finish_charge),
    Order: (_Order, ("items", "past_charges", "returns"), _finish_order),
    Refund: (_Refund, (), _finish_refund),
}
