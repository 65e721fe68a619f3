"""The platform's REST v3: the merchant, changed orders, line items, payments, refunds, customers."""

import pytest

from connector.sandbox import World

DAY = 86_400_000
HOUR = 3_600_000
BASE = "/v3/merchants/MHT4QK2Z9WX61"


def test_the_merchant_tells_country_currency_and_time_zone(serve, world):
    caller = serve(world)
    bare = caller.json(BASE)
    assert (bare["name"], bare["defaultCurrency"]) == ("Quay Street Goods", None)
    assert set(bare["address"]) == set(bare["properties"]) == {"href"}
    full = caller.json(BASE, expand="address,properties")
    assert full["address"] == caller.json(f"{BASE}/address")
    assert full["address"]["country"] == "US"
    assert full["properties"] == caller.json(f"{BASE}/properties")
    assert full["properties"]["timezone"] == "America/New_York"


def test_changed_orders_are_found_by_modified_time(serve, world, t):
    old, untouched = world.sell(t), world.sell(t)
    world.refund(t + DAY, old, 100)
    filters = [f"modifiedTime>={t + HOUR}", f"modifiedTime<={t + 2 * DAY}"]
    rows = serve(world).http.get(f"{BASE}/orders", params={"filter": filters}).json()["elements"]
    assert [(row["id"], row["paymentState"], row["createdTime"]) for row in rows] == [
        (old, "PARTIALLY_REFUNDED", t)
    ]
    assert untouched not in {row["id"] for row in rows}


def test_two_of_a_thing_are_two_lines_and_shipping_is_another(serve, world, t):
    items = [("Linen apron", 1500, 2), ("Walnut board", 2200)]
    order = world.sell(t, items, discount=("AUTUMN10", 520), shipping=795, tax_rate=825_000, tip=100)
    caller = serve(world)
    row = caller.json(f"{BASE}/orders/{order}", expand="lineItems,payments,discounts")
    lines = row["lineItems"]["elements"]
    assert [line["price"] for line in lines] == [1500, 1500, 2200, 795]
    assert len({line["id"] for line in lines}) == 4
    assert row["discounts"]["elements"][0]["amount"] == -520
    payment = row["payments"]["elements"][0]
    assert (payment["amount"], payment["tipAmount"], payment["taxAmount"]) == (5861, 100, 386)
    assert (row["total"], payment["result"]) == (5861, "SUCCESS")
    assert caller.json(f"{BASE}/orders/{order}/line_items")["elements"] == lines


def test_nested_lists_end_at_a_hundred_and_go_on_by_themselves(serve, world, t):
    order = world.sell(t, [("Bead", 10, 130)])
    caller = serve(world)
    nested = caller.json(f"{BASE}/orders/{order}", expand="lineItems")["lineItems"]["elements"]
    rest = caller.json(f"{BASE}/orders/{order}/line_items", offset=100, limit=1000)["elements"]
    assert (len(nested), len(rest)) == (100, 30)


def test_payment_results_tell_what_captured_does_not(serve, world, t):
    order = world.open_order(t, [("Bench", 10_000)])
    charge = world.authorize(t, order)
    caller = serve(world)
    assert caller.json(f"{BASE}/payments/{charge}")["result"] == "AUTH"
    world.capture(t + HOUR, charge, 9800)
    payment = caller.json(f"{BASE}/payments/{charge}")
    assert (payment["result"], payment["amount"]) == ("AUTH_COMPLETED", 9800)


def test_refunds_name_their_order_tip_and_lines(serve, world, t):
    order = world.sell(t, [("Teapot", 1100), ("Strainer", 650)], tip=200)
    world.refund(t + HOUR, order, items=[1])
    row = serve(world).json(f"{BASE}/refunds")["elements"][0]
    assert (row["orderRef"]["id"], row["amount"], row["tipAmount"]) == (order, 850, 200)
    assert len(row["lineItems"]["elements"]) == 1


def test_customers_are_read_and_seen_to_change(serve, world, t):
    customer = world.add_customer(t, "Ines", "Moreau")
    caller = serve(world)
    world.change_customer(t + HOUR, customer, email="ines@example.com")
    row = caller.json(f"{BASE}/customers/{customer}", expand="emailAddresses,phoneNumbers")
    assert (row["firstName"], row["customerSince"]) == ("Ines", t)
    assert row["emailAddresses"]["elements"][0]["emailAddress"] == "ines@example.com"
    assert len(caller.json(f"{BASE}/customers")["elements"]) == 1


def test_pages_are_cut_by_limit_and_offset(serve, t):
    world = World()
    for number in range(25):
        world.sell(t + number * 1000)
    caller = serve(world)
    pages = [caller.json(f"{BASE}/orders", limit=10, offset=offset)["elements"] for offset in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert len({row["id"] for page in pages for row in page}) == 25


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"filter": ["createdTime>=0"]}, 400),
        ({"filter": ["colour=red"]}, 400),
        ({"expand": "lineItems,payments,refunds,discounts"}, 400),
        ({"limit": "many"}, 400),
    ],
)
def test_what_the_platform_refuses(serve, world, t, params, status):
    """A window of more than 90 days, an unknown filter, a fourth expansion, a limit in words."""
    world.sell(t)
    answer = serve(world).http.get(f"{BASE}/orders", params=params)
    assert answer.status_code == status
    assert set(answer.json()) == {"message", "details"}


def test_a_token_without_the_platform_or_a_permission_is_turned_away(serve, world):
    caller = serve(world)
    caller.sandbox.access.grant("shop", world, platform=False)
    caller.sandbox.access.grant("less", world, permissions={"READ_MERCHANT"})

    def status(path: str, token: str) -> int:
        return caller.http.get(path, headers={"Authorization": f"Bearer {token}"}).status_code

    assert status(BASE, "shop") == 401
    assert status("/v1/orders", "shop") == 200
    assert status(BASE, "less") == 200
    assert status(f"{BASE}/customers", "less") == 403
    assert caller.get(f"{BASE}/orders/NOSUCHORDER00").json() == {
        "message": "Not Found",
        "details": "Order not found",
    }
