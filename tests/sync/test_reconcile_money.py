"""What Clover captured and gave back against what published orders carry: stored money in no order never agrees."""

from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest
from sync_bench import NOON
from told_clover import ToldClover, told_bench

from connector.cli.terminal.reconciliation import print_reconciliation
from connector.sandbox.shop import generate_shop
from connector.sync.reconcile.comparison import Published, Reason, SourceRecord
from connector.sync.reconcile.money import compare_money

DAY = date(2026, 3, 2)
LATER = NOON + timedelta(days=4)


def money(report):
    """(stream, currency) -> amounts at Clover and in published orders."""
    found = {}
    for line in report.connections[0].lines:
        if line.stream.endswith(("captured", "refunded")):
            before = found.get((line.stream, line.currency), (Decimal(), Decimal()))
            found[line.stream, line.currency] = (
                before[0] + line.clover_amount,
                before[1] + line.stored_amount,
            )
    return found


def named(report):
    return [
        (d.stream, d.record_id, d.amount, d.reason, d.detail)
        for d in report.connections[0].differences
        if d.stream.endswith(("captured", "refunded"))
    ]


def tamper(bench, sql, *values):
    with duckdb.connect(str(bench.store.directory / "work.duckdb")) as work:
        work.execute(sql, list(values))
    bench.sync(kind="resync", since=bench.now - timedelta(minutes=1))
    bench.store.publish()


def test_both_sides_are_the_books_of_a_whole_shop(bench):
    shop = bench(generate_shop(120, seed=5, until=NOON, days=40))
    shop.sync(at=NOON + timedelta(days=1))
    report = shop.reconcile()
    [(currency, books)] = shop.world.books.totals().items()
    found = money(report)
    published = sum((ours for (stream, _), (_, ours) in found.items() if "captured" in stream), Decimal())
    returned = sum((ours for (stream, _), (_, ours) in found.items() if "refunded" in stream), Decimal())
    assert {code for _, code in found} == {currency}
    assert (published - returned) * 100 == books.captured_minor - books.refunded_minor
    assert named(report) == [] or {n[3] for n in named(report)} <= {"told_by_totals", "withheld"}


def test_captured_money_of_a_deleted_order_agrees_for_it_is_published(bench):
    shop = bench()
    order = shop.world.sell(NOON, [("Teapot", 4900)], tip=100)
    shop.sync(at=LATER)
    shop.world.delete_order(LATER, order)
    shop.sync(full=True)
    report = shop.reconcile()
    assert (report.exit_code, named(report)) == (0, [])
    assert money(report)["captured", "USD"] == (Decimal("50"), Decimal("50"))


def test_a_refund_that_leads_to_no_order_does_not_agree_and_is_named_with_what_to_do(tmp_path, capsys):
    stray = {"id": "STRAYREFUND01", "amount": 4100, "currency": "usd", "created": 1795535600000}
    shop = told_bench(tmp_path, ToldClover(refunds=[{**stray, "status": "succeeded", "charge": "UNKNOWN"}]))
    shop.sync()
    report = shop.reconcile()
    assert named(report) == [("refunded", "STRAYREFUND01", Decimal("41"), "withheld", "no_link")]
    assert money(report)["refunded", "USD"] == (Decimal("41"), Decimal("0"))
    assert report.exit_code == 3
    print_reconciliation(report)
    out = capsys.readouterr().out
    assert "refunded STRAYREFUND01: 41.00 USD, withheld (no_link)" in out
    assert "agrees to the minor unit" not in out
    assert "SELECT * FROM held_back" in out


def test_unpaid_orders_are_no_money_and_agree(bench):
    shop = bench()
    shop.world.authorize(NOON, shop.world.open_order(NOON, [("Pin", 100)]))
    shop.world.decline(NOON, shop.world.open_order(NOON, [("Pin", 100)]))
    shop.world.sell(NOON, [("Teapot", 4900)])
    shop.sync(at=NOON + timedelta(hours=1))
    report = shop.reconcile()
    assert (report.exit_code, money(report)) == (0, {("captured", "USD"): (Decimal(49), Decimal(49))})


def test_a_payment_that_is_published_with_another_amount_or_twice_is_unexplained(bench):
    shop = bench()
    order = shop.world.sell(NOON, [("Teapot", 4900)])
    shop.sync(at=LATER)
    tamper(
        shop,
        "UPDATE ledger.order_versions SET payments ="
        " [struct_update(p, amount := 48.0::DECIMAL(18,4)) for p in payments] WHERE order_id = ?",
        order,
    )
    report = shop.reconcile()
    assert [n[2:4] for n in named(report)] == [(Decimal(1), "uncounted")]
    assert report.exit_code == 3
    tamper(
        shop,
        "INSERT INTO ledger.order_versions SELECT * REPLACE ('other' AS order_id) FROM ledger.order_versions"
        " WHERE order_id = ?",
        order,
    )
    report = shop.reconcile()
    assert [(n[3], n[4]) for n in named(report)] == [("uncounted", "in more than one published order")]


def test_what_changed_at_clover_since_the_sync_is_explained(bench):
    shop = bench()
    order = shop.world.open_order(NOON, [("Teapot", 4900)])
    charge = shop.world.pay_ach(NOON, order)
    shop.sync(at=LATER)
    shop.world.settle_ach(LATER, charge)
    report = shop.reconcile()
    assert [n[3] for n in named(report)] == ["changed_since"]
    assert report.exit_code == 0


def record(stream="charge", name="A", amount=100, created=NOON, **row):
    said = {"id": name, "amount": amount, "currency": "usd", "status": "succeeded", "captured": True, **row}
    return SourceRecord(stream, name, created, DAY, "USD", amount, said)


def compared(listed, stored=None, published=(), why=None, held_back=None):
    stored = listed if stored is None else stored
    found = compare_money(
        listed,
        {r.key: r for r in stored},
        {one.payment_id: one for one in published},
        why=why or {},
        held_back=held_back or {},
    )
    return found.lines, [(d.reason, d.amount_minor, d.detail) for d in found.differences]


def shown(*amounts, name="A", is_refund=False):
    return Published(name, is_refund, DAY, ("USD",) * len(amounts), amounts)


DOUBT = {"captured": False}
HELD = {("charge", "A"): "no_link"}


@pytest.mark.parametrize(
    ("record_", "published", "held_back", "expected"),
    [
        (record(), [shown(100)], {}, []),
        (record(tip_amount=20), [shown(120)], {}, []),
        (record(tip_amount=20), [shown(100)], {}, []),
        (record(tip_amount=20), [shown(110)], {}, [(Reason.UNCOUNTED, 10, "published with another amount")]),
        (record(), [], HELD, [(Reason.WITHHELD, 100, "no_link")]),
        (record(), [], {("charge", "A"): "authorized"}, [(Reason.WITHHELD, 100, "authorized")]),
        (record(), [], {}, [(Reason.UNCOUNTED, 100, "in no published order")]),
        (record(**DOUBT), [shown(100)], {}, []),
        (record(**DOUBT), [shown(0)], {}, []),
        (record(**DOUBT), [], {("charge", "A"): "authorized"}, []),
        (record(**DOUBT), [], HELD, [(Reason.WITHHELD, 100, "no_link")]),
        (record(status="failed", captured=False), [], {}, []),
        (record(status="pending", captured=False), [], {("charge", "A"): "pending"}, []),
        (record(created=None), [], HELD, [(Reason.WITHHELD, 100, "no_link")]),
    ],
)
def test_where_each_cent_of_a_charge_is(record_, published, held_back, expected):
    assert compared([record_], published=published, held_back=held_back)[1] == expected


def test_a_refund_that_leads_to_no_order_is_named_and_an_undated_one_has_a_line_of_its_own():
    refund = record("refund", "R", created=None)
    lines, differences = compared([], [refund], held_back={("refund", "R"): "no_link"})
    assert differences == [(Reason.WITHHELD, 100, "no_link")]
    assert list(lines) == [(DAY, "undated refunded", "USD")]
