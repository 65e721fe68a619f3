"""Codat's commerce records as they are served: camelCase, closed enums, exact decimals, nothing null.

Names and types follow Codat's commerce data model (docs.codat.io, Commerce API reference). Members that are None
are left out on the wire and empty lists are written; dates are written by ``schemas.times``. Read back, a date
without a zone is UTC, and the unset date ``0001-01-01T00:00:00`` is None. The sums that must hold between the
members are in ``transforms.check.invariants``.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from schemas.base import CodatModel
from schemas.commerce_enums import (
    AddressType as AddressType,
)
from schemas.commerce_enums import (
    PaymentMethodStatus as PaymentMethodStatus,
)
from schemas.commerce_enums import (
    PaymentStatus as PaymentStatus,
)
from schemas.commerce_enums import (
    PaymentType as PaymentType,
)
from schemas.commerce_enums import (
    PhoneNumberType as PhoneNumberType,
)
from schemas.commerce_enums import (
    ProductStatus as ProductStatus,
)
from schemas.commerce_enums import (
    ServiceChargeType as ServiceChargeType,
)
from schemas.commerce_enums import (
    TransactionSourceType as TransactionSourceType,
)
from schemas.commerce_enums import (
    TransactionType as TransactionType,
)
from schemas.times import wire_text

_UNSET_DATE = "0001-01-01T00:00:00"


def _read_date(value: object) -> object:
    if isinstance(value, str):
        if value.startswith(_UNSET_DATE):
            return None
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _date_on_wire(moment: datetime | None) -> str | None:
    return None if moment is None else wire_text(moment)


def _plain_number(amount: Decimal) -> int | float:
    # A JSON number has no type of its own: what counts is its text. Up to 15 digits the shortest text of the
    # float is that of the decimal; no arithmetic happens on it.
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not a boolean")
    # A number of a JSON document arrives as a float; its shortest text is what was written.
    return Decimal(repr(value)) if isinstance(value, float) else value


Instant = Annotated[
    datetime | None,
    BeforeValidator(_read_date),
    PlainSerializer(_date_on_wire, return_type=str | None, when_used="json"),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(_no_boolean),
    Field(allow_inf_nan=False),
    PlainSerializer(_plain_number, return_type=int | float, when_used="json"),
]
Id = Annotated[str, Field(min_length=1)]


class CommerceModel(CodatModel):
    """A Codat commerce record."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @classmethod
    def built(cls, **members: Any) -> Self:
        """A record of values that are right already: every member is given, none is checked again.

        Only for the mapping's own output; it skips the work that ``model_validate`` does on strangers' data.
        """
        record = cls.__new__(cls)
        object.__setattr__(record, "__dict__", members)
        object.__setattr__(record, "__pydantic_fields_set__", set(members))
        object.__setattr__(record, "__pydantic_extra__", None)
        object.__setattr__(record, "__pydantic_private__", None)
        return record

    def model_dump_wire(self) -> dict[str, Any]:
        """Codat's JSON members as plain Python values: no None, dates as text, numbers as int or float."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Ref(CommerceModel):
    """A record named by another: customer, location, product, variant, payment method."""

    id: Id
    name: str | None = None


class TaxComponentRef(CommerceModel):
    """A tax component named by an allocation; Codat's clients refuse one without a name."""

    id: Id
    name: str


class SupplementalData(CommerceModel):
    """The source's own words, by source."""

    content: dict[str, dict[str, Any]] | None = None


class DiscountAllocation(CommerceModel):
    """The share of a discount that falls on a line: positive lowers it, negative on a refund line."""

    name: str | None = None
    total_amount: Amount


class TaxAllocation(CommerceModel):
    """The amount of one tax on a line. ``rate`` and ``tax_amount`` are the same amount: older and newer clients
    read one or the other."""

    tax_component_ref: TaxComponentRef
    rate: Amount
    tax_amount: Amount


class OrderLineItem(CommerceModel):
    """A sale line (quantity > 0) or a refund line (quantity < 0). ``unit_price`` without tax and discount, never
    negative; ``total_amount = quantity * unit_price - discounts + total_tax_amount``."""

    id: Id
    quantity: Amount
    tax_percentage: Amount
    total_amount: Amount
    total_tax_amount: Amount
    unit_price: Amount
    taxes: list[TaxAllocation] = Field(default_factory=list)
    product_ref: Ref | None = None
    product_variant_ref: Ref | None = None
    discount_allocations: list[DiscountAllocation] = Field(default_factory=list)


class ServiceCharge(CommerceModel):
    """Shipping, surcharge or overpayment. ``total_amount`` is the whole charge, tax in, whatever the quantity."""

    description: str | None = None
    total_amount: Amount
    tax_percentage: Amount
    tax_amount: Amount
    taxes: list[TaxAllocation] = Field(default_factory=list)
    quantity: int
    type: ServiceChargeType


class Payment(CommerceModel):
    """Money of an order, gratuity in; a refund is negative. Inside an order and as a record of its own."""

    id: Id
    amount: Amount | None = None
    currency: str | None = None
    type: PaymentType | None = None
    status: PaymentStatus | None = None
    payment_method_ref: Ref | None = None
    payment_provider: str | None = None
    due_date: Instant = None
    created_date: Instant = None
    modified_date: Instant = None
    source_modified_date: Instant = None
    supplemental_data: SupplementalData | None = None


class Order(CommerceModel):
    """One order. Every total is net of refunds; ``total_refund`` is what was refunded, zero or negative;
    ``total_gratuity`` is in no other total."""

    id: Id
    order_number: str | None = None
    country: str | None = None
    currency: str | None = None
    created_date: Instant = None
    closed_date: Instant = None
    total_amount: Amount
    total_refund: Amount
    total_tax_amount: Amount
    total_discount: Amount
    total_gratuity: Amount
    order_line_items: list[OrderLineItem] = Field(default_factory=list)
    payments: list[Payment] = Field(default_factory=list)
    service_charges: list[ServiceCharge] = Field(default_factory=list)
    location_ref: Ref | None = None
    customer_ref: Ref | None = None
    modified_date: Instant = None
    source_modified_date: Instant = None
    supplemental_data: SupplementalData | None = None


class Address(CommerceModel):
    """A postal address; the country is the source's own text."""

    type: AddressType
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None
    postal_code: str | None = None


class Customer(CommerceModel):
    """Someone who ordered."""

    id: Id
    customer_name: str | None = None
    email_address: str | None = None
    phone: str | None = None
    default_currency: str | None = None
    addresses: list[Address] = Field(default_factory=list)
    note: str | None = None
    created_date: Instant = None
    modified_date: Instant = None
    source_modified_date: Instant = None


class Location(CommerceModel):
    """Where orders are placed: the Clover merchant."""

    id: Id
    name: str | None = None
    address: Address | None = None
    modified_date: Instant = None
    source_modified_date: Instant = None


class VariantPrice(CommerceModel):
    """A price of one unit, without tax."""

    currency: str | None = None
    unit_price: Amount


class InventoryLocation(CommerceModel):
    """Stock at one location."""

    quantity: Amount
    location_ref: Ref


class Inventory(CommerceModel):
    """Stock of a variant."""

    total_quantity: Amount | None = None
    locations: list[InventoryLocation] = Field(default_factory=list)


class ProductVariant(CommerceModel):
    """The form a product is sold in; a Clover product has one, with the product's id."""

    id: Id
    name: str | None = None
    is_tax_enabled: bool = False
    shipping_required: bool = False
    sku: str | None = None
    barcode: str | None = None
    unit_of_measure: str | None = None
    vat_percentage: Amount = Decimal(0)
    prices: list[VariantPrice] = Field(default_factory=list)
    inventory: Inventory = Field(default_factory=Inventory)
    status: ProductStatus | None = None
    created_date: Instant = None
    modified_date: Instant = None
    source_modified_date: Instant = None
    quantity: Amount = Decimal(0)


class Product(CommerceModel):
    """Something that was sold."""

    id: Id
    name: str | None = None
    description: str | None = None
    categorization: str | None = None
    is_gift_card: bool = False
    variants: list[ProductVariant] = Field(default_factory=list)
    product_category_refs: list[Ref] = Field(default_factory=list)
    status: ProductStatus | None = None
    created_date: Instant = None
    modified_date: Instant = None
    source_modified_date: Instant = None


class TransactionSourceRef(CommerceModel):
    """What a transaction belongs to."""

    id: Id
    type: TransactionSourceType


class Transaction(CommerceModel):
    """Money that moved: payments positive, refunds negative."""

    id: Id
    total_amount: Amount
    currency: str | None = None
    type: TransactionType
    sub_type: str | None = None
    transaction_source_ref: TransactionSourceRef | None = None
    created_date: Instant = None
    modified_date: Instant = None
    source_modified_date: Instant = None


class PaymentMethod(CommerceModel):
    """A way the merchant was paid."""

    id: Id
    name: str | None = None
    status: PaymentMethodStatus
    modified_date: Instant = None
    source_modified_date: Instant = None


class TaxComponent(CommerceModel):
    """A tax rate, as a fraction: 0.0825 is 8.25 percent."""

    id: Id
    name: str
    rate: Amount
    is_compound: bool = False
    modified_date: Instant = None
    source_modified_date: Instant = None


class PhoneNumber(CommerceModel):
    """A phone number of the company."""

    type: PhoneNumberType
    number: str | None = None


class WebLink(CommerceModel):
    """A page of the company."""

    type: str
    url: str | None = None


class AccountBalance(CommerceModel):
    """What the platform holds for the company."""

    available: Amount
    pending: Amount
    reserved: Amount
    currency: str


class CompanyInfo(CommerceModel):
    """The merchant as Clover knows it."""

    company_name: str | None = None
    company_legal_name: str | None = None
    commerce_platform_ref: str | None = None
    addresses: list[Address] = Field(default_factory=list)
    phone_numbers: list[PhoneNumber] = Field(default_factory=list)
    web_links: list[WebLink] = Field(default_factory=list)
    registration_number: str | None = None
    base_currency: str | None = None
    account_balances: list[AccountBalance] = Field(default_factory=list)
    source_urls: dict[str, str] = Field(default_factory=dict)
    created_date: Instant = None
    modified_date: Instant = None
    source_modified_date: Instant = None
