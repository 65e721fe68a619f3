"""Codes of the store in words for people."""

from types import MappingProxyType

ISSUES = MappingProxyType(
    {
        "source_total": "Clover's own totals do not agree with its records; the records count.",
        "payments_total": "What was paid is not what the order comes to.",
        "lines_total": "The lines do not come to the order's total.",
        "line_arithmetic": "A line does not come to its own total.",
        "refund_bound": "More was given back than was paid.",
        "refund_lines": "A refund names no goods, or others than came back: what came back, and its tax, is estimated.",
        "refund_evidence": "Clover hints at money given back without saying how much, or says it twice.",
        "tax_once": "The tax is told twice, or not the same by the order and its charges.",
        "discount_once": "The discount is not the sum of what was taken off the lines.",
        "currency": "A charge or refund is in another currency than its order; it is not added to it.",
        "dates": "A date cannot be, or things happened in an order that cannot be.",
        "links": "Charge, order and refund name each other in ways that do not agree.",
        "label": "A label of Clover is not one of those that are known.",
        "deleted": "The order was deleted at Clover though its money was not given back.",
        "deleted_at_clover": "A comparison found that Clover deleted something of this order since it was read.",
        "unreadable": "A record could not be read; it is kept as it came.",
    }
)

STATUSES = MappingProxyType(
    {
        "succeeded": "succeeded",
        "partly_done": "succeeded; some records are held back",
        "failed": "failed",
        "running": "running",
    }
)

HELD_BACK = MappingProxyType(
    {
        "open_cart": "A cart nobody tried to pay.",
        "no_payment": "Clover calls the order paid, and no charge of it is known.",
        "authorized": "Authorised and not captured: no money has moved.",
        "pending": "A payment that is not settled yet.",
        "failed": "Every payment failed.",
        "canceled": "Given up without money.",
        "unknown_status": "A status of Clover that is not known.",
        "deleted": "Clover has it no more, and no money was taken for it.",
        "no_money": "A card was verified with nothing charged.",
        "unreadable": "A record that cannot be read.",
        "without_order": "A charge or refund that leads to no order.",
    }
)
