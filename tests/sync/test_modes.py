"""Dry runs, spans, resync, rebuild and reconcile: each does what it says and leaves alone what it must."""

from datetime import timedelta
from decimal import Decimal

import duckdb
import pytest
from timeline_stories import LEAVES_NO_TRACE, OPENED, not_begun, tell

from connector.sandbox import faults
from connector.sandbox.world import World

AFTER = OPENED + timedelta(days=16)


def told():
    world, due = World(), not_begun(but=LEAVES_NO_TRACE)
    for day in (0, 1, 2, 3, 5, 9, 12, 15):
        tell(world, day, due)
    return world


def files_of(bench):
    root = bench.store.directory
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and "locks" not in path.parts
    }


def cursors(bench):
    return bench.rows('SELECT stream, "cursor" FROM ledger.sync_state ORDER BY ALL')


def test_a_dry_run_tells_what_would_change_and_leaves_no_trace(bench):
    shop = bench()
    old = shop.world.sell(OPENED, [("Teapot", 4900)])
    shop.sync(at=OPENED + timedelta(hours=1))
    new = shop.world.sell(OPENED + timedelta(hours=2), [("Pin", 100)])
    shop.world.refund(OPENED + timedelta(hours=2), old, 900)
    before, orders = files_of(shop), shop.orders()
    report = shop.sync(at=OPENED + timedelta(hours=3), dry_run=True)
    changes = {c.order_id: (c.old_total, c.new_total, c.old_refund, c.new_refund) for c in report.changes}
    assert changes == {
        new: (None, Decimal("1.00"), None, Decimal(0)),
        old: (Decimal("49.00"), Decimal("40.00"), Decimal(0), Decimal("-9.00")),
    }
    assert files_of(shop) == before
    assert shop.orders() == orders
    real = shop.sync(at=OPENED + timedelta(hours=4))
    assert (real.orders_inserted, real.orders_updated) == (1, 1)


def test_a_dry_run_before_anything_was_stored_makes_no_store(bench):
    shop = bench(told())
    report = shop.sync(at=AFTER, dry_run=True)
    assert report.status == "succeeded", report.error
    assert {change.old_total for change in report.changes} == {None}
    assert len(report.changes) > 20
    assert not shop.store.is_there()
    assert not shop.store.directory.exists() or not list(shop.store.directory.iterdir())
    assert shop.sync(at=AFTER).orders_inserted == len(report.changes)
    assert shop.store.is_there()


def test_full_reads_everything_again_and_writes_only_what_differs(bench):
    shop = bench(told())
    shop.sync(at=AFTER)
    versions = shop.rows("SELECT count(*) FROM ledger.order_versions")
    again = shop.sync(full=True)
    assert again.rows_read["order"] > 30
    assert shop.rows("SELECT count(*) FROM ledger.order_versions") == versions
    assert cursors(shop)[0][1] == (AFTER + timedelta(hours=1)).replace(tzinfo=None)


@pytest.mark.parametrize(
    "mode", [{"full": True}, {"since": OPENED}, {"kind": "resync"}], ids=["full", "since", "resync"]
)
def test_a_span_that_a_person_asks_for_is_really_read_again(bench, mode):
    """Its order row looks as it did, and yet the order was given a number on a device."""
    shop = bench()
    order_id = shop.world.sell(OPENED, [("Teapot", 4900)])
    shop.sync(at=OPENED + timedelta(days=3))
    shop.world.edit_order(OPENED + timedelta(days=3), order_id, external_reference="WEB-77")
    shop.sync(at=OPENED + timedelta(days=3, hours=1), **mode)
    assert shop.rows("SELECT order_number FROM orders") == [("WEB-77",)]


def test_a_span_that_leaves_a_gap_does_not_move_the_cursor_and_the_gap_is_read_next_time(bench):
    shop = bench()
    shop.sync(at=OPENED)
    missed = shop.world.sell(OPENED + timedelta(days=1), [("Teapot", 4900)])
    seen = shop.world.sell(OPENED + timedelta(days=9), [("Pin", 100)])
    before = cursors(shop)
    shop.sync(at=OPENED + timedelta(days=10), since=OPENED + timedelta(days=8))
    assert list(shop.orders()) == [seen]
    assert cursors(shop) == before
    shop.sync(at=OPENED + timedelta(days=10, hours=1))
    assert set(shop.orders()) == {seen, missed}


def test_resync_never_moves_a_cursor(bench):
    shop = bench(told())
    shop.sync(at=OPENED + timedelta(days=4))
    before = cursors(shop)
    report = shop.sync(at=AFTER, kind="resync")
    assert report.status == "succeeded", report.error
    assert report.kind == "resync"
    assert cursors(shop) == before
    shop.check()
    assert shop.sync(at=AFTER + timedelta(hours=1)).snapshot_id is None
    assert cursors(shop) != before


def test_resync_of_one_stream_reads_only_that_list(bench):
    shop = bench(told())
    shop.sync(at=AFTER)
    report = shop.sync(kind="resync", stream="refunds", since=OPENED)
    assert report.rows_read["refund"] > 10
    assert (report.rows_read["charge"], report.rows_read["order"]) == (0, 0)
    shop.check()


def test_rebuild_calls_nobody_and_gives_the_same_orders(bench):
    """Also after deletions, voids and failed refunds, of which the last answer of Clover says nothing."""
    shop = bench()
    due = not_begun()
    for day in (0, 1, 2, 3, 5, 9, 12, 15):
        tell(shop.world, day, due)
        assert shop.sync(at=OPENED + timedelta(days=day, hours=2)).status == "succeeded"
    shop.sync(at=AFTER)
    shop.check()
    before, position = shop.orders(), cursors(shop)
    shop.sandbox.stop()
    report = shop.sync(kind="rebuild")
    assert report.status == "succeeded", report.error
    assert report.requests == 0
    assert (report.orders_inserted, report.orders_updated, report.orders_deleted) == (0, 0, 0)
    assert shop.orders() == before
    assert cursors(shop) == position


def test_rebuild_after_a_change_of_the_configuration_maps_anew(bench):
    shop = bench(told())
    shop.sync(at=AFTER)
    paid = set(shop.orders())
    shop.config.sync.__dict__["unpaid_orders"] = "include"
    report = shop.sync(kind="rebuild")
    assert report.orders_inserted > 0
    assert set(shop.orders()) > paid
    assert shop.rows(
        "SELECT count(*) FROM ledger.held_back WHERE resolved_run IS NULL AND reason <> 'deleted'"
    ) == [(0,)]


def test_rebuild_leaves_alone_what_is_not_kept_raw_any_more(bench):
    """Part of the raw payloads was deleted to save room: no order vanishes or changes for it."""
    shop = bench(told())
    shop.sync(at=OPENED + timedelta(days=9, hours=3))
    oldest = sorted((shop.store.directory / "raw").rglob("*.gz"))
    shop.sync(at=AFTER)
    before = shop.orders()
    for part in oldest:
        part.unlink()
    report = shop.sync(kind="rebuild")
    assert report.status == "succeeded", report.error
    assert (report.orders_updated, report.orders_deleted) == (0, 0)
    assert shop.orders() == before


def test_rebuild_leaves_out_what_a_failed_run_has_read(bench):
    """A run that broke off has read the refund and not yet the order: half a change is no change."""
    shop = bench()
    order_id = shop.world.sell(OPENED, [("Teapot", 4900)])
    shop.sync(at=OPENED + timedelta(days=3))
    before = shop.orders()
    shop.world.refund(OPENED + timedelta(days=3, hours=1), order_id, 900)
    shop.sandbox.faults.always(faults.error(500), path="/v1/orders/*")
    shop.sandbox.faults.always(faults.error(500), path="/v1/orders")
    assert shop.sync(at=OPENED + timedelta(days=3, hours=2)).status == "failed"
    shop.sync(kind="rebuild")
    assert shop.orders() == before
    shop.sandbox.faults.clear()
    shop.sync()
    shop.check()


class TestReconcile:
    def test_a_synced_store_agrees_on_every_line(self, bench):
        shop = bench(told())
        shop.sync(at=AFTER)
        report = shop.reconcile()
        found = report.connections[0]
        assert report.exit_code == 0, found.differences
        assert {line.stream for line in found.lines} == {
            "charges",
            "orders",
            "refunds",
            "captured",
            "refunded",
        }
        assert all(line.clover_amount == line.stored_amount for line in found.lines if not line.reasons)
        assert shop.rows("SELECT count(*) FROM ledger.reconciliations") == [(len(found.lines),)]

    def test_records_after_the_last_sync_are_explained(self, bench):
        shop = bench(told())
        shop.sync(at=AFTER)
        shop.world.sell(AFTER + timedelta(seconds=20), [("Pin", 100)])
        report = shop.reconcile()
        assert {d.reason for d in report.connections[0].differences} >= {"not_yet_seen"}
        assert report.exit_code == 0

    def test_a_deleted_order_and_a_changed_tip_are_explained_and_named(self, bench):
        shop = bench()
        deleted = shop.world.sell(OPENED, [("Teapot", 4900)])
        changed = shop.world.sell(OPENED, [("Pin", 100)])
        shop.sync(at=OPENED + timedelta(days=4))
        shop.world.delete_order(OPENED + timedelta(days=4), deleted)
        shop.world.edit_order(OPENED + timedelta(days=4), changed, add=("Needle", 50))
        report = shop.reconcile()
        reasons = {d.record_id: d.reason for d in report.connections[0].differences}
        assert reasons[deleted] == "deleted"
        assert report.exit_code == 0

    def test_a_record_that_is_missing_in_the_store_is_a_cent_unexplained(self, bench):
        """An old sale that no feed will ever list again was lost: exit 3, and the record is named."""
        shop = bench()
        lost = shop.world.sell(OPENED, [("Teapot", 4900)])
        shop.world.sell(OPENED, [("Pin", 100)])
        shop.sync(at=OPENED + timedelta(days=4))
        charge = shop.world.charge_ids(lost)[0]
        tamper(shop, "DELETE FROM ledger.source_records WHERE record_id = ?", charge)
        report = shop.reconcile()
        assert report.exit_code == 3
        found = report.connections[0]
        assert [(d.record_id, d.reason) for d in found.differences] == [(charge, "missing")]
        assert sum(line.unexplained for line in found.lines) == Decimal("49.00")
        status = shop.rows("SELECT status FROM ledger.sync_runs WHERE kind = 'reconcile'")
        assert status == [("partly_done",)]

    def test_money_that_no_order_shows_is_a_cent_unexplained(self, bench):
        shop = bench()
        hidden = shop.world.sell(OPENED, [("Teapot", 4900)])
        shop.sync(at=OPENED + timedelta(days=4))
        tamper(shop, "DELETE FROM ledger.order_versions WHERE order_id = ?", hidden)
        report = shop.reconcile()
        assert report.exit_code == 3
        assert {d.reason for d in report.connections[0].differences} == {"uncounted"}

    @pytest.mark.parametrize("path", ["/v1/charges", "/v1/refunds"])
    def test_a_list_that_cannot_be_read_proves_nothing(self, bench, path):
        shop = bench(told())
        shop.sync(at=AFTER)
        shop.sandbox.faults.always(faults.error(500), path=path)
        report = shop.reconcile()
        assert report.exit_code == 1
        assert report.connections[0].error


def tamper(bench, sql, *values):
    """Change the working copy behind the store's back, and publish it."""
    with duckdb.connect(str(bench.store.directory / "work.duckdb")) as work:
        work.execute(sql, list(values))
    bench.sync(kind="resync", since=bench.now - timedelta(minutes=1))
    bench.store.publish()
