"""The values that enter and leave the mapping: a group of Clover records in, a mapped Codat order out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from schemas.clover import Charge, Order, Refund
    from schemas.commerce import Order as CodatOrder


class Severity(StrEnum):
    """How much a finding matters to someone who decides on the numbers."""

    INFO = "info"  # an estimate was needed; totals are exact
    WARNING = "warning"  # the source contradicts itself by an amount we name
    ERROR = "error"  # a record could not be mapped; it is held back


@dataclass(frozen=True, slots=True)
class Merchant:
    """Whose books these are.

    country: ISO 3166 alpha-3, ``XXX`` when unknown. currency: ISO 4217 or None when unknown.
    timezone: IANA name; the merchant's day, for local dates only.
    """

    merchant_id: str
    merchant_name: str | None = None
    country: str = "XXX"
    currency: str | None = None
    timezone: str = "UTC"


class PlatformLine(Struct, frozen=True):
    """One line item as Clover's platform v3 knows it. Amounts in minor units. id: None where v3 sends none.

    ``tax_rates`` as v3 sends them (rate = fraction x 10^7). ``unit_qty`` in thousandths or None. is_revenue: False for
    a gift card that is sold.
    """

    id: str | None
    name: str | None
    price: int
    item_id: str | None = None
    unit_qty: int | None = None
    modifications: int = 0
    refunded: bool = False
    tax_rates: tuple[Mapping[str, object], ...] = ()
    discounts: tuple[Mapping[str, object], ...] = ()
    is_revenue: bool = True


class PlatformPart(Struct, frozen=True):
    """A discount or service charge of a whole order as platform v3 names it.

    amount: positive minor units, None where only its rate is known. rate: percent times 10,000 of the goods.
    """

    name: str
    amount: int | None
    rate: int = 0


class OrderGroup(Struct, frozen=True):
    """Everything Clover says about one order.

    order: None for a charge that truly has no order. charges: every known charge of it, including
    ``past_charges``, each once. refunds: every known refund of those charges, each once.
    platform_…: platform v3's view, where the token may read it. is_deleted: Clover has the order no more; ``order`` is
    what it last said of it. undated: (kind, id) of records without a usable time. void_claims: (kind, id, order id) of
    records that this order or a charge of it claims and another order owns.
    """

    order: "Order | None"
    charges: "tuple[Charge, ...]" = ()
    refunds: "tuple[Refund, ...]" = ()
    platform_lines: tuple[PlatformLine, ...] = ()
    platform_modified: datetime | None = None
    platform_discounts: tuple[PlatformPart, ...] = ()
    platform_service_charges: tuple[PlatformPart, ...] = ()
    is_deleted: bool = False
    undated: frozenset[tuple[str, str]] = frozenset()
    void_claims: tuple[tuple[str, str, str | None], ...] = ()


class PreviousVersion(Struct, frozen=True):
    """What was stored before: the newest version of this order.

    payment_dates: payment id -> (fingerprint of the payment without modifiedDate, its modifiedDate).
    """

    source_modified_date: datetime
    content_hash: str
    payment_dates: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that did not add up. ``code`` is from the table of invariants.

    difference_minor: signed minor units where an amount is at stake, else None.
    detail: plain words; never a name, e-mail or card number.
    """

    code: str
    severity: Severity
    detail: str
    order_id: str
    difference_minor: int | None = None
    record_kind: str | None = None  # charge | order | refund
    record_id: str | None = None


class MappedOrder(Struct, frozen=True):
    """A finished Codat order, or the reason why there is none.

    order: the Codat order without ``modifiedDate`` (set when it is loaded); None when held back.
    content_hash: over the canonical order without modifiedDate; "" when held back.
    source_modified_date: aware UTC, to the millisecond. observed: no date of Clover explains the change.
    held_back: None when published, else one of the codes in ``transforms.check.publication``.
    open_reason: why the order must be polled again, None when it is settled.
    created_local_date: the merchant's day of the sale. refund_local_dates: refund id -> merchant's day.
    line_refunds: id of a refund line -> id of the refund it was made for. line_kinds: id of a line -> what it is of, as
    in ``transforms.order.line``. line_charges: id of a line of goods that were sold again -> the charge that sold them.
    fee_charges: the same of the service charges, by their place; None for those of the first sale.
    """

    order_id: str
    order: "CodatOrder | None"
    content_hash: str
    source_modified_date: datetime
    observed: bool
    created_local_date: date | None
    refund_local_dates: Mapping[str, date] = field(default_factory=dict)
    line_refunds: Mapping[str, str] = field(default_factory=dict)
    line_kinds: Mapping[str, str] = field(default_factory=dict)
    line_charges: Mapping[str, str] = field(default_factory=dict)
    fee_charges: Sequence[str | None] = ()
    issues: tuple[Issue, ...] = ()
    held_back: str | None = None
    open_reason: str | None = None
