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
