"""Gift cards sold: known by the platform's word alone, a line like any other in the order, of a kind of its own."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.wire import encode
from transforms.beside.products import products_of
from transforms.model import MappedOrder, Merchant
from transforms.order.order import map_order
from transforms.read.group import parse_group
from transforms.read.platform import sells_gift_cards, with_platform

MERCHANT = Merchant("MERCHANT00001", "Juniper Goods", "USA", "USD", "America/New_York")
START = 1_791_208_800_000
CARD = {"id": "L1", "name": "Gift card", "price": 5000, "item": {"id": "CARD"}, "isRevenue": False}
RUG = {"id": "L2", "name": "Rug", "price": 1000, "item": {"id": "RUG"}, "isRevenue": True}


def mapped(
    items: list[dict[str, Any]], lines: list[dict[str, Any]] | None, *back: int, **more: Any
) -> MappedOrder:
    """An order of these items, paid, and given back in so many parts."""
    amount = sum(item["amount"] * item.get("quantity", 1) for item in items) + more.get("tax_amount", 0)
    order = {
        "id": "ORDER1",
        "amount": amount,
        "currency": "USD",
        "created": START,
        "status": "paid",
        "items": items,
    }
    charge = {
        "id": "C1", "amount": amount, "captured": True, "status": "succeeded", "created": START + 1,
        "amount_refunded": sum(back),
    }  # fmt: skip
    refunds = [
        {"id": f"R{at}", "charge": "C1", "amount": amount, "created": START + 10 * at, "status": "succeeded"}
        for at, amount in enumerate(back, start=1)
    ]
    group, broken = parse_group(order | {"amount_returned": sum(back)} | more, [charge], refunds)
    assert not broken
    platform = None if lines is None else {"lineItems": {"elements": lines}}
    return map_order(
        with_platform(group, platform), MERCHANT, previous=None, run_start=datetime(2027, 1, 1, tzinfo=UTC)
    )


def kinds(found: MappedOrder) -> list[tuple[str, Decimal]]:
    assert found.order is not None
    return [(found.line_kinds[line.id], line.total_amount) for line in found.order.order_line_items]


def item(name: str, amount: int, **more: Any) -> dict[str, Any]:
    return {"amount": amount, "description": name, **more}


@pytest.mark.parametrize(
    ("items", "lines"),
    [
        ([item("Voucher", 5000, id="L1"), item("Rug", 1000)], [CARD, RUG]),
        ([item("Voucher", 5000, parent="L1"), item("Rug", 1000, parent="L2")], [CARD, RUG]),
        ([item("Voucher", 5000, inventory_id="CARD"), item("Rug", 1000)], [CARD, RUG]),
        ([item("Gift card", 5000), item("Rug", 1000)], [CARD, RUG]),
        ([item("Gift card", 5000), item("Rug", 1000)], [{**CARD, "price": 4900, "modifications": [{"amount": 100}]}]),
        ([item("Gift card", 5000), item("Gift card", 1000)], [CARD, {**CARD, "price": 1000, "isRevenue": True}]),
        ([item("Gift card", 5000), item("Rug", 1000)], [{"name": "Gift card", "price": 5000, "isRevenue": False}]),
    ],
)  # fmt: skip
def test_an_item_is_a_gift_card_where_the_platform_says_so_of_its_line(
    items: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    found = mapped(items, lines)
    assert kinds(found) == [("gift_card", Decimal(50)), ("goods", Decimal(10))]
    assert found.order is not None
    plain = mapped(items, None).order
    assert plain is not None
    told = found.order.supplemental_data.content["clover"]
    assert told.pop("giftCardLineIds") == [found.order.order_line_items[0].id]
    assert encode(found.order) == encode(plain), "a line is a line; only what we add says that it is a card"


@pytest.mark.parametrize(
    "lines",
    [
        None,
        [],
        [RUG],
        [{**CARD, "isRevenue": None}, RUG],
        [{**CARD, "isRevenue": "false"}, RUG],
        [{k: v for k, v in CARD.items() if k != "isRevenue"}],
        [{**CARD, "isRevenue": False, "item": {"id": "OTHER"}, "name": "Other", "id": "L9"}],
        [CARD, {**CARD, "isRevenue": True}],
    ],
)
def test_without_the_platforms_word_it_is_a_sale(lines: list[dict[str, Any]] | None) -> None:
    """Its name alone does not say it, and what fits lines of both sorts is not told."""
    found = mapped([item("Gift card", 5000, inventory_id="CARD"), item("Rug", 1000)], lines)
    assert kinds(found) == [("goods", Decimal(50)), ("goods", Decimal(10))]


def test_the_platforms_own_lines_know_it_too() -> None:
    """Equal items arrive collapsed, so the order adds up by the platform's lines only."""
    found = mapped(
        [item("Gift card", 5000), item("Rug", 1000)], [CARD, {**CARD, "id": "L3"}, RUG], amount=11000
    )
    assert kinds(found) == [("gift_card", Decimal(50)), ("gift_card", Decimal(50)), ("goods", Decimal(10))]


BOTH = [item("Gift card", 5000), item("Rug", 1000)]
RETURNED = [item("Gift card", 5000, amount_refunded=5000), item("Rug", 1000)]


@pytest.mark.parametrize(
    ("items", "back", "lines"),
    [
        (RETURNED, (5000,), [("gift_card", -50)]),
        (BOTH, (6000,), [("gift_card", -50), ("goods", -10)]),
        (BOTH, (400,), [("amount", -4)]),
        (BOTH, (1500,), [("amount", -10), ("gift_card", -5)]),
        (BOTH, (400, 5600), [("amount", -4), ("amount", -6), ("gift_card", -50)]),
        (BOTH, (400, 700, 4900), [("amount", -4), ("amount", -6), ("gift_card", -1), ("gift_card", -49)]),
        (BOTH[:1], (1200,), [("gift_card", -12)]),
        (BOTH[:1], (1200, 3800), [("gift_card", -12), ("gift_card", -38)]),
    ],
)
def test_what_goes_back_of_a_gift_card_is_of_its_kind(
    items: list[dict[str, Any]], back: tuple[int, ...], lines: list[tuple[str, int]]
) -> None:
    """An amount without items is of goods first: a card may have been spent."""
    found = mapped(items, [CARD, RUG], *back)
    assert kinds(found)[len(items) :] == [(kind, Decimal(amount)) for kind, amount in lines]
    assert found.order is not None
    assert found.order.total_amount * 100 == sum(one["amount"] for one in items) - sum(back)
    assert len({line.id for line in found.order.order_line_items}) == len(found.order.order_line_items)
    told = found.order.supplemental_data.content["clover"]["giftCardLineIds"]
    assert told == [line_id for line_id, kind in found.line_kinds.items() if kind == "gift_card"]


def test_an_order_of_a_card_alone_keeps_its_lines_whatever_goes_back() -> None:
    """Known or not, the document of the order has the same lines."""
    known, unknown = (mapped(BOTH[:1], lines, 1200).order for lines in ([CARD], None))
    assert known is not None
    assert unknown is not None
    assert known.order_line_items == unknown.order_line_items


def test_its_product_is_a_gift_card() -> None:
    found = mapped(
        [item("Gift card", 5000, inventory_id="CARD"), item("Rug", 1000, inventory_id="RUG")], [CARD, RUG]
    )
    assert found.order is not None
    cards = {line_id for line_id, kind in found.line_kinds.items() if kind == "gift_card"}
    products = {product.id: product.is_gift_card for product in products_of(found.order, gift_cards=cards)}
    assert products == {"CARD": True, "RUG": False}


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"lineItems": {"elements": [RUG, CARD]}}, True),
        ({"lineItems": [CARD]}, True),
        ({"lineItems": {"elements": [RUG]}}, False),
        ({"lineItems": "junk"}, False),
        ({}, False),
    ],
)
def test_whether_an_order_of_the_platform_sells_one(order: dict[str, Any], told: bool) -> None:
    assert sells_gift_cards(order) is told
