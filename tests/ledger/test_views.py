"""The analysts' views: their promises on columns, grain and meaning, and that their figures tie."""

import json
import os
import subprocess
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from connector.ledger.load.apply import apply_batch
from connector.ledger.views import common_columns, definitions, grains
from schemas.money import exponent, to_decimal

VIEWS = sorted(grains())
ORDER_COLUMNS = (
    "company_id, connection_id, order_id, order_number, country, currency, created_date, closed_date, total_amount,"
    " total_refund, total_tax_amount, total_discount, total_gratuity, location_id, location_name, customer_id,"
    " customer_name, modified_date, source_modified_date, snapshot_id"
)
SALES_COLUMNS = (
    "company_id, currency, orders, gross_sales, discounts, returns, net_sales, service_charges, tax, total_sales, tips,"
    " overpayments, amount_collected, receivable, refunded_orders, new_customers, returning_customers"
)
PROMISED = {
    "orders": ORDER_COLUMNS,
    "order_versions": ORDER_COLUMNS + ", content_hash, replaced_by, is_deleted",
    "order_line_items": "company_id, connection_id, order_id, line_id, quantity, unit_price, tax_percentage,"
    " total_tax_amount, total_amount, product_id, product_name, variant_id, variant_name",
    "discount_allocations": "company_id, connection_id, order_id, line_id, name, total_amount",
    "payments": "company_id, connection_id, payment_id, order_id, amount, currency, type, status, created_date,"
    " modified_date, source_modified_date",
    "service_charges": "company_id, connection_id, order_id, description, total_amount, tax_percentage, tax_amount,"
    " quantity, type",
    "customers": "company_id, connection_id, customer_id",
    "locations": "company_id, connection_id, location_id",
    "products": "company_id, connection_id, product_id",
    "transactions": "company_id, connection_id, transaction_id",
    "snapshots": "snapshot_id, run_id, company_id, connection_id, loaded_at, from_source_modified_date,"
    " to_source_modified_date, orders_inserted, orders_updated, orders_unchanged",
    "sync_runs": "run_id, company_id, connection_id, started_at, finished_at, status, requests, retries,"
    " charges_read, orders_read, refunds_read, error",
    "data_issues": "company_id, connection_id, order_id, code, detail, first_seen_snapshot, resolved_snapshot",
    "daily_sales": SALES_COLUMNS + ", day",
    "weekly_sales": SALES_COLUMNS + ", week",
    "monthly_sales": SALES_COLUMNS + ", month",
    "daily_sales_by_order_date": SALES_COLUMNS + ", day",
    "monthly_sales_by_order_date": SALES_COLUMNS + ", month",
    "journal_entries": "company_id, connection_id, entry_id, entry_date, event, account, currency, debit, credit,"
    " order_id, payment_id, snapshot_id",
    "calendar": "company_id, day, day_of_week, week, month, quarter, fiscal_year, fiscal_quarter",
    "cohort_retention": "company_id, cohort_month, months_later, currency, cohort_customers, customers, retention",
    "lifetime_value": "company_id, connection_id, customer_id, currency, orders, net_sales",
    "monthly_discounts": "company_id, month, currency, name, orders, discounts",
    "daily_tips": "company_id, day, currency, payment_type, tips_charged, tips_given_back, tips",
    "customer_recurring_revenue": "company_id, connection_id, customer_id, month, currency, recurring_revenue",
    "changes": "change_id, company_id, connection_id, entity, id, change, snapshot_id",
    "monthly_tax": "company_id, month, currency, tax_charged, tax_given_back, tax_due, estimated_tax",
}


# Views that need more than these sales: three months, a change, a tip. They have tests of their own.
NEEDS_MORE = {"monthly_recurring_revenue", "customer_recurring_revenue", "order_changes", "daily_tips"}


@pytest.fixture
def sold(ledger, books, rows):
    """Two companies, two currencies; a late refund, a discount, guests, a failed charge, a deletion."""
    refunded = rows.order(
        "O2",
        created_local_date="2026-10-31",
        created_date="2026-10-31 20:00:00",
        total_amount="6.5000",
        total_refund="-5.5000",
        total_tax_amount="0.5000",
        order_line_items=[
            rows.line("L1", discount_allocations=[{"name": "Autumn", "total_amount": "2.0000"}], unit_price="12"),
            rows.line("refund_L1", quantity="-0.5000", total_amount="-5.5000", total_tax_amount="-0.5000",
                      refund_id="R1", discount_allocations=[{"name": "Autumn", "total_amount": "-1.0000"}]),
        ],
        total_discount="1.0000",
        payments=[
            rows.payment("CH0", "12.0000", status="Failed"),
            rows.payment("CH2", "12.0000", created_date="2026-10-31 20:00:00"),
            rows.payment("R1", "-5.5000", created_date="2026-11-20 20:00:00"),
        ],
    )  # fmt: skip
    euros = rows.order(
        "O3",
        currency="EUR",
        customer_id=None,
        customer_name=None,
        payments=[rows.payment("CH3", "12", currency="EUR")],
    )
    ids = {"company_id": "company-1", "connection_id": "connection-1"}
    given = books.batch(
        order_versions=[rows.order("O1"), refunded, euros, rows.order("O4")],
        record_versions=[
            {**ids, "data_type": kind, "record_id": "X",
             "source_modified_date": "2026-11-01 00:00:00", "content_hash": "c", "name": "N", "doc": json.dumps(doc)}
            for kind, doc in {
                "customers": {"emailAddress": "ada@example.com", "addresses": []},
                "products": {"isGiftCard": False, "variants": []}, "locations": {"address": {"city": "Ghent"}},
                "paymentMethods": {"status": "Active"}, "taxComponents": {"rate": 0.1, "isCompound": False},
                "companyInfo": {"baseCurrency": "USD"},
            }.items()
        ],
        source_records=[{**ids, "kind": "charge", "record_id": "CH2",
                         "order_id": "O2", "list_hash": "l", "content_hash": "c", "payload": "{}"}],
        data_issues=[{**ids, "order_id": "O2", "code": "refund_lines",
                      "severity": "info", "detail": "tax of the refund estimated", "currency": "USD"}],
        held_back=[{**ids, "record_kind": "order",
                    "record_id": "O9", "order_id": "O9", "reason": "unpaid"}],
        reconciliations=[{**ids, "run_id": "R", "day": "2026-11-01",
                          "stream": "charges", "currency": "USD", "reconciled_at": "2026-11-20 00:00:00"}],
    )  # fmt: skip
    apply_batch(ledger, given, now=rows.start)
    other = {"company_id": "company-2", "connection_id": "connection-2"}
    apply_batch(
        ledger,
        books.batch(**other, connection=rows.connection(**other), order_versions=[rows.order("O1", **other)]),
        now=rows.start,
    )
    apply_batch(ledger, books.batch(tombstones=("O4",)), now=rows.start)
    return ledger


def select(ledger, sql):
    return ledger.execute(sql).fetchall()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_and_column_is_explained(ledger, view):
    [(meaning,)] = select(
        ledger, f"SELECT comment FROM duckdb_views() WHERE view_name = '{view}' AND NOT internal"
    )
    assert meaning
    columns = select(
        ledger,
        f"SELECT column_name, comment FROM duckdb_columns() WHERE table_name = '{view}' AND schema_name = 'main'",
    )
    assert [name for name, comment in columns if not comment] == []


def test_every_macro_is_explained(ledger):
    macros = {d.name for d in definitions() if d.is_macro}
    found = dict(
        select(
            ledger,
            "SELECT function_name, comment FROM duckdb_functions()"
            " WHERE function_type = 'table_macro' AND NOT internal",
        )
    )
    assert {name for name, comment in found.items() if comment} == macros


def test_nothing_is_explained_that_does_not_exist(ledger):
    for definition in definitions():
        if not definition.is_macro:
            columns = {row[0] for row in select(ledger, f"DESCRIBE {definition.name}")}
            assert definition.columns.keys() <= columns, definition.name
            assert set(definition.grain) <= columns, definition.name


def test_shared_meanings_are_all_used(ledger):
    used = {
        row[0]
        for row in select(
            ledger, "SELECT DISTINCT column_name FROM duckdb_columns() WHERE schema_name = 'main'"
        )
    }
    assert common_columns().keys() <= used


@pytest.mark.parametrize(("view", "columns"), PROMISED.items())
def test_views_have_the_columns_that_others_build_on(ledger, view, columns):
    assert set(columns.split(", ")) <= {row[0] for row in select(ledger, f"DESCRIBE {view}")}


def test_the_grain_of_every_view_tells_its_rows_apart(sold):
    wrong = {}
    for view, columns in grains().items():
        grain = ", ".join(f'"{column}"' for column in columns)
        missing = " OR ".join(f'"{column}" IS NULL' for column in columns)
        counted = f"SELECT count(*), count(DISTINCT ({grain})), count(*) FILTER (WHERE {missing}) FROM {view}"
        [(rows, distinct, nulls)] = select(sold, counted)
        is_empty = rows == 0 and view not in NEEDS_MORE
        if is_empty or distinct != rows or nulls:
            wrong[view] = (rows, distinct, nulls)
    assert wrong == {}, "rows, distinct grains, grains with a NULL"


@pytest.mark.parametrize("view", VIEWS)
def test_amounts_are_exact_and_counts_whole(ledger, view):
    kinds = {row[0]: row[1] for row in select(ledger, f"DESCRIBE {view}")}
    assert [
        name
        for name, kind in kinds.items()
        if kind in ("DOUBLE", "FLOAT", "HUGEINT") and name != "waited_seconds"
    ] == []


def test_lines_and_charges_add_up_to_the_orders(sold):
    assert (
        select(
            sold,
            """
            SELECT o.order_id FROM orders o
            LEFT JOIN (
              SELECT connection_id, order_id, sum(total_amount) AS lines
              FROM order_line_items GROUP BY ALL) l
              USING (connection_id, order_id)
            LEFT JOIN (
              SELECT connection_id, order_id, sum(total_amount) AS charges
              FROM service_charges GROUP BY ALL) s
              USING (connection_id, order_id)
            WHERE o.total_amount <> coalesce(lines, 0) + coalesce(charges, 0)
            """,
        )
        == []
    )


@pytest.mark.parametrize(
    "by",
    [
        "daily_sales",
        "weekly_sales",
        "monthly_sales",
        "monthly_sales_by_order_date",
        "monthly_sales_as_of(now())",
    ],
)
def test_sales_add_up_to_the_orders(sold, by):
    orders = select(
        sold,
        "SELECT company_id, currency, count(*), sum(total_amount), sum(total_tax_amount), sum(sold_discount),"
        " sum(total_gratuity), sum(paid_amount) FROM orders GROUP BY ALL ORDER BY ALL",
    )
    sales = select(
        sold,
        "SELECT company_id, currency, sum(orders), sum(total_sales + overpayments), sum(tax), sum(discounts),"
        f" sum(tips), sum(amount_collected) FROM {by} GROUP BY ALL ORDER BY ALL",
    )
    assert sales == orders
    assert len(orders) == 3


def test_product_sales_add_up_to_net_sales(sold):
    [(products, net)] = select(
        sold, "SELECT (SELECT sum(net_sales) FROM product_sales), (SELECT sum(net_sales) FROM daily_sales)"
    )
    assert products == net


def test_a_sale_is_booked_on_its_day_and_its_refund_on_the_day_of_the_refund(sold):
    """12.00 list price less 2.00 discount, 1.00 shipping and 1.00 tax; half of the goods come back in November."""
    figures = (
        'gross_sales, discounts, "returns", net_sales, service_charges, tax, total_sales, amount_collected,'
        " refunded_orders"
    )
    sale = [Decimal(a) for a in ("12", "2", "0", "10", "1", "1", "12", "12")]
    refund = [Decimal(a) for a in ("0", "0", "5", "-5", "0", "-0.5", "-5.5", "-5.5")]
    for view, day, booked in (
        ("daily_sales", "2026-10-31", (*sale, 0)),
        ("daily_sales", "2026-11-20", (*refund, 1)),
        ("daily_sales_by_order_date", "2026-10-31", (*(a + b for a, b in zip(sale, refund, strict=True)), 1)),
    ):
        assert select(sold, f"SELECT {figures} FROM {view} WHERE \"day\" = '{day}'") == [booked], (view, day)


def test_goods_that_are_sold_again_are_booked_on_the_day_of_their_charge(ledger, books, rows):
    """Sold on the 1st, given back on the 5th, sold again on the 9th with its shipping."""
    shipping = {"description": "Shipping", "total_amount": "1", "tax_amount": "0", "tax_percentage": "0",
                "quantity": 1, "type": "Shipping"}  # fmt: skip
    again = rows.order(
        total_refund="-12",
        order_line_items=[
            rows.line("L1"),
            rows.line("refund_L1", quantity="-1", total_amount="-11", total_tax_amount="-1", refund_id="R1"),
            rows.line("Refund of Shipping", quantity="-1", unit_price="1", total_amount="-1", total_tax_amount="0",
                      refund_id="R1", kind="service_charge"),
            rows.line("L1_2", charge_id="CH2"),
        ],
        service_charges=[shipping, shipping | {"charge_id": "CH2"}],
        payments=[
            rows.payment("CH1", "12"),
            rows.payment("R1", "-12", created_date="2026-11-05 20:00:00"),
            rows.payment("CH2", "12", created_date="2026-11-09 20:00:00"),
        ],
    )  # fmt: skip
    apply_batch(ledger, books.batch(order_versions=[again]), now=rows.start)
    assert select(
        ledger,
        'SELECT "day", orders, gross_sales, "returns", service_charges, tax, amount_collected FROM daily_sales'
        " ORDER BY 1",
    ) == [
        (date(2026, 11, 1), 1, 10, 0, 1, 1, 12),
        (date(2026, 11, 5), 0, 0, 10, -1, -1, -12),
        (date(2026, 11, 9), 0, 10, 0, 1, 1, 12),
    ]


def test_a_corrected_time_zone_moves_sales_and_refunds_to_their_days(ledger, books, rows):
    apply_batch(ledger, books.batch(order_versions=[rows.order()]), now=rows.start)
    assert select(ledger, 'SELECT "day" FROM daily_sales') == [(date(2026, 11, 1),)]
    moved = rows.connection(timezone="Europe/Brussels")
    apply_batch(ledger, books.batch(connection=moved), now=rows.start)
    assert select(ledger, 'SELECT "day", total_sales, amount_collected FROM daily_sales') == [
        (date(2026, 11, 2), Decimal(12), Decimal(12))
    ]


def test_money_beyond_what_was_owed_is_no_sale(ledger, books, rows):
    """3.00 too much were collected; 2.00 of them went back."""
    over = {"description": "Overpayment", "total_amount": "3", "tax_amount": "0", "tax_percentage": "0",
            "quantity": 1, "type": "Overpayment"}  # fmt: skip
    order = rows.order(
        order_line_items=[
            rows.line(),
            rows.line("Refund of Overpayment", quantity="-1", unit_price="2", total_amount="-2", total_tax_amount="0",
                      refund_id="R1", kind="overpayment"),
        ],
        service_charges=[over],
        payments=[rows.payment("CH1", "14"), rows.payment("R1", "-2")],
    )  # fmt: skip
    apply_batch(ledger, books.batch(order_versions=[order]), now=rows.start)
    assert select(
        ledger,
        "SELECT net_sales, service_charges, total_sales, overpayments, amount_collected FROM monthly_sales",
    ) == [(10, 0, 11, 1, 12)]


def test_money_in_another_currency_is_a_balanced_entry_of_its_own(ledger, books, rows):
    given = [rows.order(payments=[rows.payment("CH1", "11", currency="EUR")])]
    apply_batch(ledger, books.batch(order_versions=given), now=rows.start)
    assert select(
        ledger,
        "SELECT event, account, currency, debit, credit FROM journal_entries WHERE event = 'payment' ORDER BY ALL",
    ) == [
        ("payment", "Accounts receivable", "EUR", 0, 11),
        ("payment", "Processor clearing: OnlineCard", "EUR", 11, 0),
    ]
    assert select(ledger, "SELECT currency, amount_collected, receivable FROM monthly_sales") == [
        ("USD", 0, 12)
    ]


def test_the_change_feed_says_what_each_load_did(ledger, books, rows):
    """Inserted, updated, deleted, inserted again; a version that came late is no change."""
    apply_batch(ledger, books.batch(order_versions=[rows.order("O1"), rows.order("O2")]), now=rows.start)
    newer = {"content_hash": "b", "source_modified_date": "2026-11-09 08:00:00"}
    late = rows.order("O2", content_hash="late", source_modified_date="2026-11-01 00:00:00")
    apply_batch(ledger, books.batch(order_versions=[rows.order("O1", **newer), late]), now=rows.start)
    apply_batch(ledger, books.batch(tombstones=("O1",)), now=rows.start)
    again = {"content_hash": "c", "source_modified_date": "2026-12-09 08:00:00"}
    apply_batch(ledger, books.batch(order_versions=[rows.order("O1", **again)]), now=rows.start)
    found = select(
        ledger, 'SELECT change_id, entity, id, "change", snapshot_id FROM changes ORDER BY change_id'
    )
    assert [row[1:] for row in found] == [
        ("orders", "O1", "inserted", 1),
        ("orders", "O2", "inserted", 1),
        ("orders", "O1", "updated", 2),
        ("orders", "O1", "deleted", 3),
        ("orders", "O1", "inserted", 4),
    ]
    assert len({row[0] for row in found}) == len(found)


def test_tax_given_back_is_that_of_the_month_of_the_refund_and_says_what_is_estimated(ledger, books, rows):
    order = rows.order(
        order_line_items=[
            rows.line(),
            rows.line("refund_R1", quantity="-1", unit_price="4", total_amount="-4.4", total_tax_amount="-0.4",
                      refund_id="R1", kind="amount", product_id=None),
        ],
        payments=[rows.payment("CH1", "12"), rows.payment("R1", "-4.4", created_date="2026-12-05 20:00:00")],
    )  # fmt: skip
    apply_batch(ledger, books.batch(order_versions=[order]), now=rows.start)
    assert select(ledger, "SELECT * EXCLUDE (company_id, currency) FROM monthly_tax ORDER BY 1") == [
        (date(2026, 11, 1), 1, 0, 1, 0),
        (date(2026, 12, 1), 0, Decimal("0.4"), Decimal("-0.4"), Decimal("0.4")),
    ]


def test_a_refund_is_money_back_on_its_own_day(sold):
    assert select(
        sold, 'SELECT "day", currency, refunds, refunded_amount, refunded_orders FROM daily_refunds'
    ) == [(date(2026, 11, 20), "USD", 1, Decimal("-5.5"), 1)]


def test_failed_charges_are_listed_and_are_not_money(sold):
    assert select(
        sold, "SELECT status, charges, charged_amount FROM payment_types WHERE status <> 'Paid'"
    ) == [("Failed", 1, Decimal("12.0000"))]
    assert select(sold, "SELECT count(*) FROM transactions WHERE transaction_id = 'CH0'") == [(0,)]
    assert select(sold, "SELECT sum(net_amount) FROM payments_by_day") == select(
        sold, "SELECT sum(total_amount) FROM transactions"
    )


def test_customers_are_new_in_the_period_of_their_first_order(sold):
    assert select(
        sold,
        'SELECT company_id, "month", currency, new_customers, returning_customers FROM monthly_sales ORDER BY ALL',
    ) == [
        ("company-1", date(2026, 10, 1), "USD", 1, 0),
        ("company-1", date(2026, 11, 1), "EUR", 0, 0),
        ("company-1", date(2026, 11, 1), "USD", 0, 1),
        ("company-2", date(2026, 11, 1), "USD", 1, 0),
    ]
    assert select(
        sold,
        "SELECT orders, guest_orders, customers FROM monthly_customers WHERE \"month\" = '2026-11-01' ORDER BY ALL",
    ) == [
        (1, 0, 1),
        (2, 1, 1),
    ]


def test_data_quality_names_what_can_be_relied_on(sold):
    assert select(
        sold,
        "SELECT orders, reconciled_orders, reconciled_share, estimated_orders, held_back, open_issues FROM data_quality"
        " WHERE company_id = 'company-1'",
    ) == [(3, 3, Decimal("1.0000"), 1, 1, 1)]


def test_changes_of_totals_say_what_when_learned_and_when_it_happened(ledger, books, rows):
    apply_batch(ledger, books.batch(order_versions=[rows.order()]), now=rows.start)
    changed = rows.order(
        content_hash="b",
        source_modified_date="2026-11-09 08:00:00",
        total_amount="7.0000",
        total_refund="-5.0000",
    )
    late = rows.order(content_hash="late", source_modified_date="2026-11-02 03:31:00", total_amount="1.0000")
    apply_batch(
        ledger,
        books.batch(order_versions=[late | {"source_modified_date": "2026-11-01 00:00:00"}]),
        now=rows.start,
    )
    apply_batch(ledger, books.batch(order_versions=[changed]), now=rows.start)
    apply_batch(ledger, books.batch(tombstones=("O1",)), now=rows.start)
    found = select(
        ledger,
        "SELECT total_name, from_amount, to_amount, previous_snapshot_id, snapshot_id, happened_at::DATE"
        " FROM order_changes ORDER BY snapshot_id, total_name",
    )
    assert found == [
        ("total_amount", Decimal("12"), Decimal("7"), 1, 3, date(2026, 11, 9)),
        ("total_refund", Decimal("0"), Decimal("-5"), 1, 3, date(2026, 11, 9)),
        ("total_amount", Decimal("7"), Decimal("0"), 3, 4, date(2026, 11, 20)),
        ("total_refund", Decimal("-5"), Decimal("0"), 3, 4, date(2026, 11, 20)),
        ("total_tax_amount", Decimal("1"), Decimal("0"), 3, 4, date(2026, 11, 20)),
    ]


def test_orders_at_a_moment_leave_out_what_happened_later(ledger, books, rows):
    apply_batch(ledger, books.batch(order_versions=[rows.order()]), now=rows.start)
    changed = rows.order(content_hash="b", source_modified_date="2026-11-09 08:00:00", total_amount="7.0000")
    apply_batch(ledger, books.batch(order_versions=[changed]), now=rows.start)
    for as_of, moment, total in ((2, "2026-11-08", "12"), (2, "2026-11-10", "7"), (1, "2026-11-10", "12")):
        assert select(ledger, f"SELECT total_amount FROM orders_at({as_of}, TIMESTAMP '{moment}')") == [
            (Decimal(total),)
        ]


@pytest.mark.parametrize(
    ("months", "counted"),
    [
        (["2026-01", "2026-02", "2026-03", "2026-05"], ["2026-01", "2026-02", "2026-03"]),
        (["2025-11", "2025-12", "2026-01"], ["2025-11", "2025-12", "2026-01"]),
        (["2026-01", "2026-02", "2026-04"], []),
    ],
)
def test_revenue_recurs_when_a_customer_buys_a_product_three_months_in_a_row(
    ledger, books, rows, months, counted
):
    sold = [rows.order(f"O{n}", created_local_date=f"{month}-15") for n, month in enumerate(months)]
    apply_batch(ledger, books.batch(order_versions=sold), now=rows.start)
    assert select(
        ledger,
        "SELECT strftime(\"month\", '%Y-%m'), recurring_revenue, customers, pairs"
        " FROM monthly_recurring_revenue ORDER BY 1",
    ) == [(month, Decimal("10.0000"), 1, 1) for month in counted]


def test_views_work_in_a_file_attached_under_any_name(store, books, rows):
    store.apply(books.batch(order_versions=[rows.order()]))
    path = store.publish()
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS anything (READ_ONLY)")
        for view in VIEWS:
            connection.execute(f"SELECT * FROM anything.{view}").fetchall()
        connection.execute("USE anything")
        assert len(connection.execute("SELECT * FROM orders_as_of(1)").fetchall()) == 1


def test_grains_are_in_the_file_too(ledger):
    assert {name: tuple(grain) for name, grain in select(ledger, "FROM ledger.view_grains")} == grains()


@pytest.mark.skipif(
    "OTHER_DUCKDB_PYTHON" not in os.environ, reason="OTHER_DUCKDB_PYTHON names no interpreter"
)
def test_another_supported_duckdb_reads_every_view(store, books, rows):
    """OTHER_DUCKDB_PYTHON: an interpreter with the oldest supported duckdb, 1.5.5."""
    store.apply(books.batch(order_versions=[rows.order()]))
    script = (
        f"import duckdb; c = duckdb.connect({str(store.publish())!r}, read_only=True)\n"
        f"for v in {VIEWS!r}: c.execute('SELECT * FROM ' + v).fetchall()\n"
        "print(len(c.execute('SELECT * FROM orders_as_of(1)').fetchall()))"
    )
    other = os.environ["OTHER_DUCKDB_PYTHON"]
    done = subprocess.run([other, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_money_of_another_currency_stands_beside_and_is_never_added(ledger, books, rows):
    """One order paid in dollars, one with euros, one with both and some of the euros back."""
    given = books.batch(
        order_versions=[
            rows.order("O1", payments=[rows.payment("CH1", "12")]),
            rows.order("O2", payments=[rows.payment("CH2", "11", currency="EUR")]),
            rows.order(
                "O3",
                payments=[
                    rows.payment("CH3", "5"),
                    rows.payment("CH4", "6.5", currency="EUR"),
                    rows.payment("R4", "-1.5", currency="EUR"),
                    rows.payment("CH5", "9", currency="EUR", status="Failed"),
                ],
            ),
        ]
    )
    apply_batch(ledger, given, now=rows.start)
    money = {"O1": "12", "O2": "0", "O3": "5"}
    assert dict(select(ledger, "SELECT order_id, paid_amount FROM orders")) == {
        order_id: Decimal(amount) for order_id, amount in money.items()
    }
    for view in ("daily_sales", "monthly_sales_by_order_date", "monthly_sales_as_of(1)"):
        assert select(ledger, f"SELECT currency, orders, amount_collected FROM {view}") == [
            ("USD", 3, Decimal(17))
        ]
    assert select(
        ledger,
        "SELECT order_currency, currency, orders, charged_amount, refunded_amount, net_amount"
        " FROM money_received ORDER BY ALL",
    ) == [
        ("USD", "EUR", 2, Decimal("17.5"), Decimal("-1.5"), Decimal(16)),
        ("USD", "USD", 2, Decimal(17), Decimal(0), Decimal(17)),
    ]


@pytest.mark.parametrize("code", ["USD", "JPY", "KWD", "CLF", "UYW", "XXX", "BHD", "UYI"])
def test_a_difference_is_shown_with_the_decimals_of_its_currency(ledger, books, rows, code):
    """By the one list of minor units, schemas.money."""
    issue = {
        "company_id": "company-1", "connection_id": "connection-1", "order_id": "O1", "code": "payments_total",
        "severity": "warning", "detail": "x", "difference_minor": -12345, "currency": code,
    }  # fmt: skip
    apply_batch(ledger, books.batch(order_versions=[rows.order("O1")], data_issues=[issue]), now=rows.start)
    assert select(ledger, "SELECT difference_amount FROM data_issues") == [
        (to_decimal(-12345, exponent(code)),)
    ]
