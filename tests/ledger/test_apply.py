from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from connector.errors import StoreError
from connector.ledger.load import bookings
from connector.ledger.load.apply import apply_batch


def at(*when):
    """As the ledger keeps times: UTC without a zone."""
    return datetime(*when, tzinfo=UTC).replace(tzinfo=None)


NOW = datetime(2026, 11, 20, 5, 0, 0, 987654, tzinfo=UTC)


@pytest.fixture
def load(ledger, books):
    """Load rows into a bare ledger."""

    def run(now=NOW, **given):
        return apply_batch(ledger, books.batch(**given), now=now)

    return run


def select(ledger, sql, *values):
    return ledger.execute(sql, list(values)).fetchall()


def test_a_new_order_is_inserted_and_current(ledger, load, rows):
    applied = load(order_versions=[rows.order()])
    assert (applied.snapshot_id, applied.orders_inserted, applied.orders_updated) == (1, 1, 0)
    assert select(ledger, "SELECT order_id, total_amount, snapshot_id FROM orders") == [
        ("O1", Decimal("12.0000"), 1)
    ]


def test_loading_the_same_rows_again_adds_nothing_and_makes_no_snapshot(ledger, load, rows):
    given = {
        "order_versions": [rows.order()],
        "source_records": [source_record()],
        "record_versions": [customer()],
        "data_issues": [issue()],
    }
    load(**given)
    again = load(**given)
    assert (again.snapshot_id, again.orders_inserted, again.orders_unchanged) == (None, 0, 1)
    for table in ("order_versions", "source_records", "record_versions", "data_issues", "snapshots"):
        assert select(ledger, f"SELECT count(*) FROM ledger.{table}") == [(1,)], table


def test_a_changed_order_replaces_the_version_before_and_keeps_it(ledger, load, rows):
    load(order_versions=[rows.order()])
    load(
        order_versions=[
            rows.order(content_hash="b", source_modified_date="2026-11-09 00:00:00", total_amount="7")
        ]
    )
    assert select(ledger, "SELECT total_amount FROM orders") == [(Decimal("7.0000"),)]
    assert select(ledger, "SELECT total_amount FROM orders_as_of(1)") == [(Decimal("12.0000"),)]
    assert select(ledger, "SELECT snapshot_id, replaced_by FROM order_versions ORDER BY 1") == [
        (1, 2),
        (2, None),
    ]


def test_a_version_that_comes_late_is_kept_and_never_current(ledger, load, rows):
    load(order_versions=[rows.order()])
    late = load(order_versions=[rows.order(content_hash="old", source_modified_date="2026-11-02 00:00:00")])
    assert (late.late, late.orders_updated) == (1, 0)
    assert select(ledger, "SELECT content_hash, snapshot_id, replaced_by FROM order_versions ORDER BY 1") == [
        ("a", 1, None),
        ("old", 2, 2),
    ]
    assert select(ledger, "SELECT count(*) FROM orders_as_of(2)") == [(1,)]


def test_of_two_versions_with_the_same_date_the_one_learned_last_wins(ledger, load, rows):
    load(order_versions=[rows.order(content_hash="z")])
    load(order_versions=[rows.order(content_hash="b")])
    assert select(ledger, "SELECT content_hash FROM order_versions WHERE replaced_by IS NULL") == [("b",)]


def test_versions_of_one_order_in_one_batch_end_in_the_newest(ledger, load, rows):
    applied = load(
        order_versions=[
            rows.order(content_hash="b", source_modified_date="2026-11-05 00:00:00"),
            rows.order(content_hash="c", source_modified_date="2026-11-06 00:00:00"),
            rows.order(content_hash="c", source_modified_date="2026-11-06 00:00:00"),
            rows.order(content_hash="a"),
        ]
    )
    assert (applied.orders_inserted, applied.late, applied.orders_unchanged) == (1, 2, 1)
    assert select(ledger, "SELECT content_hash FROM order_versions WHERE replaced_by IS NULL") == [("c",)]


def test_a_deleted_order_leaves_the_views_and_stays_in_history(ledger, load, rows):
    load(order_versions=[rows.order()])
    applied = load(tombstones=("O1", "never seen"))
    assert (applied.orders_deleted, applied.orders_updated) == (1, 1)
    assert select(ledger, "SELECT count(*) FROM orders") == [(0,)]
    assert select(ledger, "SELECT count(*) FROM orders_as_of(1)") == [(1,)]
    assert load(tombstones=("O1",)).snapshot_id is None


def test_an_order_that_comes_back_after_its_deletion_is_current_again(ledger, load, rows):
    load(order_versions=[rows.order()])
    load(tombstones=("O1",))
    load(order_versions=[rows.order(source_modified_date="2026-11-21 00:00:00", observed=True)])
    assert select(ledger, "SELECT order_id FROM orders") == [("O1",)]
    assert select(ledger, "SELECT count(*) FROM orders_as_of(2)") == [(0,)]


def test_the_same_order_id_in_two_connections_is_two_orders(ledger, load, rows):
    load(order_versions=[rows.order()])
    load(
        connection_id="connection-2",
        connection=rows.connection(connection_id="connection-2"),
        order_versions=[rows.order(connection_id="connection-2", content_hash="b", total_amount="3")],
    )
    assert select(ledger, "SELECT connection_id, total_amount FROM orders ORDER BY 1") == [
        ("connection-1", Decimal("12.0000")),
        ("connection-2", Decimal("3.0000")),
    ]


def test_money_goes_in_and_comes_out_exact(ledger, load, rows):
    load(order_versions=[rows.order(total_amount="12345678901234.5678", total_tax_amount="0.1000")])
    assert select(ledger, "SELECT total_amount, total_tax_amount FROM orders") == [
        (Decimal("12345678901234.5678"), Decimal("0.1000"))
    ]


def test_documents_carry_the_time_of_their_load(ledger, load, rows):
    load(order_versions=[rows.order()], record_versions=[customer()])
    [(doc, modified)] = select(ledger, "SELECT doc, modified_date FROM ledger.order_versions")
    assert doc == (
        '{"id":"O1","payments":[{"id":"p","modifiedDate":"2026-11-20T05:00:00Z"}],"modifiedDate":"2026-11-20T05:00:00Z"}'
    )
    assert modified == at(2026, 11, 20, 5)
    assert select(ledger, "SELECT doc FROM ledger.record_versions") == [
        ('{"modifiedDate":"2026-11-20T05:00:00Z"}',)
    ]


def test_load_times_are_whole_seconds_and_rise_even_when_the_clock_does_not(ledger, load, rows):
    times = [
        load(
            now=now,
            order_versions=[rows.order(content_hash=str(n), source_modified_date=f"2026-11-1{n} 00:00:00")],
        )
        for n, now in enumerate([NOW, NOW, NOW - timedelta(hours=1)])
    ]
    assert [applied.loaded_at for applied in times] == [
        datetime(2026, 11, 20, 5, 0, second, tzinfo=UTC) for second in (0, 1, 2)
    ]


def test_days_that_the_mapping_left_out_are_the_merchants_days(ledger, load, rows):
    load(order_versions=[rows.order(created_local_date=None)])
    assert select(ledger, "SELECT created_local_date FROM orders") == [(date(2026, 11, 1),)]
    assert select(ledger, "SELECT local_date FROM payments") == [(date(2026, 11, 1),)]


def test_a_corrected_time_zone_moves_the_days_of_every_version(ledger, load, rows):
    load(order_versions=[rows.order()])
    load(order_versions=[rows.order(content_hash="b")])
    load(connection=rows.connection(timezone="Europe/Berlin"))
    assert select(ledger, "SELECT DISTINCT created_local_date FROM order_versions") == [(date(2026, 11, 2),)]
    assert select(ledger, "SELECT DISTINCT local_date FROM payments") == [(date(2026, 11, 2),)]
    assert select(ledger, 'SELECT "day" FROM daily_sales') == [(date(2026, 11, 2),)]


def test_orders_are_booked_a_few_at_a_time_and_none_is_left_out(ledger, load, rows, monkeypatch):
    monkeypatch.setattr(bookings, "_AT_ONCE", 3)
    load(order_versions=[rows.order(f"O{number}") for number in range(10)])
    booked = (
        "SELECT count(*), count(bookings), min(len(bookings)), max(len(bookings)) FROM ledger.order_versions"
    )
    assert select(ledger, booked) == [(10, 10, 2, 2)]  # a sale and a payment each

    in_earnest = bookings._book_some
    monkeypatch.setattr(bookings, "_book_some", lambda *given: in_earnest(*given) - 1)
    with pytest.raises(StoreError, match="1 of 2 orders were booked"):
        load(order_versions=[rows.order(f"N{number}") for number in range(3)])
    assert select(ledger, booked) == [(10, 10, 2, 2)], "what was there before stays, and nothing else"


def test_cursors_move_with_the_rows_and_never_back(ledger, load):
    cursor = datetime(2026, 11, 19, tzinfo=UTC)
    load(cursors={"charges": cursor, "orders": cursor})
    load(cursors={"charges": cursor - timedelta(days=30), "orders": cursor + timedelta(days=1)})
    assert select(ledger, 'SELECT stream, "cursor" FROM ledger.sync_state ORDER BY 1') == [
        ("charges", at(2026, 11, 19)),
        ("orders", at(2026, 11, 20)),
    ]


def test_a_load_that_fails_leaves_everything_as_it_was(ledger, load, rows):
    load(order_versions=[rows.order()], cursors={"orders": datetime(2026, 11, 19, tzinfo=UTC)})
    before = {
        t: select(ledger, f"SELECT * FROM ledger.{t}")
        for t in ("order_versions", "sync_state", "sync_runs", "publication")
    }
    with pytest.raises(duckdb.Error):
        load(
            order_versions=[rows.order(content_hash="b", source_modified_date="2026-12-01 00:00:00")],
            held_back=[
                {
                    "company_id": "c",
                    "connection_id": "n",
                    "record_kind": None,
                    "record_id": None,
                    "reason": None,
                }
            ],
            cursors={"orders": datetime(2026, 11, 20, tzinfo=UTC)},
        )
    assert before == {t: select(ledger, f"SELECT * FROM ledger.{t}") for t in before}
    assert (
        load(
            order_versions=[rows.order(content_hash="b", source_modified_date="2026-12-01 00:00:00")]
        ).orders_updated
        == 1
    )


def test_a_run_that_changes_nothing_is_still_recorded(ledger, load):
    applied = load(run={"requests": 3, "rows_read": {"charges": 5}})
    assert applied.snapshot_id is None
    assert select(
        ledger, "SELECT run_id, status, requests, charges_read, orders_inserted, snapshot_id FROM sync_runs"
    ) == [("run-1", "succeeded", 3, 5, 0, None)]


def test_the_loads_of_one_run_add_up_in_one_row(ledger, load, rows):
    load(run={"run_id": "R", "status": "running", "finished_at": None}, order_versions=[rows.order("O1")])
    load(run={"run_id": "R"}, order_versions=[rows.order("O2"), rows.order("O1")])
    assert select(
        ledger, "SELECT run_id, status, orders_inserted, orders_unchanged, snapshot_id FROM sync_runs"
    ) == [("R", "succeeded", 2, 1, 2)]
    assert select(ledger, "SELECT snapshot_id, run_id, orders_inserted FROM snapshots ORDER BY 1") == [
        (1, "R", 1),
        (2, "R", 1),
    ]


def test_an_issue_that_a_later_run_does_not_find_again_is_closed_not_deleted(ledger, load, rows):
    load(order_versions=[rows.order("O1"), rows.order("O2")], data_issues=[issue("O1"), issue("O2")])
    load(seen_orders=[{"order_id": "O1"}])
    assert select(
        ledger, "SELECT order_id, first_seen_snapshot, resolved_snapshot FROM data_issues ORDER BY 1"
    ) == [
        ("O1", 1, 2),
        ("O2", 1, None),
    ]
    assert select(ledger, "SELECT order_id, difference_amount FROM open_issues") == [
        ("O2", Decimal("0.0500"))
    ]


def test_an_issue_whose_difference_changed_is_a_new_issue(ledger, load):
    load(seen_orders=[{"order_id": "O1"}], data_issues=[issue("O1")])
    load(seen_orders=[{"order_id": "O1"}], data_issues=[issue("O1", difference_minor=7)])
    assert select(ledger, "SELECT difference_minor, resolved_snapshot FROM data_issues ORDER BY 1") == [
        (5, 2),
        (7, None),
    ]


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "5"), ("USD", "0.05"), ("KWD", "0.005")])
def test_differences_are_shown_in_major_units_of_their_currency(ledger, load, currency, amount):
    load(data_issues=[issue(currency=currency)])
    assert select(ledger, "SELECT difference_amount FROM data_issues") == [(Decimal(amount),)]


def test_a_held_back_record_is_resolved_by_the_run_that_no_longer_holds_it_back(ledger, load):
    load(seen_orders=[{"order_id": "O1"}], held_back=[held("O1", reason="unpaid")])
    load(seen_orders=[{"order_id": "O1"}], held_back=[held("O1", reason="canceled")])
    assert select(ledger, "SELECT reason, first_seen_run, last_seen_run, resolved_run FROM held_back") == [
        ("canceled", "run-1", "run-2", None)
    ]
    load(seen_orders=[{"order_id": "O1"}])
    assert select(ledger, "SELECT reason, last_seen_run, resolved_run FROM held_back") == [
        ("canceled", "run-2", "run-3")
    ]


def test_an_open_order_keeps_its_first_day_until_it_is_settled(ledger, load):
    for day in ("20", "21"):
        polled = {
            "order_id": "O1",
            "reason": "pending",
            "polled_at": f"2026-11-{day} 00:00:00",
            "next_poll": "2026-11-22 00:00:00",
        }
        load(seen_orders=[{"order_id": "O1"}], open_orders=[polled])
    assert select(ledger, "SELECT order_id, first_seen, last_polled, next_poll FROM ledger.open_orders") == [
        ("O1", at(2026, 11, 20), at(2026, 11, 21), at(2026, 11, 22))
    ]
    load(seen_orders=[{"order_id": "O1"}])
    assert select(ledger, "SELECT * FROM ledger.open_orders") == []


def test_a_source_record_gets_a_version_only_when_its_content_changes(ledger, load):
    load(source_records=[source_record()])
    load(source_records=[source_record(list_hash="listed anew")])
    load(source_records=[source_record(list_hash="l3", content_hash="c2", payload='{"amount":2}')])
    load(source_records=[source_record(list_hash="l3", content_hash="c2", is_deleted=True)])
    assert select(
        ledger,
        "SELECT list_hash, content_hash, snapshot_id, replaced_by, is_deleted FROM ledger.source_records ORDER BY 3",
    ) == [("listed anew", "c", 1, 2, False), ("l3", "c2", 2, 3, False), ("l3", "c2", 3, None, True)]
    assert select(ledger, "SELECT * FROM source_records") == []


def test_a_reconciliation_loaded_twice_is_kept_once(ledger, load):
    row = {
        "run_id": "R", "company_id": "c", "connection_id": "n", "day": "2026-11-01", "stream": "charges",
        "currency": "USD",
        "clover_count": 2, "clover_amount": "3.0000", "stored_count": 2, "stored_amount": "3.0000", "explained": "0",
        "unexplained": "0",
    }  # fmt: skip
    load(reconciliations=[row])
    load(reconciliations=[row])
    assert select(ledger, "SELECT count(*), sum(unexplained) FROM reconciliations") == [
        (1, Decimal("0.0000"))
    ]


def test_an_unknown_table_in_a_batch_is_refused(ledger, books, tmp_path):
    batch = books.batch(orders=[{"order_id": "O1"}])
    with pytest.raises(ValueError, match="orders"):
        apply_batch(ledger, batch, now=NOW)


def issue(order_id="O1", **changed):
    row = {
        "company_id": "company-1", "connection_id": "connection-1", "order_id": order_id, "code": "payments_total",
        "severity": "warning", "detail": "payments differ", "difference_minor": 5, "currency": "USD",
    }  # fmt: skip
    return row | changed


def held(order_id, **changed):
    row = {
        "company_id": "company-1", "connection_id": "connection-1", "record_kind": "order", "record_id": order_id,
        "order_id": order_id, "reason": "unpaid", "detail": "",
    }  # fmt: skip
    return row | changed


def source_record(**changed):
    row = {
        "company_id": "company-1", "connection_id": "connection-1", "kind": "charge", "record_id": "CH1",
        "order_id": "O1",
        "charge_id": None, "created_at": "2026-11-01 00:00:00", "list_hash": "l", "content_hash": "c",
        "is_deleted": False, "payload": '{"amount":1}',
    }  # fmt: skip
    return row | changed


def customer(**changed):
    row = {
        "company_id": "company-1", "connection_id": "connection-1", "data_type": "customers", "record_id": "C1",
        "source_modified_date": "2026-11-01 00:00:00", "content_hash": "c", "is_deleted": False, "name": "Ada B.",
        "created_date": "2026-11-01 00:00:00", "doc": '{"modifiedDate":"@loaded"}',
    }  # fmt: skip
    return row | changed
