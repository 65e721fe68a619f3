"""Versions, lineage, snapshots and reconciliation: what Codat cannot give."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.api.answer.differences import changes, rules

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
CONNECTION = f"/companies/{JUNIPER}/connections/{SHOP}"
ORDERS = f"{CONNECTION}/data/commerce-orders"


@pytest.fixture(scope="module")
def get(shared):
    headers = shared.key("read", "lineage", companies=[JUNIPER])
    return lambda path: shared.client.get(path, headers=headers)


def test_the_versions_of_an_order_say_what_each_changed(get):
    first, second = get(f"{ORDERS}/00ORDER/versions").json()["results"]
    assert (first["snapshotId"], first["replacedBy"], first["changes"]) == (1, 3, [])
    assert (second["snapshotId"], second["loadedAt"], second.get("replacedBy")) == (
        3,
        "2026-11-19T04:00:00Z",
        None,
    )
    changed = {change["path"]: (change.get("from"), change.get("to")) for change in second["changes"]}
    assert changed["totalRefund"] == (0, -11.5)
    assert changed["orderLineItems[refund_L1]"][0] is None
    assert changed["payments[RF00]"][1]["amount"] == -11.5
    assert "modifiedDate" not in changed
    assert second["order"] == get(f"{ORDERS}/00ORDER").json()


def test_versions_as_of_a_snapshot_know_nothing_of_later_ones(get):
    [only] = get(f"{ORDERS}/00ORDER/versions?asOf=1").json()["results"]
    assert only.get("replacedBy") is None
    deleted = get(f"{ORDERS}/07ORDER/versions").json()["results"]
    assert [v["isDeleted"] for v in deleted] == [False, True]
    assert get(f"{ORDERS}/nope/versions").status_code == 404


def test_lineage_names_the_records_and_the_rule_of_each_total(get):
    lineage = get(f"{ORDERS}/00ORDER/lineage").json()
    assert [(s["kind"], s["id"], s["record"]) for s in lineage["sources"]] == [
        ("charge", "CH00", {"id": "CH00", "amount": 1150})
    ]
    assert all(total["agrees"] for total in lineage["totals"])
    [refund] = [total for total in lineage["totals"] if total["field"] == "totalRefund"]
    assert (refund["value"], refund["parts"][0]["amount"]) == (-11.5, -11.5)
    assert lineage["issues"] == [{"code": "tax_once", "severity": "info", "detail": "estimated"}]
    assert lineage["snapshotId"] == 3
    assert get(f"{ORDERS}/nope/lineage").status_code == 404


def test_every_order_of_the_shop_agrees_with_its_rules(get):
    for order in get(f"{ORDERS}?pageSize=5000&query=id!=99FAILED").json()["results"]:
        assert [r["field"] for r in rules(order) if not r["agrees"]] == []


def test_snapshots_are_what_as_of_can_name(get):
    rows = get(f"{CONNECTION}/snapshots").json()
    assert [row["snapshotId"] for row in rows["results"]] == [3, 1]
    second = get(f"{CONNECTION}/snapshots?pageSize=1&page=2").json()
    assert ([r["snapshotId"] for r in second["results"]], second["totalResults"]) == ([1], 2)


def test_reconciliation_proves_completeness_to_the_minor_unit(get):
    proof = get(f"{CONNECTION}/reconciliation").json()
    assert (proof["complete"], proof["unexplained"]) == (True, [{"currency": "USD", "amount": 0}])
    [day] = proof["days"]
    assert (day["cloverAmount"], day["storedAmount"]) == (11.5, 11.5)


def test_what_was_never_compared_is_not_called_complete(shared):
    rival = "/companies/11111111-aaaa-4bbb-8ccc-0242ac120009/connections/n-rival/reconciliation"
    proof = shared.client.get(rival, headers=shared.key("read")).json()
    assert proof == {"unexplained": [], "days": []}


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.dictionaries(st.sampled_from(["x", "y", "id"]), inner, max_size=3) | st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_nothing_changed_is_no_change(document):
    assert list(changes(document, document)) == []


@given(
    st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3),
    st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3),
)
def test_any_difference_is_a_change_that_names_both_sides(before, after):
    found = list(changes(before, after))
    if before != after:
        assert found or _only_order_of_ids(before, after)
    assert all(change.keys() & {"from", "to"} for change in found)


def _only_order_of_ids(before, after):
    """Members with ids are compared by id: only their order, or a doubled id, can differ without a change."""
    return "id" in str(before) and "id" in str(after)


def test_a_total_that_does_not_add_up_is_shown_as_such():
    order = {
        "totalAmount": 10,
        "orderLineItems": [{"id": "1", "quantity": 1, "totalAmount": 9}],
        "payments": [],
    }
    [total] = [r for r in rules(order) if r["field"] == "totalAmount"]
    assert (total["agrees"], total["value"]) == (False, Decimal(10))
