"""Codat's own clients, codat-platform and codat-lending, against a running server: only the server URL is changed."""

import base64
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from codat_lending import CodatLending
from codat_lending.models import errors as lending_errors
from codat_lending.models import shared as lending_shared
from codat_platform import CodatPlatform
from codat_platform.models import errors as platform_errors
from codat_platform.models import shared as platform_shared

from connector.control import companies as api_companies
from connector.control import keys as api_keys

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
SHOP, NEW, RIVAL_SHOP = "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-new", "n-rival"
HERE = {"company_id": JUNIPER, "connection_id": SHOP}


class Clients:
    """Both clients with one key."""

    def __init__(self, url, control, *scopes, **more):
        secret = api_keys.create_key(control, "sdk", now=datetime.now(UTC), scopes=scopes, **more)[1]
        self.open(url, "Basic " + base64.b64encode(secret.encode()).decode())

    def open(self, url, header):
        self.platform = CodatPlatform(security=platform_shared.Security(auth_header=header), server_url=url)
        self.lending = CodatLending(security=lending_shared.Security(auth_header=header), server_url=url)
        return self


@pytest.fixture(scope="module")
def running(tmp_path_factory, published_file, builders):
    directory = tmp_path_factory.mktemp("store")
    builders.published_copy(directory, published_file)
    with builders.listening(directory) as (url, state):
        api_companies.take_from_config(
            state.control,
            [(JUNIPER, "Juniper Goods", [SHOP, NEW]), (RIVAL, "Rival Traders", [RIVAL_SHOP])],
            now=datetime.now(UTC),
        )
        yield url, state


@pytest.fixture(scope="module")
def clients(running):
    return Clients(running[0], running[1].control, "read", companies=[JUNIPER])


@pytest.fixture
def owner(running):
    """May change things, and therefore works on a company of its own."""
    return Clients(running[0] + "/", running[1].control, "read", "write")


@pytest.mark.parametrize(
    ("group", "record"),
    [
        ("orders", "order_id"), ("payments", "payment_id"), ("customers", "customer_id"), ("products", "product_id"),
        ("locations", "location_id"), ("transactions", "transaction_id"), ("payment_methods", "payment_method_id"),
    ],
)  # fmt: skip
def test_every_commerce_list_and_get_is_read(clients, group, record):
    methods = getattr(clients.lending.sales, group)
    page = methods.list(request=HERE)
    assert page.results
    assert page.total_results == len(page.results)
    for row in page.results[:3]:
        assert methods.get(request={**HERE, record: row.id}) == row


@pytest.mark.parametrize("group", ["disputes", "product_categories"])
def test_what_clover_has_not_is_an_empty_list(clients, group):
    page = getattr(clients.lending.sales, group).list(request=HERE)
    assert (page.results, page.total_results) == ([], 0)


def test_paging_querying_and_ordering_through_the_client(clients):
    orders = clients.lending.sales.orders
    seen, number = [], 1
    while True:
        page = orders.list(request={**HERE, "page": number, "page_size": 7, "order_by": "-createdDate"})
        seen += page.results
        if page.links.next is None:
            break
        number += 1
    assert len({order.id for order in seen}) == len(seen) == page.total_results == 30
    assert [o.created_date for o in seen] == sorted((o.created_date for o in seen), reverse=True)
    some = orders.list(request={**HERE, "query": "{totalAmount>60||totalRefund<0} && currency=usd"}).results
    assert {o.id for o in some} == {o.id for o in seen if o.total_amount > 60 or o.total_refund < 0}


def test_sums_through_the_client_are_the_books(clients, builders, tmp_path):
    orders = clients.lending.sales.orders.list(request={**HERE, "page_size": 5000}).results
    books = {o.order_id: o.row() for o in builders.juniper_books(tmp_path).orders
             if o.connection == SHOP and o.replaced_by is None and not o.deleted}  # fmt: skip
    assert sum(o.total_amount for o in orders) == sum(r["total_amount"] for r in books.values())
    assert sum(o.total_refund for o in orders) == Decimal("-11.50")
    paid = sum(p.amount for o in orders for p in o.payments if p.status == "Paid")
    assert paid == sum(p["amount"] for r in books.values() for p in r["payments"] if p["status"] == "Paid")


def test_companies_connections_status_and_history(clients):
    companies = clients.platform.companies.list(request={"query": "name~juniper"})
    assert [c.id for c in companies.results] == [JUNIPER]
    assert clients.platform.companies.get(request={"company_id": JUNIPER}) == companies.results[0]
    connections = clients.platform.connections.list(request={"company_id": JUNIPER}).results
    assert {c.id: c.status.value for c in connections} == {SHOP: "Linked", NEW: "Linked"}
    assert clients.platform.connections.get(request=HERE).source_type.value == "Commerce"
    status = clients.platform.refresh_data.get(request={"company_id": JUNIPER}).commerce_orders
    assert (status.current_status.value, status.last_successful_sync) == ("Complete", "2026-11-19T04:00:20Z")
    history = clients.platform.refresh_data.list_pull_operations(
        request={"company_id": JUNIPER, "page_size": 4}
    )
    assert (len(history.results), history.total_results) == (4, 18)
    one = clients.platform.refresh_data.get_pull_operation(
        request={"company_id": JUNIPER, "dataset_id": history.results[0].id}
    )
    assert one == history.results[0]
    assert clients.lending.manage_data.get_status(request={"company_id": JUNIPER}).commerce_orders is not None
    assert clients.lending.company_info.get_commerce_profile(request=HERE).company_name == "Juniper Goods"


def test_metrics_are_read_and_indexed_blindly(clients):
    period = {"report_date": "29-10-2026", "period_length": 1, "number_of_periods": 2, "period_unit": "Month"}
    sales = clients.lending.sales
    revenue = sales.metrics.get_revenue(request={**HERE, **period})
    assert [len(p.components) for p in revenue.report_data] == [2, 2]
    for ask in (
        sales.metrics.get_customer_retention,
        sales.metrics.get_lifetime_value,
        sales.reports.get_orders,
        sales.reports.get_refunds,
    ):
        report = ask(request={**HERE, **period})
        assert all(component.measures[0].index >= 0 for p in report.report_data for component in p.components)


def test_what_a_client_changes_and_deletes(owner):
    company = owner.platform.companies.create(request={"name": "Made Here", "tags": {"region": "us"}})
    mine = {"company_id": company.id}
    assert owner.platform.companies.list(request={"tags": "region=us"}).total_results == 1
    owner.platform.companies.update(request={**mine, "company_update_request": {"description": "new"}})
    owner.platform.companies.replace(request={**mine, "company_request_body": {"name": "Other"}})
    connection = owner.platform.connections.create(request={**mine, "request_body": {"platform_key": "fqly"}})
    assert connection.status.value == "PendingAuth"
    owner.platform.refresh_data.all(request=mine)
    with pytest.raises(platform_errors.ErrorMessage, match="DatasetAlreadyInProgressException"):
        owner.platform.refresh_data.by_data_type(
            request={**mine, "data_type": "commerce-orders", "connection_id": connection.id}
        )
    owner.platform.connections.delete(request={**mine, "connection_id": connection.id})
    hook = owner.platform.webhooks.create_consumer(
        request={"url": "https://lender.example.com", "event_types": ["read.completed"]}
    )
    assert hook.id in [h.id for h in owner.platform.webhooks.list_consumers().results]
    owner.platform.webhooks.delete_consumer(request={"webhook_id": hook.id})
    owner.platform.companies.delete(request=mine)
    with pytest.raises(platform_errors.ErrorMessage) as gone:
        owner.platform.companies.get(request=mine)
    assert gone.value.data.status_code == 404


def typed(status, ask):
    with pytest.raises(lending_errors.ErrorMessage) as caught:
        ask()
    assert caught.value.data.status_code == caught.value.status_code == status
    assert caught.value.data.correlation_id == caught.value.headers["x-correlation-id"]


def test_errors_are_codats_typed_errors(running, clients):
    orders = clients.lending.sales.orders
    typed(400, lambda: orders.list(request={**HERE, "query": "nope=1"}))
    typed(404, lambda: orders.get(request={**HERE, "order_id": "nope"}))
    typed(404, lambda: orders.list(request={"company_id": RIVAL, "connection_id": RIVAL_SHOP}))
    typed(409, lambda: orders.list(request={**HERE, "connection_id": NEW}))
    blind = Clients(running[0], running[1].control, "write")
    typed(403, lambda: blind.lending.sales.orders.list(request=HERE))
    nobody = blind.open(running[0], "Basic " + base64.b64encode(b"wrong").decode())
    typed(401, lambda: nobody.lending.sales.orders.list(request=HERE))


def test_429_is_typed_and_says_how_long_to_wait(tmp_path, published_file, builders):
    """The client itself waits for ``Retry-After`` a few times first: the clock stands a second before the minute."""
    from codat_lending.utils.retries import RetryConfig

    builders.published_copy(tmp_path, published_file)
    late = datetime(2026, 11, 20, 4, 30, 59, tzinfo=UTC)
    with builders.listening(tmp_path, clock=lambda: late) as (url, state):
        api_companies.take_from_config(state.control, [(JUNIPER, "Juniper", [SHOP])], now=late)
        hurried = Clients(url, state.control, "read", requests_per_minute=0)
        with pytest.raises(lending_errors.ErrorMessage) as caught:
            hurried.lending.sales.orders.list(request=HERE, retries=RetryConfig(strategy="none"))
    assert caught.value.data.status_code == 429
    assert caught.value.headers["retry-after"] == "1"
