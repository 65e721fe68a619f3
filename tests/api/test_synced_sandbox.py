"""End to end: a shop is synced and served; Codat's clients read it; sums are the shop's books, to the minor unit."""

import base64
import json
import re
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import pytest
from codat_lending import CodatLending
from codat_lending.models import shared as lending_shared
from codat_platform import CodatPlatform
from codat_platform.models import shared as platform_shared

from connector.config import Company, Config, Connection
from connector.control import companies as api_companies
from connector.control import keys as api_keys
from connector.ledger import open_store
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shop import generate_shop
from connector.sync.many import sync_all
from connector.sync.runtime import Runtime

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
LISTS = (
    "orders", "payments", "customers", "products", "locations", "transactions", "payment_methods", "disputes",
    "product_categories",
)  # fmt: skip
MAY_BE_EMPTY = {"disputes", "product_categories", "payment_methods", "paymentMethods", "taxComponents"}
CENT = Decimal("0.01")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")  # milliseconds where Clover's record has them


class Served:
    """A synced shop behind a running server."""

    def __init__(self, url, world, company, control):
        secret = api_keys.create_key(
            control, "e2e", now=NOW, companies=[company.id], scopes=("read", "lineage")
        )[1]
        self.header = "Basic " + base64.b64encode(secret.encode()).decode()
        self.lending = CodatLending(security=lending_shared.Security(auth_header=self.header), server_url=url)
        self.platform = CodatPlatform(
            security=platform_shared.Security(auth_header=self.header), server_url=url
        )
        self.url, self.world = url, world
        self.here = {"company_id": company.id, "connection_id": company.connections[0].id}
        self.data = f"/companies/{company.id}/connections/{company.connections[0].id}/data"

    def raw(self, path, **params):
        answer = httpx.get(self.url + path, params=params, headers={"Authorization": self.header})
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def all(self, group, **ask):
        methods = getattr(self.lending.sales, group)
        rows, page = [], 1
        while True:
            found = methods.list(request={**self.here, "page": page, "page_size": 100, **ask})
            rows += found.results
            if found.links.next is None:
                assert len(rows) == found.total_results
                return rows
            page += 1


@pytest.fixture(scope="module")
def served(tmp_path_factory, builders):
    world = generate_shop(250, 7, NOW.replace(hour=0), days=90)
    with Sandbox(world).start() as sandbox:
        connection = Connection(
            merchant_id=world.merchant.id, merchant_name="Juniper Goods", base_url=sandbox.base_url, country="USA",
            timezone="America/New_York", token=sandbox.token, start_date=date(2026, 8, 1),
        )  # fmt: skip
        fast = {"requests_per_second": 10_000, "app_requests_per_second": 10_000}
        company = Company(name="Juniper Goods", connections=[connection])
        config = Config(store=str(tmp_path_factory.mktemp("store")), companies=[company], limits=fast)
        store = open_store(config.store, clock=lambda: NOW)
        sync_all(Runtime.of(config, store, now=lambda: NOW))
    with builders.listening(store.directory, clock=lambda: NOW) as (url, state):
        api_companies.take_from_config(state.control, [(company.id, company.name, [connection.id])], now=NOW)
        yield Served(url, world, company, state.control)


def test_sums_through_the_client_are_the_shops_books(served):
    [(currency, books)] = served.world.books.totals().items()
    orders = served.all("orders")
    assert {order.currency for order in orders} == {currency}
    minor = {
        "orders": len(orders),
        "total_amount_minor": sum(o.total_amount for o in orders) * 100,
        "total_refund_minor": sum(o.total_refund for o in orders) * 100,
        "gratuity_kept": sum(o.total_gratuity for o in orders) * 100,
        "money": sum(p.amount for o in orders for p in o.payments if p.status.value == "Paid") * 100,
    }
    assert minor == {
        "orders": books.orders,
        "total_amount_minor": books.total_amount_minor,
        "total_refund_minor": books.total_refund_minor,
        "gratuity_kept": books.gratuity_kept,
        "money": books.captured_minor - books.refunded_minor,
    }


@pytest.mark.parametrize("group", LISTS)
def test_every_list_and_get_of_the_synced_shop_is_read_by_codats_client(served, group):
    rows = served.all(group)
    singular = {"product_categories": "product_id"}.get(group, group.removesuffix("s") + "_id")
    methods = getattr(served.lending.sales, group)
    for row in rows[:: max(1, len(rows) // 20)]:
        assert methods.get(request={**served.here, singular: row.id}) == row
    assert rows or group in MAY_BE_EMPTY


def test_company_connection_status_and_info(served):
    [company] = served.platform.companies.list(request={}).results
    assert company.data_connections[0].status.value == "Linked"
    assert company.last_sync == "2026-11-22T06:00:00Z"
    status = served.platform.refresh_data.get(request={"company_id": company.id})
    assert status.commerce_orders.current_status.value == "Complete"
    info = served.lending.company_info.get_commerce_profile(request=served.here)
    assert info.company_name == "Juniper Goods"


def test_filters_and_orders_through_the_client_select_what_the_whole_list_says(served):
    orders = {o.id: o for o in served.all("orders")}
    refunded = served.all("orders", query="totalRefund<0", order_by="-sourceModifiedDate")
    assert {o.id for o in refunded} == {i for i, o in orders.items() if o.total_refund < 0}
    dates = [o.source_modified_date for o in refunded]
    assert dates == sorted(dates, reverse=True)
    since = sorted(o.source_modified_date for o in orders.values())[len(orders) // 2]
    recent = served.all("orders", query=f"sourceModifiedDate>={since} && customerRef.id!=nobody")
    assert {o.id for o in recent} == {i for i, o in orders.items() if o.source_modified_date >= since}


def test_metrics_agree_with_the_orders_the_client_reads(served):
    period = {"report_date": "15-10-2026", "period_length": 1, "number_of_periods": 1, "period_unit": "Month"}
    request = {**served.here, **period}
    october = [o for o in served.all("orders") if o.created_date.startswith("2026-10")]
    [report] = served.lending.sales.reports.get_orders(request=request).report_data
    values = [component.measures[0].value for component in report.components]
    assert Decimal(str(values[0])) == len(october)
    assert Decimal(str(values[1])) == sum(o.total_amount for o in october)


# On the wire ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orders(served):
    return served.raw(f"{served.data}/commerce-orders", pageSize=5000)["results"]


def test_orders_keep_codats_arithmetic(orders):
    """Totals are the sums of lines and charges; refunds are lines of negative quantity; no more than a cent a line."""
    for order in orders:
        lines, charges = order["orderLineItems"], order["serviceCharges"]
        slack = CENT * (len(lines) + len(charges))

        def total(items, name="totalAmount"):
            return sum((Decimal(item[name]) for item in items), Decimal(0))

        discounts = [d for line in lines for d in line["discountAllocations"]]
        assert abs(order["totalAmount"] - total(lines) - total(charges)) <= slack, order["id"]
        assert (
            abs(order["totalTaxAmount"] - total(lines, "totalTaxAmount") - total(charges, "taxAmount"))
            <= slack
        )
        assert abs(order["totalDiscount"] - total(discounts)) <= slack
        back = [line for line in lines if line["quantity"] < 0]
        assert order["totalRefund"] == total(back)
        assert order["totalRefund"] <= 0 <= order["totalGratuity"]
        for line in lines:
            off = total(line["discountAllocations"])
            made = line["quantity"] * line["unitPrice"] - off + line["totalTaxAmount"]
            assert abs(line["totalAmount"] - made) <= CENT, (order["id"], line["id"])
            assert line["unitPrice"] >= 0
            assert line["quantity"] > 0 or (line["totalAmount"] <= 0 and line["totalTaxAmount"] <= 0)
        assert all(payment["currency"] == order["currency"] for payment in order["payments"])


def test_payments_inside_orders_are_the_payment_records(served, orders):
    records = {
        row["id"]: row for row in served.raw(f"{served.data}/commerce-payments", pageSize=5000)["results"]
    }
    inline = {payment["id"]: payment for order in orders for payment in order["payments"]}
    assert inline == records
    assert all("type" in row for row in records.values())


@pytest.mark.parametrize(
    "data_type",
    [
        "orders",
        "payments",
        "customers",
        "products",
        "locations",
        "transactions",
        "paymentMethods",
        "taxComponents",
    ],
)
def test_values_travel_as_codats_clients_want_them(served, data_type):
    """Ids are text, amounts numbers without exponent, dates UTC, no null, no empty reference, no sentinel date."""
    answer = httpx.get(
        f"{served.url}{served.data}/commerce-{data_type}",
        params={"pageSize": 5000},
        headers={"Authorization": served.header},
    )
    assert not re.search(r"[:\[,]-?\d[\d.]*[eE]", re.sub(r'"(?:[^"\\]|\\.)*"', '""', answer.text))
    kinds = defaultdict(set)

    def walk(value, name):
        if isinstance(value, dict):
            assert value or name == "sourceUrls", name
            for key, member in value.items():
                walk(member, key)
            if name.endswith("Ref"):
                assert value["id"]
        elif isinstance(value, list):
            for member in value:
                walk(member, name + "[]")
        else:
            assert value is not None, name
            kinds[name].add(type(value).__name__)
            if name.endswith("Date"):
                assert DATE.fullmatch(value), (name, value)
                assert not value.startswith("0001")
            if name == "id":
                assert isinstance(value, str)
                assert value

    rows = answer.json()["results"]
    assert rows or data_type in MAY_BE_EMPTY
    for row in rows:
        walk(row, "row")
    amounts = {n for n in kinds if n.endswith(("Amount", "amount", "Price", "rate", "quantity"))}
    assert all(kinds[name] <= {"int", "float"} for name in amounts)


def test_every_member_that_is_served_can_be_asked_for(served):
    """Whatever an answer shows outside a list is a property of the query language, with the value it shows."""

    def members(row, path=""):
        for name, value in row.items():
            if isinstance(value, dict):
                yield from members(value, f"{path}{name}.")
            elif not isinstance(value, list):
                yield f"{path}{name}", value

    company = served.here["company_id"]
    paths = {
        f"{served.data}/commerce-{kind}": kind
        for kind in (
            "orders", "payments", "customers", "products", "locations", "transactions", "paymentMethods",
            "taxComponents",
        )
    }  # fmt: skip
    paths |= {
        "/companies": "",
        f"/companies/{company}/connections": "",
        f"/companies/{company}/data/history": "",
    }
    asked = set()
    for path in paths:
        rows = served.raw(path, pageSize=40)["results"]
        found = {}
        for row in rows:
            # Tags and supplemental data are free text of others, not members of Codat's models.
            own = {k: v for k, v in row.items() if k not in ("supplementalData", "tags")}
            found |= dict(members(own))
        for name, value in found.items():
            words = str(value).lower() if isinstance(value, bool) else str(value)
            if any(mark in words for mark in ("&&", "||", "{", "}")) or not words.strip():
                continue
            assert served.raw(path, query=f"{name}={words}")["totalResults"] > 0, (path, name, words)
            asked.add(name)
    assert {"isCompleted", "totalAmount", "address.country", "linkUrl"} <= asked


def test_every_tax_carries_its_amount_under_both_names(orders):
    taxes = [
        t for o in orders for line in (*o["orderLineItems"], *o["serviceCharges"]) for t in line["taxes"]
    ]
    assert taxes
    assert all(
        tax["rate"] == tax["taxAmount"] and tax["taxComponentRef"].keys() >= {"id", "name"} for tax in taxes
    )


def test_lineage_leads_from_an_order_to_clovers_records_and_its_totals_agree(served, orders):
    refunded = [o for o in orders if o["totalRefund"] < 0][:5]
    for order in refunded:
        lineage = served.raw(f"{served.data}/commerce-orders/{order['id']}/lineage")
        kinds = {source["kind"] for source in lineage["sources"]}
        assert "charge" in kinds
        assert all(total["agrees"] for total in lineage["totals"] if total["field"] != "totalGratuity")
        text = json.dumps([source["record"] for source in lineage["sources"]], default=str)
        assert "@" not in text
