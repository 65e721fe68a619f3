"""Every figure of every view equals the hand-worked ledgers (``ledger/*.yaml``), to the minor unit."""

import re
from datetime import date, datetime
from decimal import Decimal

import pytest

NAMES = ("juniper", "kite", "lark")
KEYS = (
    "entry_date",
    "event_date",
    "posting",
    "figure",
    "event",
    "account",
    "day",
    "week",
    "month",
    "currency",
    "payment_type",
    "status",
    "total_name",
    "code",
    "severity",
    "reason",
)


def worked(text):
    """The result of a worked sum such as ``24.00 - 2.40 = 21.60``, after checking that it is right."""
    sum_, _, result = str(text).rpartition("=")
    if not sum_:
        terms = re.findall(r"[-+]?\s*[\d.]+", result)
        assert len(terms) == 1, f"a sum without a result: {text}"
        return Decimal(result)
    total = sum((Decimal(term.replace(" ", "")) for term in re.findall(r"[-+]?\s*[\d.]+", sum_)), Decimal(0))
    assert total == Decimal(result), f"the ledger does not add up: {text}"
    return total


def order_id(order):
    return f"{order['id']}-C1" if "without_order" in order else order["id"]


def plain(value):
    """A value of a view as the ledger writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return value
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return Decimal(value) if isinstance(value, int) else value


@pytest.fixture(params=NAMES)
def ledger(request, ledgers):
    return ledgers[request.param]


@pytest.fixture
def expected(ledger):
    """(view, given rows) -> the ledger's rows with every figure of the view, 0 where the ledger is silent."""

    def table(section, found):
        figures = [
            name for name, value in (found[0] if found else {}).items() if isinstance(value, int | Decimal)
        ]
        wanted = []
        for row in ledger.expected.get(section) or []:
            made = {}
            for name, text in row.items():
                if name == "product":
                    made["product_id"] = "(none)" if text == "(none)" else f"P-{text}"
                elif name == "customer":
                    made["customer_id"] = f"C-{text}"
                elif name == "order":
                    made["order_id"] = text
                elif name == "happened":
                    made["happened_at"] = ledger.moment(text).replace(tzinfo=None)
                elif name in KEYS or name in ("open", "resolved") or name.endswith("_day"):
                    made[name] = text
                else:
                    made[name] = worked(text)
            wanted.append(dict.fromkeys(figures, Decimal(0)) | made)
        return wanted

    return table


@pytest.fixture
def agree(ledger, rows, expected):
    """Assert that a query gives exactly the rows of a section of the ledger, whatever their order."""

    def check(section, sql):
        found = [{k: plain(v) for k, v in row.items()} for row in rows(sql, ledger.company_id)]
        wanted = expected(section, found)
        key = lambda row: (  # noqa: E731 - two payments of an order differ in nothing but the amount
            sorted((k, str(v)) for k, v in row.items() if not isinstance(v, Decimal)),
            sorted((k, v) for k, v in row.items() if isinstance(v, Decimal)),
        )
        assert sorted(found, key=key) == sorted(wanted, key=key)
        return found

    return check


def test_every_order_is_worth_what_the_ledger_says(ledger, rows):
    """As sold, refunds, what is left, tax, discount, tip, service charges and money received, sold and net."""
    found = {
        row["order_id"]: row for row in rows("SELECT * FROM orders WHERE company_id = ?", ledger.company_id)
    }
    assert found.keys() == {order_id(order) for order in ledger.sold}, "held back orders are in no figure"
    for order in ledger.sold:
        books, row = order["books"], found[order_id(order)]
        tax_sold, discount_sold = books.get("tax_sold", "0"), books.get("discount_sold", "0")
        assert {
            "sold_amount": row["sold_amount"],
            "total_refund": row["total_refund"],
            "total_amount": row["total_amount"],
            "sold_tax_amount": row["sold_tax_amount"],
            "total_tax_amount": row["total_tax_amount"],
            "sold_discount": row["sold_discount"],
            "total_discount": row["total_discount"],
            "total_gratuity": row["total_gratuity"],
            "service_charges_amount": row["service_charges_amount"],
            "paid_amount": row["paid_amount"],
        } == {
            "sold_amount": worked(books["gross"]),
            "total_refund": worked(books.get("refunds", "0")),
            "total_amount": worked(books["net"]),
            "sold_tax_amount": worked(tax_sold),
            "total_tax_amount": worked(books.get("tax", tax_sold)),
            "sold_discount": worked(discount_sold),
            "total_discount": worked(books.get("discount", discount_sold)),
            "total_gratuity": worked(books.get("tip", "0")),
            "service_charges_amount": worked(books.get("charges", "0")),
            "paid_amount": worked(books["received"]),
        }, order["id"]
        assert row["currency"] == ledger.currency(order)
        assert row["created_local_date"].isoformat() == order["sold"][:10], "the shop's day of the sale"
        assert row["customer_id"] == (f"C-{order['customer']}" if "customer" in order else None)


def test_the_hand_worked_orders_agree_with_themselves(ledger):
    """Gross + refunds = net, and money received = net + tip but for the order that is not paid in full."""
    for order in ledger.sold:
        books = order["books"]
        assert worked(books["gross"]) + worked(books.get("refunds", "0")) == worked(books["net"]), order["id"]
        owed = worked(books["net"]) + worked(books.get("tip", "0"))
        assert worked(books["received"]) == owed - (10 if order["id"] == "JG43" else 0), order["id"]


def test_every_line_is_worth_what_the_ledger_says(ledger, rows):
    """By order and product, tax in, discount share off, refund lines off."""
    found = {
        (row["order_id"], row["product"]): row["amount"]
        for row in rows(
            "SELECT order_id, coalesce(product_name, '(none)') AS product, sum(total_amount) AS amount"
            " FROM order_line_items WHERE company_id = ? GROUP BY ALL",
            ledger.company_id,
        )
    }
    wanted = {}
    for order in ledger.sold:
        books = order["books"]
        only = (
            {order["goods"][0]["item"]: str(worked(books["net"]) - worked(books.get("charges", "0")))}
            if order["goods"]
            else {}
        )
        for item, text in books.get("lines", only).items():
            wanted[order_id(order), item] = worked(text)
    assert found == wanted


def test_units_and_prices_are_those_of_the_basket(ledger, rows):
    """A sale line has the quantity and unit price of the receipt, also where Clover gives the total of a line."""
    found = rows(
        "SELECT order_id, product_name, quantity, unit_price FROM order_line_items"
        " WHERE company_id = ? AND quantity > 0 AND product_name IS NOT NULL",
        ledger.company_id,
    )
    wanted = []
    for order in ledger.sold:
        times = 2 if order["id"] == "JG08" else 1  # sold, returned, sold again
        for goods in order["goods"]:
            quantity, price = Decimal(goods["quantity"]), Decimal(goods["price"])
            wanted += [
                {
                    "order_id": order["id"],
                    "product_name": goods["item"],
                    "quantity": quantity,
                    "unit_price": price,
                }
            ] * times
    key = lambda row: (row["order_id"], row["product_name"])  # noqa: E731
    assert sorted(found, key=key) == sorted(wanted, key=key)


def test_every_payment_is_in_the_ledger(ledger, rows):
    """One payment a charge, one negative payment a refund, tip and surcharge in, on the shop's day."""
    found = {
        row["payment_id"]: (row["amount"], row["status"], row["local_date"].isoformat())
        for row in rows("SELECT * FROM payments WHERE company_id = ?", ledger.company_id)
    }
    statuses = {"failed": "Failed", "voided": "Cancelled"}
    wanted = {}
    for order in ledger.sold:
        for number, paid in enumerate(order["paid"], start=1):
            amount = Decimal(paid["amount"]) + Decimal(paid.get("surcharge", "0"))
            amount += 0 if "tip_inside" in paid else Decimal(paid.get("tip", "0"))
            sold_a_minute_before_midnight = order["id"] in ("JG19", "JG28")  # paid a minute after the sale
            day = paid.get("at", order["sold"])[:10]
            if sold_a_minute_before_midnight:
                day = {"JG19": "2026-10-20", "JG28": "2026-11-02"}[order["id"]]
            wanted[f"{order['id']}-C{number}"] = (amount, "Paid", day)
        for number, back in enumerate(order.get("refunds", ()), start=1):
            status = statuses.get(back.get("status"), "Paid")
            wanted[f"{order['id']}-R{number}"] = (-Decimal(back["amount"]), status, back["at"][:10])
    assert found == wanted


def test_transactions_are_the_payments_that_are_money(ledger, rows):
    found = rows(
        "SELECT transaction_id AS id, total_amount AS amount FROM transactions WHERE company_id = ?",
        ledger.company_id,
    )
    paid = rows(
        "SELECT payment_id AS id, amount FROM payments WHERE company_id = ? AND status = 'Paid'",
        ledger.company_id,
    )
    assert {row["id"]: row["amount"] for row in found} == {row["id"]: row["amount"] for row in paid}


def test_service_charges_are_shipping_and_surcharges(ledger, rows):
    found = {
        (row["order_id"], row["type"]): row["total_amount"]
        for row in rows("SELECT * FROM service_charges WHERE company_id = ?", ledger.company_id)
    }
    wanted = {}
    for order in ledger.sold:
        for name, kind in (("shipping", "Shipping"), ("surcharge", "Generic")):
            if name in order:
                wanted[order["id"], kind] = Decimal(order[name])
    assert found == wanted


def test_discounts_are_shared_out_and_come_back_with_the_goods(ledger, rows):
    found = {
        (row["order_id"], row["name"]): (row["sold"], row["kept"])
        for row in rows(
            "SELECT order_id, name, sum(total_amount) FILTER (NOT is_refund) AS sold, sum(total_amount) AS kept"
            " FROM discount_allocations WHERE company_id = ? GROUP BY ALL",
            ledger.company_id,
        )
    }
    wanted = {
        (order["id"], name): (Decimal(amount), worked(order["books"].get("discount", amount)))
        for order in ledger.sold
        for name, amount in order.get("discount", {}).items()
    }
    assert found == wanted


@pytest.mark.parametrize(
    "view",
    [
        "monthly_sales",
        "weekly_sales",
        "daily_sales",  # of 23, 24 and 25 hours
        "monthly_sales_by_order_date",
        "daily_sales_by_order_date",
        "monthly_tax",
    ],
)
def test_sales_and_tax_in_both_bookings(agree, view):
    agree(view, f"SELECT * EXCLUDE (company_id) FROM {view} WHERE company_id = ?")


def test_the_journal_of_orders_of_every_kind(agree, ledger):
    if ledger.name != "juniper":
        pytest.skip("worked for one shop")
    orders = sorted({row["order"] for row in ledger.expected["journal_entries"]})
    agree(
        "journal_entries",
        "SELECT order_id, entry_date, event, account, debit, credit FROM journal_entries"
        f" WHERE company_id = ? AND order_id IN ({', '.join(map(repr, orders))})",
    )


def test_the_journal_as_booked_keeps_october_closed(agree, ledger):
    if ledger.name != "juniper":
        pytest.skip("worked for one shop")
    agree(
        "journal_as_booked",
        "SELECT order_id, entry_date, event_date, posting, event, account, debit, credit FROM journal_as_booked"
        " WHERE company_id = ? AND order_id IN ('JG13', 'JG41')",
    )


def test_both_months_as_told_at_the_end_of_october_and_now(agree, ledger, rows):
    if ledger.name != "juniper":
        pytest.skip("worked for one shop")
    first, second = rows(
        "SELECT snapshot_id FROM snapshots WHERE company_id = ? ORDER BY 1", ledger.company_id
    )
    agree(
        "restatement",
        f"SELECT * EXCLUDE (company_id) FROM restatement({first['snapshot_id']}, {second['snapshot_id']})"
        " WHERE company_id = ?",
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_was_told_before_the_first_load_of_a_shop_was_nothing(ledgers, rows, name):
    """A second restatement, of all that is known of a shop: it is the sales view, and every order is new."""
    ledger = ledgers[name]
    if name == "kite":
        pytest.skip("the first shop: there is no snapshot before it")
    (first,) = rows(
        "SELECT min(snapshot_id) - 1 AS id FROM snapshots WHERE company_id = ?", ledger.company_id
    )
    found = rows(
        f"SELECT month, currency, figure, was, became, new_difference FROM restatement({first['id']}, now())"
        " WHERE company_id = ?",
        ledger.company_id,
    )
    wanted = {
        (row["month"], row["currency"], figure): worked(text)
        for row in ledger.expected["monthly_sales"]
        for figure, text in row.items()
        if figure not in ("month", "currency", "refunded_orders", "new_customers", "returning_customers")
        and worked(text)
    }
    assert {(f"{r['month']}", r["currency"], r["figure"]): r["became"] for r in found if r["became"]} == {
        (str(month), currency, figure): amount for (month, currency, figure), amount in wanted.items()
    }
    assert all(row["was"] == 0 and row["new_difference"] == row["became"] for row in found)


def test_refunds_by_the_day_of_the_refund(agree):
    agree("daily_refunds", "SELECT * EXCLUDE (company_id) FROM daily_refunds WHERE company_id = ?")


def test_money_by_day_and_way_of_paying(agree):
    agree("payments_by_day", "SELECT * EXCLUDE (company_id) FROM payments_by_day WHERE company_id = ?")


def test_payment_types(agree):
    agree("payment_types", "SELECT * EXCLUDE (company_id) FROM payment_types WHERE company_id = ?")


def test_product_sales(agree):
    agree(
        "product_sales",
        "SELECT * EXCLUDE (company_id, connection_id, product_name) FROM product_sales WHERE company_id = ?",
    )


def test_customer_orders(agree):
    agree(
        "customer_orders",
        "SELECT * EXCLUDE (company_id, connection_id, customer_name, first_order_date, last_order_date)"
        " FROM customer_orders WHERE company_id = ?",
    )


def test_new_and_returning_customers_over_all_currencies(agree):
    agree("monthly_customers", "SELECT * EXCLUDE (company_id) FROM monthly_customers WHERE company_id = ?")


def test_monthly_recurring_revenue(agree):
    agree(
        "monthly_recurring_revenue",
        "SELECT * EXCLUDE (company_id) FROM monthly_recurring_revenue WHERE company_id = ?",
    )


def test_order_changes_say_what_when_learned_and_when_it_happened(agree, ledger, rows):
    agree(
        "order_changes",
        "SELECT order_id, total_name, from_amount, to_amount, difference, happened_at"
        " FROM order_changes WHERE company_id = ?",
    )
    if ledger.name == "juniper":
        loads = rows(
            "SELECT snapshot_id, loaded_at FROM snapshots WHERE company_id = ? ORDER BY 1", ledger.company_id
        )
        learned = rows(
            "SELECT DISTINCT snapshot_id, previous_snapshot_id AS before, learned_at FROM order_changes"
            " WHERE company_id = ?",
            ledger.company_id,
        )
        first, second = loads
        assert learned == [
            {
                "snapshot_id": second["snapshot_id"],
                "before": first["snapshot_id"],
                "learned_at": second["loaded_at"],
            }
        ]


def test_snapshots_count_what_each_load_brought(agree):
    agree(
        "snapshots",
        'SELECT row_number() OVER (ORDER BY snapshot_id) AS "load", orders_inserted, orders_updated,'
        " orders_unchanged, orders_deleted FROM snapshots WHERE company_id = ?",
    )


def test_held_back_records_have_a_reason(agree):
    agree(
        "held_back",
        "SELECT order_id, reason, resolved_run IS NOT NULL AS resolved FROM held_back WHERE company_id = ?",
    )


def test_data_issues_open_and_close_with_the_data(agree):
    agree(
        "data_issues",
        "SELECT order_id, code, severity, resolved_snapshot IS NULL AS open,"
        " coalesce(difference_amount, 0) AS difference_amount FROM data_issues WHERE company_id = ?",
    )


def test_data_quality(agree):
    agree(
        "data_quality",
        "SELECT * EXCLUDE (company_id, last_success, last_reconciled) FROM data_quality WHERE company_id = ?",
    )


def test_a_past_month_reads_as_it_was_known_then(ledgers, rows):
    """Late refunds and a basket paid late restate October; ``monthly_sales_as_of`` shows October before that."""
    juniper = ledgers["juniper"]
    first = rows("SELECT min(snapshot_id) AS id FROM snapshots WHERE company_id = ?", juniper.company_id)[0][
        "id"
    ]
    found = rows(
        "SELECT * EXCLUDE (company_id) FROM monthly_sales_as_of(?) WHERE company_id = ?",
        first,
        juniper.company_id,
    )
    wanted = []
    for row in juniper.expected["monthly_sales_as_of_load_1"]:
        figures = {name: worked(text) for name, text in row.items() if name not in ("month", "currency")}
        zeros = {name: Decimal(0) for name, value in found[0].items() if isinstance(value, int | Decimal)}
        wanted.append(
            zeros | figures | {"month": date.fromisoformat(row["month"]), "currency": row["currency"]}
        )
    key = lambda row: (row["month"], row["currency"])  # noqa: E731
    assert sorted(found, key=key) == sorted(wanted, key=key)


def test_orders_read_as_they_were_known_then(ledgers, rows):
    """Load 1 knew some orders differently, and one not at all."""
    juniper = ledgers["juniper"]
    first = rows("SELECT min(snapshot_id) AS id FROM snapshots WHERE company_id = ?", juniper.company_id)[0][
        "id"
    ]
    then = {
        row["order_id"]: row
        for row in rows("SELECT * FROM orders_as_of(?) WHERE company_id = ?", first, juniper.company_id)
    }
    for order in juniper.sold:
        known = order["sold"] < "2026-11-01"
        books = order.get("books_at_load_1", order["books"])
        if not known or "held_back" in books:
            assert order_id(order) not in then
            continue
        row = then.pop(order_id(order))
        assert (row["total_amount"], row["total_refund"], row["paid_amount"]) == (
            worked(books["net"]), worked(books.get("refunds", "0")), worked(books["received"]),
        ), order["id"]  # fmt: skip
    assert then == {}


def test_customers_and_products_are_those_of_the_ledger(ledger, rows):
    customers = {
        row["customer_id"] for row in rows("SELECT * FROM customers WHERE company_id = ?", ledger.company_id)
    }
    assert customers == {f"C-{order['customer']}" for order in ledger.sold if "customer" in order}
    products = rows("SELECT product_id, name FROM products WHERE company_id = ?", ledger.company_id)
    assert {(row["product_id"], row["name"]) for row in products} == {
        (f"P-{goods['item']}", goods["item"]) for order in ledger.sold for goods in order["goods"]
    }
    (location,) = rows("SELECT * FROM locations WHERE company_id = ?", ledger.company_id)
    assert location["location_id"] == ledger.merchant.merchant_id
