"""A charge whose list row names no order: it may have none, or the list may leave it out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.clover.lists.streams import CHARGES, ORDERS, RowShape, agrees, is_sparse, shape_of
from connector.sandbox.shapes import PLAIN, Shapes

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ROWS = {
    "as they are": PLAIN,
    "nulls": replace(PLAIN, absent="null"),
    "without orders": replace(PLAIN, charge_rows="without_order"),
    "some without orders": replace(PLAIN, charge_rows="mixed"),
    "sparse orders": Shapes(charge_rows="mixed"),
}
FULL = {
    "id": "C1",
    "amount": 900,
    "currency": "usd",
    "created": 1791158400000,
    "status": "succeeded",
    "order": "O1",
}


def shop_with_both(bench, shapes):
    shop = bench(shapes=shapes)
    alone = []
    for day in range(2, 14):
        at = NOON - timedelta(days=day)
        shop.world.sell(at, [("Teapot", 4900)])
        alone.append(shop.world.charge_alone(at + timedelta(hours=1), 1000 + day))
    return shop, alone


@pytest.mark.parametrize("name", ROWS)
def test_whatever_rows_leave_out_the_books_agree_through_sync_change_full_and_rebuild(bench, name):
    shop, alone = shop_with_both(bench, ROWS[name])
    assert shop.sync(at=NOON).status == "succeeded"
    shop.check()
    shop.world.refund(NOON + timedelta(minutes=5), charge_id=alone[0], amount=300)
    shop.world.refund(NOON + timedelta(minutes=6), charge_id=alone[-1], amount=200)
    shop.world.refund(NOON + timedelta(minutes=7), shop.world.books.order_ids()[0], 100)
    assert shop.sync(at=NOON + timedelta(hours=1)).status == "succeeded"
    shop.check()
    before = shop.orders()
    for number, mode in enumerate(({"kind": "rebuild"}, {"full": True}, {"kind": "rebuild"})):
        report = shop.sync(at=NOON + timedelta(hours=2 + number), **mode)
        assert (report.status, report.orders_inserted, report.orders_updated) == ("succeeded", 0, 0), mode
        assert shop.orders() == before


def test_rows_are_whole_silent_or_sparse():
    silent = {name: value for name, value in FULL.items() if name != "order"}
    assert shape_of(CHARGES, FULL) is RowShape.WHOLE
    assert shape_of(CHARGES, silent) is shape_of(CHARGES, FULL | {"order": None}) is RowShape.SILENT
    assert shape_of(CHARGES, silent | {"status": ""}) is RowShape.SPARSE
    assert shape_of(ORDERS, FULL) is RowShape.SPARSE
    assert is_sparse(CHARGES, silent)


def test_a_record_agrees_with_its_silent_row_if_it_names_no_order_and_says_the_same():
    silent = {name: value for name, value in FULL.items() if name != "order"}
    assert agrees(CHARGES, silent, silent | {"order": None, "tax_amount": 5})
    assert not agrees(CHARGES, silent, FULL)
    assert not agrees(CHARGES, silent, silent | {"amount": 901})
