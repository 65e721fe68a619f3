"""Records read as Clover documents or is known to write them; facts survive every contradictory form."""

from dataclasses import replace

import pytest

from connector.sandbox import PLAIN, Item, Shapes

HOUR = 3_600_000
SHAPES = Shapes()


def charge_of(caller, world, order: str, position: int = 0):
    return caller.json(f"/v1/charges/{world.charge_ids(order)[position]}")


def test_a_paid_order_with_every_kind_of_line(serve, world, t):
    items = [("Linen apron", 1500, 2), ("Walnut board", 2200)]
    order = world.sell(
        t, items, discount=("AUTUMN10", 520), shipping=795, tax_rate=825_000, pay_at=t + 100_000
    )
    row = serve(world).json(f"/v1/orders/{order}")
    assert (row["object"], row["amount"], row["amount_paid"], row["tax_amount"]) == ("order", 5861, 5861, 386)
    assert (row["currency"], row["status"], row["created"]) == ("USD", "paid", t)
    assert row["charge"] == world.charge_ids(order)[0]
    assert 0 < row["status_transitions"]["paid"] - (t + 100_000) < 1000
    lines = [(line["type"], line["amount"], line.get("quantity")) for line in row["items"]]
    assert lines == [
        ("sku", 1500, 2),
        ("sku", 2200, 1),
        ("discount", -520, None),
        ("shipping", 795, None),
        ("tax", 386, None),
    ]
    assert row["items"][0]["tax_rates"] == [{"name": "Sales Tax", "rate": 825_000}]
    assert not {"modified", "updated", "number"} & set(row)


def test_a_charge_reads_in_whole_seconds_with_a_lower_case_currency(serve, world, t):
    order = world.sell(t + 481)
    row = charge_of(serve(world), world, order)
    assert (row["amount"], row["currency"], row["created"], row["order"]) == (2400, "usd", t, order)
    assert (row["captured"], row["paid"], row["status"]) == (True, True, "succeeded")
    assert row["outcome"] == {"network_status": "approved_by_network", "type": "authorized"}
    assert len(row["id"]) == 13
    assert row["id"].isalnum()
    assert row["id"].upper() == row["id"]


def test_the_tip_is_beside_the_amount_or_inside_it(serve, world, t):
    order = world.sell(t, [("Dinner kit", 3000)], tax=180, tip=450)
    caller = serve(world)
    assert charge_of(caller, world, order)["amount"] == 3180
    caller.sandbox.shapes = replace(PLAIN, charge_tip="inside")
    inside = charge_of(caller, world, order)
    assert (inside["amount"], inside["tip_amount"]) == (3630, 450)
    assert caller.json(f"/v1/orders/{order}")["amount"] == 3180


def test_a_partial_refund_shows_on_charge_order_and_refund(serve, world, t):
    order = world.sell(t)
    refund = world.refund(t + HOUR, order, 800, reason="requested_by_customer")
    caller, charge_id = serve(world), world.charge_ids(order)[0]
    assert caller.json(f"/v1/refunds/{refund}") == {
        "id": refund,
        "object": "refund",
        "amount": 800,
        "charge": charge_id,
        "created": t + HOUR,
        "status": "succeeded",
        "reason": "requested_by_customer",
    }
    charge = caller.json(f"/v1/charges/{charge_id}")
    assert (charge["amount_refunded"], charge["refunded"]) == (800, False)
    assert [one["id"] for one in charge["refunds"]["data"]] == [refund]
    row = caller.json(f"/v1/orders/{order}")
    assert (row["amount"], row["amount_returned"], row["status"]) == (2400, 800, "paid")


def test_even_a_partial_item_return_makes_the_order_returned(serve, world, t):
    order = world.sell(t, [("Teapot", 1100), ("Strainer", 650)], tip=200)
    world.refund(t + HOUR, order, items=[1])
    row = serve(world).json(f"/v1/orders/{order}")
    assert (row["status"], row["status_transitions"], row["amount_returned"]) == ("returned", {}, 850)
    assert [line.get("amount_refunded") for line in row["items"]] == [None, 650]


def test_a_fully_refunded_charge_stays_succeeded_and_paid_and_reads_uncaptured(serve, world, t):
    order = world.sell(t)
    world.refund(t + HOUR, order)
    row = charge_of(serve(world, shapes=SHAPES), world, order)
    assert (row["status"], row["paid"], row["refunded"], row["captured"]) == ("succeeded", True, True, False)
    assert row["amount_refunded"] == row["amount"]


def test_returned_and_paid_again_keeps_the_old_charge_in_past_charges(serve, world, t):
    order = world.sell(t, [("Gift basket", 2600)])
    world.refund(t + HOUR, order)
    again = world.pay_again(t + 2 * HOUR, order)
    row = serve(world).json(f"/v1/orders/{order}")
    assert (row["status"], row["amount_paid"], row["amount_returned"], row["charge"]) == (
        "paid",
        2600,
        2600,
        again,
    )
    assert [(past["refunded"], past["amount"]) for past in row["past_charges"]] == [(True, 2600)]


def test_a_split_tender_has_the_first_charge_in_full_in_past_charges(serve, world, t):
    order = world.open_order(t, [("Wool throw", 9200)])
    first = world.charge(t, order, 5000, tender="giftCard")
    caller = serve(world)
    part = caller.json(f"/v1/orders/{order}")
    assert (part["status"], part["amount_paid"], part["charge"]) == ("created", 5000, first)
    world.charge(t + 60_000, order)
    row = caller.json(f"/v1/orders/{order}")
    assert (row["past_charges"][0]["id"], row["past_charges"][0]["amount"]) == (first, 5000)
    assert row["past_charges"][0]["source"]["brand"] == "GIFT_CARD"
    assert charge_of(caller, world, order, 1)["amount"] == 4200


def test_a_declined_charge_is_listed_and_leaves_the_order_open(serve, world, t):
    order = world.open_order(t, [("Lamp", 4300)])
    world.decline(t, order)
    caller = serve(world)
    row = charge_of(caller, world, order)
    assert (row["status"], row["paid"], row["failure_code"]) == ("failed", False, "card_declined")
    open_order = caller.json(f"/v1/orders/{order}")
    assert open_order["status"] == "created"
    assert "charge" not in open_order


def test_a_capture_keeps_id_and_amount_and_says_captured_false(serve, world, t):
    order = world.open_order(t, [("Bench", 10_000)])
    charge = world.authorize(t, order)
    caller = serve(world, shapes=SHAPES)
    assert caller.json(f"/v1/orders/{order}")["status"] == "created"
    assert "amount_captured" not in caller.json(f"/v1/charges/{charge}")
    world.capture(t + HOUR, charge, 9800)
    row = caller.json(f"/v1/charges/{charge}")
    assert (int(row["amount"]), row["amount_captured"], row["captured"]) == (10_000, 9800, False)


def test_a_bank_debit_is_pending_until_it_settles_or_fails(serve, world, t):
    good, bad = (world.pay_ach(t, world.open_order(t, [("Bench", 10_000)])) for _ in range(2))
    caller = serve(world)
    assert caller.json(f"/v1/charges/{good}")["status"] == "pending"
    world.settle_ach(t + HOUR, good)
    world.fail_ach(t + HOUR, bad)
    assert caller.json(f"/v1/charges/{good}")["status"] == "succeeded"
    assert caller.json(f"/v1/charges/{bad}")["status"] == "failed"
    assert caller.json(f"/v1/charges/{good}")["created"] == t


def test_only_ten_of_twelve_refunds_are_embedded_but_all_are_listed(serve, world, t):
    order = world.sell(t, [("Bench", 10_000)])
    made = [world.refund(t + number * HOUR, order, 100) for number in range(1, 13)]
    caller = serve(world)
    charge = charge_of(caller, world, order)
    assert [one["id"] for one in charge["refunds"]["data"]] == made[:1:-1]
    assert charge["amount_refunded"] == 1200
    assert sorted(caller.ids("/v1/refunds", charge=charge["id"], limit=100)) == sorted(made)


def test_a_surcharge_is_on_top_of_charge_and_refund(serve, world, t):
    order = world.sell(t, [("Bench", 10_000)], surcharge=300)
    refund = world.refund(t + HOUR, order, 4000)
    caller = serve(world)
    extra = charge_of(caller, world, order)["additional_charges"]["elements"]
    assert [(one["amount"], one["rate"], one["type"]) for one in extra] == [(300, 30_000, "CREDIT_SURCHARGE")]
    assert caller.json(f"/v1/refunds/{refund}")["additional_charges"]["elements"][0]["amount"] == 120


@pytest.mark.parametrize("how", ["object", "flag", "gone"])
def test_a_voided_refund_shows_as_an_object_a_flag_or_not_at_all(serve, world, t, how):
    order = world.sell(t)
    refund = world.refund(t + HOUR, order, 300)
    world.void_refund(t + 2 * HOUR, refund, shown_as=how)
    caller = serve(world, shapes=SHAPES)
    rows = caller.json("/v1/refunds")["data"]
    if how == "gone":
        assert rows == []
        assert caller.get(f"/v1/refunds/{refund}").status_code == 404
        return
    assert rows == [{"inReportingPeriod": False, "amount": 300, "id": refund, "voided": True}]
    full = caller.json(f"/v1/refunds/{refund}")
    assert (full["object"], full.get("voided")) == (
        ("void_on_refund", None) if how == "object" else ("refund", True)
    )
    assert "refunds" not in charge_of(caller, world, order)


def test_a_void_is_a_refund_marked_void_or_the_charge_is_gone(serve, world, t):
    first, second = world.sell(t), world.sell(t)
    refund = world.void(t + 1000, world.charge_ids(first)[0])
    charge = world.void(t + 1000, world.charge_ids(second)[0], how="gone")
    caller = serve(world)
    assert caller.json(f"/v1/refunds/{refund}")["metadata"]["refundType"] == "VOID"
    assert caller.get(f"/v1/charges/{charge}").status_code == 404
    assert "charge" not in caller.json(f"/v1/orders/{second}")


def test_collapsed_lines_lose_their_quantities_and_the_books_say_so(serve, world, t):
    order = world.sell(t, [("Scone", 350, 2), ("Tea", 275, 3)], collapsed=True)
    row = serve(world).json(f"/v1/orders/{order}")
    assert row["amount"] == 1525
    assert [(line["amount"], line.get("quantity")) for line in row["items"]] == [(350, None), (275, None)]
    assert world.books.order(order).ambiguous


def test_yen_on_a_dollar_order_is_ambiguous_and_yen_on_a_yen_order_is_not(serve, world, t):
    dollars = world.open_order(t, [("Teacup", 3600)])
    world.charge(t, dollars, 5400, currency="JPY")
    yen = world.sell(t, [("Teacup", 5400)], currency="JPY")
    caller = serve(world)
    assert charge_of(caller, world, dollars)["currency"] == "jpy"
    assert caller.json(f"/v1/orders/{dollars}")["currency"] == "USD"
    assert caller.json(f"/v1/orders/{yen}")["currency"] == "JPY"
    assert [world.books.order(one).ambiguous for one in (dollars, yen)] == [True, False]


def test_a_charge_without_an_order_or_with_one_made_for_it(serve, world, t):
    alone, served = world.charge_alone(t, 1999), world.charge_alone(t, 1999, with_order=True)
    caller = serve(world)
    assert "order" not in caller.json(f"/v1/charges/{alone}")
    order = caller.json(f"/v1/orders/{caller.json(f'/v1/charges/{served}')['order']}")
    assert (order["amount"], order["status"]) == (1999, "paid")
    assert "items" not in order


def test_cash_has_a_tender_and_an_empty_source(serve, world, t):
    row = charge_of(serve(world), world, world.sell(t, tender="cash"))
    assert (row["source"], row["tender"]["label"]) == ({}, "Cash")
    assert "payment_method_details" not in row


def test_edits_of_an_order_never_change_created(serve, world, t):
    order = world.sell(t)
    caller = serve(world)
    before = caller.json(f"/v1/orders/{order}")
    world.edit_order(t + HOUR, order, add=("Extra cup", 500), external_reference="PO-4471", note="Device")
    world.change_tip(t + HOUR, world.charge_ids(order)[0], 150)
    world.note_dispute(t + HOUR, world.charge_ids(order)[0])
    after = caller.json(f"/v1/orders/{order}")
    assert (after["amount"], after["tip_amount"], after["external_reference_id"]) == (2900, 150, "PO-4471")
    assert after["created"] == before["created"]
    assert "Chargeback" in charge_of(caller, world, order)["metadata"]["note"]


def test_a_customer_without_a_name_reads_null_null(serve, world, t):
    customer = world.add_customer(t, None, None)
    order = world.sell(t, shipping=500, customer=customer)
    row = serve(world).json(f"/v1/orders/{order}")
    assert (row["customer"], row["shipping"]["name"]) == (customer, "null null")


def test_sparse_rows_leave_out_what_clover_leaves_out(serve, world, t):
    order = world.sell(t)
    refund = world.refund(t + HOUR, order, 800)
    caller = serve(world, shapes=replace(SHAPES, has_more="present"))
    row = caller.json("/v1/orders")["data"][0]
    assert set(row) <= {"id", "amount", "currency", "charge", "items"}
    assert (row["id"], row["charge"]) == (order, world.charge_ids(order)[0])
    sparse = {"inReportingPeriod": False, "amount": 800, "id": refund, "voided": False}
    assert caller.json("/v1/refunds")["data"] == [sparse]


@pytest.mark.parametrize(
    ("switch", "value", "path", "expected"),
    [
        ("captured", "string", "charge.captured", "true"),
        ("captured", "false", "charge.captured", False),
        ("amount_captured", "always", "charge.amount_captured", 3850),
        ("paid", "missing", "charge.paid", None),
        ("order_amount", "exclusive", "order.amount", 3450),
        ("order_amount", "with_tip", "order.amount", 4150),
        ("item_amount", "total", "line.amount", 3000),
        ("item_types", "missing", "line.type", None),
        ("quantities", "collapsed", "line.quantity", None),
        ("tax", "rates", "order.tax_amount", None),
        ("loose_types", "always", "charge.amount", "3850"),
        ("currency_case", "upper", "charge.currency", "USD"),
        ("currency_case", "lower", "order.currency", "usd"),
        ("absent", "null", "order.email", None),
        ("surcharge_on_order", False, "order.surcharge_amount", None),
    ],
)
def test_each_switch_changes_the_field_it_names(serve, world, t, switch, value, path, expected):
    """Goods 3450 after 50 off, tax 400, tip 300, surcharge 115."""
    items = [Item("Cup", 1500, 2, rate=1_000_000), Item("Saucer", 500)]
    order = world.sell(t, items, discount=50, tax=400, tip=300, surcharge=115)
    caller = serve(world, shapes=replace(PLAIN, **{switch: value}))
    row = caller.json(f"/v1/orders/{order}")
    read = {"order": row, "charge": charge_of(caller, world, order), "line": row["items"][0]}
    record, _, field = path.partition(".")
    assert read[record].get(field) == expected
    plain = serve(world).json(f"/v1/orders/{order}")
    assert read["order"] | read["charge"] != plain


def test_a_record_always_reads_the_same_whatever_form_it_took(serve, world, t):
    orders = [
        world.sell(t + at * 1000, [("Cup", 700, 2)], tax_rate=825_000, tip=at % 3 * 50) for at in range(60)
    ]
    caller = serve(world, shapes=SHAPES)
    first = [caller.get(f"/v1/orders/{order}").content for order in orders]
    assert first == [caller.get(f"/v1/orders/{order}").content for order in orders]
    amounts = {caller.json(f"/v1/orders/{order}")["amount"] for order in orders}
    assert amounts <= {1400, 1516}


def test_an_unknown_id_is_not_found_under_three_codes_and_on_request_under_400(serve, world):
    caller = serve(world)
    codes = set()
    for number in range(40):
        answer = caller.get(f"/v1/charges/N3ZHQ8D5HFR{number:02d}")
        assert answer.status_code == 404
        assert answer.json()["message"] == "404 Not Found"
        codes.add(answer.json()["error"]["code"])
    assert codes == {"resource_missing", "invalid_request", "processing_error"}
    caller.sandbox.shapes = replace(PLAIN, not_found="under_400")
    answer = caller.get("/v1/orders/N3ZHQ8D5HFR00")
    assert (answer.status_code, answer.json()["message"]) == (400, "404 Not Found")


def test_a_deleted_order_is_gone_and_its_charge_stays(serve, world, t):
    order = world.sell(t)
    world.delete_order(t + HOUR, order)
    caller = serve(world)
    assert caller.get(f"/v1/orders/{order}").status_code == 404
    assert caller.ids("/v1/orders") == []
    assert charge_of(caller, world, order)["order"] == order
