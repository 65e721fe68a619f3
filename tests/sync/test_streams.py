"""A stream is data: one entry and one transform, both made up here, take part in everything that a run does.

A stream beside the orders has a file in ``tests/fixtures/streams``: rows of Clover, and what the transform makes of
them.
"""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from told_clover import AT, ToldClover, told_bench

from connector.cli.check.freshness import freshness
from connector.clover.lists.streams import STREAMS, Stream
from schemas.times import to_ms

CREATED = to_ms(AT - timedelta(days=3))
ORDER = {"id": "O1", "amount": 2500, "currency": "usd", "created": CREATED, "status": "paid",
         "items": [{"parent": "I1", "description": "Teapot", "amount": 2500, "quantity": 1}]}  # fmt: skip
CHARGE = {
    "id": "C1",
    "order": "O1",
    "amount": 2500,
    "currency": "usd",
    "created": CREATED,
    "status": "succeeded",
}


def gift_card(number, balance=5000, **more):
    row = {"id": f"G{number}", "balance": balance, "currency": "usd", "created": CREATED + number, **more}
    return row | {"charge": "C1", "order": "O1", "status": "active"}


def gift_cards_of(row):
    """The transform: a gift card becomes a record with what is left on it, in minor units."""
    yield "giftCards", {"id": row["id"], "name": f"Gift card {row['id']}", "balanceMinor": row["balance"]}


INVENTED = Stream(
    "gift_card", "/v1/gift_cards", "Read gift cards", ("balance", "created"), beside=gift_cards_of
)
FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "streams").glob("*.yaml"))


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A Clover with three gift cards beside one order, and the stream that lists them."""
    monkeypatch.setitem(STREAMS, INVENTED.kind, INVENTED)
    clover = ToldClover([ORDER], [CHARGE])
    clover.rows["gift_cards"] = {row["id"]: row for row in map(gift_card, range(1, 4))}
    return told_bench(tmp_path, clover)


def test_every_stream_beside_the_orders_has_a_fixture():
    beside = {kind for kind, stream in STREAMS.items() if stream.beside is not None}
    assert {path.stem for path in FIXTURES} == beside | {INVENTED.kind}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_sync_keeps_the_rows_of_a_fixture_and_makes_its_records_of_them(path, tmp_path, monkeypatch):
    case = yaml.safe_load(path.read_text())
    assert case["why"]
    monkeypatch.setitem(STREAMS, INVENTED.kind, INVENTED)
    stream = STREAMS[case["stream"]]
    clover = ToldClover([ORDER], [CHARGE])
    clover.rows[stream.path.rpartition("/")[2]] = {row["id"]: row for row in case["clover"]}
    bench = told_bench(tmp_path, clover)
    assert bench.sync(at=AT).status == "succeeded"
    ids = bench.rows("SELECT record_id FROM source_records WHERE kind = ? ORDER BY ALL", stream.kind)
    assert [record_id for (record_id,) in ids] == sorted(row["id"] for row in case["clover"])
    for data_type, records in case["records"].items():
        made = bench.rows(
            "SELECT doc FROM ledger.record_versions WHERE data_type = ? AND replaced_by IS NULL ORDER BY record_id",
            data_type,
        )
        dates = ("modifiedDate", "sourceModifiedDate")
        assert [{k: v for k, v in json.loads(doc).items() if k not in dates} for (doc,) in made] == records
    assert bench.sync().snapshot_id is None
    assert bench.sync(kind="rebuild").snapshot_id is None


def kept(bench):
    """Gift cards as Clover's own records: id -> balance."""
    rows = bench.rows(
        "SELECT record_id, order_id, payload FROM source_records WHERE kind = 'gift_card' ORDER BY ALL"
    )
    assert all(order_id is None for _, order_id, _ in rows), "it stands beside the orders, whatever it names"
    return {record_id: json.loads(payload)["balance"] for record_id, _, payload in rows}


def published(bench):
    """Gift cards as the transform made them: id -> balance."""
    rows = bench.rows(
        "SELECT record_id, doc FROM ledger.record_versions"
        " WHERE data_type = 'giftCards' AND replaced_by IS NULL AND NOT is_deleted ORDER BY ALL"
    )
    return {record_id: json.loads(doc)["balanceMinor"] for record_id, doc in rows}


def test_its_rows_are_kept_and_mapped_and_the_order_is_as_without_it(told):
    run = told.sync(at=AT)
    assert (run.status, run.rows_read["gift_card"], run.held_back) == ("succeeded", 3, {})
    assert kept(told) == published(told) == {"G1": 5000, "G2": 5000, "G3": 5000}
    assert told.rows("SELECT order_id, total_amount::VARCHAR FROM orders") == [("O1", "25.0000")]
    assert told.rows(
        "SELECT rows_read, charges_read, rows_read - charges_read - orders_read FROM sync_runs"
    ) == [(5, 1, 3)]


def test_what_did_not_change_costs_no_read_and_makes_no_version(told):
    told.sync(at=AT)
    asked = len(told.sandbox.asked)
    again = told.sync()
    assert (again.snapshot_id, len(told.sandbox.asked) - asked) == (None, len(STREAMS))


def test_a_change_makes_a_version_and_what_vanished_is_deleted(told):
    told.sync(at=AT)
    told.sandbox.rows["gift_cards"]["G2"] = gift_card(2, balance=1200)
    del told.sandbox.rows["gift_cards"]["G3"]
    assert told.sync(full=True).status == "succeeded"
    assert kept(told) == {"G1": 5000, "G2": 1200}
    assert published(told)["G2"] == 1200
    versions = told.rows(
        "SELECT observed, count(*) FROM (SELECT source_modified_date > created AS observed FROM"
        " (SELECT source_modified_date, min(source_modified_date) OVER () AS created FROM ledger.record_versions"
        " WHERE data_type = 'giftCards' AND record_id = 'G2')) GROUP BY ALL ORDER BY ALL"
    )
    assert versions == [(False, 1), (True, 1)], "the change is dated by the run that noticed it"


def test_a_sparse_row_is_read_by_its_id(told):
    told.sandbox.by_id["gift_cards", "G1"] = gift_card(1, balance=700)
    del told.sandbox.rows["gift_cards"]["G1"]["balance"]
    told.sync(at=AT)
    assert kept(told)["G1"] == published(told)["G1"] == 700


def test_it_can_be_read_again_alone_rebuilt_and_reconciled(told):
    told.sync(at=AT)
    told.sandbox.rows["gift_cards"]["G1"] = gift_card(1, balance=100)
    alone = told.sync(kind="resync", full=True, stream="gift_cards")
    assert (alone.rows_read["gift_card"], alone.rows_read["charge"]) == (3, 0)
    before = kept(told)
    assert before == published(told) == {"G1": 100, "G2": 5000, "G3": 5000}
    assert told.sync(kind="rebuild").snapshot_id is None
    assert kept(told) == published(told) == before
    report = told.reconcile()
    assert all(one.agrees for one in report.connections), report
    lines = told.rows(
        "SELECT stream, clover_count, stored_count FROM reconciliations WHERE stream LIKE 'gift%'"
    )
    assert lines == [("gift_cards", 3, 3)]


def test_a_record_that_vanished_is_explained_by_a_reconciliation_and_opens_nothing_for_ever(told):
    told.sync(at=AT)
    del told.sandbox.rows["gift_cards"]["G3"]
    [result] = told.reconcile().connections
    assert [(one.kind, one.record_id, one.reason) for one in result.differences] == [
        ("gift_card", "G3", "deleted")
    ]
    assert result.agrees
    assert told.rows("SELECT code FROM data_issues WHERE resolved_snapshot IS NULL") == []


def test_a_store_that_knew_only_the_others_reads_it_from_the_first_date_on(told, monkeypatch):
    entry = STREAMS["gift_card"]
    monkeypatch.delitem(STREAMS, "gift_card")
    told.sync(at=AT)
    assert kept(told) == {}
    monkeypatch.setitem(STREAMS, "gift_card", entry)
    told.sync()
    assert kept(told).keys() == {"G1", "G2", "G3"}
    asked = len(told.sandbox.asked)
    told.sync()
    assert len(told.sandbox.asked) - asked == len(STREAMS)


def test_commands_that_name_streams_name_it(told):
    told.sync(at=AT)
    with told.store.open_reader() as reader:
        [state] = freshness(told.config, reader.connection, now=told.now)
    assert {one.stream: (one.rows, one.cursor is not None) for one in state.streams} == {
        stream.name: (0, True) for stream in STREAMS.values()
    } | {"charges": (1, True), "orders": (1, True), "gift_cards": (3, True)}
