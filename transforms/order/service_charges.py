"""Service charges: shipping, surcharges and convenience fees, and money collected beyond what was owed.

A surcharge lies on top of the amount of its charge (docs.clover.com, Manage transaction data), unless the amounts
collected show it was inside. Service charges stand as charged: what was given back of them is a refund line, never a
negative service charge. Service charges of the same name are kept apart, one for each time they were charged.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from schemas.clover import AdditionalCharge
from schemas.commerce import ServiceCharge
from schemas.commerce_enums import ServiceChargeType
from schemas.money import to_decimal


class FeeKind(StrEnum):
    """What a service charge is for; how it is called is for people alone."""

    SHIPPING = "shipping"
    SURCHARGE = "surcharge"
    CONVENIENCE_FEE = "convenience_fee"
    INTERAC_FEE = "interac_fee"
    OVERPAYMENT = "overpayment"
    OTHER = "other"  # a type nobody knows, or one that the merchant made at the platform: told by its name


class Charged(NamedTuple):
    """A kind of service charge, and what it is called. Two are the same when both are."""

    kind: FeeKind
    name: str


class Fee(Struct):
    """A service charge. total: minor units, tax in. charged: what it is called when it is given back.

    charge_id: of one that was charged when the goods were sold again, the charge that did; None for the first sale.
    """

    charged: Charged
    total: int
    description: str
    tax: int = 0
    tax_percentage: Decimal = Decimal(0)
    charge_id: str | None = None


SURCHARGE = Charged(FeeKind.SURCHARGE, "Surcharge")
SHIPPING = Charged(FeeKind.SHIPPING, "Shipping")
OVERPAYMENT = Charged(FeeKind.OVERPAYMENT, "Overpayment")
_KINDS = {
    "CREDIT_SURCHARGE": SURCHARGE,
    "SURCHARGE": SURCHARGE,
    "CONVENIENCE_FEE": Charged(FeeKind.CONVENIENCE_FEE, "Convenience fee"),
    "INTERAC_V2": Charged(FeeKind.INTERAC_FEE, "Interac fee"),
}
_CODATS = {
    FeeKind.SHIPPING: ServiceChargeType.SHIPPING,
    FeeKind.OVERPAYMENT: ServiceChargeType.OVERPAYMENT,
}


def kind_of(charge: AdditionalCharge) -> Charged:
    """What an additional charge is, by its type; one nobody knows is called by its type in words."""
    word = (charge.type or "").strip()
    if not word:
        return SURCHARGE
    return _KINDS.get(word.upper()) or Charged(FeeKind.OTHER, word.replace("_", " ").capitalize())


def shipping(description: str, amount: int) -> Fee:
    """Shipping of ``amount`` minor units, described as Clover does."""
    return Fee(SHIPPING, amount, description)


def surcharge(charged: Charged, amount: int) -> Fee:
    """A surcharge or fee of ``amount`` minor units."""
    return Fee(charged, amount, charged.name)


def overpayment(amount: int) -> Fee:
    """Money collected beyond what was owed, minor units."""
    return Fee(OVERPAYMENT, amount, OVERPAYMENT.name)


def service_charge(fee: Fee, exponent: int) -> ServiceCharge:
    """The Codat record; ``totalAmount`` is the whole charge, tax in."""
    return ServiceCharge(
        description=fee.description,
        total_amount=to_decimal(fee.total, exponent),
        tax_percentage=fee.tax_percentage,
        tax_amount=to_decimal(fee.tax, exponent),
        quantity=1,
        type=_CODATS.get(fee.charged.kind, ServiceChargeType.GENERIC),
    )
