"""Lists and gets of the commerce data: envelope, links, paging, ordering, snapshots, lines, entity tags."""

import hashlib
import json
from urllib.parse import quote

import pytest

from connector.api.answer.resources import RESOURCES
from connector.api.query.fields import Kind

JUNIPER, SHOP, NEW = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-new"
DATA = f"/companies/{JUNIPER}/connections/{SHOP}/data"
ORDERS = f"{DATA}/commerce-orders"


@pytest.fixture(scope="module")
def get(shared):
    headers = shared.key("read", companies=[JUNIPER])

    def call(path, **more):
        return shared.client.get(path, headers={**headers, **more})

    return call


def ids(response):
    return [row["id"] for row in response.json()["results"]]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.data_type)
def test_every_list_has_the_five_members_and_relative_links(get, resource):
    path = f"{DATA}/{resource.data_type}"
    body = get(path).json()
    assert body.keys() == {"results", "pageNumber", "pageSize", "totalResults", "_links"}
    assert (body["pageNumber"], body["pageSize"]) == (1, 100)
    assert body["totalResults"] == len(body["results"])
    assert body["_links"] == {"self": {"href": path}, "current": {"href": f"{path}?page=1&pageSize=100"}}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.data_type)
def test_a_get_is_the_row_of_the_list(get, resource):
    for row in get(f"{DATA}/{resource.data_type}").json()["results"]:
        assert get(f"{DATA}/{resource.data_type}/{quote(row['id'], safe='')}").json() == row


@pytest.mark.parametrize("size", [1, 4, 7, 100])
@pytest.mark.parametrize("order_by", [None, "-totalAmount", "customerRef.id", "-closedDate", "currency"])
def test_pages_of_any_size_neither_repeat_nor_skip(get, size, order_by):
    whole = ids(get(f"{ORDERS}?orderBy={order_by or ''}"))
    seen, page = [], 1
    while True:
        ask = f"{ORDERS}?page={page}&pageSize={size}" + (f"&orderBy={order_by}" if order_by else "")
        body = get(ask).json()
        seen += [row["id"] for row in body["results"]]
        assert body["totalResults"] == len(whole) == 30
        assert ("next" in body["_links"]) == (page * size < 30)
        assert ("previous" in body["_links"]) == (page > 1)
        if "next" not in body["_links"]:
            break
        page += 1
    assert seen == whole


def test_the_default_order_is_the_id_as_text_and_customers_by_name(get):
    assert ids(get(ORDERS)) == sorted(ids(get(ORDERS)))
    names = [row["customerName"] for row in get(f"{DATA}/commerce-customers").json()["results"]]
    assert names == ["Name A", "Name B", "Name C", "Name D"]


def test_missing_values_come_first_ascending_and_last_descending(get):
    up = [row.get("closedDate") for row in get(f"{ORDERS}?orderBy=closedDate").json()["results"]]
    down = [row.get("closedDate") for row in get(f"{ORDERS}?orderBy=-closedDate").json()["results"]]
    some = sorted(filter(None, up))
    nothing = [None] * up.count(None)
    assert up == nothing + some
    assert down == some[::-1] + nothing


def test_links_carry_the_whole_query_and_can_be_followed(get):
    first = get(
        f"{ORDERS}?pageSize=5&query=totalAmount>20 %26%26 customerRef.name~name&orderBy=-createdDate"
    ).json()
    assert first["_links"]["next"]["href"].startswith("/companies/")
    second = get(first["_links"]["next"]["href"]).json()
    assert second["pageNumber"] == 2
    assert not {r["id"] for r in first["results"]} & {r["id"] for r in second["results"]}
    assert get(second["_links"]["previous"]["href"]).json() == first
    assert get(second["_links"]["current"]["href"]).json() == second


def test_a_page_past_the_end_is_empty_and_keeps_the_total(get):
    body = get(f"{ORDERS}?page=9&pageSize=10").json()
    assert (body["results"], body["totalResults"]) == ([], 30)
    assert "next" not in body["_links"]
    assert get(body["_links"]["previous"]["href"]).json()["pageNumber"] == 3


@pytest.mark.parametrize(
    "bad", ["page=0", "page=-1", "page=x", "pageSize=0", "pageSize=5001", "pageSize=1.5", "pageSize="]
)
def test_a_page_that_cannot_be_is_a_400_and_never_clamped(get, bad):
    assert get(f"{ORDERS}?{bad}").status_code == 400


def test_parameter_names_are_read_in_any_case_and_doubled_slashes_as_one(get):
    plain = get(f"{ORDERS}?pageSize=2&orderBy=-id&page=2")
    assert ids(get(f"{ORDERS}?PAGESIZE=2&OrderBy=-id&Page=2")) == ids(plain)
    assert ids(get(f"http://testserver/{ORDERS}/?pageSize=2&orderBy=-id&page=2")) == ids(plain)


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ("totalRefund<0", lambda o: o["totalRefund"] < 0),
        ("customerRef.id!=c1", lambda o: o.get("customerRef", {}).get("id") != "C1"),
        ("customerRef.id=c1", lambda o: o.get("customerRef", {}).get("id") == "C1"),
        ("closedDate>2026-10-10", lambda o: o.get("closedDate", "") > "2026-10-10T00:00:00Z"),
        (
            "closedDate<=2026-10-10T12:00:00.000Z",
            lambda o: "" < o.get("closedDate", "") <= "2026-10-10T12:00:00Z",
        ),
        (
            "{totalAmount>60||totalAmount<20}&&currency=usd",
            lambda o: o["totalAmount"] > 60 or o["totalAmount"] < 20,
        ),
        ("locationRef.name~JUNIPER, main", lambda _o: True),
        ("totalAmount=48.00", lambda o: o["totalAmount"] == 48),
    ],
)
def test_a_filter_keeps_what_the_unfiltered_list_says_it_must(get, query, keep):
    everything = get(ORDERS).json()["results"]
    found = get(f"{ORDERS}?query={quote(query)}").json()
    assert [o["id"] for o in found["results"]] == [o["id"] for o in everything if keep(o)]
    assert found["totalResults"] == len(found["results"])


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("commerce-payments", "status=failed", ["CHF"]),
        ("commerce-payments", "amount<0", ["RF00"]),
        ("commerce-transactions", "type=refund", ["RF00"]),
        ("commerce-transactions", "transactionSourceRef.id=00order && type=Payment", ["CH00"]),
        ("commerce-customers", "emailAddress~c3@", ["C3"]),
        ("commerce-products", "isGiftCard=false", ["P1"]),
        ("commerce-locations", "address.city=albany", ["MHT"]),
        ("commerce-taxComponents", "rate>0.0887 && rate<0.0888", ["T8"]),
        ("commerce-paymentMethods", "status!=archived", ["card"]),
        ("commerce-disputes", "status=Won", []),
    ],
)
def test_other_data_types_can_be_asked_as_well(get, path, query, expected):
    assert ids(get(f"{DATA}/{path}?query={quote(query)}")) == expected


def test_a_bad_query_is_a_400_that_shows_where_it_went_wrong(get):
    answer = get(f"{ORDERS}?query={quote('totalAmount>1 && nope=2')}")
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "Error parsing query - Could not resolve property nope on Order (at character 18 of query)."
    )
    assert (
        get(f"{ORDERS}?query={'a' * 2048}")
        .json()["error"]
        .startswith("Error parsing query - Malformed query.")
    )
    assert get(f"{ORDERS}?orderBy=-nope").json()["error"].endswith("(at character 2 of orderBy).")


def test_inline_payments_are_the_payment_records(get):
    records = {row["id"]: row for row in get(f"{DATA}/commerce-payments").json()["results"]}
    inline = [payment for order in get(ORDERS).json()["results"] for payment in order["payments"]]
    assert inline
    assert {payment["id"]: payment for payment in inline} == records


def test_a_transaction_is_a_paid_payment_with_the_same_id_and_sign(get):
    payments = {
        p["id"]: p for p in get(f"{DATA}/commerce-payments").json()["results"] if p["status"] == "Paid"
    }
    rows = get(f"{DATA}/commerce-transactions").json()["results"]
    assert {r["id"]: r["totalAmount"] for r in rows} == {i: p["amount"] for i, p in payments.items()}
    assert {r["type"] for r in rows} == {"Payment", "Refund"}
    assert all((r["type"] == "Refund") == (r["totalAmount"] < 0) for r in rows)
    assert {r["transactionSourceRef"]["type"] for r in rows} == {"Order"}


def test_company_info_is_one_object_without_paging(get):
    assert get(f"{DATA}/commerce-info").json()["companyName"] == "Juniper Goods"


def test_the_deleted_order_is_gone_and_an_unknown_one_never_was(get):
    assert get(f"{ORDERS}/07ORDER").status_code == 404
    assert get(f"{ORDERS}/nope").json()["error"] == "No data available for commerce-orders for ID nope"


def test_a_data_type_that_clover_has_not_is_a_404_in_codats_words(get):
    answer = get(f"{DATA}/banking-accounts")
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        "Datatype banking-accounts not supported by platform(s) Clover",
    )


def test_never_synced_is_a_409_everywhere_and_synced_never_is(get):
    for path in [*(r.data_type for r in RESOURCES), "commerce-info", "commerce-orders/x"]:
        answer = get(f"/companies/{JUNIPER}/connections/{NEW}/data/{path}")
        assert (answer.status_code, answer.json()["error"]) == (409, "The data set has not been requested.")


# As of ------------------------------------------------------------------------------------------------------------


def test_as_of_gives_back_the_past_by_snapshot_and_by_time(get):
    for moment in ("1", "2", "2026-11-18T12:00:00Z", "2026-11-19T03:59:59Z"):
        order = get(f"{ORDERS}/00ORDER?asOf={moment}").json()
        assert (order["totalAmount"], order["totalRefund"]) == (11.5, 0)
        assert get(f"{ORDERS}/07ORDER?asOf={moment}").status_code == 200
        assert get(f"{ORDERS}?asOf={moment}").json()["totalResults"] == 30
        assert get(f"{DATA}/commerce-payments/RF00?asOf={moment}").status_code == 404
    assert get(f"{ORDERS}/00ORDER?asOf=3").json()["totalRefund"] == -11.5
    assert get(f"{ORDERS}/00ORDER").json()["totalRefund"] == -11.5


def test_links_of_an_as_of_page_stay_in_the_past(get):
    first = get(f"{ORDERS}?asOf=1&pageSize=3").json()
    assert get(first["_links"]["next"]["href"]).headers["x-snapshot-id"] == "1"


def test_as_of_what_cannot_be_is_a_400_and_before_the_first_load_a_409(get):
    assert get(f"{ORDERS}?asOf=4").status_code == 400
    assert get(f"{ORDERS}?asOf=lunch").status_code == 400
    assert get(f"{ORDERS}?asOf=2026-11-17").status_code == 409


def test_a_reader_who_pages_stays_on_the_snapshot_of_page_one(server):
    """A sync publishes between two pages: the pages still fit together; page 1 asked again is the new state."""
    headers = server.key("read")
    first = server.client.get(f"{ORDERS}?pageSize=10", headers=headers)
    order = next(o for o in server.books.orders if o.order_id == "14ORDER")
    order.replaced_by = 4
    gone = type(order)(
        **{f: getattr(order, f) for f in order.__slots__} if hasattr(order, "__slots__") else vars(order)
    )
    gone.snapshot, gone.replaced_by, gone.deleted = 4, None, True
    server.books.orders.append(gone)
    server.books.snapshot(4, "r3", JUNIPER, SHOP, server.books.snapshots[-1][4].replace(hour=9))
    server.books.publish()
    second = server.client.get(f"{ORDERS}?pageSize=10&page=2", headers=headers)
    third = server.client.get(f"{ORDERS}?pageSize=10&page=3", headers=headers)
    assert {r.headers["x-snapshot-id"] for r in (first, second, third)} == {"3"}
    seen = ids(first) + ids(second) + ids(third)
    assert len(seen) == len(set(seen)) == 30
    assert "14ORDER" in seen
    again = server.client.get(f"{ORDERS}?pageSize=10", headers=headers)
    assert (again.headers["x-snapshot-id"], again.json()["totalResults"]) == ("4", 29)


# How answers travel -----------------------------------------------------------------------------------------------


def test_the_same_question_with_its_tag_is_a_304_until_something_new_is_published(server):
    headers = server.key("read")
    first = server.client.get(ORDERS, headers=headers)
    tag = first.headers["etag"]
    same = server.client.get(ORDERS, headers={**headers, "If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    other = server.client.get(f"{ORDERS}?pageSize=5", headers={**headers, "If-None-Match": tag})
    assert other.status_code == 200
    order = server.client.get(f"{ORDERS}/00ORDER", headers=headers)
    kept = server.client.get(f"{ORDERS}/00ORDER", headers={**headers, "If-None-Match": order.headers["etag"]})
    assert kept.status_code == 304
    server.books.snapshot(4, "r3", JUNIPER, SHOP, server.books.snapshots[-1][4].replace(hour=9))
    server.books.publish()
    assert server.client.get(ORDERS, headers={**headers, "If-None-Match": tag}).status_code == 200


def test_a_page_is_compressed_for_those_who_read_it(get):
    packed = get(ORDERS, **{"Accept-Encoding": "gzip"})
    plain = get(ORDERS, **{"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert packed.headers["content-type"] == plain.headers["content-type"] == "application/json"
    refused = get(ORDERS, **{"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in refused.headers


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.data_type)
def test_a_whole_list_as_lines_is_the_list(get, resource, encoding):
    path = f"{DATA}/{resource.data_type}"
    answer = get(path, Accept="application/x-ndjson", **{"Accept-Encoding": encoding})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *lines, closing = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == get(f"{path}?pageSize=5000").json()["results"]
    sent = answer.content[: answer.content.rindex(b'{"_closing"')]
    assert closing == {
        "_closing": {
            "snapshotId": 3,
            "rows": len(lines),
            "sha256": hashlib.sha256(sent).hexdigest(),
        }
    }
    assert (answer.headers["x-snapshot-id"], answer.headers["x-total-results"]) == ("3", str(len(lines)))
    again = get(path, Accept="application/x-ndjson", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(path).headers["etag"] != answer.headers["etag"]


def test_lines_take_query_order_and_as_of_and_refuse_like_a_page(get):
    *lines, _closing = get(
        f"{ORDERS}?query=totalAmount>20&orderBy=-id&asOf=1", Accept="application/x-ndjson"
    ).text.splitlines()
    page = get(f"{ORDERS}?query=totalAmount>20&orderBy=-id&asOf=1").json()["results"]
    assert [json.loads(line) for line in lines] == page
    for path, status in (
        (f"{ORDERS}?query=x=1", 400),
        (f"/companies/{JUNIPER}/connections/{NEW}/data/commerce-orders", 409),
    ):
        answer = get(path, Accept="application/x-ndjson")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


def test_a_stream_longer_than_a_chunk_loses_nothing(get, monkeypatch):
    from connector.api.reads import records as api_reads

    whole = get(ORDERS, Accept="application/x-ndjson").text
    monkeypatch.setitem(api_reads.stream.__kwdefaults__, "chunk", 7)
    assert get(ORDERS, Accept="application/x-ndjson").text == whole


def test_answers_carry_safe_headers(get):
    headers = get(ORDERS).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-cache"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.data_type)
def test_every_property_orders_its_list_and_can_be_asked_for(shared, resource):
    values = {Kind.TEXT: "x", Kind.NUMBER: "1", Kind.DATE: "2026-10-05", Kind.BOOLEAN: "true"}
    headers = shared.key("read")
    path = f"/companies/{JUNIPER}/connections/{SHOP}/data/{resource.data_type}"
    for name, field in resource.fields.items():
        if field.kind not in values:
            continue
        for asked in ({"orderBy": name}, {"orderBy": f"-{name}"}, {"query": f"{name}!={values[field.kind]}"}):
            for _ in range(2):
                answer = shared.client.get(path, headers=headers, params=asked)
                assert answer.status_code == 200, (asked, answer.text)


def test_a_page_pinned_to_what_never_was_is_an_error_and_no_empty_list(get):
    """Snapshot 2 is of another company: what was known then is what snapshot 1 brought."""
    assert get(f"{ORDERS}?page=2&pageSize=5&pinnedTo=0").status_code == 409
    later = get(f"{ORDERS}?page=2&pageSize=5&pinnedTo=99")
    assert later.status_code == 400
    assert "page 1" in later.json()["error"]
    between = get(f"{ORDERS}?page=2&pageSize=5&pinnedTo=2")
    assert between.headers["x-snapshot-id"] == "1"
    assert ids(between) == ids(get(f"{ORDERS}?page=2&pageSize=5&asOf=1"))
