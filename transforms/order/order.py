"""One group of Clover records becomes one Codat order.

Put together from the rules of the other modules: ``items`` and ``totals`` read what was ordered, ``money_moved``
what was paid and given back, ``line_items``, ``service_charges`` and ``refunds`` make the lines, ``payments`` the
payments, ``invariants`` says what does not add up, ``publication`` whether the order counts.

Decided here: an order without a currency takes the one its charges agree on, then the merchant's, then ``XXX``; a
charge that truly has no order becomes an order of one line under its own id, created when it was made, its tax taken
out of its price; ``closedDate`` stays unset because no event of Clover closes an order (docs.clover.com, Ecommerce
data model); ``orderNumber`` is the merchant's reference unless the caller knows that others carry it too.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from schemas.clover import Order as CloverOrder
from schemas.commerce import DiscountAllocation, Order, OrderLineItem, Ref, SupplementalData, TaxAllocation
from schemas.commerce_enums import PaymentStatus
from schemas.iso import alpha_3
from schemas.money import UNKNOWN_CURRENCY, shortest, to_decimal
from schemas.times import from_ms, to_the_millisecond, wire_text
from transforms.beside.customers import customer_ref
from transforms.check.agreement import check, unpaid_claim
from transforms.check.evidence import remarks, with_usable_times
from transforms.check.labels import label_issues
from transforms.check.publication import HeldBack, held_back, open_reason
from transforms.dates import local_day, newest, observed_date
from transforms.document import content_hash
from transforms.model import Issue, MappedOrder, Merchant, OrderGroup, PreviousVersion, Severity
from transforms.order.books import Books, books_of
from transforms.order.line import Line
from transforms.order.money import Taken, charges_taken, of_order, refunds_of
from transforms.order.payments import payments
from transforms.order.service_charges import service_charge

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
        group = with_usable_times(group, run_start)
        currency = _currency(group, merchant)
        moment = _moment_of(group, previous, run_start)
        case = _Case(group, order_id, merchant, currency, charges_taken(group, currency), moment)
        reason = _reason(case, previous, unpaid_orders)
        if reason is not None:
            return _held_back(case, reason)
        return _map(case, previous, run_start, unique_reference=unique_reference)
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
        moment = _moment_of(group, previous, run_start)
        return _held(order_id, moment, HeldBack.UNREADABLE, None, (issue,))


def order_id_of(group: OrderGroup) -> str:
    """The order's id; of charges without an order record the order they name, else their own."""
    if group.order is not None:
        return group.order.id
    if not group.charges:
        return group.refunds[0].charge or group.refunds[0].id if group.refunds else ""
    first = min(group.charges, key=lambda charge: (charge.created or 0, charge.id))
    return first.order or first.id


class _Case(Struct, frozen=True):
    """One order under the mapping. taken: every charge of it; moment: its ``sourceModifiedDate``."""

    group: OrderGroup
    order_id: str
    merchant: Merchant
    currency: str
    taken: list[Taken]
    moment: datetime


def _reason(case: _Case, previous: PreviousVersion | None, unpaid_orders: str) -> HeldBack | None:
    """Why the order is held back, None where it is published."""
    order, taken = case.group.order, case.taken
    if order is None and not taken:
        return HeldBack.UNREADABLE
    reason = held_back(order, taken)
    if case.group.is_deleted:
        # What it still owes is of no interest any more; money that was taken, or may have been, is.
        if any(one.status is PaymentStatus.PAID for one in taken):
            return None
        return reason if reason in (HeldBack.AUTHORIZED, HeldBack.PENDING) else HeldBack.DELETED
    if reason is not None and unpaid_orders == "include":
        return None
    if reason is HeldBack.CANCELED and previous is not None:
        # It was published, so money moved for it once; that its charge was voided since is part of its story.
        return None
    return reason


def _held_back(case: _Case, reason: HeldBack) -> MappedOrder:
    group, order_id, taken = case.group, case.order_id, case.taken
    poll = open_reason(group, taken, refunds_of(group, taken, case.currency), part_paid=False)
    issues = (*unpaid_claim(group, order_id, taken), *label_issues(group, order_id))
    return _held(order_id, case.moment, reason, poll, issues)


def _map(
    case: _Case, previous: PreviousVersion | None, run_start: datetime, *, unique_reference: bool
) -> MappedOrder:
    group, order_id, taken, moment = case.group, case.order_id, case.taken, case.moment
    paid = of_order(taken, case.currency)
    books = books_of(group, order_id, case.currency, taken, paid)
    created = min(_created_of(group.order, taken, moment), moment)
    codat = _order(case, books, created, unique_reference=unique_reference)
    fingerprint = content_hash(codat)
    observed = False
    if (
        previous is not None
        and fingerprint != previous.content_hash
        and moment == to_the_millisecond(previous.source_modified_date)
    ):
        observed = True
        moment = observed_date(previous.source_modified_date, run_start)
        codat = replace(codat, source_modified_date=wire_text(moment))
        fingerprint = content_hash(codat)
    issues = [
        *check(codat, group, books.facts),
        *label_issues(group, order_id),
        *remarks(group, order_id, books.facts.money),
    ]
    part_paid = bool(paid) and books.facts.owed > books.facts.collected and not books.facts.foreign
    return MappedOrder(
        order_id=order_id,
        order=codat,
        content_hash=fingerprint,
        source_modified_date=moment,
        observed=observed,
        created_local_date=local_day(created, case.merchant.timezone),
        refund_local_dates={
            one.id: local_day(from_ms(one.created_ms), case.merchant.timezone) for one in books.refunds
        },
        line_refunds={line.id: line.refund_id for line in books.lines if line.refund_id is not None},
        line_kinds={line.id: line.kind for line in books.lines},
        line_charges={line.id: line.charge_id for line in books.lines if line.charge_id is not None},
        fee_charges=tuple(fee.charge_id for fee in books.fees),
        issues=tuple(issues),
        held_back=None,
        open_reason=open_reason(group, taken, books.refunds, part_paid),
    )


def _held(
    order_id: str, moment: datetime, reason: HeldBack, poll: str | None, issues: tuple[Issue, ...]
) -> MappedOrder:
    return MappedOrder(
        order_id=order_id,
        order=None,
        content_hash="",
        source_modified_date=moment,
        observed=False,
        created_local_date=None,
        issues=issues,
        held_back=reason,
        open_reason=poll,
    )


def _currency(group: OrderGroup, merchant: Merchant) -> str:
    if group.order is not None and group.order.currency:
        return group.order.currency
    told = {charge.currency for charge in group.charges if charge.currency}
    if len(told) == 1:
        return told.pop()
    return (merchant.currency or UNKNOWN_CURRENCY).upper()


def _moment_of(group: OrderGroup, previous: PreviousVersion | None, run_start: datetime) -> datetime:
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
        dates.append(to_the_millisecond(group.platform_modified))
    if previous is not None:
        dates.append(to_the_millisecond(previous.source_modified_date))
    return max(dates) if dates else to_the_millisecond(run_start)


def _order(case: _Case, books: Books, created: datetime, *, unique_reference: bool) -> Order:
    merchant, taken = case.merchant, case.taken
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
    order = case.group.order
    reference = order.external_reference_id if order is not None else taken[0].charge.external_reference_id
    return Order(
        id=case.order_id,
        order_number=reference if reference and unique_reference else case.order_id,
        country=alpha_3(merchant.country),
        currency=case.currency,
        created_date=wire_text(created),
        total_amount=to_decimal(lines_total + fees_total, places),
        total_refund=to_decimal(refund, places),
        total_tax_amount=to_decimal(tax, places),
        total_discount=to_decimal(discount, places),
        total_gratuity=to_decimal(books.gratuity, places),
        order_line_items=[_line_item(line, places) for line in books.lines],
        payments=payments(taken, books.refunds),
        service_charges=[service_charge(fee, places) for fee in books.fees],
        location_ref=Ref(id=merchant.merchant_id, name=merchant.merchant_name),
        customer_ref=customer_ref(case.group),
        source_modified_date=wire_text(case.moment),
        supplemental_data=_supplemental(order, merchant, taken, books),
    )


def _created_of(order: CloverOrder | None, taken: Sequence[Taken], moment: datetime) -> datetime:
    """When it was ordered, else when it was first paid. moment: instead, where nothing says."""
    if order is not None and order.created is not None:
        return from_ms(order.created)
    known = [one.charge.created for one in taken if one.charge.created is not None]
    return from_ms(min(known)) if known else moment


def _line_item(line: Line, places: int) -> OrderLineItem:
    """The Codat record of a line. places: decimals of its currency."""
    return OrderLineItem(
        id=line.id,
        quantity=shortest(line.quantity),
        tax_percentage=line.tax_percentage,
        total_amount=to_decimal(line.total, places),
        total_tax_amount=to_decimal(line.tax, places),
        unit_price=line.unit_price,
        taxes=[
            TaxAllocation(
                tax_component_ref=component,
                rate=to_decimal(amount, places),
                tax_amount=to_decimal(amount, places),
            )
            for component, amount in line.taxes
        ],
        product_ref=line.product,
        discount_allocations=[
            DiscountAllocation(name=name, total_amount=to_decimal(amount, places))
            for name, amount in line.discounts
        ],
    )


def _supplemental(
    order: CloverOrder | None, merchant: Merchant, taken: Sequence[Taken], books: Books
) -> SupplementalData:
    """Clover's own words: status, reference, charges, and a country that is written otherwise."""
    told: dict[str, object] = {}
    if order is not None and order.status:
        told["status"] = order.status
    if order is not None and order.external_reference_id:
        told["externalReferenceId"] = order.external_reference_id
    told["chargeIds"] = [one.charge.id for one in taken]
    if cards := [line.id for line in books.lines if line.kind == "gift_card"]:
        told["giftCardLineIds"] = cards
    if merchant.country and alpha_3(merchant.country) != merchant.country:
        told["country"] = merchant.country
    return SupplementalData(content={SOURCE: told})
