"""What must hold on any data: sums tie to each other, keys tell rows apart, nothing is counted twice.

Run on the hand-worked ledgers and on a shop of 500 orders that was synced from the stand-in Clover.
"""

import re
from collections import defaultdict
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from connector.ledger.views import definitions, grains

FIGURES = (
    "orders", "gross_sales", "discounts", "returns", "net_sales", "service_charges", "tax", "total_sales", "tips",
    "overpayments", "amount_collected", "receivable",
)  # fmt: skip
VIEWS = sorted(definition.name for definition in definitions() if not definition.is_macro)


@pytest.fixture(params=["ledgers", "demo"])
def db(request):
    """A connection on each of the stores."""
    return request.getfixturevalue("sales" if request.param == "ledgers" else "demo_sales")


@pytest.fixture
def same(db):
    """Assert that two queries give the same rows, whatever their order; and that there are some."""

    def check(one, other):
        first, second = (db.execute(f"FROM ({sql}) ORDER BY ALL").fetchall() for sql in (one, other))
        assert first == second
        assert first

    return check


def test_days_months_and_orders_come_to_the_same(same):
    """Per company, period and currency, every figure but customers and refunded orders, counted once a period."""
    added = ", ".join(f"sum({name}) AS {name}" for name in FIGURES)
    for by in ("", "_by_order_date"):
        same(
            f"SELECT company_id, month, currency, {', '.join(FIGURES)} FROM monthly_sales{by}",
            f"SELECT company_id, date_trunc('month', day)::DATE AS month, currency, {added} FROM daily_sales{by}"
            " GROUP BY ALL",
        )
    same(
        f"SELECT company_id, week, currency, {', '.join(FIGURES)} FROM weekly_sales",
        f"SELECT company_id, date_trunc('week', day)::DATE AS week, currency, {added} FROM daily_sales GROUP BY ALL",
    )
    same(
        f"SELECT company_id, week, currency, {', '.join(FIGURES)} FROM weekly_sales_by_order_date",
        f"SELECT company_id, date_trunc('week', day)::DATE AS week, currency, {added} FROM daily_sales_by_order_date"
        " GROUP BY ALL",
    )
    same(
        "SELECT company_id, month, currency, orders, total_sales + overpayments, tax, tips, amount_collected,"
        " refunded_orders FROM monthly_sales_by_order_date",
        """SELECT company_id, date_trunc('month', created_local_date)::DATE AS month, currency, count(*),
          sum(total_amount), sum(total_tax_amount), sum(total_gratuity), sum(paid_amount),
          count(*) FILTER (total_refund < 0) FROM orders GROUP BY ALL""",
    )


def test_both_bookings_come_to_the_same_over_all_days(same):
    added = ", ".join(f"sum({name}) AS {name}" for name in FIGURES)
    of = f"SELECT company_id, currency, {added}, sum(new_customers) FROM"
    for view in ("daily_sales_by_order_date", "monthly_sales_by_order_date"):
        same(f"{of} {view} GROUP BY ALL", f"{of} {view.removesuffix('_by_order_date')} GROUP BY ALL")


def test_net_and_total_sales_are_what_they_are_said_to_be(db):
    """Each figure has one formula and one sign in every view that carries it."""
    for view in VIEWS:
        names = {name for name, *_ in db.execute(f"DESCRIBE {view}").fetchall()}
        if {"gross_sales", "discounts", "returns"} <= names:
            assert db.execute(
                f"FROM {view} WHERE gross_sales - discounts - \"returns\" <> net_sales OR gross_sales < 0"
                " OR discounts < 0 OR \"returns\" < 0"
            ).fetchall() == [], view  # fmt: skip
        if "total_sales" in names:
            assert db.execute(
                f"FROM {view} WHERE net_sales + service_charges + tax <> total_sales"
                " OR total_sales + tips + overpayments <> amount_collected + receivable"
            ).fetchall() == [], view  # fmt: skip


def test_every_entry_of_the_journal_balances(db, same):
    for by in ("connection_id, entry_id, currency", "company_id, currency, entry_date"):
        assert db.execute(
            f"SELECT {by} FROM journal_entries GROUP BY ALL HAVING sum(debit) <> sum(credit)"
        ).fetchall() == [], by  # fmt: skip
    same(
        "SELECT company_id, entry_date, currency, sum(debit - credit) FROM journal_entries"
        " WHERE account IN ('Cash', 'Gift cards redeemed') OR starts_with(account, 'Processor clearing: ')"
        " GROUP BY ALL HAVING sum(debit - credit) <> 0",
        "SELECT company_id, day, currency, sum(net_amount) FROM payments_by_day GROUP BY ALL"
        " HAVING sum(net_amount) <> 0",
    )


def test_tax_due_is_the_tax_of_the_month(same, db):
    same(
        "SELECT company_id, month, currency, tax_due FROM monthly_tax",
        "SELECT company_id, month, currency, tax FROM monthly_sales",
    )
    assert db.execute(
        "FROM monthly_tax WHERE tax_due <> tax_charged - tax_given_back OR tax_charged < 0"
        " OR estimated_tax NOT BETWEEN 0 AND tax_given_back"
    ).fetchall() == []  # fmt: skip


def test_lines_and_service_charges_come_to_each_order(same):
    same(
        "SELECT connection_id, order_id, total_amount FROM orders",
        """SELECT o.connection_id, o.order_id, coalesce(l.amount, 0) + coalesce(s.amount, 0) AS total_amount
        FROM orders o
        LEFT JOIN (SELECT connection_id, order_id, sum(total_amount) AS amount FROM order_line_items GROUP BY ALL) l
          USING (connection_id, order_id)
        LEFT JOIN (SELECT connection_id, order_id, sum(total_amount) AS amount FROM service_charges GROUP BY ALL) s
          USING (connection_id, order_id)""",
    )


def test_every_line_is_units_times_price_less_discount_plus_tax(db):
    assert db.execute(
        "FROM order_line_items WHERE total_amount <> quantity * unit_price - discount_amount + total_tax_amount"
    ).fetchall() == []  # fmt: skip


def test_refund_lines_come_to_the_refund_of_each_order(same):
    same(
        "SELECT connection_id, order_id, total_refund FROM orders WHERE total_refund <> 0",
        "SELECT connection_id, order_id, sum(total_amount) FROM order_line_items WHERE quantity < 0 GROUP BY ALL",
    )


def test_payments_come_to_what_each_order_owes_unless_an_issue_says_otherwise(db):
    """Paid payments = total + gratuity; an order that is not paid to the cent has an open warning that names it."""
    assert (
        db.execute(
            "SELECT count(*) FROM orders WHERE paid_amount = total_amount + total_gratuity"
        ).fetchone()[0]
        > 0
    )
    unexplained = db.execute(
        """SELECT o.order_id FROM orders o
        LEFT JOIN (SELECT connection_id, order_id, sum(amount) AS amount FROM payments
          WHERE status = 'Paid' GROUP BY ALL) p
          USING (connection_id, order_id)
        LEFT JOIN (SELECT DISTINCT connection_id, order_id FROM open_issues WHERE code = 'payments_total') i
          USING (connection_id, order_id)
        WHERE coalesce(p.amount, 0) <> o.paid_amount
          OR (o.paid_amount <> o.total_amount + o.total_gratuity AND i.order_id IS NULL)"""
    ).fetchall()
    assert unexplained == []


def test_money_by_day_by_type_and_by_order_come_to_the_same(same):
    same(
        "SELECT company_id, currency, sum(net_amount) FROM payments_by_day GROUP BY ALL",
        "SELECT company_id, currency, sum(amount_collected) FROM monthly_sales GROUP BY ALL",
    )
    same(
        "SELECT company_id, day, currency, sum(net_amount) FROM payments_by_day GROUP BY ALL"
        " HAVING sum(net_amount) <> 0",
        "SELECT company_id, day, currency, amount_collected FROM daily_sales WHERE amount_collected <> 0",
    )
    same(
        "SELECT company_id, month, currency, net_amount FROM money_received WHERE currency = order_currency",
        "SELECT company_id, month, currency, amount_collected FROM monthly_sales_by_order_date",
    )
    same(
        "SELECT company_id, currency, payment_type, sum(charges), sum(charged_amount), sum(refunds),"
        " sum(refunded_amount) FROM payments_by_day GROUP BY ALL",
        "SELECT company_id, currency, payment_type, charges, charged_amount, refunds, refunded_amount"
        " FROM payment_types WHERE status = 'Paid'",
    )
    same(
        "SELECT company_id, day, currency, sum(refunded_amount) FROM payments_by_day WHERE refunds > 0 GROUP BY ALL",
        "SELECT company_id, day, currency, refunded_amount FROM daily_refunds",
    )


def test_returns_of_a_day_are_at_most_the_money_given_back_on_it(db):
    """A refund gives back goods, tax, service charges and tips; the goods alone never come to more."""
    found = db.execute(
        """SELECT company_id, day, currency, -coalesce(r.refunded_amount, 0) AS given_back, s."returns"
        FROM daily_sales s LEFT JOIN daily_refunds r USING (company_id, day, currency) WHERE s."returns" <> 0"""
    ).fetchall()
    assert found
    assert all(returns <= given_back for *_, given_back, returns in found)


def test_products_come_to_net_sales(same):
    for figure in ("gross_sales", "discounts", '"returns"', "net_sales"):
        same(
            f"SELECT company_id, month, currency, {figure} FROM monthly_sales WHERE {figure} <> 0",
            f"SELECT company_id, month, currency, sum({figure}) FROM product_sales GROUP BY ALL"
            f" HAVING sum({figure}) <> 0",
        )


def test_customers_and_guests_come_to_all_sales(db):
    """Customer by customer as in the sales views; what guests bought is the rest."""
    assert db.execute(
        """SELECT company_id, currency FROM
          (SELECT company_id, currency, sum(gross_sales) AS gross, sum(net_sales) AS net, sum(tips) AS tips
            FROM customer_orders GROUP BY ALL) c
        JOIN (SELECT company_id, currency, sum(gross_sales) AS gross, sum(net_sales) AS net, sum(tips) AS tips
            FROM monthly_sales GROUP BY ALL) s USING (company_id, currency)
        WHERE c.gross > s.gross OR c.tips > s.tips"""
    ).fetchall() == []  # fmt: skip


def test_customers_are_counted_once_in_a_month(same):
    same(
        "SELECT company_id, month, orders, guest_orders, customers FROM monthly_customers",
        """SELECT company_id, date_trunc('month', created_local_date)::DATE AS month, count(*),
          count(*) FILTER (customer_id IS NULL),
          count(DISTINCT (connection_id, customer_id)) FILTER (customer_id IS NOT NULL)
        FROM orders GROUP BY ALL""",
    )
    same(
        "SELECT company_id, sum(new_customers) FROM monthly_customers GROUP BY ALL",
        "SELECT company_id, count(DISTINCT (connection_id, customer_id)) FILTER (customer_id IS NOT NULL)"
        " FROM orders GROUP BY ALL",
    )


AS_OF = {
    "orders": "*", "order_line_items": "*", "payments": "*", "daily_refunds": "*", "journal_entries": "*",
    **{
        f"{period}_sales{booking}": "* EXCLUDE (new_customers, returning_customers)"
        for period in ("daily", "weekly", "monthly") for booking in ("", "_by_order_date")
    },
}  # fmt: skip


@pytest.mark.parametrize("view", AS_OF)
def test_as_of_the_latest_snapshot_is_now(db, same, view):
    (latest,) = db.execute("SELECT max(snapshot_id) FROM snapshots").fetchone()
    for moment in (latest, "now()", "TIMESTAMP '2099-01-01'"):
        same(f"SELECT * FROM {view}_as_of({moment})", f"SELECT {AS_OF[view]} FROM {view}")


@pytest.mark.parametrize("view", AS_OF)
@pytest.mark.parametrize(
    ("moment", "message"),
    [
        ("0", "There is no snapshot 0: there are snapshots 1 "),
        ("99999", "There is no snapshot 99999: there are snapshots 1 "),
        ("NULL", "NULL names no snapshot: there are snapshots 1 "),
        ("TIMESTAMP '2020-01-01'", "Nothing had been loaded by 2020-01-01 00:00:00 UTC: there are snapshots 1 "),
        ("'yesterday'", "yesterday is neither a snapshot nor a time: there are snapshots 1 "),
    ],
)  # fmt: skip
def test_what_is_no_snapshot_is_an_error_that_says_which_there_are(db, view, moment, message):
    with pytest.raises(duckdb.Error, match=re.escape(message)):
        db.execute(f"SELECT * FROM {view}_as_of({moment})").fetchall()
    for arguments in (f"{moment}, 1", f"1, {moment}"):
        with pytest.raises(duckdb.Error, match=re.escape(message)):
            db.execute(f"SELECT * FROM restatement({arguments})").fetchall()


def test_macros_of_a_file_attached_under_another_name(db, ledger_store):
    """By the name it is attached as, or after USE."""
    macros = [definition for definition in definitions() if definition.is_macro]
    assert len(macros) >= len(AS_OF)
    with ledger_store.open_reader() as reader, duckdb.connect() as mine:
        mine.execute(f"ATTACH '{reader.path}' AS \"the books\" (READ_ONLY)")
        for macro in macros:
            given = {"restatement": "1, 2", "restatement_orders": "1, 2", "orders_at": "2, now()::TIMESTAMP"}
            arguments = given.get(macro.name, "2")
            named = mine.execute(
                f'FROM "the books".{macro.name}({arguments}, attached_as := \'"the books"\') ORDER BY ALL'
            ).fetchall()
            mine.execute('USE "the books"')
            assert named == mine.execute(f"FROM {macro.name}({arguments}) ORDER BY ALL").fetchall()
            assert named, macro.name
            mine.execute("USE memory")
            with pytest.raises(duckdb.Error, match=r"Say USE and the name .* attached_as := 'name'"):
                mine.execute(f'FROM "the books".{macro.name}({arguments})')


def test_history_in_plain_sql_is_what_the_macros_say(db, same):
    for view in ("orders", "order_line_items", "payments"):
        for number, loaded_at in db.execute("SELECT snapshot_id, loaded_at FROM snapshots").fetchall():
            for held in (
                f"snapshot_id <= {number} AND (replaced_by IS NULL OR replaced_by > {number})",
                f"valid_from <= '{loaded_at}' AND (valid_to IS NULL OR '{loaded_at}' < valid_to)",
            ):
                same(
                    f"SELECT * EXCLUDE (replaced_by, valid_from, valid_to) FROM {view}_history WHERE {held}",
                    f"SELECT * FROM {view}_as_of({number})",
                )


def test_changes_lead_from_what_was_known_to_what_is_known(db):
    """First known total + every change of it = the total now, order by order."""
    assert db.execute(
        """SELECT o.order_id FROM orders o
        JOIN (SELECT connection_id, order_id, arg_min(total_amount, snapshot_id) AS first_known FROM order_versions
          WHERE replaced_by IS NULL OR replaced_by > snapshot_id GROUP BY ALL) v USING (connection_id, order_id)
        LEFT JOIN (SELECT connection_id, order_id, sum(difference) AS changed FROM order_changes
          WHERE total_name = 'total_amount' GROUP BY ALL) c USING (connection_id, order_id)
        WHERE v.first_known + coalesce(c.changed, 0) <> o.total_amount"""
    ).fetchall() == []  # fmt: skip


def test_recurring_revenue_is_what_plain_counting_finds(db):
    """Three months in a row of the same customer and product, looked up one by one."""
    bought = defaultdict(lambda: [Decimal(0), False])
    for *key, month, amount, is_sale in db.execute(
        """SELECT l.company_id, l.connection_id, o.customer_id, l.product_id, l.currency,
          date_trunc('month', l.created_local_date)::DATE, l.total_amount - l.total_tax_amount, l.quantity > 0
        FROM order_line_items l JOIN orders o USING (connection_id, order_id)
        WHERE o.customer_id IS NOT NULL AND l.product_id IS NOT NULL"""
    ).fetchall():
        entry = bought[(*key, month.year * 12 + month.month - 1)]
        entry[0] += amount
        entry[1] |= is_sale
    months = {key for key, (_, has_sale) in bought.items() if has_sale}
    found = defaultdict(lambda: [Decimal(0), set(), 0])
    for company, connection, customer, product, currency, month in months:
        same_pair = [
            (company, connection, customer, product, currency, month + step) in months
            for step in (-2, -1, 1, 2)
        ]
        if (
            (same_pair[0] and same_pair[1])
            or (same_pair[1] and same_pair[2])
            or (same_pair[2] and same_pair[3])
        ):
            row = found[company, date(month // 12, month % 12 + 1, 1), currency]
            row[0] += bought[company, connection, customer, product, currency, month][0]
            row[1].add((connection, customer))
            row[2] += 1
    rows = sorted((*key, amount, len(customers), pairs) for key, (amount, customers, pairs) in found.items())
    assert db.execute("FROM monthly_recurring_revenue ORDER BY ALL").fetchall() == rows


@pytest.mark.parametrize("view", VIEWS)
def test_the_grain_of_every_view_tells_its_rows_apart(db, view):
    """No two rows share it and none of it is NULL: joining on it never counts money twice."""
    grain = ", ".join(f'"{name}"' for name in grains()[view])
    (rows, distinct, nulls) = db.execute(
        f"SELECT count(*), count(DISTINCT ({grain})), count(*) FILTER ("
        + " OR ".join(f'"{name}" IS NULL' for name in grains()[view])
        + f") FROM {view}"
    ).fetchone()
    assert rows == distinct
    assert nulls == 0


@pytest.mark.parametrize("view", VIEWS)
def test_counts_are_bigint_sums_decimal_and_nothing_is_a_float(db, view):
    """A float would round money; waiting time and nothing else may be one."""
    kinds = {(name, kind) for name, kind, *_ in db.execute(f"DESCRIBE {view}").fetchall()}
    floats = {
        name
        for name, kind in kinds
        if kind in ("DOUBLE", "FLOAT", "HUGEINT", "UHUGEINT", "TIMESTAMP WITH TIME ZONE")
    }
    assert floats <= {"waited_seconds"}


def test_no_amount_stands_without_its_currency(db):
    """Every view with money has a currency in its grain or beside each amount."""
    for view in VIEWS:
        columns = {name: kind for name, kind, *_ in db.execute(f"DESCRIBE {view}").fetchall()}
        if any(kind == "DECIMAL(18,4)" or kind.startswith("DECIMAL(38") for kind in columns.values()):
            assert "currency" in columns, view


def test_discounts_and_tips_come_to_those_of_the_sales(same):
    same(
        "SELECT company_id, month, currency, sum(discounts) FROM monthly_discounts GROUP BY ALL"
        " HAVING sum(discounts) > 0",
        "SELECT company_id, month, currency, discounts FROM monthly_sales WHERE discounts > 0",
    )
    same(
        "SELECT company_id, currency, sum(tips), sum(tips_charged) - sum(tips_given_back) FROM daily_tips GROUP BY ALL",
        "SELECT company_id, currency, sum(tips), sum(tips) FROM daily_sales GROUP BY ALL HAVING sum(tips) <> 0",
    )


def test_cohorts_and_lifetime_values_come_to_what_customers_bought(same):
    bought = "SELECT company_id, currency, sum(net_sales), sum(orders) FROM customer_orders GROUP BY ALL"
    for view in ("cohort_retention", "lifetime_value"):
        same(bought, f"SELECT company_id, currency, sum(net_sales), sum(orders) FROM {view} GROUP BY ALL")
    same(
        "SELECT company_id, month, sum(customers) FROM cohort_retention WHERE currency = 'USD' GROUP BY ALL"
        " HAVING sum(customers) > 0",
        "SELECT company_id, date_trunc('month', created_local_date)::DATE, count(DISTINCT (connection_id, customer_id))"
        " FROM orders WHERE customer_id IS NOT NULL AND currency = 'USD' GROUP BY ALL",
    )
    same(
        "SELECT company_id, month, cohort_customers FROM cohort_retention WHERE months_later = 0 GROUP BY ALL",
        "SELECT company_id, month, new_customers FROM monthly_customers WHERE new_customers > 0",
    )


def test_the_calendar_has_every_day_once_and_every_day_of_sales(same, db):
    same(
        "SELECT company_id, min(day), max(day), count(*), count(DISTINCT day) FROM calendar GROUP BY ALL",
        "SELECT company_id, min(day), max(day), date_diff('day', min(day), max(day)) + 1,"
        " date_diff('day', min(day), max(day)) + 1 FROM calendar GROUP BY ALL",
    )
    outside = "SELECT * FROM daily_sales_by_order_date ANTI JOIN calendar USING (company_id, day)"
    assert db.execute(outside).fetchall() == []
    same(
        "SELECT company_id, count(*) FROM calendar WHERE has_orders GROUP BY ALL",
        "SELECT company_id, count(DISTINCT created_local_date) FROM orders GROUP BY ALL",
    )


def test_recurring_revenue_of_customers_comes_to_that_of_the_month(same):
    same(
        "SELECT company_id, month, currency, sum(recurring_revenue), count(DISTINCT (connection_id, customer_id)),"
        " sum(products) FROM customer_recurring_revenue GROUP BY ALL",
        "SELECT company_id, month, currency, recurring_revenue, customers, pairs FROM monthly_recurring_revenue",
    )


def test_the_wall_clock_of_a_sale_is_on_the_merchant_s_day(db):
    for view in ("payments", "transactions", "payments_history"):
        assert db.execute(f"FROM {view} WHERE local_time::DATE IS DISTINCT FROM local_date").fetchall() == []
        assert db.execute(f"SELECT count(*) > 0 FROM {view}").fetchone() == (True,)
    assert db.execute("SELECT count(*) FROM orders WHERE created_local_time IS NULL").fetchone() == (0,)
    off = "SELECT order_id FROM orders WHERE created_local_time::DATE <> created_local_date"
    assert db.execute(off).fetchall() == []
