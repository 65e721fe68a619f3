"""Clover's Ecommerce records, as loosely as Clover sends them.

The looseness is absorbed by ``schemas.loose``. Unknown fields are kept. What would change money or identity is never
guessed: a broken amount or a missing id raises ValidationError naming the field, without repeating what was sent.
Any other field that cannot be read is left out and named in ``left_out``: a label never withholds money.

Field names follow docs.clover.com, Ecommerce API reference. Amounts are whole minor units of the object's own
currency, times are milliseconds since 1970 in UTC. What the fields mean for the books is left to ``transforms``.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from schemas.base import Currency
from schemas.loose import (
    Fix,
    Id,
    LooseModel,
    Milliseconds,
    Minor,
    Positive,
    Quantity,
    additional_charges,
    code,
    mapping,
    reference,
    rows,
    text,
    times,
    whole,
)


class AdditionalCharge(LooseModel):
    """A surcharge or convenience fee, on top of ``amount`` of its charge or refund."""

    amount: Positive
    type: str | None = None
    rate: Any = None

    @classmethod
    def fixes(cls) -> Mapping[str, Fix]:
        return _ADDITIONAL_CHARGE

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_ADDITIONAL_CHARGE


class TaxRate(LooseModel):
    """A tax on a line. rate: percent times 100,000. tax_amount: a flat tax in minor units, no rate."""

    name: str | None = None
    tax_rate_uuid: str | None = None
    rate: Annotated[int, BeforeValidator(whole), Field(ge=0, le=10**9)] | None = None
    tax_amount: Minor | None = None

    @classmethod
    def fixes(cls) -> Mapping[str, Fix]:
        return _TAX_RATE

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_TAX_RATE


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
    def fixes(cls) -> Mapping[str, Fix]:
        return _ORDER_ITEM

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_ORDER_ITEM


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
    def fixes(cls) -> Mapping[str, Fix]:
        return _REFUND

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_REFUND


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
    def fixes(cls) -> Mapping[str, Fix]:
        return _CHARGE

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_CHARGE


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
    def fixes(cls) -> Mapping[str, Fix]:
        return _ORDER

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_ORDER


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
    def fixes(cls) -> Mapping[str, Fix]:
        return _CUSTOMER

    @classmethod
    def vital(cls) -> frozenset[str]:
        return _VITAL_CUSTOMER


_VITAL_ADDITIONAL_CHARGE = frozenset({"amount"})
_VITAL_TAX_RATE = frozenset({"tax_amount"})
_VITAL_ORDER_ITEM = frozenset({"amount", "amount_refunded"})
_VITAL_REFUND = frozenset({"id", "amount", "charge", "currency", "additional_charges"})
_VITAL_CHARGE = frozenset(
    {
        "id",
        "amount",
        "order",
        "currency",
        "amount_captured",
        "amount_refunded",
        "tax_amount",
        "tip_amount",
        "additional_charges",
    }
)
_VITAL_ORDER = frozenset(
    {
        "id",
        "amount",
        "amount_paid",
        "amount_returned",
        "tax_amount",
        "tip_amount",
        "surcharge_amount",
        "additional_charges",
        "currency",
        "items",
    }
)
_VITAL_CUSTOMER = frozenset({"id"})
_ADDITIONAL_CHARGE: Mapping[str, Fix] = {"type": text}
_TAX_RATE: Mapping[str, Fix] = {"name": text, "tax_rate_uuid": text}
_ORDER_ITEM: Mapping[str, Fix] = {
    "id": reference,
    "parent": reference,
    "inventory_id": reference,
    "description": text,
    "tax_rates": rows,
}
_REFUND: Mapping[str, Fix] = {
    "charge": reference,
    "reason": text,
    "metadata": mapping,
    "additional_charges": additional_charges,
}
_CHARGE: Mapping[str, Fix] = {
    "order": reference,
    "customer": reference,
    "refunds": rows,
    "additional_charges": additional_charges,
    "description": text,
    "external_reference_id": text,
    "failure_code": lambda value: text(code(value)),
    "payment_method_details": lambda value: text(code(value)),
    "source": mapping,
    "tender": mapping,
    "ecomind": text,
    "billing_details": mapping,
    "shipping": mapping,
    "receipt_email": text,
    "metadata": mapping,
}
_ORDER: Mapping[str, Fix] = {
    "charge": reference,
    "customer": reference,
    "email": text,
    "items": rows,
    "past_charges": rows,
    "returns": rows,
    "additional_charges": additional_charges,
    "status_transitions": times,
    "shipping": mapping,
    "external_reference_id": text,
    "metadata": mapping,
}
_CUSTOMER: Mapping[str, Fix] = {
    "email": text,
    "name": text,
    "firstName": text,
    "lastName": text,
    "phone": text,
    "shipping": mapping,
}
