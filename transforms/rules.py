"""The rule behind each total of an order, in plain words, for people who ask where a number comes from."""

from collections.abc import Mapping

RULES: Mapping[str, str] = {
    "totalAmount": (
        "Sum of all lines and service charges: what was sold with tax and less discounts, less what was refunded. "
        "Tips are not in it. How Clover's amount was read (tax in or out, tip in or out, unit price or line total) is "
        "decided per order by the first reading that adds up; what no reading explains is the line unreconciled."
    ),
    "totalRefund": (
        "Sum of the lines with a negative quantity, one or more for each refund that succeeded and was not voided. "
        "Tips given back are not in it. Zero or negative."
    ),
    "totalTaxAmount": (
        "Sum of the tax of all lines and service charges, net of refunds. Clover's tax is taken once: from its tax "
        "lines, else from tax_amount, else from the charges; it is shared out over the taxed lines to the last unit."
    ),
    "totalDiscount": (
        "Sum of all discount allocations, net of refunds. A discount of the order is shared out over its lines in "
        "proportion to their value; a refunded line gives its share back."
    ),
    "totalGratuity": (
        "Tips of the captured charges less tips given back. A refund gives back a tip where it holds more than the "
        "goods returned. In no other total."
    ),
    "orderLineItems": (
        "One line for each item sold, one refund line for each line given back. "
        "totalAmount = quantity x unitPrice - discountAllocations + totalTaxAmount."
    ),
    "payments": (
        "Every charge and every refund under its own id, refunds negative, tips and surcharges in. Only those with "
        "status Paid are money; for a settled order they come to totalAmount + totalGratuity."
    ),
    "serviceCharges": (
        "Shipping, surcharges and fees as charged, and money collected beyond what was owed (Overpayment). What was "
        "given back of them is a refund line."
    ),
    "createdDate": "When the order was opened at Clover; of a charge without an order, when it was charged.",
    "sourceModifiedDate": (
        "The newest date of the order, its status changes, charges and refunds. A change that no date explains is "
        "dated by the sync that saw it. It never goes back."
    ),
}


def rule_of(member: str) -> str | None:
    """The rule of an order's member by its Codat name, None where it is taken over as it is."""
    return RULES.get(member)
