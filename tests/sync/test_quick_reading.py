"""How many records take the long way through the schema: few, or a first sync of a large shop takes twice as long."""

from datetime import UTC, datetime

import pytest

from connector.sandbox.shapes import PLAIN, Shapes
from connector.sandbox.shop import generate_shop
from transforms.check import agreement
from transforms.read import group as reading

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shapes", "most_slow_records", "least_plain_orders"),
    [(PLAIN, 0.02, 0.85), (Shapes(order_rows="full", refund_rows="full"), 0.08, 0.80)],
    ids=["regular", "messy"],
)
def test_few_records_are_read_by_the_schema(
    bench, monkeypatch, shapes, most_slow_records, least_plain_orders
):
    read, plain = [], []
    quick, glance = reading.read_regular, agreement._agrees
    monkeypatch.setattr(reading, "read_regular", lambda *a: read.append(quick(*a)) or read[-1])
    monkeypatch.setattr(agreement, "_agrees", lambda *a: plain.append(glance(*a)) or plain[-1])
    shop = bench(world=generate_shop(600, seed=11, until=NOON, days=50), shapes=shapes)
    assert shop.sync(at=NOON).status == "succeeded"
    shop.check()
    assert len(read) > 1_200
    slow, told = read.count(None) / len(read), plain.count(True) / len(plain)
    print(f"{slow:.1%} of the records by the schema, {told:.1%} of the orders plain at a glance")
    assert slow <= most_slow_records
    assert told >= least_plain_orders
