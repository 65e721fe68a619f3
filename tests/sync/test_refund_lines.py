"""Every refund line names the refund it was made for, with the merchant's day of that refund."""

from datetime import date, timedelta

from timeline_stories import OPENED

LINES = """SELECT line_id, refund_id, refund_local_date, total_amount FROM order_line_items
  WHERE order_id = ? ORDER BY is_refund, refund_local_date, total_amount"""


def test_a_refund_line_names_its_refund_and_its_day(bench):
    shop = bench()
    order_id = shop.world.sell(OPENED, [("Teapot", 4900), ("Cup", 900)])
    shop.world.refund(OPENED + timedelta(days=1), order_id, 300)
    # Half past nine in the evening in New York is the next day in UTC.
    late = (OPENED + timedelta(days=3)).replace(hour=1, minute=30)
    shop.world.refund(late, order_id, 5500)
    shop.sync(at=late + timedelta(hours=1))
    first, second = shop.world.refund_ids(order_id)
    rows = shop.rows(LINES, order_id)
    assert [row[1:3] for row in rows if row[3] > 0] == [(None, None)] * 2
    days = {first: (OPENED + timedelta(days=1)).date(), second: late.date() - timedelta(days=1)}
    back = [row for row in rows if row[3] < 0]
    assert back
    assert {row[1]: row[2] for row in back} == days
    assert {row[1]: sum(one[3] for one in back if one[1] == row[1]) for row in back} == {
        first: -3,
        second: -55,
    }
    assert isinstance(back[0][2], date)
    shop.check()


def test_every_refund_line_is_a_payment_of_the_same_order(bench):
    shop = bench()
    for number in range(3):
        order_id = shop.world.sell(OPENED + timedelta(hours=number), [("Teapot", 4900), ("Cup", 900)])
        for part in range(number + 1):
            shop.world.refund(OPENED + timedelta(days=1 + part, hours=number), order_id, 700)
    shop.sync(at=OPENED + timedelta(days=9))
    assert shop.rows(
        """SELECT count(*), count(p.payment_id), count(*) FILTER (l.refund_local_date = p.local_date)
           FROM order_line_items l LEFT JOIN payments p USING (connection_id, order_id)
           WHERE l.is_refund AND (p.payment_id = l.refund_id OR p.payment_id IS NULL)"""
    ) == [(6, 6, 6)]
