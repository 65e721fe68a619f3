"""What changed between two versions of an order, and by which rule each of its totals is made."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Json = Any
_SKIPPED = frozenset({"modifiedDate"})  # ours: moves with every change and says nothing of its own


def changes(before: Json, after: Json, path: str = "") -> Iterator[dict[str, Json]]:
    """``{path, from, to}`` of each value that differs; list members with an id are compared by it."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted((before.keys() | after.keys()) - _SKIPPED):
            here = f"{path}.{name}" if path else name
            if name not in before:
                yield {"path": here, "to": after[name]}
            elif name not in after:
                yield {"path": here, "from": before[name]}
            else:
                yield from changes(before[name], after[name], here)
    elif isinstance(before, list) and isinstance(after, list):
        yield from changes(_by_id(before, path), _by_id(after, path)) if before != after else ()
    elif before != after:
        yield {"path": path, "from": before, "to": after}


def _by_id(items: list[Json], path: str) -> dict[str, Json]:
    return {
        f"{path}[{item['id'] if isinstance(item, Mapping) and 'id' in item else index}]": item
        for index, item in enumerate(items)
    }


def _total(items: list[Json], name: str, keep: Any = None) -> Decimal:
    return sum((Decimal(str(i.get(name, 0))) for i in items if keep is None or keep(i)), Decimal(0))


def rules(order: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Each total of an order with the rule that makes it, the parts it is made of, and whether they agree.

    The rules are those Codat's own published orders follow: gratuity outside ``totalAmount``, refunds
    inside it as lines of negative quantity, service charges counted once.
    """
    lines = order.get("orderLineItems", [])
    charges = order.get("serviceCharges", [])
    payments = order.get("payments", [])
    discounts = [d for line in lines for d in line.get("discountAllocations", [])]
    stated = {
        name: Decimal(str(order.get(name, 0)))
        for name in ("totalAmount", "totalRefund", "totalTaxAmount", "totalDiscount", "totalGratuity")
    }
    paid = _total(payments, "amount", lambda p: p.get("status") == "Paid")
    made = [
        (
            "totalAmount",
            "the totals of all lines, refund lines included, and of all service charges",
            stated["totalAmount"],
            {
                "orderLineItems.totalAmount": _total(lines, "totalAmount"),
                "serviceCharges.totalAmount": _total(charges, "totalAmount"),
            },
        ),
        (
            "totalRefund",
            "the totals of lines with a quantity below zero",
            stated["totalRefund"],
            {"orderLineItems[quantity<0].totalAmount": _total(lines, "totalAmount", _is_refund)},
        ),
        (
            "totalTaxAmount",
            "the tax of all lines, net of refunded tax, and of all service charges",
            stated["totalTaxAmount"],
            {
                "orderLineItems.totalTaxAmount": _total(lines, "totalTaxAmount"),
                "serviceCharges.taxAmount": _total(charges, "taxAmount"),
            },
        ),
        (
            "totalDiscount",
            "all discount allocations; those of refund lines are negative",
            stated["totalDiscount"],
            {"orderLineItems.discountAllocations.totalAmount": _total(discounts, "totalAmount")},
        ),
        (
            "totalGratuity",
            "tips charged less tips given back: what was paid beyond totalAmount",
            stated["totalGratuity"],
            {"payments[status=Paid].amount": paid, "-totalAmount": -stated["totalAmount"]},
        ),
    ]
    return [
        {
            "field": name,
            "rule": rule,
            "value": value,
            "parts": [{"of": of, "amount": amount} for of, amount in parts.items()],
            "agrees": sum(parts.values(), Decimal(0)) == value,
        }
        for name, rule, value, parts in made
    ]


def _is_refund(line: Mapping[str, Json]) -> bool:
    return bool(Decimal(str(line.get("quantity", 0))) < 0)
