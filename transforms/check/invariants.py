"""What must add up within an order, anybody's, and by how much it does not.

A violation is named and the order kept: nothing is dropped and nothing is bent until it fits. What the order says
against what Clover said is in ``transforms.check.agreement``. Differences are minor units of the order's currency: what
the order has, less what it should have.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from schemas.commerce import Order
from schemas.commerce_enums import PaymentStatus
from schemas.money import exponent, to_minor
from schemas.times import from_wire
from transforms.model import Issue, Severity

_ZERO = Decimal(0)


def check_order(order: Order, *, payments: bool = True) -> list[Issue]:
    """What does not add up within a finished order. payments: also hold its payments against its totals."""
    places = exponent(order.currency or "")
    rules: tuple[Callable[[Order, int], Iterator[Issue]], ...] = (
        lines_total,
        line_arithmetic,
        refund_lines,
        tax_once,
        discount_once,
        dates,
    )
    found = [issue for rule in rules for issue in rule(order, places)]
    if payments:
        found += payments_total(order, places)
    return found


def lines_total(order: Order, places: int) -> Iterator[Issue]:
    """totalAmount is the sum of lines and service charges."""
    parts = sum(to_minor(line.total_amount, places) for line in order.order_line_items)
    parts += sum(to_minor(charge.total_amount, places) for charge in order.service_charges)
    difference = to_minor(order.total_amount, places) - parts
    if difference:
        yield _warning("lines_total", order, "total is not the sum of lines and service charges", difference)


def line_arithmetic(order: Order, places: int) -> Iterator[Issue]:
    """total = quantity x unit price - discounts + tax; prices are not negative, refund lines are."""
    for line in order.order_line_items:
        net = to_minor(line.quantity * line.unit_price, places)
        off = sum(to_minor(share.total_amount, places) for share in line.discount_allocations)
        total = to_minor(line.total_amount, places)
        difference = total - (net - off + to_minor(line.total_tax_amount, places))
        if difference:
            yield _warning("line_arithmetic", order, f"line {line.id} does not come to its total", difference)
        if line.unit_price < _ZERO:
            yield _warning("line_arithmetic", order, f"line {line.id} has a negative price", None)


def refund_lines(order: Order, places: int) -> Iterator[Issue]:
    """totalRefund is the sum of the lines with quantity below zero, and is not positive."""
    back = [line for line in order.order_line_items if line.quantity < _ZERO]
    refund = to_minor(order.total_refund, places)
    difference = refund - sum(to_minor(line.total_amount, places) for line in back)
    if difference:
        yield _warning("refund_lines", order, "total refund is not the sum of the refund lines", difference)
    if refund > 0:
        yield _warning("refund_lines", order, "total refund is positive", refund)
    for line in back:
        if line.total_amount > _ZERO:
            yield _warning(
                "refund_lines",
                order,
                f"refund line {line.id} is positive",
                to_minor(line.total_amount, places),
            )


def tax_once(order: Order, places: int) -> Iterator[Issue]:
    """totalTaxAmount is the tax of lines and service charges; where a line names its taxes they make up its tax."""
    parts = sum(to_minor(line.total_tax_amount, places) for line in order.order_line_items)
    parts += sum(to_minor(charge.tax_amount, places) for charge in order.service_charges)
    difference = to_minor(order.total_tax_amount, places) - parts
    if difference:
        yield _warning("tax_once", order, "total tax is not the tax of lines and service charges", difference)
    for line in order.order_line_items:
        if line.taxes:
            named = sum(to_minor(tax.tax_amount, places) for tax in line.taxes)
            difference = to_minor(line.total_tax_amount, places) - named
            if difference:
                yield _warning("tax_once", order, f"the taxes of line {line.id} are not its tax", difference)


def discount_once(order: Order, places: int) -> Iterator[Issue]:
    """totalDiscount is the sum of all allocations, those of refund lines negative."""
    parts = sum(
        to_minor(share.total_amount, places)
        for line in order.order_line_items
        for share in line.discount_allocations
    )
    difference = to_minor(order.total_discount, places) - parts
    if difference:
        yield _warning("discount_once", order, "total discount is not the sum of the allocations", difference)


def dates(order: Order, _places: int) -> Iterator[Issue]:
    """createdDate is not after sourceModifiedDate."""
    created, changed = order.created_date, order.source_modified_date
    if created and changed and from_wire(created) > from_wire(changed):
        yield _warning("dates", order, "the order was changed before it was created", None)


def payments_total(order: Order, places: int) -> Iterator[Issue]:
    """Paid payments, refunds negative, come to totalAmount and totalGratuity; only where one currency was used."""
    paid = [payment for payment in order.payments if payment.status is PaymentStatus.PAID]
    if not paid or any((payment.currency or order.currency) != order.currency for payment in paid):
        return
    money = sum(to_minor(payment.amount or _ZERO, places) for payment in paid)
    difference = money - to_minor(order.total_amount, places) - to_minor(order.total_gratuity, places)
    if difference:
        yield _warning("payments_total", order, _paid_words(difference), difference)


def _paid_words(difference: int) -> str:
    return "more was paid than owed" if difference > 0 else "less was paid than owed"


def _warning(code: str, order: Order, detail: str, difference: int | None) -> Issue:
    return Issue(code, Severity.WARNING, detail, order.id, difference, "order", order.id)
