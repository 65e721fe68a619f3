"""Service charges: shipping, surcharges and convenience fees, and money collected beyond what was owed.

A surcharge lies on top of the amount of its charge (docs.clover.com, Manage transaction data), unless the amounts
collected show it was inside. Service charges stand as charged: what was given back of them is a refund line, never a
negative service charge. Service charges of the same name are kept apart, one for each time they were charged.
"""

from schemas.clover import AdditionalCharge
from schemas.commerce import ServiceCharge
from schemas.commerce_enums import ServiceChargeType
from schemas.money import to_decimal
from transforms.order.line import Fee

SURCHARGE = "Surcharge"
_NAMES = {
    "CREDIT_SURCHARGE": SURCHARGE,
    "SURCHARGE": SURCHARGE,
    "CONVENIENCE_FEE": "Convenience fee",
    "INTERAC_V2": "Interac fee",
}


def surcharge_name(charge: AdditionalCharge) -> str:
    """What an additional charge is called: by its type, in words."""
    kind = (charge.type or "").strip()
    if not kind:
        return SURCHARGE
    return _NAMES.get(kind.upper()) or kind.replace("_", " ").capitalize()


def surcharge(name: str, amount: int) -> Fee:
    """A surcharge or fee of ``amount`` minor units."""
    return Fee(name, ServiceChargeType.GENERIC, amount, name)


def overpayment(amount: int) -> Fee:
    """Money collected beyond what was owed, minor units."""
    return Fee("Overpayment", ServiceChargeType.OVERPAYMENT, amount, "Overpayment")


def service_charge(fee: Fee, exponent: int) -> ServiceCharge:
    """The Codat record; ``totalAmount`` is the whole charge, tax in."""
    return ServiceCharge(
        description=fee.description,
        total_amount=to_decimal(fee.total, exponent),
        tax_percentage=fee.tax_percentage,
        tax_amount=to_decimal(fee.tax, exponent),
        quantity=1,
        type=ServiceChargeType(fee.type),
    )
