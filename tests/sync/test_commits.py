"""A long first load is committed part by part; while one part is written the next is listed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from connector.sandbox import faults
from connector.sandbox.shapes import PLAIN, Shapes
from connector.sandbox.shop import generate_shop
from connector.sync import commit as pipeline
from connector.sync.commit import Commit
from connector.sync.map.processes import MappingProcesses

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small_commits(monkeypatch):
    monkeypatch.setattr(pipeline, "_ROWS_A_COMMIT", 10)
    monkeypatch.setattr(pipeline, "_MOST_ROWS_A_COMMIT", 10)


def shop_of(bench, shapes=PLAIN, orders=120):
    return bench(world=generate_shop(orders, seed=7, until=NOON, days=58), shapes=shapes)


def commits(shop):
    return shop.rows("SELECT count(*) FROM snapshots")[0][0]


@pytest.mark.parametrize("shapes", [PLAIN, Shapes()], ids=["full rows", "sparse rows"])
def test_several_commits_end_in_the_books_and_say_what_one_commit_says(bench, shapes, monkeypatch):
    parts = shop_of(bench, shapes)
    report = parts.sync(at=NOON)
    assert (report.status, report.unreadable) == ("succeeded", [])
    assert commits(parts) == 3
    parts.check()
    monkeypatch.setattr(pipeline, "_ROWS_A_COMMIT", 10**6)
    whole = bench(sandbox=parts.sandbox, name="whole")
    whole.sync(at=NOON)
    assert commits(whole) == 1
    assert parts.orders() == whole.orders()


def test_the_run_after_several_commits_changes_nothing(bench):
    shop = shop_of(bench)
    shop.sync(at=NOON)
    before, made = shop.orders(), commits(shop)
    report = shop.sync(at=NOON + timedelta(hours=1))
    assert (report.orders_inserted, report.orders_updated) == (0, 0)
    assert (shop.orders(), commits(shop)) == (before, made)


def test_all_is_read_again_in_several_commits_where_a_person_asks_for_all(bench):
    """Rows of sparse lists look as before when what they hide has changed."""
    shop = shop_of(bench, Shapes())
    shop.sync(at=NOON)
    ids = shop.world.books.order_ids()
    edited = {*ids[:3], *ids[-3:]}
    for order_id in edited:
        shop.world.edit_order(NOON + timedelta(minutes=1), order_id, external_reference=f"WEB-{order_id}")
    assert shop.sync(at=NOON + timedelta(hours=1), full=True).status == "succeeded"
    shop.check()
    found = shop.rows("SELECT order_id FROM orders WHERE order_number = 'WEB-' || order_id")
    assert {row[0] for row in found} == edited & set(shop.orders())


def test_what_one_part_read_is_not_read_again_because_the_next_was_listed_before(bench):
    """A sale and its refund in the next part: both are read with the first, and the second finds them known."""
    shop = shop_of(bench)
    order_id = shop.world.sell(datetime(2026, 1, 9, 15, tzinfo=UTC), [("Teapot", 4900)])
    shop.world.refund(datetime(2026, 2, 9, 15, tzinfo=UTC), order_id, 900)
    asked = []
    shop.sandbox.faults.before_each(lambda request: asked.append(request.path))
    shop.sync(at=NOON)
    assert commits(shop) == 3
    assert f"/v1/orders/{order_id}" not in asked
    shop.check()


def test_a_later_part_that_cannot_be_listed_leaves_the_parts_before_it(bench):
    shop = shop_of(bench)
    broken_from = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1000)

    def refuse_later_windows(request):
        until = request.param("created.lt")
        if request.path == "/v1/charges" and until is not None and int(until) > broken_from:
            shop.sandbox.faults.first(faults.error(500), path="/v1/charges")

    shop.sandbox.faults.before_each(refuse_later_windows)
    report = shop.sync(at=NOON)
    assert (report.status, report.exit_code) == ("failed", 1)
    assert commits(shop) == 1
    assert shop.orders()
    assert set(shop.differences()) == set(shop.world.books.order_ids()) - shop.orders().keys()
    shop.sandbox.faults.clear()
    shop.waiting.seconds += 3_600
    assert shop.sync(at=NOON + timedelta(hours=1)).status == "succeeded"
    shop.check()


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_power_cut_in_any_part_is_repaired_by_the_next_run(bench, place, monkeypatch):
    shop = shop_of(bench)
    applied = type(shop.store).apply
    count = iter(range(1, 10))

    def cut(store, batch):
        if next(count) == place:
            raise PowerCut
        return applied(store, batch)

    monkeypatch.setattr(type(shop.store), "apply", cut)
    with pytest.raises(PowerCut):
        shop.sync(at=NOON)
    monkeypatch.setattr(type(shop.store), "apply", applied)
    assert shop.sync(at=NOON + timedelta(hours=1)).status == "succeeded"
    shop.check()
    assert not list((shop.store.directory / "staging").iterdir())


def test_a_bug_in_a_later_part_says_that_the_parts_before_it_are_kept(bench, monkeypatch):
    shop, mapped, map_orders = shop_of(bench), [], Commit.map_orders

    def map_once(commit, processes):
        mapped.append(map_orders(commit, processes) if not mapped else 1 // 0)
        return mapped[-1]

    monkeypatch.setattr(Commit, "map_orders", map_once)
    report = shop.sync(at=NOON)
    assert (report.status, report.error_kind, report.exit_code) == ("failed", "bug", 1)
    assert commits(shop) == 1
    assert 0 < report.orders_inserted == len(shop.orders())
    assert "ZeroDivisionError" in report.error
    assert "Nothing of this step was written; what was committed before it is kept" in report.error
    assert "connector sync --verbose" in report.hint
    assert shop.rows("SELECT status, error_kind, error FROM ledger.sync_runs") == [
        ("failed", "bug", report.error)
    ]
    monkeypatch.undo()
    assert shop.sync().status == "succeeded"
    shop.check()


@pytest.mark.parametrize("rows", ["full", "mixed"])
def test_a_refund_in_a_later_part_than_its_sale_is_loaded_with_the_sale(bench, rows):
    """Neither the order nor its charge is read by id, and no second version is made."""
    shapes = replace(PLAIN, embedded_refunds="missing", refund_rows=rows)
    shop = shop_of(bench, shapes)
    sold = [shop.world.sell(datetime(2026, 1, 9, 9 + n, tzinfo=UTC), [("Teapot", 4900)]) for n in range(6)]
    for number, order_id in enumerate(sold):
        shop.world.refund(datetime(2026, 2, 9 + 3 * number, 15, tzinfo=UTC), order_id, 900 + number)
    asked = []
    shop.sandbox.faults.before_each(lambda request: asked.append(request.path))
    assert shop.sync(at=NOON).status == "succeeded"
    assert commits(shop) == 3
    shop.check()
    if rows == "full":
        assert not {f"/v1/orders/{order_id}" for order_id in sold} & set(asked)
        versions = shop.rows(
            "SELECT count(*) FROM ledger.order_versions WHERE order_id IN (SELECT unnest(?))", sold
        )
        assert versions == [(len(sold),)]
    before = shop.orders()
    asked.clear()
    again = shop.sync(at=NOON + timedelta(hours=1), full=True)
    assert (again.orders_inserted, again.orders_updated) == (0, 0)
    assert shop.orders() == before


def test_each_part_is_as_large_as_all_before_it(bench, monkeypatch):
    """So that publishing after every part copies a few times what is stored, however long the load is."""
    monkeypatch.setattr(pipeline, "_MOST_ROWS_A_COMMIT", 10**6)
    world = generate_shop(300, seed=7, until=NOON, days=580)
    shop = bench(world=world, shapes=PLAIN, start_date=date(2024, 7, 1))
    shop.sync(at=NOON)
    brought = [
        orders for (orders,) in shop.rows("SELECT orders_inserted FROM snapshots ORDER BY snapshot_id")
    ]
    assert len(brought) > 2
    before = [sum(brought[:part]) for part in range(len(brought))]
    assert all(part >= all_before for part, all_before in list(zip(brought, before, strict=True))[:-1])
    shop.check()


def test_what_processes_map_is_what_one_maps(bench, monkeypatch):
    monkeypatch.setattr(pipeline, "_MOST_ROWS_A_COMMIT", 10**6)
    one = shop_of(bench, Shapes(), orders=60)
    one.sync(at=NOON)
    used = []
    mapped_by = MappingProcesses.map

    def noted(self, *given):
        for batch in mapped_by(self, *given):
            used.append((len(batch.seen), len(batch.lines), set(batch.files)))
            yield batch

    monkeypatch.setattr(MappingProcesses, "map", noted)
    monkeypatch.setattr(pipeline, "WORTH_IT_FROM", 1)
    monkeypatch.setattr(pipeline, "_BATCH", 7)
    many = bench(sandbox=one.sandbox, name="many")
    report = many.sync(at=NOON)
    assert sum(seen for seen, _, _ in used) == report.orders_mapped >= 60
    assert {(lines, *sorted(files)) for _, lines, files in used} == {(0, "order_versions", "source_records")}
    many.check()
    assert many.orders() == one.orders()
    said = "SELECT kind, record_id, order_id, content_hash, payload FROM ledger.source_records ORDER BY ALL"
    assert many.rows(said) == one.rows(said)
