"""Codat's commerce records as they are served: camelCase, closed enums, exact decimals, nothing null.

Names and types follow Codat's commerce data model (docs.codat.io, Commerce API reference). ``schemas.wire`` writes
them: members that are None are left out, arrays are written even when they are empty, members stand in the order given
here. A date is its text already (``schemas.times.wire_text``), and an amount is the shortest exact decimal
(``schemas.money``). The sums that must hold between the members are in ``transforms.check.invariants``.

Nothing is checked when a record is made, which is for mypy to do; ``msgspec.convert`` and ``msgspec.json.decode`` check
what strangers sent.
"""

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from schemas.commerce_enums import (
    AddressType,
    PaymentMethodStatus,
    PaymentStatus,
    PaymentType,
    PhoneNumberType,
    ProductStatus,
    ServiceChargeType,
    TransactionSourceType,
    TransactionType,
)

Id = Annotated[str, Meta(min_length=1)]
Instant = str
"""A moment as ``schemas.times.wire_text`` writes it."""


def _empty() -> list[Any]:
    # msgspec leaves out what equals its default, but looks into no function of ours: an empty array is written.
    return []


class CommerceRecord(Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """A Codat commerce record."""


class Ref(CommerceRecord, frozen=True, kw_only=True):
    """A record named by another: customer, location, product, variant, payment method."""

    id: Id
    name: str | None = None


class TaxComponentRef(CommerceRecord, frozen=True, kw_only=True):
    """A tax component named by an allocation; Codat's clients refuse one without a name."""

    id: Id
    name: str


class SupplementalData(CommerceRecord, frozen=True, kw_only=True):
    """The source's own words, by source."""

    content: dict[str, dict[str, Any]] | None = None


class DiscountAllocation(CommerceRecord, frozen=True, kw_only=True):
    """The share of a discount that falls on a line: positive lowers it, negative on a refund line."""

    name: str | None = None
    total_amount: Decimal


class TaxAllocation(CommerceRecord, frozen=True, kw_only=True):
    """The amount of one tax on a line. ``rate`` and ``tax_amount`` are the same amount: older and newer clients
    read one or the other."""

    tax_component_ref: TaxComponentRef
    rate: Decimal
    tax_amount: Decimal


class OrderLineItem(CommerceRecord, frozen=True, kw_only=True):
    """A sale line (quantity > 0) or a refund line (quantity < 0). ``unit_price`` without tax and discount, never
    negative; ``total_amount = quantity * unit_price - discounts + total_tax_amount``."""

    id: Id
    quantity: Decimal
    tax_percentage: Decimal
    total_amount: Decimal
    total_tax_amount: Decimal
    unit_price: Decimal
    taxes: list[TaxAllocation] = field(default_factory=_empty)
    product_ref: Ref | None = None
    product_variant_ref: Ref | None = None
    discount_allocations: list[DiscountAllocation] = field(default_factory=_empty)


class ServiceCharge(CommerceRecord, frozen=True, kw_only=True):
    """Shipping, surcharge or overpayment. ``total_amount`` is the whole charge, tax in, whatever the quantity."""

    description: str | None = None
    total_amount: Decimal
    tax_percentage: Decimal
    tax_amount: Decimal
    taxes: list[TaxAllocation] = field(default_factory=_empty)
    quantity: int
    type: ServiceChargeType


class Payment(CommerceRecord, frozen=True, kw_only=True):
    """Money of an order, gratuity in; a refund is negative. Inside an order and as a record of its own."""

    id: Id
    amount: Decimal | None = None
    currency: str | None = None
    type: PaymentType | None = None
    status: PaymentStatus | None = None
    payment_method_ref: Ref | None = None
    payment_provider: str | None = None
    due_date: Instant | None = None
    created_date: Instant | None = None
    source_modified_date: Instant | None = None
    supplemental_data: SupplementalData | None = None
    modified_date: Instant | None = None


class Order(CommerceRecord, frozen=True, kw_only=True):
    """One order. Every total is net of refunds; ``total_refund`` is what was refunded, zero or negative;
    ``total_gratuity`` is in no other total."""

    id: Id
    order_number: str | None = None
    country: str | None = None
    currency: str | None = None
    created_date: Instant | None = None
    closed_date: Instant | None = None
    total_amount: Decimal
    total_refund: Decimal
    total_tax_amount: Decimal
    total_discount: Decimal
    total_gratuity: Decimal
    order_line_items: list[OrderLineItem] = field(default_factory=_empty)
    payments: list[Payment] = field(default_factory=_empty)
    service_charges: list[ServiceCharge] = field(default_factory=_empty)
    location_ref: Ref | None = None
    customer_ref: Ref | None = None
    source_modified_date: Instant | None = None
    supplemental_data: SupplementalData | None = None
    modified_date: Instant | None = None


class Address(CommerceRecord, frozen=True, kw_only=True):
    """A postal address; the country is the source's own text."""

    type: AddressType
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None
    postal_code: str | None = None


class Customer(CommerceRecord, frozen=True, kw_only=True):
    """Someone who ordered."""

    id: Id
    customer_name: str | None = None
    email_address: str | None = None
    phone: str | None = None
    default_currency: str | None = None
    addresses: list[Address] = field(default_factory=_empty)
    note: str | None = None
    created_date: Instant | None = None
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None


class Location(CommerceRecord, frozen=True, kw_only=True):
    """Where orders are placed: the Clover merchant."""

    id: Id
    name: str | None = None
    address: Address | None = None
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None


class VariantPrice(CommerceRecord, frozen=True, kw_only=True):
    """A price of one unit, without tax."""

    currency: str | None = None
    unit_price: Decimal


class Inventory(CommerceRecord, frozen=True, kw_only=True):
    """Stock of a variant; Clover's Ecommerce API tells none."""

    locations: list[Any] = field(default_factory=_empty)


class ProductVariant(CommerceRecord, frozen=True, kw_only=True):
    """The form a product is sold in; a Clover product has one, with the product's id."""

    id: Id
    name: str | None = None
    is_tax_enabled: bool
    shipping_required: bool
    sku: str | None = None
    barcode: str | None = None
    unit_of_measure: str | None = None
    vat_percentage: Decimal
    prices: list[VariantPrice] = field(default_factory=_empty)
    inventory: Inventory
    status: ProductStatus | None = None
    created_date: Instant | None = None
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None
    quantity: Decimal


class Product(CommerceRecord, frozen=True, kw_only=True):
    """Something that was sold."""

    id: Id
    name: str | None = None
    description: str | None = None
    categorization: str | None = None
    is_gift_card: bool
    variants: list[ProductVariant] = field(default_factory=_empty)
    product_category_refs: list[Ref] = field(default_factory=_empty)
    status: ProductStatus | None = None
    created_date: Instant | None = None
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None


class TransactionSourceRef(CommerceRecord, frozen=True, kw_only=True):
    """What a transaction belongs to."""

    id: Id
    type: TransactionSourceType


class Transaction(CommerceRecord, frozen=True, kw_only=True):
    """Money that moved: payments positive, refunds negative."""

    id: Id
    total_amount: Decimal
    currency: str | None = None
    type: TransactionType
    sub_type: str | None = None
    transaction_source_ref: TransactionSourceRef | None = None
    created_date: Instant | None = None
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None


class PaymentMethod(CommerceRecord, frozen=True, kw_only=True):
    """A way the merchant was paid."""

    id: Id
    name: str | None = None
    status: PaymentMethodStatus
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None


class TaxComponent(CommerceRecord, frozen=True, kw_only=True):
    """A tax rate, as a fraction: 0.0825 is 8.25 percent."""

    id: Id
    name: str
    rate: Decimal
    is_compound: bool
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None


class PhoneNumber(CommerceRecord, frozen=True, kw_only=True):
    """A phone number of the company."""

    type: PhoneNumberType
    number: str | None = None


class CompanyInfo(CommerceRecord, frozen=True, kw_only=True):
    """The merchant as Clover knows it: of web links, balances and source URLs it tells none."""

    company_name: str | None = None
    company_legal_name: str | None = None
    commerce_platform_ref: str | None = None
    addresses: list[Address] = field(default_factory=_empty)
    phone_numbers: list[PhoneNumber] = field(default_factory=_empty)
    web_links: list[Any] = field(default_factory=_empty)
    registration_number: str | None = None
    base_currency: str | None = None
    account_balances: list[Any] = field(default_factory=_empty)
    source_urls: dict[str, str]
    created_date: Instant | None = None
    modified_date: Instant | None = None
    source_modified_date: Instant | None = None
