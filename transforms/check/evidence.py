"""What is remarkable in how an order was told, beside its sums: without a time, deleted, or claimed twice.

``dates``: a record without a time, or with one that cannot be (1970, or the future). It is booked under what the
caller says of it (the window or the run that showed it first), else under its order or charge, and looked at again
until Clover mends it. It never dates the order's change, so no order is pinned in the future.
``deleted``: Clover has the order no more, but money was taken for it and not given back: it stays in the figures.
``links``: the order, or a charge of it, claims a record that another order owns; it is counted there, once.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from schemas.clover import Charge, Order, Refund
from schemas.times import is_usable, to_ms
from transforms.model import Issue, OrderGroup, Severity

_Moved = TypeVar("_Moved", Charge, Refund)


def with_usable_times(group: OrderGroup, now: datetime) -> OrderGroup:
    """The group without moments that cannot be; its records without a time are ``undated``. now: aware."""
    if _is_dated(group, now):
        return group
    order = group.order
    undated = set(group.undated)
    if order is not None:
        order = _of_order(order, now, undated)
    opened = order.created if order is not None else None
    charges = tuple(_dated(charge, "charge", opened, now, undated) for charge in group.charges)
    made = {charge.id: charge.created for charge in charges}
    refunds = tuple(
        _dated(refund, "refund", made.get(refund.charge or "", opened), now, undated)
        for refund in group.refunds
    )
    platform = group.platform_modified
    if platform is not None and not is_usable(to_ms(platform), now):
        platform = None
    return replace(
        group,
        order=order,
        charges=charges,
        refunds=refunds,
        platform_modified=platform,
        undated=frozenset(undated),
    )


def _is_dated(group: OrderGroup, now: datetime) -> bool:
    """Whether every moment can be, as in nearly every group."""
    if group.platform_modified is not None:
        return False
    moments = [charge.created for charge in group.charges]
    moments += [refund.created for refund in group.refunds]
    if group.order is not None:
        moments += [group.order.created, *group.order.status_transitions.values()]
    return all(is_usable(moment, now) for moment in moments)


def _of_order(order: Order, now: datetime, undated: set[tuple[str, str]]) -> Order:
    transitions = {name: at for name, at in order.status_transitions.items() if is_usable(at, now)}
    created = order.created if is_usable(order.created, now) else None
    if created is None or len(transitions) < len(order.status_transitions):
        undated.add(("order", order.id))
        return order.model_copy(update={"created": created, "status_transitions": transitions})
    return order


def _dated(
    moved: _Moved, kind: str, instead: int | None, now: datetime, undated: set[tuple[str, str]]
) -> _Moved:
    if is_usable(moved.created, now):
        return moved
    undated.add((kind, moved.id))
    return moved.model_copy(update={"created": to_ms(now) if instead is None else instead})


def remarks(group: OrderGroup, order_id: str, kept_minor: int) -> Iterator[Issue]:
    """Issues of severity warning. kept_minor: minor units taken for the order and not given back."""
    for kind, record_id in sorted(group.undated):
        detail = f"{kind} {record_id} has no time, or one that cannot be; the day it is booked on is assumed"
        yield Issue("dates", Severity.WARNING, detail, order_id, None, kind, record_id)
    if group.is_deleted:
        detail = (
            "the order was deleted at Clover; the money that was taken for it and kept stays in the figures"
        )
        yield Issue("deleted", Severity.WARNING, detail, order_id, kept_minor)
    for kind, record_id, home in group.void_claims:
        detail = f"claims {kind} {record_id}, which belongs to order {home} and is counted there, once"
        yield Issue("links", Severity.WARNING, detail, order_id, None, kind, record_id)
