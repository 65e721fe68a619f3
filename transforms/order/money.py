"""The money of an order: charges that took some, refunds that gave some back, each once, in the order's currency.

A refund counts when it succeeded and was not voided. Clover's words for success are ``succeeded`` and ``returned``
(docs.clover.com, Refund payments); a single read may say nothing. A word nobody knows counts only where Clover's own
sums hold the refund: ``refunded: true`` or ``amount_refunded`` of its charge, ``amount_returned`` of the order; else
it is ``Unknown`` and reported. ``VOID`` in the metadata of a refund that succeeded cancels money all the same, so it
counts (docs.clover.com, gift cards), but not for a charge that never took any: that is a hold let go.
Amounts in another currency than the order's are kept apart and never added.

Clover may say that more was given back than its list of refunds shows: ``amount_refunded`` of a charge,
``refunded: true`` (documented as refunded in full) where no amount and no refund is known, ``amount_returned`` of the
order. The difference counts as a refund ``<charge id>_refund`` dated like its charge, and is reported, until the list
shows the real one. ``unexplained`` says what such a sum is known to hold or to leave out: surcharges, tips, pending,
failed and voided refunds explain a difference first, and nothing is taken off twice.

Tips and surcharges usually lie on top of a charge's amount. Where the amounts collected come to what was owed only
when they are taken as inside, they are inside. When no charge names the order's tip, it is the latest charge's.
The surcharge of a refund lies on top of its amount too, unless the two together are more than its charge took, or the
charge's own rate fits only when it is inside.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from schemas.clover import Charge, Order, Refund
from schemas.commerce_enums import PaymentStatus
from schemas.money import divide_half_up
from schemas.regular import read_regular
from transforms.model import OrderGroup
from transforms.order.captured import is_void, statuses
from transforms.order.refunds import GivenBack
from transforms.order.service_charges import SURCHARGE, Charged, kind_of

_COUNTS = frozenset({"", "succeeded", "returned"})
_NEVER_TOOK = frozenset({PaymentStatus.CANCELLED, PaymentStatus.AUTHORIZED})
_REFUND_STATUS = {
    "failed": PaymentStatus.FAILED,
    "pending": PaymentStatus.PENDING,
    "canceled": PaymentStatus.CANCELLED,
    "cancelled": PaymentStatus.CANCELLED,
    "voided": PaymentStatus.CANCELLED,
}
_MOST_TIPPED = 8  # charges with tips whose combinations are tried: 255


class Taken(Struct):
    """A charge as it stands. Minor units of ``currency``.

    amount: captured, or asked for where it was not. tip and surcharges lie on top of it unless they are inside.
    """

    charge: Charge
    status: PaymentStatus
    currency: str
    created_ms: int
    amount: int
    tip: int
    surcharges: tuple[tuple[Charged, int], ...]
    tip_inside: bool = False
    surcharge_inside: bool = False

    @property
    def surcharge(self) -> int:
        return sum([amount for _, amount in self.surcharges]) if self.surcharges else 0

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


class Returned(Struct, frozen=True):
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
    status = statuses(group.charges, order, group.refunds, counted, currency)
    opened = order.created if order is not None and order.created is not None else 0
    taken = [
        Taken(
            charge=charge,
            status=status[charge.id],
            currency=charge.currency or currency,
            created_ms=charge.created if charge.created is not None else opened,
            amount=charge.amount_captured or charge.amount,
            tip=charge.tip_amount or 0,
            surcharges=tuple([(kind_of(extra), extra.amount) for extra in charge.additional_charges]),
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
        _take_from_order(paid, order)
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


def _take_from_order(paid: Sequence[Taken], order: Order) -> None:
    """A tip or surcharge that only the order names is its latest charge's."""
    if order.tip_amount and not any(one.tip for one in paid):
        paid[-1].tip = order.tip_amount
    named = order.surcharge_amount or sum(extra.amount for extra in order.additional_charges)
    if named and not any(one.surcharges for one in paid):
        paid[-1].surcharges = ((SURCHARGE, named),)


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
    """Where a refund stands by its own words; only ``Paid`` ones count."""
    if refund.voided or refund.object == "void_on_refund":
        return PaymentStatus.CANCELLED
    status = (refund.status or "").strip().lower()
    if status in _COUNTS:
        return PaymentStatus.PAID
    return _REFUND_STATUS.get(status, PaymentStatus.UNKNOWN)


def counted_refund(row: Mapping[str, Any]) -> int:
    """What a refund as Clover sends it adds to ``amount_refunded`` of its charge, positive minor units.

    0 where it does not count, or cannot be read (the mapping reports that).
    """
    try:
        refund = read_regular(Refund, row) or Refund.model_validate(dict(row))
    except (ValidationError, TypeError, ValueError, RecursionError):
        return 0
    return abs(refund.amount) if refund_status(refund) is PaymentStatus.PAID else 0


def refunds_of(group: OrderGroup, taken: Sequence[Taken], currency: str) -> list[Returned]:
    """Every refund of the group, oldest first, with what only totals tell of."""
    by_charge = {one.charge.id: one for one in taken}
    found = []
    for refund in group.refunds:
        one = by_charge.get(refund.charge or "")
        if one is None and len(taken) == 1:
            one = taken[0]
        surcharges = tuple((kind_of(extra), abs(extra.amount)) for extra in refund.additional_charges)
        created = refund.created
        if created is None:
            created = one.created_ms if one is not None else 0
        status = refund_status(refund)
        if status is PaymentStatus.PAID and one is not None and _gave_nothing_back(refund, one):
            status = PaymentStatus.CANCELLED
        found.append(
            Returned(
                id=refund.id,
                status=status,
                currency=refund.currency or (one.currency if one is not None else currency),
                created_ms=created,
                given_back=GivenBack(
                    refund.id, abs(refund.amount), surcharges, None if one is None else one.charge.id
                ),
                taken=one,
                refund=refund,
            )
        )
    found = _surcharges_taken_out(taken, found)
    found = _confirmed(group.order, taken, found, currency)
    found += _only_in_totals(group.order, taken, found, currency)
    if len(found) > 1:
        found.sort(key=lambda one: (one.created_ms, one.id))
    return found


def _gave_nothing_back(refund: Refund, one: Taken) -> bool:
    """Whether the charge of a refund never took any money, or lost it by being voided."""
    return one.status is PaymentStatus.CANCELLED or (one.status in _NEVER_TOOK and is_void(refund))


def _surcharges_taken_out(taken: Sequence[Taken], found: list[Returned]) -> list[Returned]:
    """Refunds whose amounts hold the surcharge they name, without it."""
    by_charge: dict[str, list[Returned]] = {}
    for back in found:
        if back.given_back.surcharges and back.taken is not None:
            by_charge.setdefault(back.taken.charge.id, []).append(back)
    if not by_charge:
        return found
    inside: set[str] = set()
    for one in taken:
        mine = by_charge.get(one.charge.id, [])
        counted = [back for back in mine if back.status is PaymentStatus.PAID]
        plain, whole = (
            sum(back.given_back.amount for back in counted),
            sum(back.money for back in counted),
        )
        if whole == one.charge.amount_refunded:
            continue
        if plain <= one.money < whole or (mine and all(_holds_its_surcharge(back, one) for back in mine)):
            inside |= {back.id for back in mine}
    return [_without_surcharge(back) if back.id in inside else back for back in found]


def _holds_its_surcharge(back: Returned, one: Taken) -> bool:
    fee, base = one.surcharge, one.amount - (one.surcharge if one.surcharge_inside else 0)
    named = back.money - back.given_back.amount
    if base <= 0 or not 0 < named < fee or one.tip:
        # All of the surcharge, or a tip in the amount: the rate tells nothing.
        return False
    on_top = divide_half_up(back.given_back.amount * fee, base)
    within = divide_half_up((back.given_back.amount - named) * fee, base)
    return named == within and abs(named - on_top) > 1


def _without_surcharge(back: Returned) -> Returned:
    amount = max(back.given_back.amount - (back.money - back.given_back.amount), 0)
    return replace(back, given_back=replace(back.given_back, amount=amount))


def _confirmed(
    order: Order | None, taken: Sequence[Taken], found: list[Returned], currency: str
) -> list[Returned]:
    """Refunds with a status nobody knows count where Clover's own sums hold them."""
    if not any(back.status is PaymentStatus.UNKNOWN for back in found):
        return found
    sure: set[str] = set()
    for one in taken:
        mine = [back for back in found if back.taken is one]
        if _holds(one.charge.amount_refunded, mine) or (
            one.charge.refunded and not one.charge.amount_refunded
        ):
            sure |= {back.id for back in mine}
    local = [back for back in found if back.currency == currency]
    if order is not None and _holds(order.amount_returned, local):
        sure |= {back.id for back in local}
    return [
        replace(back, status=PaymentStatus.PAID)
        if back.id in sure and back.status is PaymentStatus.UNKNOWN
        else back
        for back in found
    ]


def _holds(claimed: int | None, refunds: Sequence[Returned]) -> bool:
    """Whether a sum of Clover's is enough for the counted refunds and those of unknown status."""
    counted = (PaymentStatus.PAID, PaymentStatus.UNKNOWN)
    known = sum(back.given_back.amount for back in refunds if back.status in counted)
    return (
        bool(claimed)
        and any(back.status is PaymentStatus.UNKNOWN for back in refunds)
        and known <= (claimed or 0)
    )


def unexplained(claimed: int, refunds: Iterable[Returned], taken: Iterable[Taken], *, settled: bool) -> int:
    """A sum of Clover's less the refunds it is made of; 0 where some way of counting comes to it exactly.

    Surcharges are in the sum or not; pending refunds are in it or not; amounts of refunds hold the tips and
    surcharges of their charges where the sum does not. settled: failed, voided and unknown refunds are in it
    or not too. Otherwise the difference from what counts; a positive one takes no surcharge off twice: where
    the sum is more than the charges took without their surcharges, it holds them.
    """
    refunds, taken = list(refunds), list(taken)
    counted = [back for back in refunds if back.status is PaymentStatus.PAID]
    pending = [back for back in refunds if back.status is PaymentStatus.PENDING]
    rest = [back for back in refunds if back not in counted and back not in pending] if settled else []
    for more in ([], pending, rest, [*pending, *rest]):
        plain, whole = _sums([*counted, *more])
        if claimed in (plain, whole) or (counted and claimed > 0 and plain - claimed in _extras(taken)):
            return 0
    plain, whole = _sums([*counted, *pending, *rest] if settled else counted)
    if plain < claimed <= whole:
        return claimed - plain if not settled else 0
    holds_surcharges = claimed > sum(one.money - one.surcharge for one in taken)
    return claimed - (whole if holds_surcharges else plain)


def _extras(taken: Sequence[Taken]) -> tuple[int, int, int]:
    """What the amounts of refunds may hold beside goods: tips, surcharges, both. Minor units."""
    tip, fee = sum(one.tip for one in taken), sum(one.surcharge for one in taken)
    return tip, fee, tip + fee


def _sums(refunds: Sequence[Returned]) -> tuple[int, int]:
    """What refunds gave back, without and with their surcharges, minor units."""
    return sum(back.given_back.amount for back in refunds), sum(back.money for back in refunds)


def _only_in_totals(
    order: Order | None, taken: Sequence[Taken], known: Sequence[Returned], currency: str
) -> list[Returned]:
    """Refunds of which only a sum of Clover's tells: of a charge, or else of the order."""
    found = _told_by_charges(taken, known)
    if order is not None and order.amount_returned:
        told = _told_by_order(order.amount_returned, of_order(taken, currency), [*known, *found], currency)
        if told is not None and not any(one.taken is told.taken for one in found):
            found.append(told)
    return found


def _told_by_charges(taken: Sequence[Taken], known: Sequence[Returned]) -> list[Returned]:
    found = []
    for one in taken:
        if one.status is not PaymentStatus.PAID:
            continue
        mine = [returned for returned in known if returned.taken is one]
        counted = [back for back in mine if back.status is PaymentStatus.PAID]
        left = one.money - sum(back.money for back in counted)
        fee = one.surcharge - sum(back.money - back.given_back.amount for back in counted)
        claimed = one.charge.amount_refunded or 0
        if not claimed and one.charge.refunded and not mine:
            # Documented as refunded in full.
            found.append(_told(one, left, fee))
        elif claimed:
            gap = unexplained(claimed, mine, [one], settled=True)
            if min(gap, left) > 0:
                found.append(_told(one, min(gap, left), fee if gap >= left else 0))
    return found


def _told_by_order(
    claimed: int, paid: Sequence[Taken], known: Sequence[Returned], currency: str
) -> Returned | None:
    """What an order says was given back beyond the known refunds; of its latest charge, None where nothing is."""
    mine = [one for one in known if one.currency == currency]
    # Voided, failed and pending refunds may be in Clover's sum; then they explain it and nothing is missing.
    gap = unexplained(claimed, mine, paid, settled=True)
    counted = [one for one in mine if one.status is PaymentStatus.PAID]
    tips = sum(one.tip for one in paid)
    captured = sum(one.money for one in paid) - sum(one.money for one in counted)
    if gap <= (tips if counted else 0) or captured <= 0:
        return None
    told = _told(paid[-1], min(gap, captured))
    # The order does not say of which charge.
    return told if len(paid) == 1 else replace(told, given_back=replace(told.given_back, charge_id=None))


def _told(taken: Taken, amount: int, surcharge: int = 0) -> Returned:
    """A refund that only a sum tells of. surcharge: what of ``amount`` is known to be surcharge."""
    name = f"{taken.charge.id}_refund"
    surcharge = min(max(surcharge, 0), amount)
    charged = taken.surcharges[0][0] if taken.surcharges else SURCHARGE
    surcharges = ((charged, surcharge),) if surcharge else ()
    return Returned(
        id=name,
        status=PaymentStatus.PAID,
        currency=taken.currency,
        created_ms=taken.created_ms,
        given_back=GivenBack(name, amount - surcharge, surcharges, taken.charge.id),
        taken=taken,
    )


def sales(goods: int, paid: Sequence[Taken], refunds: Sequence[Returned]) -> list[Taken]:
    """The charges that sold the goods again: one for every sale after the first.

    A charge that comes after everything sold so far was paid for and given back sells it again
    (docs.clover.com, Refund payments: a returned order can be paid again).
    """
    again: list[Taken] = []
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
                again.append(one)
        collected += one.amount
    return again
