"""Does the finished order agree with what Clover said of it, figure by figure?

Called for every order at every sync. Severity info: an estimate was needed, or something is known to be missing and
the totals are exact all the same. Warning: Clover's figures contradict each other, by the amount named.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import Struct, field

from schemas.clover import Order as CloverOrder
from schemas.commerce import Order
from schemas.commerce_enums import PaymentStatus
from schemas.money import exponent, to_decimal, to_minor
from transforms.check.invariants import check_order, payments_total
from transforms.model import Issue, OrderGroup, Severity
from transforms.order.captured import RETURNED_ORDER
from transforms.order.lines import ADJUSTMENT
from transforms.order.money import Returned, Taken, unexplained
from transforms.order.totals import Reading

_EVIDENCE = "refund_evidence"
_ZERO = Decimal(0)
_TO_THE_SECOND = len("2026-11-22T00:00:00")


class Facts(Struct):
    """What the mapping found out on its way, minor units of ``currency``.

    owed: goods times sales. collected: for goods. money: all taken in less all given back. over: collected beyond
    what was owed. estimates: (refund id, tax share). beyond: given back beyond what was captured.
    """

    currency: str
    reading: Reading
    times: int
    owed: int
    collected: int
    money: int
    over: int
    taken: Sequence[Taken]
    paid: Sequence[Taken]
    refunds: Sequence[Returned]
    counted: Sequence[Returned]
    estimates: Sequence[tuple[str, int]] = field(default_factory=tuple)
    beyond: int = 0
    tip_returned: int = 0
    foreign: bool = False


def check(order: Order, group: OrderGroup, facts: Facts) -> list[Issue]:
    """Everything that does not add up, within the order and against its records, in a fixed order."""
    if _agrees(order, group, facts):
        return []
    found = check_order(order, payments=False)
    found += _paid(order, facts)
    if facts.counted:
        found += _refund_bound(order, facts)
        found += _refunds_have_lines(order, facts)
    found += _tax(order, facts)
    found += _amount(order, group, facts)
    found += _claims(order, group, facts)
    found += _refund_evidence(order, group, facts)
    if facts.foreign or any(one.currency != facts.currency for one in facts.taken):
        found += _currencies(order, facts)
    return found


def _agrees(order: Order, group: OrderGroup, facts: Facts) -> bool:
    """Whether it is plain at a glance that there is nothing to find: one sale, one charge that pays for exactly that.

    Never yes where a rule would find something; no only means that the rules are asked.
    """
    clover, reading = group.order, facts.reading
    if clover is None or len(facts.taken) != 1 or len(facts.paid) != 1 or facts.refunds or facts.foreign:
        return False
    if facts.times != 1 or facts.over or facts.collected != facts.owed:
        return False
    if reading.difference or reading.tax_conflict or not reading.items.has_lines:
        return False
    one = facts.paid[0]
    charge, tip = one.charge, one.tip
    told = (
        (charge.tax_amount, (None, reading.tax)),
        (charge.amount_refunded, (None, 0)),
        (charge.refunded, (None, False)),
        (clover.amount_returned, (None, 0)),
        (clover.amount_paid, (None, facts.collected, facts.collected + tip)),
        (clover.tip_amount, (None, tip)),
    )
    if any(value not in expected for value, expected in told):
        return False
    if (clover.status or "").lower() in RETURNED_ORDER:
        return False
    return _holds(order, to_decimal(reading.tax, exponent(facts.currency)))


def _holds(order: Order, sold_tax: Decimal) -> bool:
    """Whether all sums within an order hold to the last digit: nothing given back, one payment for all of it."""
    lines = _lines_hold(order)
    if lines is None:
        return False
    total, tax, off = lines
    for charge in order.service_charges:
        total += charge.total_amount
        tax += charge.tax_amount
    if order.total_amount != total or order.total_discount != off or order.total_refund != _ZERO:
        return False
    if order.total_tax_amount != tax or tax != sold_tax or len(order.payments) != 1:
        return False
    payment = order.payments[0]
    created, changed = order.created_date or "", order.source_modified_date or ""
    return (
        payment.status is PaymentStatus.PAID
        and payment.currency == order.currency
        and payment.amount == total + order.total_gratuity
        # To the second, for texts of moments sort by their characters only without fractions.
        and (created == changed or created[:_TO_THE_SECOND] < changed[:_TO_THE_SECOND])
    )


def _lines_hold(order: Order) -> tuple[Decimal, Decimal, Decimal] | None:
    """(total, tax, discounts) of the lines where each holds, None where one does not."""
    total = tax = off = _ZERO
    for line in order.order_line_items:
        net = line.unit_price if line.quantity == 1 else line.quantity * line.unit_price
        if line.quantity <= _ZERO or line.unit_price < _ZERO:
            return None
        for share in line.discount_allocations:
            if share.name == ADJUSTMENT:
                return None
            net -= share.total_amount
            off += share.total_amount
        if line.total_amount != net + line.total_tax_amount:
            return None
        if line.taxes and sum([named.tax_amount for named in line.taxes]) != line.total_tax_amount:
            return None
        total += line.total_amount
        tax += line.total_tax_amount
    return total, tax, off


def unpaid_claim(group: OrderGroup, order_id: str, taken: Sequence[Taken]) -> Iterator[Issue]:
    """An order held back although Clover says how much was paid for it, and charges of it are known."""
    claimed = group.order.amount_paid if group.order is not None else None
    if claimed and any(one.status is not PaymentStatus.PENDING for one in taken):
        detail = "Clover says this was paid, but no charge of the order took money; it is held back"
        yield Issue("source_total", Severity.WARNING, detail, order_id, -claimed, "order", order_id)


def _paid(order: Order, facts: Facts) -> Iterator[Issue]:
    if facts.foreign:
        return
    if not facts.paid:
        difference = -to_minor(order.total_amount, exponent(facts.currency))
        if difference:
            yield _issue("payments_total", order, "nothing was paid yet", difference, severity=Severity.INFO)
        return
    if facts.over:
        detail = "more was collected than owed; the excess is a service charge Overpayment"
        yield _issue("payments_total", order, detail, facts.over)
    yield from payments_total(order, exponent(facts.currency))


def _refund_bound(order: Order, facts: Facts) -> Iterator[Issue]:
    told = False
    for one in facts.taken:
        mine = [back for back in facts.counted if back.taken is one]
        if not mine:
            continue
        captured = one.money if one.status is PaymentStatus.PAID else 0
        excess = sum(back.money for back in mine) - captured
        if excess > 0:
            told = True
            yield _issue(
                "refund_bound",
                order,
                "more was refunded than captured",
                excess,
                about=("charge", one.charge.id),
            )
    excess = sum(back.money for back in facts.counted) - sum(one.money for one in facts.paid)
    if not told and max(excess, facts.beyond) > 0:
        detail = "more was refunded than the order has left to give back"
        yield _issue("refund_bound", order, detail, max(excess, facts.beyond))


def _refunds_have_lines(order: Order, facts: Facts) -> Iterator[Issue]:
    back = sum(refund.money for refund in facts.counted) - facts.tip_returned
    difference = to_minor(order.total_refund, exponent(facts.currency)) + back
    if difference:
        yield _issue("refund_lines", order, "refund lines are not what was refunded", difference)
    for refund_id, _ in facts.estimates:
        yield _issue(
            "refund_lines",
            order,
            "the refund names no items; its tax is estimated from the order's share of tax",
            None,
            severity=Severity.INFO,
            about=("refund", refund_id),
        )


def _tax(order: Order, facts: Facts) -> Iterator[Issue]:
    reading = facts.reading
    if reading.tax_conflict:
        detail = "the order's tax and its tax lines differ; one of them was taken"
        if reading.tax_refused:
            detail = "the tax is more than what it is the tax of; it was left out"
        yield _issue("tax_once", order, detail, reading.tax_conflict)
    places = exponent(facts.currency)
    sold = sum(
        to_minor(line.total_tax_amount, places) for line in order.order_line_items if line.quantity > 0
    )
    sold += sum(to_minor(charge.tax_amount, places) for charge in order.service_charges)
    difference = sold - reading.tax * facts.times
    if difference:
        yield _issue("tax_once", order, "the tax of the sale is not Clover's", difference)
    told = [one.charge.tax_amount for one in facts.paid]
    if not reading.tax_refused and told and facts.collected == facts.owed and None not in told:
        difference = reading.tax * facts.times - sum(tax or 0 for tax in told)
        # Each charge of a split payment rounds its own share of the tax.
        if abs(difference) >= len(told):
            yield _issue("tax_once", order, "the order's tax is not the tax of its charges", difference)


def _amount(order: Order, group: OrderGroup, facts: Facts) -> Iterator[Issue]:
    reading = facts.reading
    if group.order is None:
        detail = "the charge has no order record; it stands as an order of one line"
        yield _issue("source_total", order, detail, None, severity=Severity.INFO, about=("charge", order.id))
        return
    adjusted = sum(
        to_minor(share.total_amount, exponent(facts.currency))
        for line in order.order_line_items
        if line.quantity > 0
        for share in line.discount_allocations
        if share.name == ADJUSTMENT
    )
    if adjusted:
        detail = "a line came to less than nothing; the rest is booked as the discount Adjustment"
        yield _issue("source_total", order, detail, -adjusted)
    if reading.difference:
        detail = "the items do not come to the order's amount; the line unreconciled makes up for it"
        yield _issue("source_total", order, detail, reading.difference)
    elif not reading.items.has_lines and reading.goods:
        detail = "the order names no items; one line stands for its amount"
        yield _issue("source_total", order, detail, None, severity=Severity.INFO)


def _claims(order: Order, group: OrderGroup, facts: Facts) -> Iterator[Issue]:
    """What Clover's own sums say: amount_refunded, amount_returned, amount_paid, tip_amount."""
    for told in facts.refunds:
        if told.refund is None:
            detail = "Clover counts this as given back but lists no refund for it; it counts, dated like its charge"
            yield _issue("source_total", order, detail, told.money, about=("refund", told.id))
    for one in facts.taken:
        claimed = one.charge.amount_refunded
        if claimed is None or one.status is not PaymentStatus.PAID:
            continue
        mine = [back for back in facts.refunds if back.taken is one]
        difference = -unexplained(claimed, mine, [one], settled=False)
        if difference:
            detail = "the refunds of a charge are not its amount_refunded"
            yield _issue("source_total", order, detail, difference, about=("charge", one.charge.id))
    if group.order is not None and not facts.foreign:
        yield from _claims_of_order(order, group.order, facts)


def _claims_of_order(order: Order, clover: CloverOrder, facts: Facts) -> Iterator[Issue]:
    tips = sum(one.tip for one in facts.paid)
    if clover.amount_returned is not None:
        difference = -unexplained(clover.amount_returned, facts.refunds, facts.paid, settled=False)
        if abs(difference) > tips:
            yield _issue("source_total", order, "the refunds are not the order's amount_returned", difference)
    if clover.amount_paid is not None and facts.paid:
        difference = _unlike(clover.amount_paid, facts, tips)
        if difference:
            yield _issue("source_total", order, "the charges are not the order's amount_paid", difference)
    if clover.tip_amount is not None and facts.times == 1 and facts.paid:
        difference = tips - clover.tip_amount
        if difference and difference != facts.tip_returned:
            yield _issue(
                "source_total", order, "the tips of the charges are not the order's tip_amount", difference
            )


def _refund_evidence(order: Order, group: OrderGroup, facts: Facts) -> Iterator[Issue]:
    """Signs that money went back without an amount that counts. The difference is the money at stake."""
    for back in facts.refunds:
        if back.refund is None:
            continue
        if back.refund.amount < 0:
            detail = "the amount of a refund is below zero; it is read as money given back"
            yield _issue(_EVIDENCE, order, detail, back.refund.amount, about=("refund", back.id))
        if back.status is PaymentStatus.UNKNOWN:
            detail = "the status of a refund is unknown and no sum of Clover's holds it; it does not count"
            yield _issue(_EVIDENCE, order, detail, back.money, about=("refund", back.id))
    for one in facts.paid:
        mine = [back for back in facts.refunds if back.taken is one]
        counted = sum(back.given_back.amount for back in mine if back.status is not PaymentStatus.CANCELLED)
        left = one.goods - counted
        if one.charge.refunded and left > 0:
            detail = "Clover calls a charge refunded, but its refunds come to less"
            yield _issue(_EVIDENCE, order, detail, left, about=("charge", one.charge.id))
    clover = group.order
    if clover is not None and (clover.status or "").lower() in RETURNED_ORDER and not facts.refunds:
        at_stake = sum(one.money for one in facts.paid)
        if at_stake and not clover.amount_returned:
            detail = "Clover calls the order returned, but nothing says how much went back; nothing counts"
            yield _issue(_EVIDENCE, order, detail, at_stake)


def _unlike(claimed: int, facts: Facts, tips: int) -> int:
    """Collected less ``amount_paid``; 0 where it means the latest sale alone, counts tips or surcharges too, or leaves
    out the tax as the order's own amount may."""
    surcharges = sum(one.surcharge for one in facts.paid)
    latest = facts.collected - facts.reading.goods * (facts.times - 1)
    alike = {facts.collected, latest, min(facts.collected, facts.owed), min(latest, facts.reading.goods)}
    alike |= {goods - facts.reading.tax for goods in alike}
    if any(
        claimed in (goods, goods + tips, goods + surcharges, goods + tips + surcharges) for goods in alike
    ):
        return 0
    return facts.collected - claimed


def _currencies(order: Order, facts: Facts) -> Iterator[Issue]:
    for one in facts.taken:
        if one.currency != facts.currency:
            detail = f"charged in {one.currency} on an order in {facts.currency}; kept apart, never added"
            yield _issue("currency", order, detail, None, about=("charge", one.charge.id))
    for back in facts.refunds:
        charged = facts.currency if back.taken is None else back.taken.currency
        if back.currency != charged or back.currency != facts.currency:
            detail = f"refunded in {back.currency}, charged in {charged}, on an order in {facts.currency}; kept apart"
            yield _issue("currency", order, detail, None, about=("refund", back.id))


def _issue(
    code: str,
    order: Order,
    detail: str,
    difference: int | None,
    *,
    severity: Severity = Severity.WARNING,
    about: tuple[str, str] | None = None,
) -> Issue:
    """about: (kind, id) of the record; the order where it is left out."""
    return Issue(code, severity, detail, order.id, difference, *(about or ("order", order.id)))
