"""Words of Clover that nobody here knows: they never stop the mapping, and are to be reported once a run.

Known are the words of docs.clover.com (Ecommerce API reference) and those seen in real answers.
"""

from collections.abc import Iterator
from typing import Any

from schemas.loose import LooseModel
from transforms.model import OrderGroup

_KNOWN_WORDS = {
    ("order", "status"): "created paid fulfilled fulfiled returned refunded canceled cancelled voided",
    ("charge", "status"): "succeeded pending failed canceled cancelled voided",
    ("refund", "status"): "succeeded returned pending failed canceled cancelled voided",
    ("item", "type"): "sku tax shipping discount",
    ("charge", "payment_method_details"): "card ach paypal giftcard gift_card cash custom",
    ("charge", "ecomind"): "ecom moto retail",
}
_KNOWN = {
    kind: [(name, frozenset(words.split())) for (owner, name), words in _KNOWN_WORDS.items() if owner == kind]
    for kind in ("order", "item", "charge", "refund")
}


def unknown_words(group: OrderGroup) -> set[tuple[str, str]]:
    """Values of closed vocabularies that are in none: (``charge.status``, the word in lower case, cut to 40)."""
    found = set()
    for kind, record in _records(group):
        for name, known in _KNOWN[kind]:
            word = getattr(record, name, None)
            if isinstance(word, str) and word.lower() not in known:
                found.add((f"{kind}.{name}", word.lower()[:40]))
    return found


def _records(group: OrderGroup) -> Iterator[tuple[str, LooseModel | Any]]:
    if group.order is not None:
        yield "order", group.order
        for item in group.order.items:
            yield "item", item
    for charge in group.charges:
        yield "charge", charge
    for refund in group.refunds:
        yield "refund", refund
