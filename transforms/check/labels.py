"""Labels of Clover's that could not be read or shown whole: left out or rounded, named, and never in the way of money.

``schemas.loose`` leaves out what it cannot read. Severity info where it is a word or a reference; warning where it is
evidence of whether or when money moved, because without it the other evidence decides. A quantity keeps its decimals
for what a line comes to; a line shows four of them.
"""

from collections.abc import Iterator

from schemas.clover import Order
from schemas.loose import LooseModel
from transforms.model import Issue, OrderGroup, Severity
from transforms.order.items import SHOWN_DECIMALS, shown_quantity

_EVIDENCE = frozenset(
    {"captured", "paid", "voided", "refunded", "status", "status_transitions", "object", "created"}
)


def label_issues(group: OrderGroup, order_id: str) -> list[Issue]:
    """One issue for every kind of label left out of a record, in a fixed order."""
    if _is_plain(group):
        return []
    found = {
        (kind, record_id, text): severity
        for kind, record_id, text, severity in (*_left_out(group), *_rounded(group.order))
    }
    return [
        Issue("label", severity, text, order_id, None, kind, record_id)
        for (kind, record_id, text), severity in sorted(found.items())
    ]


def _is_plain(group: OrderGroup) -> bool:
    """Whether there is nothing to tell, as with nearly every order."""
    order = group.order
    for charge in group.charges:
        if charge.left_out or any(extra.left_out for extra in charge.additional_charges):
            return False
    for refund in group.refunds:
        if refund.left_out or any(extra.left_out for extra in refund.additional_charges):
            return False
    if order is None:
        return True
    if order.left_out or any(extra.left_out for extra in order.additional_charges):
        return False
    for item in order.items:
        quantity = item.quantity
        if item.left_out or (quantity is not None and shown_quantity(quantity) is not quantity):
            return False
        for rate in item.tax_rates:
            if rate.left_out:
                return False
    return True


def _left_out(group: OrderGroup) -> Iterator[tuple[str, str, str, Severity]]:
    records: list[tuple[str, str, LooseModel]] = []
    if group.order is not None:
        records.append(("order", group.order.id, group.order))
    records += [("charge", charge.id, charge) for charge in group.charges]
    records += [("refund", refund.id, refund) for refund in group.refunds]
    for kind, record_id, record in records:
        for where, part in _parts(kind, record):
            for name in part.left_out:
                severity = Severity.WARNING if part is record and name in _EVIDENCE else Severity.INFO
                yield kind, record_id, f"{name} of {where} cannot be read and was left out", severity


def _parts(kind: str, record: LooseModel) -> Iterator[tuple[str, LooseModel]]:
    yield ("an order" if kind == "order" else f"a {kind}"), record
    for extra in getattr(record, "additional_charges", ()):
        yield "an additional charge", extra
    for item in record.items if isinstance(record, Order) else ():
        yield "an item", item
        for rate in item.tax_rates:
            yield "a tax rate of an item", rate


def _rounded(order: Order | None) -> Iterator[tuple[str, str, str, Severity]]:
    for item in order.items if order is not None else ():
        if item.quantity is not None and shown_quantity(item.quantity) != item.quantity:
            text = f"a quantity has more than {SHOWN_DECIMALS} decimals; its line shows it rounded"
            yield "order", order.id, text, Severity.INFO  # type: ignore[union-attr]
