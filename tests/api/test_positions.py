"""What is kept of a question changes no answer: any query, order and page, against plain SQL over the ledger."""

import json
import threading
from array import array
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.api.answer.resources import RESOURCES
from connector.api.query.fields import Kind
from connector.api.query.ordering import read_order
from connector.api.query.sql import OPERATORS, compile_query
from connector.api.reads import positions, records
from connector.api.reads.positions import Positions
from connector.api.reads.records import Scope, Selection
from connector.ledger.published import Published

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"
BY_TYPE = {resource.data_type: resource for resource in RESOURCES}
TRIED = ("commerce-orders", "commerce-payments", "commerce-transactions", "commerce-customers")
VALUES = {
    Kind.TEXT: st.sampled_from(["usd", "ORDER", "07ORDER", "CH1", "C2", "refund", "Paid", "name", "no-1", "Order"]),
    Kind.NUMBER: st.sampled_from(["0", "-11.5", "21.00", "24.25", "60", "1e5"[:1], "100000000000000000", "25.333333"]),
    Kind.DATE: st.sampled_from(["2026-10-05", "2026-10-06T12:00:00Z", "2026-11-18T04:00:00Z", "2030-01-01"]),
    Kind.BOOLEAN: st.sampled_from(["true", "false"]),
}  # fmt: skip


def live(as_of, alias="t"):
    condition = (
        f"{alias}.company_id = '{JUNIPER}' AND {alias}.connection_id = '{SHOP}' AND NOT {alias}.is_deleted"
    )
    if as_of is None:
        return f"{condition} AND {alias}.replaced_by IS NULL"
    until = f"({alias}.replaced_by IS NULL OR {alias}.replaced_by > {as_of})"
    return f"{condition} AND {alias}.snapshot_id <= {as_of} AND {until}"


def plainly(cursor, resource, as_of, selection, limit, offset):
    """Ids and documents of a page, written out in one piece."""
    rest = f"WHERE {selection.where} ORDER BY {selection.order} LIMIT {limit} OFFSET {offset}"
    if resource.data_type in ("commerce-orders", "commerce-customers"):
        table = "order_versions" if resource.data_type == "commerce-orders" else "record_versions"
        only = "" if table == "order_versions" else "AND t.data_type = 'customers'"
        sql = f"SELECT v.doc FROM (SELECT * FROM ledger.{table} t WHERE {live(as_of)} {only}) v {rest}"
        return [row[0] for row in cursor.execute(sql, list(selection.parameters)).fetchall()]
    paid = "WHERE p.status = 'Paid'" if resource.data_type == "commerce-transactions" else ""
    sql = f"""
      SELECT v.payment_id, v.doc FROM (
        SELECT p.id AS payment_id, p.amount, p.currency, p.type, p.status, p.provider, p.created_date, order_id, doc,
          coalesce(p.modified_date, modified_date) AS modified_date, p.source_modified_date,
          if(p.is_refund, 'Refund', 'Payment') AS transaction_type, if(p.is_refund, 'refund', 'charge') AS sub_type
        FROM (SELECT unnest(t.payments) AS p, t.order_id, t.modified_date, t.doc FROM ledger.order_versions t
              WHERE {live(as_of)}) {paid}) v {rest}"""
    rows = cursor.execute(sql, list(selection.parameters)).fetchall()
    if resource.data_type == "commerce-transactions":
        return [payment_id for payment_id, _ in rows]
    return [
        next(p for p in json.loads(document)["payments"] if p["id"] == payment_id)
        for payment_id, document in rows
    ]


def served(publication, resource, as_of, selection, limit, offset):
    scope = Scope(JUNIPER, SHOP, as_of)
    selection = replace(selection, limit=limit, offset=offset)
    page = records.page(publication, resource.source, scope, selection)
    found = json.loads(f"[{page.text}]")
    assert page.rows == len(found)
    if resource.data_type == "commerce-transactions":
        return [transaction["id"] for transaction in found]
    if resource.data_type == "commerce-payments":
        return found
    lines = records.page(publication, resource.source, scope, selection, separator="\n")
    return lines.text.split("\n") if lines.rows else []


@st.composite
def questions(draw):
    resource = BY_TYPE[draw(st.sampled_from(TRIED))]
    asked = {name: f for name, f in resource.fields.items() if f.kind not in (Kind.LIST, Kind.OBJECT)}

    def clause():
        name = draw(st.sampled_from(sorted(asked)))
        return f"{name}{draw(st.sampled_from(sorted(OPERATORS[asked[name].kind])))}{draw(VALUES[asked[name].kind])}"

    query = draw(st.sampled_from(["&&", "||"])).join(clause() for _ in range(draw(st.integers(0, 3))))
    order = draw(st.sampled_from(["", "-"])) + draw(st.sampled_from(sorted(asked)))
    condition = compile_query(query or None, resource.fields, resource.model)
    by = read_order(order, resource.fields, resource.model, resource.default_order)
    limit, page = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    return (
        resource,
        draw(st.sampled_from([None, 1, 3])),
        Selection(condition.sql, condition.parameters, by.sql),
        limit,
        (page - 1) * limit,
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory, published_file, builders):
    found = Published(builders.published_copy(tmp_path_factory.mktemp("store"), published_file).directory)
    yield found
    found.close()


@given(questions(), st.sampled_from([64 << 20, 300, 0]))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_question_has_the_same_answer_the_first_time_and_whenever_it_is_asked_again(
    published, question, most_bytes
):
    resource, as_of, selection, limit, offset = question
    with published.open() as publication:
        publication.cache["positions"] = Positions(most_bytes)
        expected = plainly(publication.cursor, resource, as_of, selection, limit, offset)
        for _ in range(3):
            assert served(publication, resource, as_of, selection, limit, offset) == expected
        assert served(publication, resource, as_of, selection, 3, 0) == plainly(
            publication.cursor, resource, as_of, selection, 3, 0
        )
        assert publication.cache["positions"].size <= most_bytes


@pytest.mark.parametrize("data_type", TRIED)
@pytest.mark.parametrize("hashes", ["apart", "all the same"])
def test_every_record_is_found_by_its_id_and_no_other_is(published, monkeypatch, data_type, hashes):
    if hashes == "all the same":
        monkeypatch.setattr(positions, "hash_sql", lambda _id: "CAST(7 AS UBIGINT)")
        monkeypatch.setattr(positions, "_hash", lambda _id: 7)
    resource = BY_TYPE[data_type]
    for as_of in (None, 1):
        scope = Scope(JUNIPER, SHOP, as_of)
        with published.open() as publication:
            publication.cache["positions"] = Positions()
            selection = Selection(order=resource.source.id_sql, limit=100)
            page = records.page(publication, resource.source, scope, selection)
            known = {record["id"]: record for record in json.loads(f"[{page.text}]")}
            assert known
            for _ in range(20):  # as often as it takes to be kept
                records.one(publication, resource.source, scope, "none")
            assert publication.cache["positions"].size > 0
            for record_id, record in known.items():
                assert json.loads(records.one(publication, resource.source, scope, record_id)) == record
            for absent in ("none", "", "RIVAL0", "RCH0", "RC1"):
                assert records.one(publication, resource.source, scope, absent) is None


def test_a_new_publication_is_answered_from_itself(server, reader):
    """By every page and id that was asked for before it, as often as it takes for them to be kept."""
    ask = lambda path: server.client.get(path, headers=reader).json()  # noqa: E731
    for _ in range(20):
        assert ask(f"{ORDERS}/99FAILED")["totalAmount"] == 5
        assert [o["id"] for o in ask(f"{ORDERS}?pageSize=2&orderBy=-id")["results"]] == [
            "99FAILED",
            "29ORDER",
        ]
    server.books.orders = [order for order in server.books.orders if order.order_id != "99FAILED"]
    server.books.orders.reverse()
    server.books.publish()
    for _ in range(20):
        assert ask(f"{ORDERS}/99FAILED")["statusCode"] == 404
        assert [o["id"] for o in ask(f"{ORDERS}?pageSize=2&orderBy=-id")["results"]] == ["29ORDER", "28ORDER"]


def test_what_is_kept_is_bounded_and_the_last_used_stays():
    kept = Positions(100)
    made = []

    def find(name):
        def make():
            made.append(name)
            return (array("q", range(5)),)

        return kept.find(name, lambda: 5, make)

    for name in "abcab":
        find(name)
    assert made == ["a", "b"]
    assert find("a") is not None
    assert find("c") is not None
    assert (made, kept.size) == (["a", "b", "c"], 80)
    assert find("a") is not None
    assert made == ["a", "b", "c"], "b was used the longest ago"
    find("b")
    assert made == ["a", "b", "c", "b"]


def test_what_is_too_large_to_be_kept_is_never_made():
    kept = Positions(100)
    for _ in range(5):
        assert kept.find("q", lambda: 7, lambda: pytest.fail("made")) is None


def test_nobody_waits_for_what_another_makes_and_a_failure_is_made_again():
    kept, begun, go_on = Positions(), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(10)
        raise OSError("made badly")

    kept.find("q", lambda: 1, slow)

    def fail():
        with pytest.raises(OSError, match="made badly"):
            kept.find("q", lambda: 1, slow)

    thread = threading.Thread(target=fail)
    thread.start()
    assert begun.wait(10)
    assert kept.find("q", lambda: 1, lambda: pytest.fail("made twice at once")) is None
    go_on.set()
    thread.join()
    assert kept.find("q", lambda: 1, lambda: (array("q", [4]),)) == (array("q", [4]),)
