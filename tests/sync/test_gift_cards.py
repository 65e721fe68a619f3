"""Gift cards sold, as a whole sync sees them: a liability where the platform tells, by the day and by the journal."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from timeline_stories import OPENED

from connector.sandbox import faults
from connector.sandbox.model import Item
from connector.sandbox.shapes import PLAIN


def ask_the_platform(shop, platform):
    [company] = shop.config.companies
    connection = company.connections[0].model_copy(update={"platform": platform})
    company = company.model_copy(update={"connections": [connection]})
    shop.config = shop.config.model_copy(update={"companies": [company]})


def sold(shop):
    """(gross sales, gift cards sold, receivable) of all days."""
    return shop.rows("SELECT sum(gross_sales), sum(gift_cards_sold), sum(receivable) FROM daily_sales")


@pytest.fixture
def cards(bench):
    """A card of 50.00 beside goods of 9.00, and one of 25.00 alone."""

    def open_shop(platform):
        shop = bench(shapes=PLAIN, platform=platform)
        card = Item("Gift card", 5000, is_revenue=False)
        shop.mixed = shop.world.sell(OPENED, [card, ("Cup", 900)])
        shop.alone = shop.world.sell(
            OPENED + timedelta(hours=1), [Item("Gift card, small", 2500, is_revenue=False)]
        )
        return shop

    return open_shop


def test_gift_cards_are_no_sale_where_the_platform_tells(cards):
    shop = cards("auto")
    shop.sync(at=OPENED + timedelta(days=1))
    assert sold(shop) == [(Decimal(9), Decimal(75), Decimal(0))]
    assert shop.rows("SELECT product_name, kind FROM order_line_items ORDER BY 1") == [
        ("Cup", "goods"), ("Gift card", "gift_card"), ("Gift card, small", "gift_card"),
    ]  # fmt: skip
    assert shop.rows("SELECT name, is_gift_card FROM products ORDER BY 1") == [
        ("Cup", False), ("Gift card", True), ("Gift card, small", True),
    ]  # fmt: skip
    shop.world.refund(OPENED + timedelta(days=1), shop.alone)
    shop.sync(at=OPENED + timedelta(days=2))
    assert sold(shop) == [(Decimal(9), Decimal(50), Decimal(0))]
    assert shop.rows('SELECT sum("returns") FROM daily_sales') == [(Decimal(0),)]
    shop.check()


def test_they_are_learned_of_when_the_platform_is_asked_for_the_first_time(cards):
    """What was told before stays what was told; the difference is a restatement."""
    shop = cards("off")
    shop.sync(at=OPENED + timedelta(days=1))
    assert sold(shop) == [(Decimal(84), Decimal(0), Decimal(0))]
    ask_the_platform(shop, "auto")
    shop.sync(at=OPENED + timedelta(days=1, hours=1))
    assert sold(shop) == [(Decimal(9), Decimal(75), Decimal(0))]
    restated = "FROM restatement(1, now()) WHERE figure IN ('net_sales', 'gift_cards_sold')"
    assert shop.rows(f"SELECT figure, difference {restated} ORDER BY 1") == [
        ("gift_cards_sold", Decimal(75)),
        ("net_sales", Decimal(-75)),
    ]
    before = shop.orders()
    requests = shop.sync(at=OPENED + timedelta(days=1, hours=2)).requests
    assert requests <= 12, "what is known is not asked for again"
    assert shop.orders() == before


def test_a_card_stays_one_when_the_platform_is_silent(cards):
    shop = cards("auto")
    shop.sync(at=OPENED + timedelta(days=1))
    shop.world.refund(OPENED + timedelta(days=1), shop.mixed, items=[1])
    shop.sandbox.faults.always(faults.error(403), path="/v3/merchants/*/orders*")
    shop.sync(at=OPENED + timedelta(days=2))
    assert sold(shop) == [(Decimal(9), Decimal(75), Decimal(0))]
    assert shop.rows('SELECT sum("returns") FROM daily_sales') == [(Decimal(9),)]
    ask_the_platform(shop, "off")
    shop.world.refund(OPENED + timedelta(days=2), shop.mixed)
    shop.sync(at=OPENED + timedelta(days=3))
    assert sold(shop) == [(Decimal(9), Decimal(25), Decimal(0))]
    shop.check()


def test_a_page_by_hand(bench):
    """Two cards and goods are sold in October; one card comes back in November, where another is redeemed.

    The whole book, worked by hand, as it stands in the guide for analysts.
    """
    shop = bench(shapes=PLAIN, platform="auto")
    sell, world = shop.world.sell, shop.world

    def at(month, day):
        return datetime(2026, month, day, 16, tzinfo=UTC)

    apron = Item("Apron", 2000, rate=800_000)
    sell(at(10, 30), [Item("Gift card 50", 5000, is_revenue=False), apron])  # and 1.60 tax
    small = sell(at(10, 31), [Item("Gift card 25", 2500, is_revenue=False)])
    sell(at(11, 3), [("Teapot", 4900)], tender="giftCard")
    world.refund(at(11, 6), small)
    shop.sync(at=at(11, 7))
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    columns = (
        'gross_sales, "returns", net_sales, tax, total_sales, gift_cards_sold, amount_collected, receivable'
    )
    assert figures(shop, f"SELECT month, {columns} FROM monthly_sales ORDER BY 1") == [
        (october, "20.00", "0.00", "20.00", "1.60", "21.60", "75.00", "96.60", "0.00"),
        (november, "49.00", "0.00", "49.00", "0.00", "49.00", "-25.00", "24.00", "0.00"),
    ]
    assert figures(shop, f"SELECT month, {columns} FROM monthly_sales_by_order_date ORDER BY 1") == [
        (october, "20.00", "0.00", "20.00", "1.60", "21.60", "50.00", "71.60", "0.00"),
        (november, "49.00", "0.00", "49.00", "0.00", "49.00", "0.00", "49.00", "0.00"),
    ]
    book = "sum(debit), sum(credit) FROM journal_entries GROUP BY ALL ORDER BY 1, 2"
    assert figures(shop, f"SELECT date_trunc('month', entry_date)::DATE, account, {book}") == [
        (october, "Accounts receivable", "96.60", "96.60"),
        (october, "Gift cards sold", "0.00", "75.00"),
        (october, "Processor clearing: OnlineCard", "96.60", "0.00"),
        (october, "Sales", "0.00", "20.00"),
        (october, "Sales tax payable", "0.00", "1.60"),
        (november, "Accounts receivable", "49.00", "49.00"),
        (november, "Gift cards redeemed", "49.00", "0.00"),
        (november, "Gift cards sold", "25.00", "0.00"),
        (november, "Processor clearing: OnlineCard", "0.00", "25.00"),
        (november, "Sales", "0.00", "49.00"),
    ]
    assert figures(shop, "SELECT product_name, net_sales FROM product_sales ORDER BY 1") == [
        ("Apron", "20.00"),
        ("Teapot", "49.00"),
    ]
    assert figures(shop, "SELECT total_amount FROM orders ORDER BY created_date") == [
        ("71.60",),
        ("0.00",),
        ("49.00",),
    ], "Codat's total of an order is what was ordered"


def figures(shop, sql):
    return [
        tuple(f"{value:.2f}" if isinstance(value, Decimal) else value for value in row)
        for row in shop.rows(sql)
    ]
