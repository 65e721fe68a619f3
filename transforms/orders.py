"""One group of Clover records becomes one Codat order.

Put together from the rules of the other modules: ``items`` and ``totals`` read what was ordered, ``money_moved``
what was paid and given back, ``line_items``, ``service_charges`` and ``refunds`` make the lines, ``payments`` the
payments, ``invariants`` says what does not add up, ``publication`` whether the order counts.

Decided here: an order without a currency takes the one its charges agree on, then the merchant's, then ``XXX``; a
charge that truly has no order becomes an order of one line under its own id, created when it was made, its tax taken
out of its price; ``closedDate`` stays unset because no event of Clover closes an order (docs.clover.com, Ecommerce
data model); ``orderNumber`` is the merchant's reference unless the caller knows that others carry it too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from schemas.clover import Order as CloverOrder
from schemas.commerce import (
    DiscountAllocation,
    Order,
    OrderLineItem,
    PaymentStatus,
    Ref,
    SupplementalData,
    TaxAllocation,
)
from schemas.iso import alpha_3
from schemas.money import UNKNOWN_CURRENCY, exponent, to_decimal
from transforms.agreement import Facts, check
from transforms.canonical import content_hash
from transforms.customers import customer_ref
from transforms.dates import from_ms, local_day, newest, observed_date, whole_seconds
from transforms.items import Goods, Items, items_of, platform_items
from transforms.ledger import Fee, Line, effective_rate
from transforms.line_items import sale_lines
from transforms.model import Issue, MappedOrder, Merchant, OrderGroup, PreviousVersion, Severity
from transforms.money_moved import Returned, Taken, charges_taken, of_order, place_tips, refunds_of, sales
from transforms.payments import payments
from transforms.publication import HeldBack, held_back, open_reason
from transforms.refunds import FeeLeft, Returns
from transforms.service_charges import overpayment, service_charge, surcharge
from transforms.totals import Reading, read_totals

SOURCE = "clover"


def map_order(
    group: OrderGroup,
    merchant: Merchant,
    *,
    previous: PreviousVersion | None,
    run_start: datetime,
    unpaid_orders: Literal["exclude", "include"] = "exclude",
    unique_reference: bool = True,
) -> MappedOrder:
    """The order, or why it is held back. Pure: the same records and the same previous version give the same order.

    run_start: aware; the date of a change that no record dates. unique_reference: no other order of the connection
    carries this one's external reference. Never raises for what Clover may have sent.
    """
    order_id = order_id_of(group)
    try:
        return _map(group, order_id, merchant, previous, run_start, unpaid_orders, unique_reference)
    except (ArithmeticError, ValueError, OverflowError) as error:
        # Numbers beyond what can be counted exactly: nothing is better than something wrong.
        issue = Issue(
            "unreadable",
            Severity.ERROR,
            f"order cannot be mapped: {type(error).__name__}",
            order_id,
            None,
            "order",
            order_id,
        )
        moment = _moment(group, previous, run_start)
        return MappedOrder(order_id, None, "", moment, False, None, {}, (issue,), HeldBack.UNREADABLE, None)


def order_id_of(group: OrderGroup) -> str:
    """The order's id; of charges without an order record the order they name, else their own."""
    if group.order is not None:
        return group.order.id
    if not group.charges:
        return group.refunds[0].charge or group.refunds[0].id if group.refunds else ""
    first = min(group.charges, key=lambda charge: (charge.created or 0, charge.id))
    return first.order or first.id


def _map(
    group: OrderGroup,
    order_id: str,
    merchant: Merchant,
    previous: PreviousVersion | None,
    run_start: datetime,
    unpaid_orders: str,
    unique_reference: bool,
) -> MappedOrder:
    order = group.order
    currency = _currency(group, merchant)
    taken = charges_taken(group, currency)
    moment = _moment(group, previous, run_start)
    reason: HeldBack | None = held_back(order, taken)
    if order is None and not taken:
        reason = HeldBack.UNREADABLE
    elif reason is not None and unpaid_orders == "include":
        reason = None
    paid = of_order(taken, currency)
    if reason is not None:
        refunds = refunds_of(group, taken, currency)
        poll = open_reason(order, taken, refunds, part_paid=False)
        return MappedOrder(order_id, None, "", moment, False, None, {}, (), reason, poll)

    books = _books(group, order_id, currency, taken, paid)
    codat = _order(group, order_id, merchant, currency, taken, books, moment, unique_reference)
    fingerprint = content_hash(codat)
    observed = False
    if (
        previous is not None
        and fingerprint != previous.content_hash
        and moment == whole_seconds(previous.source_modified_date)
    ):
        observed = True
        moment = observed_date(previous.source_modified_date, run_start)
        codat = Order.built(**{**codat.__dict__, "source_modified_date": moment})
        fingerprint = content_hash(codat)
    issues = check(codat, group, books.facts)
    part_paid = bool(paid) and books.facts.owed > books.facts.collected and not books.facts.foreign
    return MappedOrder(
        order_id=order_id,
        order=codat,
        content_hash=fingerprint,
        source_modified_date=moment,
        observed=observed,
        created_local_date=local_day(codat.created_date, merchant.timezone) if codat.created_date else None,
        refund_local_dates={
            one.id: local_day(from_ms(one.created_ms), merchant.timezone) for one in books.refunds
        },
        issues=tuple(issues),
        held_back=None,
        open_reason=open_reason(order, taken, books.refunds, part_paid),
    )


@dataclass(slots=True)
class _Books:
    """An order before it is written down: minor units throughout."""

    exponent: int
    lines: list[Line]
    fees: list[Fee]
    refunds: list[Returned]
    gratuity: int
    facts: Facts


def _books(group: OrderGroup, order_id: str, currency: str, taken: list[Taken], paid: list[Taken]) -> _Books:
    places = exponent(currency)
    order = group.order
    if order is not None:
        items = items_of(order)
        platform = platform_items(group.platform_lines, order) if group.platform_lines else None
        reading = read_totals(
            order, [one.charge for one in paid], items, platform, sum(one.amount for one in paid)
        )
        lines, shipping, origin = sale_lines(order_id, reading, places)
    else:
        reading, lines = _charges_alone(paid or taken, places)
        shipping, origin = [], {}
    refunds = refunds_of(group, taken, currency) if group.refunds or _returned_by_totals(group) else []
    counted = [one for one in refunds if one.status is PaymentStatus.PAID and one.currency == currency]
    again = sales(reading.goods, paid, counted) if len(paid) > 1 else []
    times = 1 + len(again)
    owed = reading.goods * times
    place_tips(paid, order, owed)
    surcharges = [surcharge(name, amount) for one in paid for name, amount in one.surcharges if amount]
    collected = sum(one.goods for one in paid)
    over = collected - owed if paid and collected > owed else 0
    tips = sum(one.tip for one in paid)
    returns = Returns(
        exponent=places,
        goods_total=reading.goods,
        tax_total=reading.tax,
        surcharges=[FeeLeft(fee, fee.total, 0) for fee in surcharges],
        overpaid=over,
        tip=tips,
    )
    fees = list(shipping)
    returns.sell(_with_returns(lines, origin, reading, once=times == 1), shipping, reading.goods, reading.tax)
    sold = 1
    for refund in counted:
        while again and refund.created_ms > again[0]:
            again.pop(0)
            sold += 1
            fees += _sell_again(returns, lines, shipping, reading, sold)
        returns.give_back(refund.given_back)
    for _ in again:
        sold += 1
        fees += _sell_again(returns, lines, shipping, reading, sold)
    fees += surcharges
    if over:
        fees.append(overpayment(over))
    money = sum(one.money for one in paid) - sum(one.money for one in counted)
    facts = Facts(
        currency=currency,
        reading=reading,
        times=times,
        owed=owed,
        collected=collected,
        money=money,
        over=over,
        taken=taken,
        paid=paid,
        refunds=refunds,
        counted=counted,
        estimates=returns.estimates,
        beyond=returns.beyond,
        tip_returned=returns.tip_returned,
        foreign=_is_foreign(taken, currency) or _is_foreign(refunds, currency),
    )
    return _Books(places, returns.lines, fees, refunds, tips - returns.tip_returned, facts)


def _is_foreign(moved: Iterable[Taken | Returned], currency: str) -> bool:
    return any(one.currency != currency and one.status is PaymentStatus.PAID for one in moved)


def _returned_by_totals(group: OrderGroup) -> bool:
    if group.order is not None and group.order.amount_returned:
        return True
    return any(charge.amount_refunded for charge in group.charges)


def _sell_again(
    returns: Returns, lines: list[Line], shipping: list[Fee], reading: Reading, time: int
) -> list[Fee]:
    fees = [
        Fee(fee.description, fee.type, fee.total, fee.label, fee.tax, fee.tax_percentage) for fee in shipping
    ]
    returns.sell([(line.again(time), 0, 0) for line in lines], fees, reading.goods, reading.tax)
    return fees


def _with_returns(
    lines: Sequence[Line], origin: dict[str, Goods], reading: Reading, *, once: bool
) -> list[tuple[Line, int, int]]:
    """Every line with its list value and what Clover says was returned of it; a split line shares both."""
    found = []
    left: dict[int, int] = {}
    for line in lines:
        item = origin.get(line.id)
        if item is None:
            found.append((line, 0, 0))
            continue
        value = item.amount if reading.line_totals else item.unit_value
        returned = 0
        if once and item.returned:
            whole = line.quantity == item.quantity
            returned = left.get(id(item), item.returned)
            if item.fully_returned:
                returned = value
            elif not whole:
                returned = min(returned, line.net)
            left[id(item)] = max(left.get(id(item), item.returned) - returned, 0)
            value = value if whole else line.net
        found.append((line, value, returned))
    return found


def _charges_alone(taken: Sequence[Taken], places: int) -> tuple[Reading, list[Line]]:
    """The lines of charges that have no order: one each, tax taken out of the price."""
    lines = []
    goods = tax_total = 0
    for one in taken:
        tax = min(max(one.charge.tax_amount or 0, 0), one.amount)
        net = one.amount - tax
        goods += one.amount
        tax_total += tax
        lines.append(
            Line(
                one.charge.id, Decimal(1), to_decimal(net, places), net, tax, [], [], effective_rate(tax, net)
            )
        )
    return Reading(Items(), goods, tax_total, tax_inside=True), lines


def _currency(group: OrderGroup, merchant: Merchant) -> str:
    if group.order is not None and group.order.currency:
        return group.order.currency
    told = {charge.currency for charge in group.charges if charge.currency}
    if len(told) == 1:
        return told.pop()
    return (merchant.currency or UNKNOWN_CURRENCY).upper()


def _moment(group: OrderGroup, previous: PreviousVersion | None, run_start: datetime) -> datetime:
    """``sourceModifiedDate``: the newest date of the group, never before the version before."""
    order = group.order
    found = newest(
        [
            *((order.created, *order.status_transitions.values()) if order is not None else ()),
            *(charge.created for charge in group.charges),
            *(refund.created for refund in group.refunds),
        ]
    )
    dates = [] if found is None else [found]
    if group.platform_modified is not None:
        dates.append(whole_seconds(group.platform_modified))
    if previous is not None:
        dates.append(whole_seconds(previous.source_modified_date))
    return max(dates) if dates else whole_seconds(run_start)


def _order(
    group: OrderGroup,
    order_id: str,
    merchant: Merchant,
    currency: str,
    taken: Sequence[Taken],
    books: _Books,
    moment: datetime,
    unique_reference: bool,
) -> Order:
    places = books.exponent
    lines_total = refund = tax = discount = 0
    for line in books.lines:
        total = line.total
        lines_total += total
        tax += line.tax
        discount += line.discount
        if line.quantity < 0:
            refund += total
    fees_total = sum(fee.total for fee in books.fees)
    tax += sum(fee.tax for fee in books.fees)
    order = group.order
    reference = order.external_reference_id if order is not None else taken[0].charge.external_reference_id
    return Order.built(
        id=order_id,
        order_number=reference if reference and unique_reference else order_id,
        country=alpha_3(merchant.country),
        currency=currency,
        created_date=min(_created(order, taken, moment), moment),
        closed_date=None,
        total_amount=to_decimal(lines_total + fees_total, places),
        total_refund=to_decimal(refund, places),
        total_tax_amount=to_decimal(tax, places),
        total_discount=to_decimal(discount, places),
        total_gratuity=to_decimal(books.gratuity, places),
        order_line_items=[_line_item(line, places) for line in books.lines],
        payments=payments(taken, books.refunds),
        service_charges=[service_charge(fee, places) for fee in books.fees],
        location_ref=Ref.built(id=merchant.merchant_id, name=merchant.merchant_name),
        customer_ref=customer_ref(group),
        modified_date=None,
        source_modified_date=moment,
        supplemental_data=_supplemental(order, merchant, taken),
    )


def _created(order: CloverOrder | None, taken: Sequence[Taken], moment: datetime) -> datetime:
    if order is not None and order.created is not None:
        return from_ms(order.created)
    known = [one.charge.created for one in taken if one.charge.created is not None]
    return from_ms(min(known)) if known else moment


def _line_item(line: Line, places: int) -> OrderLineItem:
    return OrderLineItem.built(
        id=line.id,
        quantity=line.quantity,
        tax_percentage=line.tax_percentage,
        total_amount=to_decimal(line.total, places),
        total_tax_amount=to_decimal(line.tax, places),
        unit_price=line.unit_price,
        taxes=[
            TaxAllocation.built(
                tax_component_ref=component,
                rate=to_decimal(amount, places),
                tax_amount=to_decimal(amount, places),
            )
            for component, amount in line.taxes
        ],
        product_ref=line.product,
        product_variant_ref=None,
        discount_allocations=[
            DiscountAllocation.built(name=name, total_amount=to_decimal(amount, places))
            for name, amount in line.discounts
        ],
    )


def _supplemental(order: CloverOrder | None, merchant: Merchant, taken: Sequence[Taken]) -> SupplementalData:
    told: dict[str, object] = {}
    if order is not None and order.status:
        told["status"] = order.status
    if order is not None and order.external_reference_id:
        told["externalReferenceId"] = order.external_reference_id
    told["chargeIds"] = [one.charge.id for one in taken]
    if merchant.country and alpha_3(merchant.country) != merchant.country:
        told["country"] = merchant.country
    return SupplementalData.built(content={SOURCE: told})
