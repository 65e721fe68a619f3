"""The books of one order: what was sold, each time it was sold, and what every refund gave back, in time order."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from schemas.clover import Order
from schemas.commerce_enums import PaymentStatus
from schemas.money import exponent, to_decimal
from transforms.check.agreement import Facts
from transforms.model import OrderGroup
from transforms.order.gift_cards import with_gift_cards
from transforms.order.items import Goods, Items, items_of, platform_items
from transforms.order.line import Line, effective_rate
from transforms.order.lines import sale_lines
from transforms.order.money import Returned, Taken, place_tips, refunds_of, sales
from transforms.order.refunds import ChargeLeft, FeeLeft, Returns
from transforms.order.service_charges import Fee, overpayment, surcharge
from transforms.order.totals import Reading, read_totals


class Books(Struct):
    """An order before it is written down: minor units throughout."""

    exponent: int
    lines: list[Line]
    fees: list[Fee]
    refunds: list[Returned]
    gratuity: int
    facts: Facts


def books_of(group: OrderGroup, order_id: str, currency: str, taken: list[Taken], paid: list[Taken]) -> Books:
    """The books of an order. taken: every charge; paid: those that took money in ``currency``."""
    places = exponent(currency)
    order = group.order
    shipping: list[Fee] = []
    origin: dict[str, Goods] = {}
    if order is not None:
        reading = _reading_of(order, group, paid)
        lines, shipping, origin = sale_lines(order_id, reading, places)
    else:
        reading, lines = _charges_alone(paid or [one for one in taken if one.currency == currency], places)
    # Whether a tip or surcharge is inside its charge tells what a refund of it holds, so it is settled first.
    place_tips(paid, order, reading.goods)
    refunds = refunds_of(group, taken, currency) if group.refunds or _returned_by_totals(group) else []
    counted = [one for one in refunds if one.status is PaymentStatus.PAID and one.currency == currency]
    again = sales(reading.goods, paid, counted)
    times = 1 + len(again)
    owed = reading.goods * times
    if again:
        place_tips(paid, order, owed)
    surcharges = _surcharges(paid, {one.charge.id for one in again})
    collected = sum(one.goods for one in paid)
    over = max(collected - owed, 0) if paid else 0
    tips = sum(one.tip for one in paid)
    returns = _nothing_returned(places, reading, surcharges, over, paid)
    fees = list(shipping)
    if counted or again:
        sold_first = _with_returns(lines, origin, reading, once=times == 1)
        returns.sell(sold_first, shipping, reading.goods, reading.tax)
    else:
        returns.lines = lines
    fees += _in_time_order(
        returns, counted, again, lambda time, by: _sell_again(returns, lines, shipping, reading, time, by)
    )
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
        foreign=_is_foreign([*taken, *refunds], currency),
    )
    return Books(places, returns.lines, fees, refunds, tips - returns.tip_returned, facts)


def _reading_of(order: Order, group: OrderGroup, paid: list[Taken]) -> Reading:
    items = with_gift_cards(items_of(order), group.platform_lines)
    platform, collected = platform_items(group, items), sum(one.amount for one in paid)
    return read_totals(order, [one.charge for one in paid], items, platform, collected)


def _nothing_returned(
    places: int, reading: Reading, surcharges: list[Fee], over: int, paid: list[Taken]
) -> Returns:
    """What can be given back before anything was."""
    return Returns(
        exponent=places,
        goods_total=reading.goods,
        tax_total=reading.tax,
        surcharges=[FeeLeft(fee, fee.total, 0) for fee in surcharges],
        overpaid=over,
        charges={one.charge.id: ChargeLeft(one.goods, one.tip, one.surcharge) for one in paid},
    )


def _surcharges(paid: list[Taken], sold_again: set[str]) -> list[Fee]:
    """Surcharges of charges. sold_again: charges whose surcharges belong to a later sale."""
    return [
        replace(surcharge(charged, amount), charge_id=one.charge.id if one.charge.id in sold_again else None)
        for one in paid
        for charged, amount in one.surcharges
        if amount
    ]


def _is_foreign(moved: Iterable[Taken | Returned], currency: str) -> bool:
    return any(one.currency != currency and one.status is PaymentStatus.PAID for one in moved)


def _returned_by_totals(group: OrderGroup) -> bool:
    if group.order is not None and group.order.amount_returned:
        return True
    return any(charge.amount_refunded or charge.refunded for charge in group.charges)


def _in_time_order(
    returns: Returns,
    refunds: list[Returned],
    again: list[Taken],
    sell_again: Callable[[int, Taken], list[Fee]],
) -> list[Fee]:
    """Give back and sell again as it happened; the fees of the later sales. sell_again: (which sale, its charge)."""
    fees: list[Fee] = []
    later = list(enumerate(again, start=2))
    for refund in refunds:
        while later and refund.created_ms > later[0][1].created_ms:
            fees += sell_again(*later.pop(0))
        returns.give_back(refund.given_back)
    for time, by in later:
        fees += sell_again(time, by)
    return fees


def _sell_again(
    returns: Returns, lines: list[Line], shipping: list[Fee], reading: Reading, time: int, by: Taken
) -> list[Fee]:
    charge_id = by.charge.id
    fees = [replace(fee, charge_id=charge_id) for fee in shipping]
    again = [(line.again(time, charge_id), 0, 0) for line in lines]
    returns.sell(again, fees, reading.goods, reading.tax)
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
    goods = tax_total = refused = 0
    for one in taken:
        tax = max(one.charge.tax_amount or 0, 0)
        if tax > one.amount:
            # More tax than money is no tax: see transforms.order.totals.
            refused, tax = refused + tax, 0
        net = one.amount - tax
        goods += one.amount
        tax_total += tax
        lines.append(
            Line(
                one.charge.id, Decimal(1), to_decimal(net, places), net, tax, [], [], effective_rate(tax, net)
            )
        )
    reading = Reading(
        Items(), goods, tax_total, tax_inside=True, tax_conflict=refused, tax_refused=refused > 0
    )
    return reading, lines
