"""Was the money taken? What a charge says about itself, read together with its refunds and its order.

``captured: false`` on a read does not mean that no money was taken: Clover's own samples show it beside an
``amount_captured`` and on sales that were refunded since (docs.clover.com, Get charges). So evidence is weighed,
first match wins: failed; voided; pending; an amount captured; captured; given back; the order's word; else authorised.

1. ``amount_captured: 0`` is Clover's word that nothing was drawn: the charge is a hold, ``Authorized`` while it
   stands and ``Cancelled`` once it was let go. Nothing given back for it is a refund.
2. Without that word ``captured: false`` is doubtful. A refund of it that was no void proves that it was taken.
3. The order's word covers what the order says was paid and no more: ``amount_paid``, else its amount where its status
   says paid. What certain charges took is taken off; what was given back before a charge was made is added, because
   a returned order may be paid again. Of the doubtful charges those are believed that fit into the rest: all of them
   where together they fit, else ``order.charge`` and the set that fits best. A set fits best that comes to the rest
   exactly (a tip, a surcharge or tax in or out of either figure), then the one that comes closest from below, then
   the newest. A charge that ``order.charge`` names is believed even where it is more than the rest, and so is the
   nearest one where the order is paid and nothing certain covers it: something must have paid for it.
4. A doubtful charge whose refunds are all voids (``metadata.refundType`` VOID, ``voided``, ``void_on_refund``) is
   believed last, only where the rest is still open; else it is a hold that was let go, ``Cancelled``.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

from schemas.clover import Charge, Order, Refund
from schemas.commerce_enums import PaymentStatus, PaymentType

_PAID_ORDER = frozenset({"paid", "fulfilled", "fulfiled", "returned", "refunded"})
RETURNED_ORDER = frozenset({"returned", "refunded"})
_VOID = frozenset({"canceled", "cancelled", "voided", "void"})
_MOST_DOUBTFUL = 10  # doubtful charges whose combinations are tried: 1,023
_TYPES = {
    "card": PaymentType.ONLINE_CARD,
    "paypal": PaymentType.PAYPAL,
    "giftcard": PaymentType.PREPAID,
    "gift_card": PaymentType.PREPAID,
    "cash": PaymentType.CASH,
    "ach": PaymentType.CUSTOM,
}


def is_void(refund: Refund) -> bool:
    """Whether a refund row tells of a void: of a payment that was called off, or of a refund that was."""
    kind = refund.metadata.get("refundType")
    return bool(
        refund.voided
        or refund.object == "void_on_refund"
        or (isinstance(kind, str) and kind.strip().upper() == "VOID")
    )


def statuses(
    charges: Sequence[Charge],
    order: Order | None,
    refunds: Sequence[Refund],
    counted: Sequence[Refund],
    currency: str,
) -> dict[str, PaymentStatus]:
    """Charge id -> where it stands.

    refunds: every refund of the group; counted: those that gave money back by their own words. currency: the order's;
    charges in another one are never held against its amounts.
    """
    proof = {refund.id for refund in counted if not is_void(refund)}
    by_charge: dict[str, list[Refund]] = {charge.id: [] for charge in charges}
    for refund in refunds:
        name = refund.charge if refund.charge in by_charge or len(charges) != 1 else charges[0].id
        by_charge.setdefault(name or "", []).append(refund)
    found: dict[str, PaymentStatus] = {}
    doubtful, let_go = [], []
    for charge in charges:
        mine = by_charge[charge.id]
        status = _alone(charge) or _by_refunds(charge, mine, proof)
        if status is not None:
            found[charge.id] = status
        elif _are_voids(mine):
            let_go.append(charge)
        else:
            doubtful.append(charge)
    if doubtful or let_go:
        words = _Words(charges, order, counted, currency)
        for pool, otherwise in (
            (doubtful, PaymentStatus.AUTHORIZED),
            (let_go, PaymentStatus.CANCELLED),
        ):
            believed = words.believed(pool, found)
            found |= {c.id: PaymentStatus.PAID if c.id in believed else otherwise for c in pool}
    return found


def _are_voids(refunds: Sequence[Refund]) -> bool:
    return bool(refunds) and all(is_void(refund) for refund in refunds)


def _by_refunds(charge: Charge, mine: Sequence[Refund], proof: Collection[str]) -> PaymentStatus | None:
    """Where a charge stands whose own words leave it open, by what was given back; None where that tells nothing."""
    if charge.amount_captured == 0:
        was_let_go = mine or charge.refunded or charge.amount_refunded
        return PaymentStatus.CANCELLED if was_let_go else PaymentStatus.AUTHORIZED
    if _are_voids(mine):
        return None
    given_back = charge.amount_refunded or charge.refunded or any(refund.id in proof for refund in mine)
    return PaymentStatus.PAID if given_back else None


class _Words:
    """What the order says was paid, held against charges. Minor units of its currency."""

    def __init__(
        self, charges: Sequence[Charge], order: Order | None, counted: Sequence[Refund], currency: str
    ) -> None:
        self.charges = charges
        self.order = order
        self.currency = currency
        self.says_paid = _says_paid(order)
        local = [one for one in counted if (one.currency or currency) == currency]
        returned = (order.amount_returned or 0) if order is not None else 0
        is_returned = order is not None and (order.status or "").lower() in RETURNED_ORDER
        self.claimed = self._claimed(returned if is_returned else None)
        self.back = max(
            sum(abs(refund.amount) for refund in local),
            sum(_given_back(charge) for charge in charges if self._is_local(charge)),
            # A returned order was not paid again since, so what came back opens nothing.
            0 if is_returned else returned,
        )
        # Still paid although all of it was returned: other money pays for it, be it older (a duplicate was returned).
        self.still_paid = self.says_paid and not is_returned and 0 < (self.claimed or 0) <= returned
        self.first_return = self._first_return(local)

    def _claimed(self, returned: int | None) -> int | None:
        """What the order says was paid. returned: what it says was given back, where that is all of it."""
        if self.order is None:
            return 0
        claimed = self.order.amount_paid or (self.order.amount if self.says_paid else 0)
        return claimed if returned is None else max(claimed or 0, returned)

    def _first_return(self, counted: Sequence[Refund]) -> int | None:
        """When money first went back, milliseconds. counted: refunds in the order's currency."""
        dated = {refund.charge for refund in counted}
        moments = [refund.created for refund in counted]
        # What only the charge tells of went back after it was made.
        moments += [one.created for one in self.charges if one.id not in dated and _given_back(one)]
        return min((moment for moment in moments if moment is not None), default=None)

    def believed(self, pool: Sequence[Charge], known: dict[str, PaymentStatus]) -> set[str]:
        """Ids of those of the pool that the order's word covers. known: where the others stand."""
        if not pool:
            return set()
        if not self.claimed:
            # A paid order without any amount: its word cannot be measured.
            return {charge.id for charge in pool} if self.says_paid else set()
        certain = self._certain(known)
        local = [charge for charge in pool if self._is_local(charge)]
        early = [charge for charge in local if self._is_before_returns(charge)]
        taken = [*_fitting(early, self.claimed - certain, self, certain)]
        so_far = certain + sum(charge.amount for charge in taken)
        late = [charge for charge in local if charge not in early]
        taken += _fitting(late, self.claimed + self.back - so_far, self, so_far)
        foreign = [charge for charge in pool if not self._is_local(charge)]
        if foreign and self.says_paid and certain + sum(charge.amount for charge in taken) < self.claimed:
            # What pays for the rest cannot be measured in the order's currency.
            taken += foreign
        return {charge.id for charge in taken}

    def _certain(self, known: dict[str, PaymentStatus]) -> int:
        """What was certainly taken, minor units."""
        return sum(
            charge.amount_captured or charge.amount
            for charge in self.charges
            if known.get(charge.id) is PaymentStatus.PAID and self._is_local(charge)
        )

    def _is_local(self, charge: Charge) -> bool:
        return (charge.currency or self.currency) == self.currency

    def _is_before_returns(self, charge: Charge) -> bool:
        # After a return the order may have been paid again, so only what came before it is covered for sure.
        if self.still_paid or self.first_return is None:
            return False
        return (charge.created or 0) <= self.first_return


def _fitting(pool: Sequence[Charge], rest: int, words: _Words, certain: int) -> Sequence[Charge]:
    """Those of the pool that fit into the rest best. certain: what is known to be taken, minor units."""
    if not pool or rest <= 0:
        return ()
    if sum(charge.amount for charge in pool) <= rest:
        return pool
    order = words.order
    named = next((charge for charge in pool if order is not None and charge.id == order.charge), None)
    best = _best(pool, rest, order, named)
    if words.says_paid and named is not None and (best is None or named not in best):
        return (named,)
    if best is not None:
        return best
    if words.says_paid and certain < (words.claimed or 0):
        return (min(pool, key=lambda charge: (charge.amount, -(charge.created or 0), charge.id)),)
    return ()


def _best(
    pool: Sequence[Charge], rest: int, order: Order | None, named: Charge | None
) -> Sequence[Charge] | None:
    """The set of charges that fits best, with the named one before others; None where none fits."""
    best: tuple[tuple[int, ...], Sequence[Charge]] | None = None
    for chosen in _choices(pool):
        fit = _fit(chosen, rest, order)
        if fit is not None:
            newest = sorted((charge.created or 0 for charge in chosen), reverse=True)
            score = (int(named in chosen), *fit, *newest)
            if best is None or score > best[0]:
                best = score, chosen
    return None if best is None else best[1]


def _fit(chosen: Sequence[Charge], rest: int, order: Order | None) -> tuple[int, int] | None:
    """How well some charges fit, the larger the better; None where they are more than the rest."""
    money = sum(charge.amount for charge in chosen)
    if money == rest:
        return 3, 0
    tip, fee, tax = _extras(chosen, order)
    extras = {0, tip, fee, tip + fee}
    if any(money == rest + sign * extra + more for extra in extras for sign in (1, -1) for more in (0, tax)):
        return 2, 0
    return (1, money) if money <= rest else None


def _extras(chosen: Sequence[Charge], order: Order | None) -> tuple[int, int, int]:
    """(tip, surcharge, tax) that charges name, else that their order names. Minor units."""
    tip = sum(charge.tip_amount or 0 for charge in chosen)
    fee = sum(extra.amount for charge in chosen for extra in charge.additional_charges)
    tax = sum(charge.tax_amount or 0 for charge in chosen)
    if order is not None:
        tip = tip or order.tip_amount or 0
        fee = fee or order.surcharge_amount or sum(extra.amount for extra in order.additional_charges)
        tax = tax or order.tax_amount or 0
    return tip, fee, tax


def _choices(pool: Sequence[Charge]) -> Iterator[Sequence[Charge]]:
    """Sets of doubtful charges, the newest charges first; of very many only the newest ones together."""
    newest_first = sorted(pool, key=lambda charge: (-(charge.created or 0), charge.id))
    if len(pool) > _MOST_DOUBTFUL:
        for size in range(1, len(pool) + 1):
            yield newest_first[:size]
            yield newest_first[size - 1 : size]
        return
    for size in range(1, len(pool) + 1):
        yield from combinations(newest_first, size)


def _alone(charge: Charge) -> PaymentStatus | None:
    """Where a charge stands by its own words; None where it takes the order to tell."""
    status = (charge.status or "").lower()
    if status == "failed":
        return PaymentStatus.FAILED
    if charge.voided or status in _VOID:
        return PaymentStatus.CANCELLED
    if status == "pending":
        return PaymentStatus.PENDING
    if (charge.amount_captured or 0) > 0 or charge.captured:
        return PaymentStatus.PAID
    if charge.captured is False or charge.amount_captured == 0:
        return None if charge.paid is not False else PaymentStatus.UNKNOWN
    # ``captured`` is missing: succeeded is Clover's word for a sale that went through.
    if status == "succeeded" and charge.paid is not False:
        return PaymentStatus.PAID
    if not status and charge.paid is not None:
        return PaymentStatus.PAID if charge.paid else PaymentStatus.FAILED
    return PaymentStatus.UNKNOWN


def _given_back(charge: Charge) -> int:
    return charge.amount_refunded or (charge.amount if charge.refunded else 0)


def _says_paid(order: Order | None) -> bool:
    if order is None:
        return False
    return (order.status or "").lower() in _PAID_ORDER or "paid" in order.status_transitions


def payment_type(charge: Charge) -> PaymentType:
    """How it was paid. A card at the till is ``Card``, on the web ``OnlineCard``."""
    method = (charge.payment_method_details or "").lower()
    if not method:
        method = _method_by_source(charge)
    if method == "card" and (charge.ecomind or "").lower() == "retail":
        return PaymentType.CARD
    return _TYPES.get(method, PaymentType.CUSTOM if method == "custom" else PaymentType.UNKNOWN)


def _method_by_source(charge: Charge) -> str:
    # How cash and other tenders read back is not documented; a tender names itself by label.
    tender = charge.tender or charge.source.get("tender")
    if isinstance(tender, dict) and tender:
        words = (
            f"{tender.get('label_key') or tender.get('labelKey') or ''} {tender.get('label') or ''}".lower()
        )
        return "cash" if "cash" in words else "custom"
    brand = charge.source.get("brand")
    if isinstance(brand, str) and brand:
        return "giftcard" if brand.upper() == "GIFT_CARD" else "card"
    return "custom" if charge.source.get("value") == "alternate_tender" else ""
