"""Codat's Excel reports and sync settings, through Codat's own clients and as a stranger opens the workbook."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pytest
from codat_lending import CodatLending
from codat_lending.models import errors as lending_errors
from codat_lending.models import shared as lending_shared
from codat_platform import CodatPlatform
from codat_platform.models import shared as platform_shared

from connector.api.answer.workbook import Sheet, write_workbook
from connector.api.routes import excel
from connector.api.state import Planned
from connector.control import companies as api_companies
from connector.control import keys as api_keys
from connector.control.access_log import read_access_log

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
SHOP, NEW, RIVAL_SHOP = "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-new", "n-rival"
EXCEL = f"/data/companies/{JUNIPER}/assess/excel"


def book_of(content):
    return openpyxl.load_workbook(io.BytesIO(content))


def rows_of(sheet):
    heading, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(heading, row, strict=True)) for row in rows]


def cents(value):
    return Decimal(str(value)).quantize(Decimal("0.0001"))


@pytest.fixture
def get(server):
    headers = server.key("read", companies=[JUNIPER])
    return lambda path, **more: server.client.get(path, headers={**headers, **more})


def test_the_workbook_holds_every_order_and_payment_to_the_cent(server, get, builders, tmp_path):
    answer = get(f"{EXCEL}/download?reportType=audit")
    assert answer.status_code == 200
    assert "audit" in answer.headers["content-disposition"]
    book = book_of(answer.content)
    assert book.sheetnames == [
        "About",
        "Data integrity",
        "Reconciliation",
        "Open issues",
        "Orders",
        "Payments",
    ]
    expected = {o.order_id: o.row() for o in builders.juniper_books(tmp_path).orders
                if o.connection == SHOP and o.replaced_by is None and not o.deleted}  # fmt: skip
    orders = rows_of(book["Orders"])
    assert {row["order_id"] for row in orders} == set(expected)
    assert [row["created_date"] for row in orders] == sorted(
        (r["created_date"] for r in orders), reverse=True
    )
    for row in orders:
        order = expected[row["order_id"]]
        assert row["connection_id"] == SHOP
        assert row["created_date"] == order["created_date"]
        for name in ("total_amount", "total_refund", "total_tax_amount", "total_gratuity"):
            assert cents(row[name]) == order[name]
        assert (row["customer_id"], row["currency"]) == (order["customer_id"], "USD")
    payments = rows_of(book["Payments"])
    assert {p["payment_id"]: cents(p["amount"]) for p in payments} == {
        p["id"]: p["amount"] for order in expected.values() for p in order["payments"]
    }
    assert [p["payment_id"] for p in payments if p["is_refund"]] == ["RF00"]
    [integrity] = rows_of(book["Data integrity"])
    assert integrity["orders"] == len(expected)
    [day] = rows_of(book["Reconciliation"])
    assert (day["stream"], day["day"].date(), cents(day["unexplained"])) == ("charges", date(2026, 10, 1), 0)
    about = {row["what"]: row["value"] for row in rows_of(book["About"])}
    assert (about["snapshot"], about["complete"]) == (3, "true")
    server.state.access_log.flush()
    entry = read_access_log(server.state.control)[0]
    assert (entry.route, entry.company_id) == (
        "/data/companies/{companyId}/assess/excel/download",
        JUNIPER,
    )
    assert entry.rows == sum(len(rows_of(sheet)) for sheet in book)


def test_a_new_publication_is_in_the_next_download(server, get):
    before = get(f"{EXCEL}?reportType=audit").json()
    server.books.orders = [order for order in server.books.orders if order.order_id != "99FAILED"]
    server.books.run("r9", JUNIPER, SHOP, datetime(2026, 11, 19, 9))  # noqa: DTZ001
    server.books.publish()
    after = get(f"{EXCEL}?reportType=audit").json()
    assert after["lastGenerated"] == "2026-11-19T09:00:20Z" > before["lastGenerated"]
    assert after["lastInvocationId"] != before["lastInvocationId"]
    book = book_of(get(f"{EXCEL}/download?reportType=audit").content)
    assert "99FAILED" not in {row["order_id"] for row in rows_of(book["Orders"])}


def test_more_orders_than_a_report_holds_are_said_in_it(get, monkeypatch):
    monkeypatch.setattr(excel, "MOST_ROWS", 7)
    book = book_of(get(f"{EXCEL}/download?reportType=audit").content)
    assert len(rows_of(book["Orders"])) == 7
    about = {row["what"]: row["value"] for row in rows_of(book["About"])}
    assert (about["orders"], about["orders in this file"]) == (30, "the newest 7")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{EXCEL}?reportType=enhancedFinancials", 404),
        (f"{EXCEL}/download?reportType=enhancedCashFlow", 404),
        (f"{EXCEL}/download?reportType=", 404),
        (EXCEL, 400),
        (f"/data/companies/{RIVAL}/assess/excel/download?reportType=audit", 404),
        ("/data/companies/nope/assess/excel?reportType=audit", 404),
    ],
)
def test_what_is_not_offered_has_codats_body(get, path, status):
    answer = get(path)
    assert (answer.status_code, answer.json()["statusCode"]) == (status, status)


def test_another_type_than_a_workbook_is_a_406_and_a_read_only_key_generates_nothing(server, get):
    assert get(f"{EXCEL}/download?reportType=audit", Accept="application/pdf").status_code == 406
    reader = server.key("read")
    assert server.client.post(f"{EXCEL}?reportType=audit", headers=reader).status_code == 403


def test_before_the_first_sync_there_is_no_report(tmp_path, builders):
    for server in builders.serve(builders.Books(tmp_path)):
        for path in (EXCEL, f"{EXCEL}/download"):
            answer = server.client.get(f"{path}?reportType=audit", headers=server.key("read"))
            assert answer.status_code == 404


def test_cells_are_what_they_are_and_text_is_never_a_formula(tmp_path):
    rows = [
        ("=1+1", "@x", 'x"y<&>\u00e9', True, 7, Decimal("-12.34"), Decimal("12345678901234567.89"), None),
        ("", "a" * 40_000, "https://example.com", False, 0, Decimal("0.0001"), Decimal("1E+3"), "z"),
    ]
    made = datetime(2026, 11, 20, tzinfo=UTC)
    assert write_workbook(tmp_path / "x.xlsx", [Sheet("S", list("abcdefgh"), rows)], made=made) == 2
    first, second = rows_of(openpyxl.load_workbook(tmp_path / "x.xlsx")["S"])
    assert list(first.values()) == [
        "=1+1",
        "@x",
        'x"y<&>\u00e9',
        True,
        7,
        -12.34,
        "12345678901234567.89",
        None,
    ]
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["S"]
    assert sheet["A2"].data_type != "f"
    assert (second["b"], second["f"], second["g"]) == ("a" * 32_767, 0.0001, 1000)


@pytest.fixture(scope="module")
def clients(tmp_path_factory, published_file, builders):
    directory = tmp_path_factory.mktemp("store")
    builders.published_copy(directory, published_file)
    planned = {SHOP: Planned(24, date(2024, 1, 1)), NEW: Planned(1, date(2023, 5, 1))}
    with builders.listening(directory, planned=planned) as (url, state):
        now = datetime.now(UTC)
        api_companies.take_from_config(
            state.control, [(JUNIPER, "Juniper", [SHOP, NEW]), (RIVAL, "Rival", [RIVAL_SHOP])], now=now
        )
        secret = api_keys.create_key(state.control, "sdk", now=now, scopes=("read", "write"))[1]
        header = f"Bearer {secret}"
        yield (
            CodatLending(security=lending_shared.Security(auth_header=header), server_url=url),
            CodatPlatform(security=platform_shared.Security(auth_header=header), server_url=url),
        )


def test_codats_client_generates_looks_and_downloads(clients):
    reports = clients[0].excel_reports
    ask = {"company_id": JUNIPER, "report_type": "audit"}
    for status in (reports.generate(request=ask), reports.get_status(request=ask)):
        assert (status.success, status.in_progress, status.report_type.value) == (True, False, "audit")
        assert status.last_generated == "2026-11-19T04:00:20Z"
    assert "Orders" in book_of(reports.download(request=ask)).sheetnames
    with pytest.raises(lending_errors.ErrorMessage) as caught:
        reports.generate(request={**ask, "report_type": "enhancedInvoices"})
    assert caught.value.data.status_code == 404


def test_codats_client_reads_the_sync_settings(clients):
    platform = clients[1]
    found = platform.companies.get_company_sync_settings(request={"company_id": JUNIPER})
    assert {setting.sync_schedule for setting in found.settings} == {24}
    assert {setting.sync_from_utc for setting in found.settings} == {"2023-05-01T00:00:00Z"}
    assert all(setting.is_locked for setting in found.settings)
    assert "commerce-orders" in {setting.data_type.value for setting in found.settings}
    alone = platform.companies.get_company_sync_settings(request={"company_id": RIVAL})
    assert {setting.sync_schedule for setting in alone.settings} == {0}
    assert platform.settings.get_sync_settings().settings == []
