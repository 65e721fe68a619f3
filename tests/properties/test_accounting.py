"""What must hold for every order, whatever was bought, paid and given back."""

import json
import random
import re
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from accounting_strategies import Shop, shops
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commerce import Order
from schemas.commerce_enums import PaymentStatus
from schemas.money import exponent
from schemas.wire import encode
from transforms.check.invariants import check_order
from transforms.document import content_hash, document
from transforms.model import MappedOrder, Merchant, Severity
from transforms.order.lines import ADJUSTMENT
from transforms.order.order import map_order
from transforms.read.group import parse_group

MERCHANT = Merchant("MERCHANT00001", "Juniper Goods", "USA", "USD", "America/New_York")
RUN_START = datetime(2027, 1, 1, tzinfo=UTC)
IDENTITIES = {"lines_total", "line_arithmetic", "tax_once", "discount_once", "payments_total", "refund_bound"}


def mapped(shop: Shop, **options: object) -> MappedOrder:
    group, broken = parse_group(shop.order, shop.charges, shop.refunds)
    assert not broken
    return map_order(group, MERCHANT, previous=None, run_start=RUN_START, **options)  # type: ignore[arg-type]


def minor(amount: Decimal | None, order: Order) -> int:
    assert amount is not None
    scaled = amount.scaleb(exponent(order.currency or ""))
    assert scaled == scaled.to_integral_value(), "money has no fractions of its minor unit"
    return int(scaled)


@given(shops())
@settings(max_examples=150, deadline=None)
def test_every_identity_is_exact_to_the_minor_unit(shop: Shop) -> None:
    result = mapped(shop)
    order = result.order
    assert order is not None
    assert check_order(order) == [], "the identities within the order, payments included"
    wrong = [issue for issue in result.issues if issue.severity is not Severity.INFO]
    assert not [issue for issue in wrong if issue.code in IDENTITIES], wrong


@given(shops())
@settings(max_examples=150, deadline=None)
def test_every_unit_of_money_is_counted_exactly_once(shop: Shop) -> None:
    order = mapped(shop).order
    assert order is not None
    kept_tip = minor(order.total_gratuity, order)
    assert 0 <= kept_tip <= shop.tip
    taken = shop.goods + shop.surcharge + shop.tip
    assert minor(order.total_amount, order) + kept_tip == taken - shop.refunded
    assert minor(order.total_amount, order) - minor(order.total_refund, order) == shop.goods + shop.surcharge
    assert -minor(order.total_refund, order) == shop.refunded - (shop.tip - kept_tip)
    sold_tax = sum(
        minor(line.total_tax_amount, order) for line in order.order_line_items if line.quantity > 0
    )
    sold_tax += sum(minor(charge.tax_amount, order) for charge in order.service_charges)
    assert sold_tax == shop.tax
    off = sum(
        minor(share.total_amount, order)
        for line in order.order_line_items
        if line.quantity > 0
        for share in line.discount_allocations
    )
    assert off == shop.discount
    if shop.refunded == taken - shop.surcharge:
        assert minor(order.total_tax_amount, order) == 0, "all given back, all tax given back"


@given(shops())
@settings(max_examples=80, deadline=None)
def test_signs_prices_and_ids(shop: Shop) -> None:
    order = mapped(shop).order
    assert order is not None
    ids = [line.id for line in order.order_line_items]
    assert len(set(ids)) == len(ids)
    for line in order.order_line_items:
        assert line.unit_price >= 0
        assert -(line.unit_price.as_tuple().exponent) <= 4
        if line.quantity < 0:
            assert line.total_amount <= 0
            assert line.total_tax_amount <= 0
            assert all(share.total_amount <= 0 for share in line.discount_allocations)
    assert all(charge.total_amount > 0 for charge in order.service_charges)
    paid = [payment for payment in order.payments if payment.status is PaymentStatus.PAID]
    assert len(paid) == len(shop.charges) + len(shop.refunds)


@given(shops(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_records_never_matters(shop: Shop, chance: random.Random) -> None:
    first = mapped(shop)
    expected = document(first, None)
    embedded = [dict(charge) for charge in shop.charges]
    for charge in embedded:
        charge["refunds"] = {
            "data": [refund for refund in shop.refunds if refund["charge"] == charge["id"]][:10]
        }
    chance.shuffle(embedded)
    shop.order["past_charges"] = [shop.charges[0]]
    shop.charges = [*embedded, *embedded[:1]]
    chance.shuffle(shop.refunds)
    shop.refunds = [*shop.refunds, *shop.refunds[:1]]
    assert document(mapped(shop), None) == expected


@given(shops(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_a_reordered_answer_keeps_ids_and_totals(shop: Shop, chance: random.Random) -> None:
    first = mapped(shop).order
    chance.shuffle(shop.order["items"])
    second = mapped(shop).order
    assert first is not None
    assert second is not None
    assert sorted(line.id for line in first.order_line_items) == sorted(
        line.id for line in second.order_line_items
    )
    for name in ("total_amount", "total_refund", "total_tax_amount", "total_discount", "total_gratuity"):
        assert getattr(first, name) == getattr(second, name)


@given(shops())
@settings(max_examples=50, deadline=None)
def test_what_is_written_reads_back_as_the_same_order(shop: Shop) -> None:
    order = mapped(shop).order
    assert order is not None
    again = msgspec.json.decode(encode(order), type=Order)
    assert again == order
    assert content_hash(again) == content_hash(order)


@given(shops())
@settings(max_examples=50, deadline=None)
def test_numbers_are_written_in_their_shortest_exact_form(shop: Shop) -> None:
    result = mapped(shop)
    assert result.order is not None
    texts: list[str] = []
    json.loads(document(result, None), parse_float=texts.append, parse_int=texts.append)
    assert texts
    for text in texts:
        assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", text), text
        assert text != "-0"


@given(shops(most_refunds=1), st.integers(1, 100_000))
@settings(max_examples=150, deadline=None)
def test_no_refund_beyond_what_was_captured_goes_unreported(shop: Shop, more: int) -> None:
    last = shop.charges[-1]
    taken = shop.goods + shop.tip + shop.surcharge
    refund = {
        "id": "REFUNDTOOMUCH",
        "amount": taken + more,
        "charge": last["id"],
        "created": 1_799_000_000_000,
        "status": "succeeded",
    }
    shop.refunds.append(refund)
    shop.order.pop("amount_returned", None)
    for charge in shop.charges:
        charge.pop("amount_refunded", None)
    result = mapped(shop)
    assert "refund_bound" in {issue.code for issue in result.issues}
    assert result.order is not None
    assert check_order(result.order) == []


@given(shops(most_refunds=0), st.integers(0, 400_000), st.integers(-20_000, 20_000))
@settings(max_examples=150, deadline=None)
def test_no_rest_is_booked_as_a_discount_without_an_issue(shop: Shop, tax: int, more: int) -> None:
    """Whatever tax the order names, and however far its amount is from its items."""
    shop.order["tax_amount"] = tax
    shop.order["items"] = [item for item in shop.order["items"] if item.get("type") != "tax"]
    shop.order["amount"] += more
    shop.order.pop("amount_paid")
    result = mapped(shop)
    order = result.order
    if order is None:
        assert result.held_back == "no_money"
        return
    made_up = sum(
        minor(share.total_amount, order)
        for line in order.order_line_items
        for share in line.discount_allocations
        if share.name in (ADJUSTMENT, "Unreconciled")
    )
    named = [issue for issue in result.issues if issue.severity is not Severity.INFO]
    if made_up:
        assert "source_total" in {issue.code for issue in named}
    amount = shop.order["amount"]
    if tax > max(amount, 0):
        taken = minor(order.total_tax_amount, order)
        assert taken < tax or sum(charge["amount"] for charge in shop.charges) > amount
        if taken == 0:
            assert ("tax_once", tax) in {(issue.code, issue.difference_minor) for issue in named}
