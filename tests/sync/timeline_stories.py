"""What happens to orders after they were first read: one customer a story, told by a shop over three months.

A story is given the shop (a sandbox World) and the time of its first event. It yields how many days pass at least
before its next event, and is sent the time of that event.
"""

from datetime import UTC, datetime, timedelta
from functools import partial

OPENED = datetime(2026, 3, 2, 12, tzinfo=UTC)
CANDLE, TEAPOT = ("Beeswax candle", 1200, 2), ("Teapot", 4900)


def second_and_twelfth_refund(shop, at):
    order = shop.sell(at, [("Desk", 24000)])
    for number in range(12):
        at = yield 1
        shop.refund(at, order, 1000 + number)


def twelve_refunds_in_a_row(shop, at):
    order = shop.sell(at, [("Desk", 24000)])
    at = yield 30
    for number in range(12):
        shop.refund(at + timedelta(seconds=number // 2), order, 1000 + number)


def paid_twice(shop, at):
    order = shop.sell(at, [TEAPOT], tax=400)
    second = shop.pay_twice((yield 1), order)
    shop.refund((yield 9), charge_id=second, reason="duplicate")
    shop.refund((yield 9), order, 900)


def paid_twice_and_the_older_payment_goes_back(shop, at):
    order = shop.sell(at, [TEAPOT], tax_rate=825000)
    shop.pay_twice((yield 1), order)
    shop.refund((yield 12), charge_id=shop.charge_ids(order)[0])


def one_of_two_lines_returned_then_the_other(shop, at):
    order = shop.sell(at, [CANDLE, TEAPOT], tax_rate=825000, discount=("Autumn", 730), tip=500)
    shop.refund((yield 20), order, items=[1], tip_back=0)
    shop.refund((yield 20), order, items=[0], tip_back=0)


def one_unit_returned_then_the_other_two(shop, at):
    order = shop.sell(at, [("Mug", 1500, 3), TEAPOT], tax_rate=700000)
    shop.refund((yield 1), order, items=[(0, 1)])
    shop.refund((yield 1), order, items=[(0, 2)])


def full_refund_with_tip_and_shipping(shop, at):
    order = shop.sell(at, [CANDLE, TEAPOT], tax_rate=825000, shipping=795, tip=600)
    shop.refund((yield 60), order)


def refund_voided(shop, at, shown_as):
    order = shop.sell(at, [TEAPOT], tax_rate=825000)
    refund = shop.refund((yield 20), order, 1000)
    shop.void_refund((yield 2), refund, shown_as=shown_as)
    shop.refund((yield 2), order, 1200)


def refund_reported_failed(shop, at, state):
    order = shop.sell(at, [TEAPOT])
    refund = shop.refund((yield 2), order, 1000)
    shop.fail_refund((yield 2), refund, state=state)


def refund_pending_then_succeeded(shop, at):
    order = shop.sell(at, [TEAPOT])
    refund = shop.refund((yield 40), order, 1000, status="pending")
    shop.succeed_refund((yield 2), refund)


def refund_pending_then_failed(shop, at):
    order = shop.sell(at, [TEAPOT])
    refund = shop.refund((yield 40), order, 1000, status="pending")
    shop.fail_refund((yield 9), refund)


def captured(shop, at, amount=None):
    order = shop.open_order(at, [TEAPOT])
    charge = shop.authorize((yield 1), order)
    shop.capture((yield 12), charge, amount)


def captured_and_refunded(shop, at):
    order = shop.open_order(at, [TEAPOT])
    charge = shop.authorize(at, order, tip=250)
    shop.capture((yield 4), charge, 4000)
    shop.refund((yield 20), order)


def bank_debit_settles(shop, at):
    order = shop.open_order(at, [TEAPOT], tax=321)
    charge = shop.pay_ach((yield 1), order)
    shop.settle_ach((yield 4), charge)


def bank_debit_bounces_and_a_card_pays(shop, at):
    order = shop.open_order(at, [TEAPOT])
    charge = shop.pay_ach((yield 1), order)
    shop.fail_ach((yield 4), charge)
    shop.charge((yield 1), order)


def declined_then_paid(shop, at):
    order = shop.open_order(at, [TEAPOT])
    shop.decline(at, order)
    shop.charge((yield 1), order)


def cart_paid_weeks_later(shop, at):
    order = shop.open_order(at, [TEAPOT])
    shop.charge((yield 50), order)


def split_tender_days_apart_and_returned_in_two_steps(shop, at):
    order = shop.open_order(at, [TEAPOT, CANDLE], tax_rate=825000)
    shop.charge((yield 1), order, 3000, tender="giftCard")
    shop.charge((yield 3), order, tip=300)
    shop.refund((yield 20), order, 2000)
    shop.refund((yield 20), order)


def paid_in_part_only(shop, at):
    order = shop.open_order(at, [TEAPOT], tax_rate=825000)
    shop.charge((yield 1), order, 2000)


def paid_again_after_a_full_return(shop, at):
    order = shop.sell(at, [TEAPOT], tax_rate=825000)
    shop.refund((yield 12), order)
    shop.pay_again((yield 2), order)
    shop.refund((yield 20), order, 700)


def deleted(shop, at):
    order = shop.sell(at, [TEAPOT])
    shop.delete_order((yield 1), order)


def charge_voided(shop, at, how):
    order = shop.sell(at, [TEAPOT], tip=300)
    shop.void((yield 1), shop.charge_ids(order)[0], how=how)


def dispute_noted(shop, at):
    order = shop.sell(at, [TEAPOT])
    shop.note_dispute((yield 1), shop.charge_ids(order)[0])


def tip_adjusted(shop, at):
    order = shop.sell(at, [TEAPOT], tip=300)
    shop.change_tip((yield 1), shop.charge_ids(order)[0], 500)


def line_added_on_a_device(shop, at):
    order = shop.sell(at, [TEAPOT])
    shop.edit_order((yield 1), order, add=("Strainer", 650))


def charge_without_an_order(shop, at):
    charge = shop.charge_alone(at, 2500)
    shop.refund((yield 60), charge_id=charge, amount=900)


def charge_for_which_clover_made_the_order(shop, at):
    charge = shop.charge_alone(at, 1900, with_order=True)
    shop.refund((yield 30), charge_id=charge)


def yen(shop, at):
    order = shop.sell(at, [("Kettle", 5200)], currency="JPY")
    shop.refund((yield 60), order, 1200)


def surcharged(shop, at):
    order = shop.sell(at, [TEAPOT], tax_rate=825000, surcharge=159, tip=400)
    shop.refund((yield 5), order, 1000)
    shop.refund((yield 5), order)


STORIES = {
    "second and twelfth refund": second_and_twelfth_refund,
    "twelve refunds between two syncs": twelve_refunds_in_a_row,
    "paid twice": paid_twice,
    "paid twice, the older payment goes back": paid_twice_and_the_older_payment_goes_back,
    "one of two lines returned": one_of_two_lines_returned_then_the_other,
    "one unit of a line returned": one_unit_returned_then_the_other_two,
    "full refund with tip and shipping": full_refund_with_tip_and_shipping,
    "refund voided, shown as another object": partial(refund_voided, shown_as="object"),
    "refund voided, shown by a flag": partial(refund_voided, shown_as="flag"),
    "refund voided, gone from the list": partial(refund_voided, shown_as="gone"),
    "refund reported failed": partial(refund_reported_failed, state="failed"),
    "refund reported canceled": partial(refund_reported_failed, state="canceled"),
    "refund pending, then succeeded": refund_pending_then_succeeded,
    "refund pending, then failed": refund_pending_then_failed,
    "captured in full": captured,
    "captured less": partial(captured, amount=4000),
    "captured more": partial(captured, amount=5300),
    "captured less and refunded": captured_and_refunded,
    "bank debit settles": bank_debit_settles,
    "bank debit bounces, a card pays": bank_debit_bounces_and_a_card_pays,
    "declined, then paid": declined_then_paid,
    "cart paid weeks later": cart_paid_weeks_later,
    "split tender": split_tender_days_apart_and_returned_in_two_steps,
    "paid in part only": paid_in_part_only,
    "paid again after a full return": paid_again_after_a_full_return,
    "order deleted": deleted,
    "charge voided, shown as a refund": partial(charge_voided, how="refund"),
    "charge voided, gone from the list": partial(charge_voided, how="gone"),
    "dispute noted": dispute_noted,
    "tip adjusted": tip_adjusted,
    "line added on a device": line_added_on_a_device,
    "charge without an order": charge_without_an_order,
    "charge for which Clover made the order": charge_for_which_clover_made_the_order,
    "sold in yen": yen,
    "surcharged": surcharged,
}


def tell(world, day, due, note=lambda name, order_ids: None):
    """Lets happen what is due by a day after the opening. due: story -> (day, generator or None)."""
    for number, name in enumerate(STORIES):
        if name not in due or due[name][0] > day:
            continue
        at = OPENED + timedelta(days=day, minutes=number)
        before = len(world.books)
        story = due[name][1]
        try:
            if story is None:
                story = STORIES[name](world, at)
                wait = next(story)
            else:
                wait = story.send(at)
            due[name] = (day + wait, story)
        except StopIteration:
            del due[name]
        note(name, world.books.order_ids()[before:])


# Of a charge that is gone before anybody looked, nothing is left to be read.
LEAVES_NO_TRACE = "charge voided, gone from the list"


def not_begun(*, but=None):
    """Every story but one, due on the first day."""
    return {name: (0, None) for name in STORIES if name != but}
