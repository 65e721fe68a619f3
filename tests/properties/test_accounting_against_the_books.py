"""The sandbox keeps its own books in double entry; what is mapped from what it shows must agree with them."""

from datetime import UTC, datetime

import pytest

from connector.sandbox.books import OrderBook
from connector.sandbox.records import Merchant as ShopMerchant
from connector.sandbox.shapes import PLAIN, Shapes
from connector.sandbox.shop import generate_shop
from connector.sandbox.wire_charges import charge_json, refund_json
from connector.sandbox.wire_orders import order_json
from connector.sandbox.world import World
from schemas.money import exponent, to_minor
from transforms.model import MappedOrder, Merchant
from transforms.order.order import map_order
from transforms.read.group import parse_group

MERCHANT = Merchant("MHT4QK2Z9WX61", "Quay Street Goods", "USA", "USD")
RUN_START = datetime(2027, 6, 1, tzinfo=UTC)
SHAPES = {
    "plain": PLAIN,
    "mixed": Shapes(),
    "tax only in rates": Shapes(tax="rates"),
    "amount without tax": Shapes(order_amount="exclusive"),
    "tip in the amount": Shapes(order_amount="with_tip"),
    "line totals": Shapes(item_amount="total"),
    "tip in the charge": Shapes(charge_tip="inside"),
}


@pytest.fixture(scope="module", params=["USD", "JPY", "KWD"])
def world(request: pytest.FixtureRequest) -> World:
    shop = generate_shop(500, seed=11, merchant=ShopMerchant(currency=request.param))
    shop.advance(shop.now + 90 * 86_400_000)
    return shop


def shown(world: World, order_id: str, shapes: Shapes) -> MappedOrder | None:
    """The order as mapped from what Clover would show now; None where a charge of it is gone."""
    charges = [world.charges.by_id.get(charge) for charge in world.charge_ids(order_id)]
    if None in charges:
        return None
    refunds = [world.refunds.by_id[refund] for refund in world.refund_ids(order_id)]
    group, broken = parse_group(
        order_json(world.order(order_id), shapes),
        [charge_json(charge, shapes) for charge in charges if charge is not None],
        [refund_json(refund, shapes) for refund in refunds],
    )
    assert not broken
    return map_order(group, MERCHANT, previous=None, run_start=RUN_START)


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_every_order_says_what_the_books_say(world: World, shapes: Shapes) -> None:
    compared = 0
    books: list[OrderBook] = [book for book in world.books.orders() if book.order_id in world.orders.by_id]
    for book in books:
        mapped = shown(world, book.order_id, shapes)
        if mapped is None:
            continue
        assert (mapped.order is not None) == book.published, mapped
        if mapped.order is None:
            continue
        compared += 1
        places = exponent(book.currency)
        order = mapped.order
        said = [
            to_minor(amount, places)
            for amount in (order.total_amount, order.total_refund, order.total_gratuity)
        ]
        assert said == [book.total_amount_minor, book.total_refund_minor, book.gratuity_kept], book
        if not book.ambiguous and not book.estimated:
            said = [to_minor(amount, places) for amount in (order.total_tax_amount, order.total_discount)]
            assert said == [book.tax_net, book.discount_net], book
    assert compared > 400
