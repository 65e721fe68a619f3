"""Orders that only the platform explains, as a whole sync sees them: collapsed lines, discounts of the whole order."""

import json
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from timeline_stories import OPENED

from connector.sandbox.shapes import PLAIN


class Edited(httpx.BaseTransport):
    """The network, where answers are edited: ``scl`` for Ecommerce orders and charges, ``v3`` for the platform's."""

    def __init__(self, scl, v3):
        self.network, self.scl, self.v3 = httpx.HTTPTransport(), scl, v3

    def handle_request(self, request):
        answer = self.network.handle_request(request)
        answer.read()
        path = request.url.path
        if answer.status_code != 200 or not ("/orders" in path or "/charges" in path):
            return answer
        edit = self.v3 if path.startswith("/v3/") else self.scl
        body = json.loads(answer.content)
        rows = body.get("data", body.get("elements")) if isinstance(body, dict) else body
        for row in rows if isinstance(rows, list) else [body]:
            edit(row)
        return httpx.Response(200, json=body, request=request)


def collapsed(order):
    """Equal lines arrive once, without quantity."""
    if "items" not in order:
        return
    by_name = {item["description"]: item for item in order["items"]}
    order["items"] = [{k: v for k, v in item.items() if k != "quantity"} for item in by_name.values()]


def without_ids(order):
    for line in order.get("lineItems", {}).get("elements", []):
        line.pop("id", None)


def discounted(order):
    without_ids(order)
    order["discounts"] = {"elements": [{"name": "Harvest", "amount": -520}]}


@pytest.fixture
def shop(bench):
    shop = bench(shapes=PLAIN, platform="auto")
    shop.order = shop.world.sell(OPENED, [("Apron", 1500), ("Apron", 1500), ("Board", 2200)])
    return shop


def test_platform_lines_without_ids_do_not_end_the_run(shop):
    shop.transport = Edited(collapsed, without_ids)
    assert shop.sync(at=OPENED + timedelta(days=1)).status == "succeeded"
    lines = shop.rows("SELECT product_name, total_amount FROM order_line_items ORDER BY ALL")
    assert lines == [("Apron", Decimal(15)), ("Apron", Decimal(15)), ("Board", Decimal(22))]
    assert shop.rows("SELECT code FROM open_issues") == []
    before = shop.orders()
    assert shop.sync(at=OPENED + timedelta(days=2), full=True).status == "succeeded"
    assert shop.orders() == before
    shop.check()


def test_a_discount_of_the_whole_order_is_taken_from_the_platform(shop):
    def cheaper(order):
        collapsed(order)
        order["amount"] = 4680
        if "amount_paid" in order:
            order["amount_paid"] = 4680

    shop.transport = Edited(cheaper, discounted)
    assert shop.sync(at=OPENED + timedelta(days=1)).status == "succeeded"
    assert shop.rows("SELECT total_amount, total_discount FROM orders") == [(Decimal("46.8"), Decimal("5.2"))]
    assert shop.rows("SELECT DISTINCT name FROM discount_allocations") == [("Harvest",)]
    assert shop.rows("SELECT count(*) FROM order_line_items WHERE line_id = 'unreconciled'") == [(0,)]
