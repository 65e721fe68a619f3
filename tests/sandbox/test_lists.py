"""Lists: newest first, cursors of both kinds, filters, envelopes, and what Clover refuses."""

from dataclasses import replace

import pytest

from connector.sandbox import PLAIN, Shapes, World

DAY = 86_400_000


@pytest.fixture
def shop(t) -> World:
    """Thirty orders, one a second."""
    world = World(seed=5)
    for number in range(30):
        world.sell(t + number * 1000)
    return world


def walk(caller, path: str, **params: object) -> list[str]:
    """Every id of a list, read as a careful client does."""
    seen: dict[str, None] = {}
    cursor: dict[str, object] = {}
    while True:
        page = caller.json(path, **params, **cursor)
        rows = page if isinstance(page, list) else page["data"]
        rows = rows["elements"] if isinstance(rows, dict) else rows
        fresh = [row["id"] for row in rows if row["id"] not in seen]
        seen.update(dict.fromkeys(fresh))
        full = len(rows) >= int(params.get("limit", 10))
        more = page.get("has_more", full) if isinstance(page, dict) else full
        if not fresh or not more:
            return list(seen)
        cursor = {"starting_after": rows[-1]["id"]}


def test_newest_come_first_ten_a_page(serve, shop):
    caller = serve(shop)
    page = caller.json("/v1/charges")
    assert (page["object"], page["url"], page["has_more"]) == ("list", "/v1/charges", True)
    created = [row["created"] for row in page["data"]]
    assert created == sorted(created, reverse=True)
    assert len(created) == 10


def test_the_cursor_row_is_repeated_or_not(serve, shop):
    caller = serve(shop)
    first = caller.ids("/v1/orders", limit=5)
    assert first[-1] not in caller.ids("/v1/orders", limit=5, starting_after=first[-1])
    caller.sandbox.shapes = replace(PLAIN, cursor="inclusive")
    assert caller.ids("/v1/orders", limit=5, starting_after=first[-1])[0] == first[-1]


def test_ending_before_goes_back_towards_the_newer(serve, shop):
    caller = serve(shop)
    ids = caller.ids("/v1/orders", limit=100)
    assert caller.ids("/v1/orders", limit=5, ending_before=ids[10]) == ids[5:10]


@pytest.mark.parametrize("cursor", ["inclusive", "exclusive"])
@pytest.mark.parametrize("has_more", ["present", "missing", "sometimes", "overlong"])
@pytest.mark.parametrize("envelope", ["data", "elements", "bare"])
def test_whatever_its_shape_a_list_can_be_read_to_its_end(serve, shop, cursor, has_more, envelope):
    shapes = replace(PLAIN, cursor=cursor, has_more=has_more, envelope=envelope, listing="nearly")
    caller = serve(shop, shapes=shapes)
    for limit in (3, 7, 30, 100):
        assert sorted(walk(caller, "/v1/orders", limit=limit)) == sorted(shop.orders.by_id)


def test_has_more_is_sometimes_missing_by_default_and_overlong_on_request(serve, shop, t):
    caller = serve(shop, shapes=Shapes())
    said = {
        "has_more" in caller.json("/v1/charges", limit=2, created__lt=t + at * 1000) for at in range(2, 30)
    }
    assert said == {True, False}
    caller.sandbox.shapes = replace(PLAIN, has_more="overlong")
    ids = caller.ids("/v1/orders", limit=30)
    assert caller.json("/v1/orders", limit=30)["has_more"] is True
    last = caller.json("/v1/orders", limit=30, starting_after=ids[-1])
    assert (last["data"], last["has_more"]) == ([], False)


@pytest.mark.parametrize(
    ("operator", "expected"), [("gt", 19), ("gte", 20), ("lt", 10), ("lte", 11), ("", 1)]
)
def test_filters_on_created_are_dotted_and_exact(serve, shop, t, operator, expected):
    name = f"created__{operator}" if operator else "created"
    for shapes in (PLAIN, replace(PLAIN, listing="nearly")):
        caller = serve(shop, shapes=shapes)
        assert len(caller.ids("/v1/charges", limit=100, **{name: t + 10_000})) == expected


def test_brackets_are_overlooked(serve, shop, t):
    assert len(serve(shop).ids("/v1/charges", limit=100, **{"created[gte]": t + 10_000})) == 30


def test_a_date_may_be_written_out(serve, shop):
    assert len(serve(shop).ids("/v1/charges", limit=100, created__gte="2026-10-05 14:00:20")) == 10


def test_some_rows_stand_out_of_order_by_default(serve, t):
    world = World(seed=5)
    for number in range(100):
        world.sell(t + number * 1000)
    rows = serve(world, shapes=Shapes(has_more="present")).json("/v1/charges", limit=100)["data"]
    created = [int(row["created"]) for row in rows]
    assert created != sorted(created, reverse=True)
    assert sorted(created) == [t + number * 1000 for number in range(100)]


def test_lists_filter_by_customer_charge_and_ids(serve, world, t):
    customer = world.add_customer(t, "Ines", "Moreau")
    mine, other = world.sell(t, customer=customer), world.sell(t)
    refund = world.refund(t + 1000, mine, 100)
    world.refund(t + 1000, other, 100)
    caller = serve(world)
    assert caller.ids("/v1/orders", customer=customer) == [mine]
    assert caller.ids("/v1/charges", customer=customer) == world.charge_ids(mine)
    assert caller.ids("/v1/refunds", charge=world.charge_ids(mine)[0]) == [refund]
    assert caller.ids("/v1/refunds", charge="NOSUCHCHARGE1") == []
    assert set(caller.ids("/v1/orders", ids=f"{mine},{other}")) == {mine, other}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", ""])
def test_a_limit_outside_one_to_a_hundred_is_refused(serve, world, limit):
    answer = serve(world).get("/v1/charges", limit=limit)
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "400 Bad Request",
        "error": {"code": "processing_error", "message": "Limit must be between 1 and 100."},
    }


@pytest.mark.parametrize(
    "params", [{"created.gte": "yesterday"}, {"created.near": "1"}, {"starting_after": "NOSUCHRECORD1"}]
)
def test_malformed_filters_and_unknown_cursors_are_refused(serve, world, params):
    answer = serve(world).http.get("/v1/charges", params=params)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_cursor_on_a_deleted_order_is_unknown_or_starts_again(serve, shop, t):
    caller = serve(shop)
    gone = caller.ids("/v1/orders")[4]
    shop.delete_order(t + DAY, gone)
    assert caller.get("/v1/orders", starting_after=gone).status_code == 404
    caller.sandbox.shapes = replace(PLAIN, unknown_cursor=400)
    assert caller.get("/v1/orders", starting_after=gone).status_code == 400
    caller.sandbox.shapes = replace(PLAIN, unknown_cursor="restart")
    assert caller.ids("/v1/orders", starting_after=gone) == caller.ids("/v1/orders")


def test_a_window_of_more_than_ninety_days_is_refused_or_silently_shortened(serve, world, t):
    world.sell(t - 100 * DAY)
    recent = world.sell(t)
    caller = serve(world, shapes=replace(PLAIN, window_limit="refuse"))
    assert caller.get("/v1/orders").status_code == 400
    assert caller.ids("/v1/orders", created__gte=t - 89 * DAY, created__lt=t + 1) == [recent]
    caller.sandbox.shapes = replace(PLAIN, window_limit="shorten")
    assert caller.ids("/v1/orders", created__gte=t - 200 * DAY, created__lt=t + 1) == [recent]


def test_a_lagging_record_is_readable_before_it_is_listed(serve, world, t):
    order = world.sell(t)
    caller = serve(world, shapes=replace(PLAIN, visibility_lag_seconds=60))
    assert caller.ids("/v1/orders") == []
    assert caller.json(f"/v1/orders/{order}")["id"] == order
    world.advance(t + 60_000)
    assert caller.ids("/v1/orders") == [order]


def test_orders_and_refunds_can_happen_between_two_pages(serve, shop, t):
    """New rows appear above the cursor and never shift the rows below it."""
    caller = serve(shop)
    before = set(shop.orders.by_id)
    caller.sandbox.faults.before_each(
        lambda request: shop.refund(t + DAY + request.number, shop.sell(t + DAY + request.number))
    )
    assert before <= set(walk(caller, "/v1/orders", limit=5))


def test_a_changed_record_is_not_served_from_before(serve, shop, t):
    caller = serve(shop)
    order = caller.ids("/v1/orders")[0]
    shop.refund(t + DAY, order, 100)
    assert caller.json("/v1/orders")["data"][0]["amount_returned"] == 100
