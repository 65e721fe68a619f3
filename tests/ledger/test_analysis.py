"""Calendar, cohorts, lifetime value, discounts and tips: worked by hand, to the minor unit."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from connector.ledger.load.apply import apply_batch

D = Decimal


@pytest.fixture
def put(ledger, books, rows):
    def load(*orders, **more):
        apply_batch(ledger, books.batch(order_versions=list(orders), **more), now=rows.start)

    return load


@pytest.fixture
def order(rows):
    """An order of one day, whose goods cost so much; no tax, no shipping."""

    def make(
        order_id,
        day,
        goods="10",
        *,
        customer="C1",
        currency="USD",
        tip="0",
        payments=None,
        lines=None,
        **changed,
    ):
        line = rows.line(
            total_amount=goods, unit_price=goods, total_tax_amount="0", tax_percentage="0", local_date=day
        )
        at = f"{day} 17:00:00"
        paid = [rows.payment(f"{order_id}-charge", str(D(goods) + D(tip)), currency=currency, created_date=at,
                             local_date=day)]  # fmt: skip
        return rows.order(
            order_id, created_date=at, created_local_date=day, source_modified_date=at, customer_id=customer,
            customer_name=customer, currency=currency, order_line_items=lines or [line], service_charges=[],
            total_amount=goods, total_tax_amount="0", total_gratuity=tip, payments=payments or paid, **changed,
        )  # fmt: skip

    return make


def select(ledger, sql):
    return ledger.execute(sql).fetchall()


def test_the_calendar_has_every_day_until_the_lists_were_read(ledger, put, order):
    put(
        order("O1", "2026-06-29"),
        order("O2", "2026-07-02"),
        cursors={"charges": datetime.fromisoformat("2026-07-05T03:00:00+00:00")},
    )
    shown = "SELECT day, week, iso_week, month, quarter, is_weekend, has_orders FROM calendar ORDER BY 1"
    assert select(ledger, shown) == [
        (date(2026, 6, 29), date(2026, 6, 29), "2026-W27", date(2026, 6, 1), date(2026, 4, 1), False, True),
        (date(2026, 6, 30), date(2026, 6, 29), "2026-W27", date(2026, 6, 1), date(2026, 4, 1), False, False),
        (date(2026, 7, 1), date(2026, 6, 29), "2026-W27", date(2026, 7, 1), date(2026, 7, 1), False, False),
        (date(2026, 7, 2), date(2026, 6, 29), "2026-W27", date(2026, 7, 1), date(2026, 7, 1), False, True),
        (date(2026, 7, 3), date(2026, 6, 29), "2026-W27", date(2026, 7, 1), date(2026, 7, 1), False, False),
        # 03:00 UTC is still the fourth in New York.
        (date(2026, 7, 4), date(2026, 6, 29), "2026-W27", date(2026, 7, 1), date(2026, 7, 1), True, False),
    ]  # fmt: skip


def test_a_day_without_sales_is_a_row_of_nothing_beside_the_others(ledger, put, order):
    put(order("O1", "2026-11-01"), order("O2", "2026-11-03", "4.5"))
    joined = "SELECT day, coalesce(net_sales, 0) FROM calendar LEFT JOIN daily_sales USING (company_id, day) ORDER BY 1"
    assert [amount for _, amount in select(ledger, joined)] == [D(10), D(0), D("4.5")]


def test_cohorts_keep_their_size_and_their_empty_months(ledger, put, order):
    """Two customers first came in January, one in February; one of the two came back in March."""
    put(
        order("O1", "2026-01-05", "10", customer="A"),
        order("O2", "2026-01-20", "7", customer="A"),
        order("O3", "2026-01-31", "5", customer="B"),
        order("O4", "2026-02-01", "20", customer="C"),
        order("O5", "2026-03-09", "3.01", customer="B"),
        order("O6", "2026-03-09", "99", customer=None),
    )
    shown = select(
        ledger,
        "SELECT cohort_month, months_later, month, cohort_customers, customers, retention, orders, net_sales,"
        " cumulative_net_sales, lifetime_value FROM cohort_retention ORDER BY 1, 2",
    )
    january, february, march = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
    assert shown == [
        (january, 0, january, 2, 2, D("1.0000"), 3, D(22), D(22), D("11.0000")),
        (january, 1, february, 2, 0, D("0.0000"), 0, D(0), D(22), D("11.0000")),
        (january, 2, march, 2, 1, D("0.5000"), 1, D("3.01"), D("25.01"), D("12.5050")),
        (february, 0, february, 1, 1, D("1.0000"), 1, D(20), D(20), D("20.0000")),
        (february, 1, march, 1, 0, D("0.0000"), 0, D(0), D(20), D("20.0000")),
    ]


def test_a_cohort_that_pays_in_two_currencies_is_told_apart_by_them_and_counted_once(ledger, put, order):
    put(
        order("O1", "2026-01-05", "10", customer="A"),
        order("O2", "2026-02-05", "9", customer="A", currency="EUR"),
    )
    assert select(
        ledger,
        "SELECT currency, months_later, cohort_customers, customers, net_sales FROM cohort_retention ORDER BY 1, 2",
    ) == [("EUR", 0, 1, 0, D(0)), ("EUR", 1, 1, 1, D(9)), ("USD", 0, 1, 1, D(10)), ("USD", 1, 1, 0, D(0))]


def test_lifetime_value_is_net_of_what_came_back_and_never_a_double(ledger, put, order, rows):
    back = rows.line("refund_R", quantity="-1", unit_price="10", total_amount="-10", total_tax_amount="0",
                     refund_id="R1", refund_local_date="2026-03-01", local_date="2026-03-01")  # fmt: skip
    sold = rows.line(total_amount="20", unit_price="20", total_tax_amount="0", local_date="2026-01-05")
    money = [
        rows.payment("CH", "20", created_date="2026-01-05 17:00:00", local_date="2026-01-05"),
        rows.payment("R1", "-10", created_date="2026-03-01 17:00:00", local_date="2026-03-01"),
    ]
    put(
        order("O1", "2026-01-05", lines=[sold, back], payments=money, total_refund="-10"),
        order("O2", "2026-01-06", "5"),
        order("O3", "2026-04-06", "5.02"),
    )
    assert select(
        ledger,
        "SELECT customer_id, cohort_month, first_day, last_day, months_with_orders, orders, gross_sales, returns,"
        " net_sales, refunded_orders FROM lifetime_value",
    ) == [
        ("C1", date(2026, 1, 1), date(2026, 1, 5), date(2026, 4, 6), 2, 3, D("30.02"), D(10), D("20.02"), 1)
    ]  # fmt: skip
    assert select(ledger, "SELECT average_order_value FROM lifetime_value") == [(D("6.6733"),)]


def test_discounts_by_name_and_month_are_those_of_the_month(ledger, put, order, rows):
    def line(line_id, quantity, shares, day):
        off = sum(D(amount) for _, amount in shares)
        return rows.line(
            line_id,
            quantity=quantity,
            unit_price="10",
            total_tax_amount="0",
            local_date=day,
            total_amount=str(D(quantity) * 10 - off),
            refund_id="R1" if D(quantity) < 0 else None,
            discount_allocations=[{"name": n, "total_amount": amount} for n, amount in shares],
        )

    put(
        order(
            "O1", "2026-01-30", "15.5",
            lines=[
                line("L1", "1", [("Autumn", "1"), ("Staff", "0.5")], "2026-01-30"),
                line("L2", "1", [("Autumn", "2"), (None, "1")], "2026-01-30"),
                line("refund_L1", "-1", [("Autumn", "-1"), ("Staff", "-0.5")], "2026-02-02"),
            ],
            payments=[
                rows.payment("CH", "15.5", created_date="2026-01-30 17:00:00", local_date="2026-01-30"),
                rows.payment("R1", "-8.5", created_date="2026-02-02 17:00:00", local_date="2026-02-02"),
            ],
        ),
        order("O2", "2026-01-31", "9", lines=[line("L1", "1", [("Autumn", "1")], "2026-01-31")]),
    )  # fmt: skip
    by_name = "SELECT month, name, orders, discounts, discounts_returned FROM monthly_discounts ORDER BY 1, 2"
    january, february = date(2026, 1, 1), date(2026, 2, 1)
    assert select(ledger, by_name) == [
        (january, "(none)", 1, D(1), D(0)),
        (january, "Autumn", 2, D(4), D(0)),
        (january, "Staff", 1, D("0.5"), D(0)),
        (february, "Autumn", 0, D(0), D(1)),
        (february, "Staff", 0, D(0), D("0.5")),
    ]
    assert select(ledger, "SELECT sum(discounts) FROM monthly_discounts") == select(
        ledger, "SELECT sum(discounts) FROM monthly_sales"
    )


class TestTips:
    """Sold on the first; paid by two charges on the second and third."""

    TIPS = (
        "SELECT day, payment_type, charges, tips_charged, tips_given_back, tips FROM daily_tips ORDER BY 1, 2"
    )

    @pytest.fixture
    def two_charges(self, order, rows):
        return order(
            "O1", "2026-11-01", "30", tip="5",
            payments=[
                rows.payment("CH1", "12", type="Cash", created_date="2026-11-02 17:00:00", local_date="2026-11-02"),
                rows.payment("CH2", "23", created_date="2026-11-03 17:00:00", local_date="2026-11-03"),
            ],
        )  # fmt: skip

    def said(self, **tips):
        return [
            {"company_id": "company-1", "connection_id": "connection-1", "kind": "charge", "record_id": charge,
             "order_id": "O1", "list_hash": "l", "content_hash": "c", "payload": f'{{"tip_amount":{tip}}}'}
            for charge, tip in tips.items()
        ]  # fmt: skip

    def test_a_tip_is_on_the_day_of_its_charge(self, ledger, put, two_charges):
        put(two_charges, source_records=self.said(CH1=200, CH2=300))
        assert select(ledger, self.TIPS) == [
            (date(2026, 11, 2), "Cash", 1, D(2), D(0), D(2)),
            (date(2026, 11, 3), "OnlineCard", 1, D(3), D(0), D(3)),
        ]

    @pytest.mark.parametrize("tips", [{}, {"CH1": 200}, {"CH1": 200, "CH2": 301}])
    def test_tips_that_do_not_come_to_the_order_s_are_on_the_last_charge(
        self, ledger, put, two_charges, tips
    ):
        put(two_charges, source_records=self.said(**tips))
        assert select(ledger, self.TIPS) == [(date(2026, 11, 3), "OnlineCard", 1, D(5), D(0), D(5))]

    def test_one_charge_has_it_whatever_clover_says(self, ledger, put, order):
        put(order("O1", "2026-11-01", tip="1.5"), source_records=self.said(**{"O1-charge": 1}))
        assert select(ledger, self.TIPS) == [(date(2026, 11, 1), "OnlineCard", 1, D("1.5"), D(0), D("1.5"))]

    def test_what_was_given_back_is_on_the_day_of_the_refund(self, ledger, put, order, rows):
        payments = [
            rows.payment("CH1", "12", created_date="2026-11-01 17:00:00", local_date="2026-11-01"),
            rows.payment("R1", "-2", created_date="2026-11-09 17:00:00", local_date="2026-11-09"),
        ]
        put(order("O1", "2026-11-01", payments=payments, tip="0"))
        assert select(ledger, self.TIPS)[-1] == (date(2026, 11, 9), "OnlineCard", 0, D(0), D(2), D(-2))
        assert select(ledger, "SELECT sum(tips) FROM daily_tips") == select(
            ledger, "SELECT sum(tips) FROM daily_sales"
        )


def test_recurring_revenue_of_a_customer_adds_up_to_that_of_the_company(ledger, put, order):
    put(
        *(order(f"A{n}", f"2026-0{n}-05", f"{n}", customer="A") for n in (1, 2, 3, 4)),
        *(order(f"B{n}", f"2026-0{n}-06", "8", customer="B") for n in (2, 3, 4)),
        *(order(f"C{n}", f"2026-0{n}-07", "9", customer="C") for n in (1, 3, 4)),
    )
    assert select(
        ledger,
        "SELECT customer_id, month(month), recurring_revenue, products, months_in_a_row"
        " FROM customer_recurring_revenue ORDER BY 1, 2",
    ) == [("A", n, D(n), 1, 4) for n in (1, 2, 3, 4)] + [("B", n, D(8), 1, 3) for n in (2, 3, 4)]
    assert select(
        ledger,
        "SELECT month, sum(recurring_revenue), count(*) FROM customer_recurring_revenue GROUP BY 1 ORDER BY 1",
    ) == select(
        ledger, "SELECT month, recurring_revenue, customers FROM monthly_recurring_revenue ORDER BY 1"
    )


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (1, {"2026-06-30": (2026, 2, 6), "2026-07-01": (2026, 3, 7), "2027-01-01": (2027, 1, 1)}),
        (7, {"2026-06-30": (2026, 4, 12), "2026-07-01": (2027, 1, 1), "2027-01-01": (2027, 3, 7)}),
        (2, {"2026-06-30": (2027, 2, 5), "2026-12-31": (2027, 4, 11), "2027-01-31": (2027, 4, 12)}),
        (12, {"2026-11-30": (2026, 4, 12), "2026-12-01": (2027, 1, 1), "2027-01-31": (2027, 1, 2)}),
    ],
)
def test_a_fiscal_year_is_named_after_the_year_in_which_it_ends(ledger, put, order, rows, start, expected):
    put(
        order("O1", "2026-06-01"),
        order("O2", "2027-01-31"),
        connection=rows.connection(fiscal_year_start=start),
    )
    shown = {
        str(day): tuple(rest)
        for day, *rest in select(
            ledger, "SELECT day, fiscal_year, fiscal_quarter, fiscal_month FROM calendar"
        )
    }
    assert {day: shown[day] for day in expected} == expected


def test_a_company_that_never_sold_has_no_days(ledger, put):
    put()
    assert select(ledger, "SELECT * FROM calendar") == []


def test_the_merchant_s_wall_clock_follows_a_corrected_time_zone(ledger, put, rows, books):
    summer = rows.order("O2", created_date="2026-07-01 02:15:30.250", created_local_date=None)
    put(rows.order("O1"), summer)
    clock = "SELECT created_local_time FROM orders ORDER BY order_id"
    assert select(ledger, clock) == [
        (datetime(2026, 11, 1, 22, 30),),  # noqa: DTZ001 - a wall clock has no zone
        (datetime(2026, 6, 30, 22, 15, 30, 250_000),),  # noqa: DTZ001
    ]
    agree = "SELECT created_local_time::DATE, created_local_date FROM order_versions"
    assert all(day == local for day, local in select(ledger, agree))
    put(connection=rows.connection(timezone="America/Los_Angeles"))
    assert select(ledger, clock)[0] == (datetime(2026, 11, 1, 19, 30),)  # noqa: DTZ001
    assert all(day == local for day, local in select(ledger, agree))


def test_hours_differ_from_utc_by_what_the_clocks_were_set_to(ledger, put, rows):
    """In New York the clocks went back on 1 November 2026 at 06:00 UTC: the hour from one came twice."""
    at = ["2026-11-01 05:30:00", "2026-11-01 06:30:00", "2026-11-01 07:30:00"]
    put(*(rows.order(f"O{n}", created_date=moment) for n, moment in enumerate(at)))
    hours = "SELECT hour(created_local_time) FROM orders ORDER BY created_date"
    assert select(ledger, hours) == [(1,), (1,), (2,)]


def test_payments_and_refunds_have_the_hour_on_the_merchant_s_clock(ledger, put, rows):
    """A charge before the clocks of New York went back, a refund after; both follow a corrected time zone."""
    charge = rows.payment("CH1", "12.00", created_date="2026-11-01 05:30:00.250")
    refund = rows.payment("RE1", "-2.00", created_date="2026-11-01 07:30:00")
    put(rows.order("O1", payments=[charge, refund]))
    clock = "SELECT local_time, local_date FROM {} ORDER BY created_date"
    autumn = datetime(2026, 11, 1)  # noqa: DTZ001 - a wall clock has no zone
    for view in ("payments", "payments_as_of(1)", "payments_history", "transactions"):
        assert select(ledger, clock.format(view)) == [
            (autumn.replace(hour=1, minute=30, microsecond=250_000), autumn.date()),
            (autumn.replace(hour=2, minute=30), autumn.date()),
        ]
    put(connection=rows.connection(timezone="America/Los_Angeles"))
    hours = "SELECT day(local_date), hour(local_time) FROM payments ORDER BY created_date"
    assert select(ledger, hours) == [(31, 22), (1, 0)]
