"""The merchant's own order number is used only where it names one order."""

from datetime import timedelta

from connector.sandbox import World


def numbers(made):
    return {row[0]: row[1] for row in made.rows("SELECT order_id, order_number FROM orders")}


def test_a_reference_that_names_one_order_is_its_number(bench):
    world = World()
    made = bench(world=world)
    order = world.sell(made.now - timedelta(days=3), external_reference="PO-1")
    made.sync()
    assert numbers(made) == {order: "PO-1"}


def test_a_reference_that_two_orders_carry_names_neither_whenever_the_second_comes(bench):
    world = World()
    made = bench(world=world)
    first = world.sell(made.now - timedelta(days=3), external_reference="PO-1")
    made.sync()
    second = world.sell(made.now + timedelta(minutes=5), external_reference="PO-1")
    made.sync()
    assert numbers(made) == {first: first, second: second}
    third = world.sell(made.now + timedelta(minutes=5), external_reference="PO-1")
    made.sync()
    assert numbers(made) == {first: first, second: second, third: third}
    assert made.sync().orders_updated == 0
