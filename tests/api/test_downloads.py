"""Downloads that can be proved whole: files of views, what is accepted, pages pinned to the first one's snapshot."""

import base64
import csv
import hashlib
import io
import json
import re
from datetime import datetime

import duckdb
import polars
import pytest

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
SHOP = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
DATA = f"/companies/{JUNIPER}/connections/{SHOP}/data"
ORDERS = f"{DATA}/commerce-orders"
EXPORT = f"/companies/{JUNIPER}/export"


@pytest.fixture(scope="module")
def exporting(tmp_path_factory, builders, published_file):
    """The fixture's rows in a file that has the analysts' views too, as every published one has."""
    from connector.ledger.views import define_views

    books = builders.published_copy(tmp_path_factory.mktemp("views"), published_file)
    path = books.directory / published_file.name
    path.chmod(0o600)
    with duckdb.connect(str(path)) as con:
        define_views(con)
    running = builders.serve(books)
    yield next(running)
    running.close()


@pytest.fixture(scope="module")
def get(exporting):
    headers = exporting.key("read", companies=[JUNIPER])
    return lambda path, **more: exporting.client.get(path, headers={**headers, **more})


def views(get):
    return [view["view"] for view in get(EXPORT).json()["views"]]


def digest_of(answer):
    [found] = re.findall(r"sha-256=:(.*):", answer.headers["repr-digest"])
    return base64.b64decode(found)


def test_every_view_comes_as_the_file_that_export_writes(get, exporting, tmp_path):
    from connector.ledger.published import open_published
    from connector.report.export import Wanted, export

    with open_published(exporting.books.directory) as reader:
        for kind in ("csv", "parquet"):
            export(reader, tmp_path / kind, Wanted(kind, tuple(views(get)), JUNIPER))
    assert {"orders", "payments", "order_versions", "monthly_sales", "customers"} <= set(views(get))
    manifest = {v["view"]: v for v in json.loads((tmp_path / "csv/manifest.json").read_text())["views"]}
    for view in views(get):
        csv, parquet = get(f"{EXPORT}/{view}?format=csv"), get(f"{EXPORT}/{view}?format=parquet")
        assert csv.content == (tmp_path / "csv" / view / f"{view}.csv").read_bytes()
        rows = duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/parquet/{view}/{view}.parquet'").fetchall()[0][0]
        assert polars.read_parquet(io.BytesIO(parquet.content)).height == rows == manifest[view]["rows"]
        for answer in (csv, parquet):
            assert digest_of(answer) == hashlib.sha256(answer.content).digest()
            assert int(answer.headers["x-total-results"]) == rows
            assert int(answer.headers["content-length"]) == len(answer.content)
            assert answer.headers["x-snapshot-id"] == "3"
        about = get(f"{EXPORT}/{view}", Accept="application/json").json()
        assert (about["rows"], about["sums"]) == (rows, manifest[view]["sums"])


def test_no_view_shows_a_row_of_another_company(get):
    for view in views(get):
        body = get(f"{EXPORT}/{view}?format=csv").text
        assert RIVAL not in body
        assert "RIVAL" not in body


def test_only_what_changed_after_a_snapshot(get):
    """Three versions came with snapshot 3, and two that it replaced say so from then on."""
    rows = csv.DictReader(get(f"{EXPORT}/order_versions?format=csv&fromSnapshot=1").text.splitlines())
    assert sorted((row["snapshot_id"], row["replaced_by"]) for row in rows) == [
        ("1", "3"), ("1", "3"), ("3", ""), ("3", ""), ("3", ""),
    ]  # fmt: skip
    assert get(f"{EXPORT}/monthly_sales?fromSnapshot=1").status_code == 400
    assert get(f"{EXPORT}/orders?fromSnapshot=4").status_code == 400


def test_clovers_own_records_need_the_scope_and_other_companies_stay_unseen(get, exporting):
    assert "source_records" not in views(get)
    assert get(f"{EXPORT}/source_records").status_code == 404
    lineage = exporting.key("read", "lineage", companies=[JUNIPER])
    found = exporting.client.get(f"{EXPORT}/source_records?format=csv", headers=lineage)
    assert "CH00" in found.text
    assert get(f"/companies/{RIVAL}/export/orders").status_code == 404
    assert get(f"{EXPORT}/ledger.order_versions").status_code == 404
    assert get(f'{EXPORT}/orders" UNION SELECT').status_code == 404


def test_a_file_held_already_is_a_304_and_nothing_is_left_behind(get, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first = get(f"{EXPORT}/orders?format=csv")
    assert get(f"{EXPORT}/orders?format=csv", **{"If-None-Match": first.headers["etag"]}).status_code == 304
    assert get(f"{EXPORT}/orders?format=parquet").headers["etag"] != first.headers["etag"]
    get(f"{EXPORT}/orders", Accept="application/json")
    assert list(tmp_path.iterdir()) == []


def test_export_before_the_first_sync_is_a_409(tmp_path, builders):
    for server in builders.serve(builders.Books(tmp_path)):
        assert server.client.get(f"{EXPORT}/orders", headers=server.key("read")).status_code == 409


@pytest.mark.parametrize(
    ("accept", "orders", "view"),
    [
        (None, "application/json", "application/vnd.apache.parquet"),
        ("*/*", "application/json", "application/vnd.apache.parquet"),
        ("application/json", "application/json", "application/json"),
        ("text/html, application/*;q=0.8", "application/json", "application/vnd.apache.parquet"),
        ("application/x-ndjson, application/json;q=0.5", "application/x-ndjson", "application/json"),
        ("application/json, application/x-ndjson;q=0.1", "application/json", "application/json"),
        ("APPLICATION/X-NDJSON", "application/x-ndjson", 406),
        ("text/csv", 406, "text/csv; charset=utf-8"),
        ("text/*;q=0.9", 406, "text/csv; charset=utf-8"),
        ("application/json;q=0", 406, 406),
        ("image/png, text/html", 406, 406),
        ("application/json;q=0, */*", "application/x-ndjson", "application/vnd.apache.parquet"),
    ],
)
def test_what_is_not_offered_is_a_406_and_the_closest_range_decides(exporting, accept, orders, view):
    headers = exporting.key("read", companies=[JUNIPER]) | ({"Accept": accept} if accept else {})
    if accept is None:
        exporting.client.headers.pop("accept", None)
    for path, wanted in ((ORDERS, orders), (f"{EXPORT}/orders", view)):
        answer = exporting.client.get(path, headers=headers)
        found = answer.status_code if answer.status_code != 200 else answer.headers["content-type"]
        assert found == wanted, path
        if wanted == 406:
            assert answer.json()["statusCode"] == 406
            assert "offered as application/" in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["/companies", f"/companies/{JUNIPER}", f"{ORDERS}/00ORDER", f"{DATA}/commerce-info"]
)
def test_every_read_refuses_a_type_it_does_not_offer(exporting, path):
    headers = {**exporting.key("read"), "Accept": "application/xml"}
    assert exporting.client.get(path, headers=headers).status_code == 406


def test_pages_stay_on_the_first_ones_snapshot_through_their_links(books, server, reader):
    """Whatever is published meanwhile, and though another reader with the same key begins the same list anew."""
    first = server.client.get(f"{ORDERS}?pageSize=10", headers=reader)
    books.snapshot(4, "r4", JUNIPER, SHOP, datetime(2026, 11, 20, 4))  # noqa: DTZ001
    for order in books.orders:
        if order.order_id == "05ORDER":
            order.replaced_by = 4
    books.publish()
    assert server.client.get(f"{ORDERS}?pageSize=10", headers=reader).headers["x-snapshot-id"] == "4"
    ids, page = [row["id"] for row in first.json()["results"]], first.json()
    while "next" in page["_links"]:
        assert "pinnedTo=3" in page["_links"]["next"]["href"]
        answer = server.client.get(page["_links"]["next"]["href"], headers=reader)
        assert answer.headers["x-snapshot-id"] == "3"
        page = answer.json()
        ids += [row["id"] for row in page["results"]]
    assert len(ids) == len(set(ids)) == first.json()["totalResults"] == 30
    assert "05ORDER" in ids
    newest = server.client.get(f"{ORDERS}?pageSize=5000", headers=reader).json()
    assert newest["totalResults"] == 29


def test_a_stream_cut_short_has_no_closing_line(exporting, monkeypatch):
    from connector.api.reads import records as api_reads

    real = api_reads.stream

    def broken(*args, **more):
        yield next(real(*args, chunk=5, **more))
        raise duckdb.IOException("the disk went away")

    monkeypatch.setattr(api_reads, "stream", broken)
    headers = {**exporting.key("read", companies=[JUNIPER]), "Accept": "application/x-ndjson"}
    answer = exporting.client.get(ORDERS, headers=headers)
    assert "_closing" not in answer.text
    assert answer.text.count("\n") == 5
