"""The money of an order: charges that took some, refunds that gave some back, each once, in the order's currency.

A refund counts when it succeeded (or says nothing, as documented single reads may) and was not voided. ``VOID`` in
the metadata of a refund that succeeded cancels money all the same, so it counts (docs.clover.com, gift cards).
Amounts in another currency than the order's are kept apart and never added.

Clover may say that more was given back than its list of refunds shows: ``amount_refunded`` of a charge,
``amount_returned`` of the order. The difference counts as a refund ``<charge id>_refund`` dated like its charge,
and is reported, until the list shows the real one. Pending and voided refunds explain such a difference first; so
does, against ``amount_returned``, the tip, which Clover includes there.

Tips and surcharges usually lie on top of a charge's amount. Where the amounts collected come to what was owed only
when they are taken as inside, they are inside. When no charge names the order's tip, it is the latest charge's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from schemas.clover import Charge, Order, Refund
from schemas.commerce import PaymentStatus
from transforms.captured import statuses
from transforms.model import OrderGroup
from transforms.refunds import GivenBack
from transforms.service_charges import SURCHARGE, surcharge_name

_COUNTS = frozenset({"", "succeeded"})
_REFUND_STATUS = {
    "failed": PaymentStatus.FAILED,
    "pending": PaymentStatus.PENDING,
    "canceled": PaymentStatus.CANCELLED,
    "cancelled": PaymentStatus.CANCELLED,
    "voided": PaymentStatus.CANCELLED,
}
_MOST_TIPPED = 8  # charges with tips whose combinations are tried: 255


@dataclass(slots=True)
class Taken:
    """A charge as it stands. Minor units of ``currency``.

    amount: captured, or asked for where it was not. tip and surcharges lie on top of it unless they are inside.
    """

    charge: Charge
    status: PaymentStatus
    currency: str
    created_ms: int
    amount: int
    tip: int
    surcharges: tuple[tuple[str, int], ...]
    tip_inside: bool = False
    surcharge_inside: bool = False

    @property
    def surcharge(self) -> int:
        return sum(amount for _, amount in self.surcharges)

    @property
    def money(self) -> int:
        """All that the buyer's account was debited."""
        on_top = 0 if self.tip_inside else self.tip
        return self.amount + on_top + (0 if self.surcharge_inside else self.surcharge)

    @property
    def was_paid(self) -> bool:
        """Whether it was captured before it was voided."""
        return self.status is PaymentStatus.CANCELLED and bool(
            self.charge.captured or self.charge.amount_captured
        )

    @property
    def goods(self) -> int:
        """What of it pays for goods, tax and shipping."""
        return self.money - self.tip - self.surcharge


@dataclass(frozen=True, slots=True)
class Returned:
    """A refund as it stands. money: positive minor units, surcharges in. refund: None when only a total tells of it."""

    id: str
    status: PaymentStatus
    currency: str
    created_ms: int
    given_back: GivenBack
    taken: Taken | None
    refund: Refund | None = None

    @property
    def money(self) -> int:
        return self.given_back.amount + sum(amount for _, amount in self.given_back.surcharges)


def charges_taken(group: OrderGroup, currency: str) -> list[Taken]:
    """Every charge of the group with its status, oldest first."""
    order = group.order
    counted = [refund for refund in group.refunds if refund_status(refund) is PaymentStatus.PAID]
    given_back = max(
        sum(abs(refund.amount) for refund in counted),
        sum(charge.amount_refunded or 0 for charge in group.charges),
    )
    first_return = min((refund.created for refund in counted if refund.created is not None), default=None)
    status = statuses(group.charges, order, given_back, first_return)
    opened = order.created if order is not None and order.created is not None else 0
    taken = [
        Taken(
            charge=charge,
            status=status[charge.id],
            currency=charge.currency or currency,
            created_ms=charge.created if charge.created is not None else opened,
            amount=charge.amount_captured or charge.amount,
            tip=charge.tip_amount or 0,
            surcharges=tuple((surcharge_name(extra), extra.amount) for extra in charge.additional_charges),
        )
        for charge in group.charges
    ]
    if len(taken) > 1:
        taken.sort(key=lambda one: (one.created_ms, one.charge.id))
    return taken


def of_order(taken: Sequence[Taken], currency: str) -> list[Taken]:
    """The charges that took money in the order's currency."""
    return [one for one in taken if one.status is PaymentStatus.PAID and one.currency == currency]


def place_tips(paid: Sequence[Taken], order: Order | None, owed: int) -> None:
    """Settle whose the tip and the surcharge are and whether they are inside. owed: goods of all sales, minor units."""
    if not paid:
        return
    if order is not None:
        if order.tip_amount and not any(one.tip for one in paid):
            paid[-1].tip = order.tip_amount
        named = order.surcharge_amount or sum(extra.amount for extra in order.additional_charges)
        if named and not any(one.surcharges for one in paid):
            paid[-1].surcharges = ((SURCHARGE, named),)
    collected = sum(one.amount for one in paid)
    tipped = [one for one in paid if one.tip]
    surcharged = [one for one in paid if one.surcharges]
    if collected == owed or not (tipped or surcharged):
        return
    for chosen in _inside(tipped, surcharged):
        inside = sum(one.tip if kind == "tip" else one.surcharge for kind, one in chosen)
        if collected - inside == owed:
            for kind, one in chosen:
                if kind == "tip":
                    one.tip_inside = True
                else:
                    one.surcharge_inside = True
            return


def _inside(tipped: list[Taken], surcharged: list[Taken]) -> list[list[tuple[str, Taken]]]:
    """Which tips and surcharges could be inside the amounts, the likeliest first."""
    tips = [("tip", one) for one in tipped]
    fees = [("surcharge", one) for one in surcharged]
    found = [tips, fees, [*tips, *fees]]
    if len(tips) <= _MOST_TIPPED:
        for size in range(1, len(tips)):
            found += [list(some) for some in combinations(tips, size)]
    return [some for some in found if some]


def refund_status(refund: Refund) -> PaymentStatus:
    """Where a refund stands; only ``Paid`` ones count."""
    if refund.voided or refund.object == "void_on_refund":
        return PaymentStatus.CANCELLED
    status = (refund.status or "").lower()
    if status in _COUNTS:
        return PaymentStatus.PAID
    return _REFUND_STATUS.get(status, PaymentStatus.UNKNOWN)


def refunds_of(group: OrderGroup, taken: Sequence[Taken], currency: str) -> list[Returned]:
    """Every refund of the group, oldest first, with what only totals tell of."""
    by_charge = {one.charge.id: one for one in taken}
    found = []
    for refund in group.refunds:
        one = by_charge.get(refund.charge or "")
        if one is None and len(taken) == 1:
            one = taken[0]
        amount = abs(refund.amount)
        surcharges = tuple((surcharge_name(extra), abs(extra.amount)) for extra in refund.additional_charges)
        if one is not None and one.surcharge_inside:
            amount = max(amount - sum(extra for _, extra in surcharges), 0)
        created = refund.created
        if created is None:
            created = one.created_ms if one is not None else 0
        found.append(
            Returned(
                id=refund.id,
                status=refund_status(refund),
                currency=refund.currency or (one.currency if one is not None else currency),
                created_ms=created,
                given_back=GivenBack(refund.id, amount, surcharges),
                taken=one,
                refund=refund,
            )
        )
    found += _only_in_totals(group.order, taken, found, currency)
    if len(found) > 1:
        found.sort(key=lambda one: (one.created_ms, one.id))
    return found


def _only_in_totals(
    order: Order | None, taken: Sequence[Taken], known: Sequence[Returned], currency: str
) -> list[Returned]:
    found = []
    for one in taken:
        claimed = one.charge.amount_refunded or 0
        if claimed and one.status is PaymentStatus.PAID:
            mine = [returned for returned in known if returned.taken is one]
            gap = claimed - sum(returned.given_back.amount for returned in mine)
            if gap > 0:
                found.append(_told(one, min(gap, one.money)))
    if order is not None and order.amount_returned:
        paid = of_order(taken, currency)
        mine = [one for one in (*known, *found) if one.currency == currency]
        # Voided, failed and pending refunds may be in Clover's sum; then they explain it and nothing is missing.
        gap = order.amount_returned - sum(one.given_back.amount for one in mine)
        counted = [one for one in mine if one.status is PaymentStatus.PAID]
        explained = sum(one.tip for one in paid) + sum(one.money - one.given_back.amount for one in counted)
        captured = sum(one.money for one in paid) - sum(one.money for one in counted)
        if gap > (explained if counted else 0) and captured > 0:
            latest = paid[-1]
            if not any(one.taken is latest for one in found):
                found.append(_told(latest, min(gap, captured)))
    return found


def _told(taken: Taken, amount: int) -> Returned:
    name = f"{taken.charge.id}_refund"
    return Returned(
        id=name,
        status=PaymentStatus.PAID,
        currency=taken.currency,
        created_ms=taken.created_ms,
        given_back=GivenBack(name, amount),
        taken=taken,
    )


def sales(goods: int, paid: Sequence[Taken], refunds: Sequence[Returned]) -> list[int]:
    """When the goods were sold: the moment of every sale after the first, in milliseconds.

    A charge that comes after everything sold so far was paid for and given back sells it again
    (docs.clover.com, Refund payments: a returned order can be paid again).
    """
    again: list[int] = []
    if goods <= 0 or len(paid) < 2:
        return again
    collected = 0
    for one in paid:
        sold = goods * (len(again) + 1)
        if collected >= sold:
            back = sum(
                refund.given_back.amount
                for refund in refunds
                if (refund.created_ms <= one.created_ms and refund.taken is not one)
            )
            if back >= sold:
                again.append(one.created_ms)
        collected += one.amount
    return again
