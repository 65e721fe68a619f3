"""The figures of one company's report, read from the views: nothing is computed here but ratios of sums.

Money is exact Decimal in major units; currencies stay apart. Months and days are the merchant's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connector.ledger.restatement import RestatedFigure
from schemas.money import exponent


@dataclass(frozen=True, slots=True)
class Month:
    """One month of one currency, as ``monthly_sales`` defines it.

    returns_by_order_date: of the orders placed in the month, whenever they came back. refunded: money given back in the
    month, never positive, tax and tips in. average_order_value: gross sales less discounts, by orders.
    """

    month: date
    orders: int
    gross_sales: Decimal = Decimal(0)
    discounts: Decimal = Decimal(0)
    returns: Decimal = Decimal(0)
    net_sales: Decimal = Decimal(0)
    service_charges: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    total_sales: Decimal = Decimal(0)
    tips: Decimal = Decimal(0)
    returns_by_order_date: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    average_order_value: Decimal | None = None
    overpayments: Decimal = Decimal(0)
    gift_cards_sold: Decimal = Decimal(0)
    receivable: Decimal = Decimal(0)
    amount_collected: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Product:
    """A product over all months shown. quantity: units sold less units returned."""

    name: str
    quantity: Decimal
    net_sales: Decimal


@dataclass(frozen=True, slots=True)
class Sales:
    """What was sold in one currency."""

    currency: str
    months: tuple[Month, ...]
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers of one month over all currencies; guests are no customers."""

    month: date
    new: int
    returning: int
    guest_orders: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """How new the data of one merchant is. Times are UTC; None when it never happened."""

    merchant: str
    status: str
    last_success: datetime | None
    newest_sale: datetime | None


@dataclass(frozen=True, slots=True)
class OpenIssues:
    """Findings of one kind that are not healed. amounts: by currency, the differences found, never negative."""

    severity: str
    code: str
    detail: str
    orders: int
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Records kept raw and not published for one reason. amounts: by currency, the money Clover says they moved."""

    reason: str
    records: int
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The newest comparison with Clover, by stream and currency. Amounts as Clover and as the store have them."""

    stream: str
    currency: str
    clover_count: int
    stored_count: int
    clover_amount: Decimal
    stored_amount: Decimal
    explained: Decimal
    unexplained: Decimal
    reconciled_at: datetime


@dataclass(frozen=True, slots=True)
class RestatedOrder:
    """An order behind restated figures, and what it added to a month's total sales and to the money collected."""

    month: date
    currency: str
    order_id: str
    why: str
    total_sales: Decimal
    amount_collected: Decimal


@dataclass(frozen=True, slots=True)
class Restatement:
    """What changed of the figures since they were told at a snapshot. loaded_at: UTC, when that was loaded."""

    snapshot_id: int
    loaded_at: datetime | None
    figures: Sequence[RestatedFigure]
    orders: Sequence[RestatedOrder]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything a report shows. quality: the company's row of ``data_quality``. read_until: the merchant's day.

    restatement: what changed since the figures were told, where asked for.
    """

    company_id: str
    company: str
    snapshot_id: int
    loaded_at: datetime | None
    timezones: tuple[str, ...]
    sales: tuple[Sales, ...]
    customers: tuple[Customers, ...]
    freshness: tuple[Freshness, ...]
    issues: tuple[OpenIssues, ...]
    comparisons: tuple[Comparison, ...]
    quality: Mapping[str, Any]
    held: tuple[HeldBack, ...]
    read_until: date | None
    restatement: Restatement | None = None


def ratio(sum_: Decimal, count: int, currency: str) -> Decimal | None:
    """A sum over a count in whole minor units of the currency, halves up; None without anything to count."""
    if not count:
        return None
    return (sum_ / count).quantize(Decimal(1).scaleb(-exponent(currency)), ROUND_HALF_UP)
