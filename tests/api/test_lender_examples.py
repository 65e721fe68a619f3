"""What lenders compute from Codat's reports, as Codat's guides have it: blind indexes, twelve months, no special case.

Average growth, retention and lifetime value over a year of a synced shop, read by Codat's own client, and each figure
worked out once more from the orders the same client reads.
"""

import base64
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import pytest
from codat_lending import CodatLending
from codat_lending.models import shared

from connector.config import Company, Config, Connection
from connector.control import companies as api_companies
from connector.control import keys as api_keys
from connector.ledger import open_store
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shop import generate_shop
from connector.sync.many import sync_all
from connector.sync.reconcile.run import reconcile_all
from connector.sync.runtime import Runtime

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
CENT = Decimal("0.01")
YEAR = {"report_date": "31-10-2026", "period_length": 1, "number_of_periods": 12, "period_unit": "Month"}
MONTHS = [f"{2025 + (m > 12)}-{(m - 1) % 12 + 1:02d}" for m in range(10, 23)]  # one before the twelve


@pytest.fixture(scope="module")
def lender(tmp_path_factory, builders):
    world = generate_shop(400, 11, NOW.replace(hour=0), days=450)
    with Sandbox(world).start() as sandbox:
        connection = Connection(
            merchant_id=world.merchant.id, merchant_name="Juniper Goods", base_url=sandbox.base_url, country="USA",
            timezone="America/New_York", token=sandbox.token, start_date=date(2025, 8, 1),
        )  # fmt: skip
        fast = {"requests_per_second": 10_000, "app_requests_per_second": 10_000}
        company = Company(name="Juniper Goods", connections=[connection])
        config = Config(store=str(tmp_path_factory.mktemp("store")), companies=[company], limits=fast)
        store = open_store(config.store, clock=lambda: NOW)
        sync_all(Runtime.of(config, store, now=lambda: NOW))
        assert reconcile_all(Runtime.of(config, store, now=lambda: NOW)).exit_code == 0
    with builders.listening(store.directory, clock=lambda: NOW) as (url, state):
        api_companies.take_from_config(state.control, [(company.id, company.name, [connection.id])], now=NOW)
        secret = api_keys.create_key(state.control, "lender", now=NOW, scopes=("read",))[1]
        header = "Basic " + base64.b64encode(secret.encode()).decode()
        here = {"company_id": company.id, "connection_id": connection.id}
        yield CodatLending(security=shared.Security(auth_header=header), server_url=url), here


@pytest.fixture(scope="module")
def months(lender):
    """Month -> its orders."""
    client, here = lender
    found, page = defaultdict(list), 1
    while True:
        got = client.sales.orders.list(request={**here, "page": page, "page_size": 500})
        for order in got.results:
            found[order.created_date[:7]].append(order)
        if got.links.next is None:
            return found
        page += 1


def rounded(value):
    return Decimal(value).quantize(CENT, rounding=ROUND_HALF_UP)


def revenue_of(orders):
    return sum((line.quantity * line.unit_price for o in orders for line in o.order_line_items), Decimal(0))


def customers_of(orders):
    return {o.customer_ref.id for o in orders if o.customer_ref is not None}


def test_the_average_of_twelve_growths(lender, months):
    client, here = lender
    report = client.sales.metrics.get_revenue(request={**here, **YEAR})
    growth = [period.components[1].measures[0].value for period in report.report_data]
    assert len(growth) == 12
    revenues = [revenue_of(months[month]) for month in MONTHS]
    assert min(revenues) > 0
    expected = [rounded((b - a) / a * 100) for a, b in pairwise(revenues)]
    assert [rounded(value) for value in growth] == expected
    assert rounded(sum(growth) / len(growth)) == rounded(sum(expected) / 12)


def test_the_average_retention_rate(lender, months):
    client, here = lender
    report = client.sales.metrics.get_customer_retention(request={**here, **YEAR})
    retention = [period.components[3].measures[0].value for period in report.report_data]
    seen, customers, existing = set(), [], []
    for month in sorted(months):
        here_now = customers_of(months[month])
        if month in MONTHS:
            customers.append(len(here_now))
            existing.append(len(here_now & seen))
        seen |= here_now
    expected = [
        rounded(Decimal(100 * e) / before) for e, before in zip(existing[1:], customers, strict=False)
    ]
    assert [rounded(value) for value in retention] == expected


def test_the_lifetime_value(lender, months):
    client, here = lender
    report = client.sales.metrics.get_lifetime_value(request={**here, **YEAR})
    found = [rounded(period.components[0].measures[0].value) for period in report.report_data]
    expected = []
    for month in MONTHS[1:]:
        orders, days = months[month], Decimal(0)
        by_customer = defaultdict(list)
        for order in orders:
            if order.customer_ref is not None:
                by_customer[order.customer_ref.id].append(datetime.fromisoformat(order.created_date))
        for times in by_customer.values():
            days += Decimal(int((max(times) - min(times)).total_seconds())) / 86400
        people = Decimal(len(by_customer) or 1)
        average = sum(o.total_amount for o in orders) / len(orders)
        expected.append(rounded(average * (len(orders) / people) * (days / people)))
    assert found == expected
    assert any(found)


def test_codats_client_keeps_how_far_the_figures_can_be_relied_on(lender):
    client, here = lender
    info = client.sales.metrics.get_revenue(request={**here, **YEAR}).report_info
    assert info["displayName"] == "Revenue"
    assert (info["complete"], info["unexplained"]) == ("true", "0")
    assert info["reconciledAt"] == info["readUntil"] == "2026-11-22T06:00:00Z"
    assert info["heldBack"].split()[1] == "records,"
