"""What the shop's books say of every event, and what must hold whatever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.sandbox import Item, World

T = 1_791_208_800_000
HOUR = 3_600_000


def balanced(book) -> bool:
    """Money kept is what was sold and tipped, less what is still owed."""
    kept = book.captured_minor - book.refunded_minor
    return kept == book.total_amount_minor + book.gratuity_kept - book.outstanding_minor


def test_a_sale_with_discount_shipping_and_tax_is_booked_part_by_part(world):
    """Goods 5200, 520 off, shipping 795, 8.25 % tax on 4680."""
    items = [("Linen apron", 1500, 2), ("Walnut board", 2200)]
    order = world.sell(T, items, discount=("AUTUMN10", 520), shipping=795, tax_rate=825_000)
    book = world.books.order(order)
    assert (book.goods_sold, book.discount_sold, book.shipping_sold, book.tax_sold) == (5200, 520, 795, 386)
    assert (book.total_amount_minor, book.captured_minor, book.outstanding_minor) == (5861, 5861, 0)
    assert book.published
    assert balanced(book)


def test_a_cart_is_not_published_and_nothing_of_it_is_money(world):
    order = world.open_order(T, [("Desk lamp", 4000)], tax=320)
    book = world.books.order(order)
    assert (book.published, book.captured_minor, book.outstanding_minor) == (False, 0, 4320)
    assert list(world.books.orders()) == []
    assert world.books.totals() == {}


def test_tip_and_surcharge_are_money_but_only_the_surcharge_is_sales(world):
    order = world.sell(T, [("Kit", 3000)], tip=450, surcharge=90)
    book = world.books.order(order)
    assert (book.total_amount_minor, book.gratuity_kept, book.captured_minor) == (3090, 450, 3540)


def test_an_item_return_gives_the_line_and_the_whole_tip_back(world):
    """As Clover does on the first item return of a tipped order."""
    order = world.sell(T, [("Teapot", 1100), ("Strainer", 650)], tip=200)
    refund = world.refund(T + HOUR, order, items=[1])
    book = world.books.order(order)
    assert world.refunds.by_id[refund].amount == 850
    assert (book.total_amount_minor, book.total_refund_minor, book.gratuity_kept) == (1100, -650, 0)
    assert not book.estimated


def test_units_returned_one_by_one_give_back_exactly_the_line(world):
    order = world.sell(T, [("Cup", 333, 3)], discount=100, tax_rate=825_000)
    for number in range(3):
        world.refund(T + number * HOUR, order, items=[(0, 1)])
    book = world.books.order(order)
    assert (book.total_amount_minor, book.tax_net, book.discount_net) == (0, 0, 0)
    assert book.refunded_minor == book.captured_minor


def test_a_partial_refund_without_lines_takes_its_share_of_the_tax(world):
    order = world.sell(T, [("Lamp", 4000)], tax=320)
    world.refund(T + HOUR, order, 1080)
    book = world.books.order(order)
    assert (book.total_refund_minor, book.tax_net, book.estimated) == (-1080, 240, True)


def test_a_full_refund_leaves_no_tax_discount_tip_or_surcharge(world):
    order = world.sell(T, [("Lamp", 4000)], discount=400, tax=320, shipping=500, tip=300, surcharge=120)
    world.refund(T + HOUR, order)
    book = world.books.order(order)
    assert (book.total_amount_minor, book.tax_net, book.discount_net, book.gratuity_kept) == (0, 0, 0, 0)
    assert (book.total_refund_minor, book.captured_minor) == (-4540, 4840)
    assert book.refunded_minor == book.captured_minor


def test_a_surcharge_goes_back_in_proportion(world):
    """A 4000 refund of a 10000 charge with 300 surcharge gives 120 more back."""
    order = world.sell(T, [("Bench", 10_000)], surcharge=300)
    world.refund(T + HOUR, order, 4_000)
    assert world.books.order(order).total_refund_minor == -4_120
    assert world.books.order(order).total_amount_minor == 6_180


def test_refunds_in_pieces_give_back_exactly_the_surcharge(world):
    order = world.sell(T, [("Stool", 1000)], surcharge=31)
    for amount in (333, 333, 334):
        world.refund(T + HOUR, order, amount)
    assert [world.refunds.by_id[one].surcharge for one in world.refund_ids(order)] == [10, 10, 11]
    assert world.books.order(order).total_amount_minor == 0


def test_a_discount_is_shared_out_to_the_cent_by_largest_remainder(world):
    """Shares of 15.15, 37.88 and 46.97: the two larger remainders are rounded up; ties go to the earlier."""
    order = world.open_order(T, [("A", 100), ("B", 100), ("C", 100)], discount=100)
    uneven = world.open_order(T, [("A", 1000), ("B", 2500), ("C", 3100)], discount=100)
    assert [item.discount for item in world.order(order).items] == [34, 33, 33]
    assert [item.discount for item in world.order(uneven).items] == [15, 38, 47]


def test_returned_and_paid_again_sells_twice_and_returns_once(world):
    order = world.sell(T, [("Gift basket", 2600)])
    world.refund(T + HOUR, order)
    world.pay_again(T + 2 * HOUR, order)
    book = world.books.order(order)
    assert (book.total_amount_minor, book.total_refund_minor, book.captured_minor) == (2600, -2600, 5200)


def test_paid_twice_and_one_payment_given_back(world):
    order = world.sell(T, [("Teapot", 2400)], tax=100)
    second = world.pay_twice(T + 60_000, order)
    assert world.books.order(order).overpayment == 2500
    world.refund(T + HOUR, charge_id=second, reason="duplicate")
    book = world.books.order(order)
    assert (book.total_amount_minor, book.total_refund_minor, book.tax_net) == (2500, -2500, 100)


def test_capturing_less_leaves_a_debt_and_more_is_an_overpayment(world):
    less, more = (world.open_order(T, [("Bench", 10_000)]) for _ in range(2))
    world.capture(T + HOUR, world.authorize(T, less), 9_800)
    world.capture(T + HOUR, world.authorize(T, more), 10_200)
    assert world.books.order(less).outstanding_minor == 200
    assert world.books.order(less).total_amount_minor == 10_000
    assert world.books.order(more).overpayment == 200
    assert world.books.order(more).total_amount_minor == 10_200


def test_an_authorisation_or_a_waiting_debit_is_not_money(world):
    order, debit = (world.open_order(T, [("Bench", 10_000)]) for _ in range(2))
    world.authorize(T, order, tip=500)
    charge = world.pay_ach(T, debit)
    assert not world.books.order(order).published
    assert not world.books.order(debit).published
    world.settle_ach(T + HOUR, charge)
    assert world.books.order(debit).captured_minor == 10_000


def test_a_refund_that_fails_or_is_voided_counts_no_more(world):
    order = world.sell(T, [("Teapot", 2400)])
    world.fail_refund(T + 2 * HOUR, world.refund(T + HOUR, order, 300))
    world.void_refund(T + 4 * HOUR, world.refund(T + 3 * HOUR, order, items=[0]))
    book = world.books.order(order)
    assert (book.total_amount_minor, book.total_refund_minor, book.refunded_minor) == (2400, 0, 0)
    world.refund(T + 5 * HOUR, order, items=[0])
    assert world.books.order(order).total_amount_minor == 0


def test_a_pending_refund_counts_when_it_succeeds(world):
    order = world.sell(T, [("Teapot", 2400)])
    refund = world.refund(T + HOUR, order, 300, status="pending")
    assert world.books.order(order).refunded_minor == 0
    world.succeed_refund(T + 2 * HOUR, refund)
    assert world.books.order(order).refunded_minor == 300


@pytest.mark.parametrize(("how", "captured", "refunded"), [("refund", 2400, 2400), ("gone", 0, 0)])
def test_a_void_takes_the_money_back_either_way(world, how, captured, refunded):
    order = world.sell(T)
    world.void(T + 600_000, world.charge_ids(order)[0], how=how)
    book = world.books.order(order)
    assert (book.captured_minor, book.refunded_minor, book.published) == (captured, refunded, True)
    assert balanced(book)


def test_split_tenders_are_refunded_over_both_charges(world):
    order = world.open_order(T, [("Wool throw", 9200)])
    world.charge(T, order, 5000, tender="giftCard")
    world.charge(T + 60_000, order)
    world.refund(T + HOUR, order)
    assert sorted(world.refunds.by_id[one].amount for one in world.refund_ids(order)) == [4200, 5000]
    assert world.books.order(order).total_amount_minor == 0


def test_nothing_gives_back_more_than_was_taken(world):
    order = world.sell(T, [("Teapot", 2400)])
    world.refund(T + HOUR, order, 2000)
    with pytest.raises(ValueError, match="400 is left"):
        world.refund(T + HOUR, order, 401)


def test_the_books_can_be_read_as_they_stood(world):
    order = world.sell(T, [("Teapot", 2400)])
    world.refund(T + HOUR, order, 400)
    assert world.books.order(order, T - 1).published is False
    assert world.books.order(order, T).total_amount_minor == 2400
    assert world.books.order(order, T + HOUR).total_amount_minor == 2000


def test_a_deleted_order_leaves_the_totals_once_its_money_is_gone_too(world):
    """Deleting an order gives nobody his money back: until its charge is voided it stays in the totals."""
    order = world.sell(T, [("Teapot", 2400)])
    world.sell(T, [("Yen tea", 5400)], currency="JPY")
    [charge] = world.charge_ids(order)
    world.delete_order(T + HOUR, order)
    assert world.books.order(order).deleted
    assert set(world.books.totals()) == {"JPY", "USD"}
    world.void(T + HOUR, charge, how="gone")
    assert set(world.books.totals()) == {"JPY"}
    assert world.books.totals(T)["USD"].total_amount_minor == 2400


def test_a_charge_without_an_order_has_a_page_of_its_own(world):
    charge = world.charge_alone(T, 1999)
    assert world.books.order(charge).total_amount_minor == 1999


def test_an_entry_that_does_not_balance_is_refused(world):
    order = world.sell(T)
    with pytest.raises(AssertionError, match="out of balance by 1"):
        world.books.post(order, T, order, {"cash": 1})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["charge", "tip", "part", "items", "all", "fail", "void", "again", "twice", "edit", "debit"]
        ),
        st.integers(1, 3000),
    ),
    max_size=12,
)


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 4)), min_size=1, max_size=4),
    st.integers(0, 400),
    st.sampled_from([0, 825_000, 1_025_000]),
    STEPS,
)
def test_whatever_happens_the_books_balance_and_no_refund_exceeds_its_charge(lines, discount, rate, steps):
    """Any events in any order: those that make no sense are refused and change nothing."""
    world = World(seed=1)
    items = [
        Item(f"p{at}", price, quantity, rate=rate * (at % 2)) for at, (price, quantity) in enumerate(lines)
    ]
    discount = min(discount, sum(item.value for item in items))
    order = world.open_order(T, items, discount=discount, shipping=250)
    for number, (step, amount) in enumerate([("charge", 150), *steps]):
        at = T + number * HOUR
        before = world.books.order(order)
        try:
            happen(world, order, at, step, amount)
        except (ValueError, IndexError):
            assert world.books.order(order) == before
        book = world.books.order(order)
        assert balanced(book)
        assert 0 <= book.refunded_minor <= book.captured_minor
        assert book.total_refund_minor <= 0 <= book.gratuity_kept
    for charge in world.charges.by_id.values():
        assert charge.refunded <= charge.captured + charge.tip


def happen(world: World, order: str, at: int, step: str, amount: int) -> None:
    if step == "charge" and world.orders.by_id[order].paid_at is None:
        world.charge(at, order, tip=amount % 500)
    elif step == "tip":
        world.change_tip(
            at, world.charge_ids(order)[0], world.charges.by_id[world.charge_ids(order)[0]].tip + 5
        )
    elif step == "part":
        world.refund(at, order, amount)
    elif step == "items":
        world.refund(at, order, items=[(amount % len(world.orders.by_id[order].items), 1)])
    elif step == "all":
        world.refund(at, order)
    elif step == "fail":
        world.fail_refund(at, world.refund_ids(order)[-1])
    elif step == "void":
        world.void_refund(at, world.refund_ids(order)[-1])
    elif step == "again":
        world.pay_again(at, order)
    elif step == "twice":
        world.pay_twice(at, order)
    elif step == "edit":
        world.edit_order(at, order, add=("Extra", amount))
    elif step == "debit":
        world.settle_ach(at, world.pay_ach(at, order, amount))
