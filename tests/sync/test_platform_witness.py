"""The platform as a second witness: who the merchant and the customers are, and nothing lost where it is silent."""

import json
from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from timeline_stories import OPENED

from connector.sandbox import faults
from connector.sandbox.access import PERMISSIONS
from connector.sandbox.shapes import PLAIN

CUSTOMERS = "/v3/merchants/*/customers"


@pytest.fixture
def shop(bench):
    """A merchant who left name, country and currency out of the configuration, with one customer."""
    shop = bench(shapes=PLAIN, platform="auto")
    leave_out(shop)
    shop.ines = shop.world.add_customer(OPENED - timedelta(days=30), "Ines", "Moreau")
    for number in range(3):
        shop.world.sell(OPENED + timedelta(hours=number), [("Teapot", 4900 + number)], customer=shop.ines)
    return shop


def leave_out(shop):
    connection = shop.company.connections[0]
    plain = {
        name: getattr(connection, name)
        for name in connection.model_fields_set - {"merchant_name", "currency"}
    } | {"country": "XXX", "token": connection.token}
    company = type(shop.company)(name="A Company Ltd", connections=[type(connection)(**plain)])
    shop.config = shop.config.model_copy(update={"companies": [company]})


def documents(shop, data_type):
    rows = shop.rows(
        "SELECT doc FROM ledger.record_versions WHERE data_type = ? AND replaced_by IS NULL ORDER BY record_id",
        data_type,
    )
    return [json.loads(doc) for (doc,) in rows]


def versions(shop, data_type):
    return shop.rows("SELECT count(*) FROM ledger.record_versions WHERE data_type = ?", data_type)[0][0]


def test_what_the_configuration_leaves_out_is_the_platforms_word(shop):
    assert shop.sync(at=OPENED + timedelta(days=1)).status == "succeeded"
    merchant = shop.world.merchant
    [location], [info] = documents(shop, "locations"), documents(shop, "companyInfo")
    assert location["name"] == info["companyName"] == merchant.name
    assert location["address"]["country"] == "USA"
    assert info["baseCurrency"] == "USD"
    assert shop.rows("SELECT merchant_name, country, currency FROM connections") == [
        (merchant.name, "USA", "USD")
    ]
    assert shop.rows("SELECT DISTINCT country, location_name FROM orders") == [("USA", merchant.name)]


def test_what_the_configuration_says_wins(bench):
    shop = bench(platform="auto")
    shop.world.sell(OPENED, [("Teapot", 4900)])
    shop.sync(at=OPENED + timedelta(days=1))
    assert documents(shop, "locations")[0]["name"] == "Juniper Goods" != shop.world.merchant.name


@pytest.mark.parametrize("fault", [faults.error(403), faults.error(404), faults.error(500), faults.html()])
def test_a_run_to_which_the_platform_does_not_answer_keeps_what_was_known(shop, fault):
    shop.sync(at=OPENED + timedelta(days=1))
    before = [documents(shop, kind) for kind in ("locations", "companyInfo", "customers")]
    shop.world.sell(OPENED + timedelta(days=1), [("Cup", 900)], customer=shop.ines)
    shop.sandbox.faults.always(fault, path="/v3/*")
    assert shop.sync(at=OPENED + timedelta(days=2)).status == "succeeded"
    assert [documents(shop, kind) for kind in ("locations", "companyInfo", "customers")] == before
    assert shop.rows("SELECT DISTINCT country FROM orders") == [("USA",)]
    shop.check()


def test_customers_are_filled_in_under_the_ids_that_orders_name(shop):
    shop.world.add_customer(OPENED, "Never", "Ordered")
    shop.sync(at=OPENED + timedelta(days=1))
    [customer] = documents(shop, "customers")
    assert customer["id"] == shop.ines
    assert (customer["customerName"], customer["phone"]) == ("Ines Moreau", "6175550147")
    assert customer["emailAddress"] == "ines.moreau@example.com"
    assert customer["createdDate"].startswith(f"{OPENED - timedelta(days=30):%Y-%m-%d}")


def test_a_customer_that_changed_is_seen_at_night_and_by_the_next_order_and_dated_by_the_run(shop):
    shop.sync(at=OPENED + timedelta(days=1))
    shop.world.change_customer(OPENED + timedelta(days=1), shop.ines, email="new@example.com")
    at_night = OPENED + timedelta(days=2, hours=1)
    shop.sync(at=at_night)
    [customer] = documents(shop, "customers")
    assert customer["emailAddress"] == "new@example.com"
    assert customer["sourceModifiedDate"] == f"{at_night:%Y-%m-%dT%H:%M:%SZ}"
    shop.world.change_customer(at_night, shop.ines, last_name="Moreau-Lind")
    shop.world.sell(at_night + timedelta(minutes=5), [("Cup", 900)], customer=shop.ines)
    shop.sync(at=at_night + timedelta(hours=1))
    assert documents(shop, "customers")[0]["customerName"] == "Ines Moreau-Lind"


def test_nothing_new_makes_no_version_and_few_requests(shop):
    shop.sync(at=OPENED + timedelta(days=1))
    before = versions(shop, "customers"), versions(shop, "locations"), versions(shop, "companyInfo")
    assert shop.sync(at=OPENED + timedelta(days=3)).requests <= 15, "a nightly scan, and all customers"
    assert shop.sync(at=OPENED + timedelta(days=3, hours=1)).requests <= 10, "a quiet merchant"
    assert (versions(shop, "customers"), versions(shop, "locations"), versions(shop, "companyInfo")) == before


def test_many_customers_are_read_in_one_list_and_few_one_by_one(shop):
    shop.sync(at=OPENED + timedelta(days=1))
    people = [shop.world.add_customer(OPENED, "Guest", str(number)) for number in range(30)]
    for number, person in enumerate(people):
        shop.world.sell(OPENED + timedelta(days=1, minutes=number), [("Cup", 900)], customer=person)
    shop.sandbox.clear_log()
    shop.sync(at=OPENED + timedelta(days=1, hours=2))
    assert shop.sandbox.requests(f"/v3/merchants/{shop.world.merchant.id}/customers") == 1
    assert len(documents(shop, "customers")) == 31


@pytest.mark.parametrize("missing", ["READ_CUSTOMERS", "READ_MERCHANT", "READ_ORDERS"])
def test_a_missing_permission_is_one_log_line_and_no_error(shop, missing):
    shop.sandbox.access.grant(shop.sandbox.token, shop.world, permissions=PERMISSIONS)
    shop.sync(at=OPENED + timedelta(days=1))
    path = {"READ_CUSTOMERS": f"{CUSTOMERS}*", "READ_MERCHANT": "/v3/merchants/?????????????"}
    shop.sandbox.faults.always(faults.error(403), path=path.get(missing, "/v3/merchants/*/orders"))
    shop.world.sell(OPENED + timedelta(days=1), [("Cup", 900)], customer=shop.ines)
    with capture_logs() as lines:
        assert shop.sync(at=OPENED + timedelta(days=2)).status == "succeeded"
    assert [line["event"] for line in lines].count("platform.not_read") == 1
    shop.check()
