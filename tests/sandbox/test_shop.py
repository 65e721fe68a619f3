"""Generated shops: repeatable to the byte, with everything in them that happens in a shop."""

import threading
from collections import Counter

from connector.sandbox import PLAIN, Shapes, World
from connector.sandbox.lists import COLLECTIONS, read_one
from connector.sandbox.shop import generate_shop

DAY = 86_400_000


def contents(world: World, shapes: Shapes | None = None) -> list[bytes]:
    return [
        read_one(world, collection, record_id, shapes or Shapes()).body
        for collection in COLLECTIONS.values()
        for record_id in getattr(world, collection.name).by_id
    ]


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not():
    assert contents(generate_shop(300, seed=4)) == contents(generate_shop(300, seed=4))
    assert contents(generate_shop(300, seed=4)) != contents(generate_shop(300, seed=5))


def test_everything_that_happens_in_a_shop_happens_in_a_large_one():
    world = generate_shop(6_000, seed=2)
    kinds = Counter(event.kind for event in world.journal)
    assert set(kinds) >= {
        "charge_authorized",
        "charge_captured",
        "charge_failed",
        "charge_pending",
        "ach_failed",
        "refund_succeeded",
        "refund_pending",
        "refund_failed",
        "refund_voided",
        "void_refund",
        "void_gone",
        "order_edited",
        "dispute_noted",
        "order_deleted",
    }
    orders = list(world.orders.by_id.values())
    assert any(order.currency == "JPY" for order in orders)
    assert any(len(order.charges) > 1 and order.paid_at for order in orders)
    assert any(len(charge.refunds) == 12 for charge in world.charges.by_id.values())
    assert any(order.settled_charges for order in orders)
    assert 0 < sum(book.ambiguous for book in world.books.orders()) < 60
    assert sum(order.customer is None for order in orders) > 1_000


def test_the_books_of_a_generated_shop_balance_to_the_cent():
    world = generate_shop(2_000, seed=9)
    for book in world.books.orders(deleted=True):
        kept = book.captured_minor - book.refunded_minor
        assert kept == book.total_amount_minor + book.gratuity_kept - book.outstanding_minor
        assert 0 <= book.refunded_minor <= book.captured_minor


def test_what_is_read_adds_up_to_what_was_booked(serve):
    """Charges less refunds, as an outsider sums them, are the money the books kept."""
    world = generate_shop(800, seed=11)
    caller = serve(world, shapes=PLAIN)
    kept: Counter[str] = Counter()
    for charge_id in world.charges.by_id:
        row = caller.json(f"/v1/charges/{charge_id}")
        if row["status"] != "succeeded" or row["captured"] is not True:
            continue
        extra = sum(one["amount"] for one in row.get("additional_charges", {}).get("elements", []))
        taken = row.get("amount_captured", row["amount"]) + row.get("tip_amount", 0) + extra
        kept[row["currency"].upper()] += taken - row.get("amount_refunded", 0)
    for refund_id in world.refunds.by_id:
        row = caller.json(f"/v1/refunds/{refund_id}")
        if row["status"] == "succeeded" and row["object"] == "refund" and not row.get("voided"):
            charge = world.charges.by_id[row["charge"]]
            for one in row.get("additional_charges", {}).get("elements", []):
                kept[charge.currency] -= one["amount"]
    booked = Counter()
    for book in world.books.orders(deleted=True):
        booked[book.currency] += book.captured_minor - book.refunded_minor
    assert kept == booked


def test_later_events_wait_for_their_day():
    """Refunds, captures and settlements after the end are planned and come with the clock."""
    world = generate_shop(500, seed=3)
    refunds, planned, now = len(world.refunds), world.planned, world.now
    assert planned > 0
    assert max(event.at for event in world.journal) <= now
    created = {order.id: order.created for order in world.orders.by_id.values()}
    assert world.advance(now + 60 * DAY) > 0
    assert world.planned < planned
    assert len(world.refunds) > refunds
    assert all(order.created == created[order.id] for order in world.orders.by_id.values())


def test_lists_are_not_slower_for_being_long(serve):
    """A page of a long list reads about as many records as a page of a short one."""
    caller = serve(generate_shop(3_000, seed=1), shapes=Shapes(has_more="present"))
    ids: set[str] = set()
    cursor: dict[str, str] = {}
    pages = 0
    while True:
        page = caller.json("/v1/charges", limit=100, **cursor)
        ids.update(row["id"] for row in page["data"])
        pages += 1
        if not page["has_more"]:
            break
        cursor = {"starting_after": page["data"][-1]["id"]}
    assert ids == set(caller.sandbox.world.charges.by_id)
    assert pages <= len(ids) // 99 + 1


def test_a_warmed_sandbox_serves_the_same_rows(serve):
    world = generate_shop(200, seed=1)
    caller = serve(world)
    cold = caller.get("/v1/orders", limit=100).content
    caller.sandbox.shapes = Shapes()
    caller.sandbox.warm()
    assert all(order.row[0] is caller.sandbox.shapes for order in world.orders.by_id.values())
    caller.sandbox.shapes = PLAIN
    assert caller.get("/v1/orders", limit=100).content == cold


def test_events_may_come_from_many_threads(world, t):
    """Nothing is lost or mixed up when the shop is busy on several tills."""

    def till(number: int) -> None:
        for at in range(50):
            order = world.sell(t + at, [("Cup", 100 + number)])
            if at % 5 == 0:
                world.refund(t + at + 1, order)

    tills = [threading.Thread(target=till, args=(number,)) for number in range(6)]
    for one in tills:
        one.start()
    for one in tills:
        one.join()
    assert len(world.orders) == len(world.charges) == 300
    assert world.books.totals()["USD"].total_amount_minor == sum((100 + n) * 40 for n in range(6))


def readings(row) -> set[int]:
    """What the buyer owed, tax in and tip out, under every reading of the lines that adds up exactly."""
    goods = [line for line in row["items"] if line.get("type", "sku") == "sku"]
    units = sum(line["amount"] * line.get("quantity", 1) for line in goods)
    totals = sum(line["amount"] for line in goods)
    other = dict.fromkeys(("discount", "shipping", "tax"), 0)
    for line in row["items"]:
        if line.get("type", "sku") != "sku":
            other[line["type"]] += abs(line["amount"])
    tax = other["tax"] or row.get("tax_amount", 0)
    found = set()
    for value in (units, totals):
        net = value - other["discount"] + other["shipping"]
        found |= {row["amount"]} if row["amount"] == net + tax else set()
        found |= {row["amount"] + tax} if row["amount"] == net else set()
    return found


def test_every_unambiguous_order_can_be_read_in_exactly_one_way(serve):
    """Contradictory forms are mixed in, but never so that the truth cannot be found."""
    world = generate_shop(1_500, seed=21)
    caller = serve(world, shapes=Shapes())
    forms: Counter[str] = Counter()
    for order in world.orders.by_id.values():
        row = caller.json(f"/v1/orders/{order.id}")
        if order.collapsed or "items" not in row:
            continue
        assert readings(row) == {order.owed}, row
        forms["exclusive"] += row["amount"] != order.owed
        forms["tax as a line only"] += "tax_amount" not in row and order.tax > 0
        forms["no types"] += "type" not in row["items"][0]
        forms["positive discount"] += any(
            line.get("type") == "discount" and line["amount"] > 0 for line in row["items"]
        )
    assert all(forms[form] for form in forms), forms


def test_every_captured_charge_can_be_known_to_be_captured(serve):
    """Where ``captured`` says false, the order or the amounts prove the contrary."""
    world = generate_shop(1_500, seed=22)
    caller = serve(world, shapes=Shapes())
    lies = inside = 0
    for charge in world.charges.by_id.values():
        row = caller.json(f"/v1/charges/{charge.id}")
        assert "order" not in row or charge.order is not None
        if row["status"] != "succeeded":
            assert charge.state in ("failed", "pending")
            continue
        proven = str(row["captured"]).lower() == "true" or row.get("amount_captured") is not None
        if not proven and charge.order is not None and charge.order.deleted_at is None:
            order = caller.json(f"/v1/orders/{charge.order.id}")
            proven = order["status"] in ("paid", "returned") or row.get("amount_refunded", 0) > 0
            lies += proven
        assert proven == (charge.state == "captured"), row
        amount = int(row["amount"])
        inside += amount != charge.amount
        assert amount in (charge.amount, charge.amount + charge.tip)
    assert lies
    assert inside
