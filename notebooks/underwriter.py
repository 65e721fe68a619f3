"""Ten questions an underwriter asks of a shop, answered from the published file.

    marimo run notebooks/underwriter.py                                  # of ./demo, as a page
    COMMERCE_DUCKDB=data/commerce.duckdb marimo edit notebooks/underwriter.py

Every answer is SQL on the documented views; shares and averages are ratios of sums. One company and one currency at
a time: amounts of different currencies are never added. COMPANY_ID chooses the company, else the first.
"""

import marimo

app = marimo.App(width="medium", app_title="An underwriter's ten questions")


@app.cell
def _():
    import decimal
    import os

    import duckdb
    import marimo as mo

    return decimal, duckdb, mo, os


@app.cell
def _(decimal, duckdb, mo, os):
    # The real path: a link that moves on to a newer snapshot while this runs would mix two states.
    path = os.path.realpath(os.environ.get("COMMERCE_DUCKDB", "demo/data/commerce.duckdb"))
    books = duckdb.connect(path, read_only=True)
    books.execute("SET TimeZone = 'UTC'")

    def ask(sql, **values):
        """Rows as dictionaries; money stays Decimal."""
        named = {"company": company, "currency": currency} | values
        result = books.execute(sql, {name: value for name, value in named.items() if f"${name}" in sql})
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def share(part, whole, places="0.1"):
        """Percent of a whole, halves up; None of nothing."""
        if not whole:
            return None
        percent = decimal.Decimal(part) * 100 / decimal.Decimal(whole)
        return percent.quantize(decimal.Decimal(places), decimal.ROUND_HALF_UP)

    company, name = books.execute(
        "SELECT company_id, any_value(company_name) FROM connections WHERE coalesce(company_id = $id, true)"
        " GROUP BY 1 ORDER BY 1 LIMIT 1",
        {"id": os.environ.get("COMPANY_ID")},
    ).fetchone()
    currency = books.execute(
        "SELECT currency FROM monthly_sales WHERE company_id = ? GROUP BY 1 ORDER BY sum(orders) DESC, 1 LIMIT 1",
        [company],
    ).fetchone()[0]
    mo.md(f"# {name}\n\nTen questions, answered in {currency} from `{os.path.basename(path)}`.")
    return ask, company, currency, share


@app.cell
def _(ask, mo):
    sales = ask(
        """SELECT month, orders, gross_sales, discounts, returns, net_sales, total_sales FROM monthly_sales
        WHERE company_id = $company AND currency = $currency ORDER BY month"""
    )
    mo.vstack([mo.md("## 1. What does it sell, month by month?"), mo.ui.table(sales, selection=None)])
    return (sales,)


@app.cell
def _(mo, sales, share):
    # The first and the last month may be cut by the start of the data and by today; whole months are compared.
    whole = sales[1:-1]
    half = min(3, len(whole) // 2)
    before = sum(row["net_sales"] for row in whole[-2 * half : -half]) if half else 0
    after = sum(row["net_sales"] for row in whole[-half:]) if half else 0
    growth = {"months": half, "before": before, "after": after, "percent": share(after - before, before)}
    mo.md(
        "## 2. Is it growing?\n\n"
        + (
            f"The last {half} whole months sold {after:,.2f}, the {half} before them {before:,.2f}:"
            f" **{growth['percent']} %**."
            if half
            else "There are too few whole months to say."
        )
    )
    return (growth,)


@app.cell
def _(mo, sales, share):
    ranked = sorted(sales[1:-1] or sales, key=lambda row: row["net_sales"])
    swing = {
        "worst": ranked[0]["month"],
        "best": ranked[-1]["month"],
        "worst_of_best_percent": share(ranked[0]["net_sales"], ranked[-1]["net_sales"]),
    }
    mo.md(
        f"## 3. How much does it swing?\n\nIts worst whole month, {swing['worst']:%Y-%m}, sold"
        f" **{swing['worst_of_best_percent']} %** of its best, {swing['best']:%Y-%m}."
    )
    return (swing,)


@app.cell
def _(ask, mo, sales, share):
    gross, back = sum(row["gross_sales"] for row in sales), sum(row["returns"] for row in sales)
    # The day of a refund less the day of its sale.
    delays = ask(
        """SELECT count(*) AS refunds,
          coalesce(quantile_disc(p.local_date - o.created_local_date, 0.5), 0) AS median_days,
          coalesce(max(p.local_date - o.created_local_date), 0) AS longest_days
        FROM payments p JOIN orders o USING (connection_id, order_id)
        WHERE p.company_id = $company AND p.currency = $currency AND p.is_refund AND p.status = 'Paid'"""
    )[0]
    refunds = {"percent_of_gross": share(back, gross), **delays}
    mo.md(
        f"## 4. How much comes back, and how late?\n\n**{refunds['percent_of_gross']} %** of gross sales in"
        f" {refunds['refunds']} refunds, half of them within {refunds['median_days']} days of the sale, the latest"
        f" after {refunds['longest_days']}. Expect as much of the newest months' sales to come back later."
    )
    return (refunds,)


@app.cell
def _(ask, mo, sales, share):
    top = ask(
        """SELECT customer_id, orders, net_sales FROM customer_orders
        WHERE company_id = $company AND currency = $currency ORDER BY net_sales DESC, customer_id LIMIT 10"""
    )
    largest = {
        "first_percent": share(top[0]["net_sales"] if top else 0, sum(row["net_sales"] for row in sales)),
        "ten_percent": share(sum(row["net_sales"] for row in top), sum(row["net_sales"] for row in sales)),
    }
    mo.vstack(
        [
            mo.md(
                f"## 5. Does it hang on a few customers?\n\nThe largest buys **{largest['first_percent']} %** of net"
                f" sales, the ten largest **{largest['ten_percent']} %**. Guests cannot be told apart."
            ),
            mo.ui.table(top, selection=None),
        ]
    )
    return (largest,)


@app.cell
def _(ask, mo, share):
    months = ask(
        """SELECT month, new_customers, returning_customers, guest_orders, orders FROM monthly_customers
        WHERE company_id = $company ORDER BY month"""
    )
    returning = {
        "percent_of_customers": share(
            sum(row["returning_customers"] for row in months[1:]),
            sum(row["new_customers"] + row["returning_customers"] for row in months[1:]),
        ),
        "guest_orders_percent": share(
            sum(row["guest_orders"] for row in months), sum(row["orders"] for row in months)
        ),
    }
    mo.vstack(
        [
            mo.md(
                f"## 6. Do customers come back?\n\nOf a month's customers **{returning['percent_of_customers']} %** had"
                " ordered in an earlier month (the first month is left out: there is no earlier one)."
                f" {returning['guest_orders_percent']} % of the orders are by guests."
            ),
            mo.ui.table(months, selection=None),
        ]
    )
    return (returning,)


@app.cell
def _(ask, mo, share):
    products = ask(
        """SELECT coalesce(max(product_name), product_id) AS product, sum(quantity_sold + quantity_returned) AS units,
          sum(net_sales) AS net_sales
        FROM product_sales WHERE company_id = $company AND currency = $currency
        GROUP BY connection_id, product_id ORDER BY net_sales DESC, product"""
    )
    goods = sum(row["net_sales"] for row in products)
    range_of_goods = {
        "products": len(products),
        "five_percent": share(sum(row["net_sales"] for row in products[:5]), goods),
    }
    mo.vstack(
        [
            mo.md(
                f"## 7. Does it hang on a few products?\n\nThe five best of {len(products)} make"
                f" **{range_of_goods['five_percent']} %** of the sales of goods."
            ),
            mo.ui.table(products[:10], selection=None),
        ]
    )
    return (range_of_goods,)


@app.cell
def _(ask, mo, sales, share):
    recurring = ask(
        """SELECT month, recurring_revenue, customers FROM monthly_recurring_revenue
        WHERE company_id = $company AND currency = $currency ORDER BY month"""
    )
    steady = {
        "months": len(recurring),
        "percent_of_net": share(
            sum(row["recurring_revenue"] for row in recurring), sum(row["net_sales"] for row in sales)
        ),
    }
    mo.md(
        f"## 8. How much of it recurs?\n\n**{steady['percent_of_net']} %** of net sales is by customers who bought"
        " the same thing in three months in a row or more (without tax)."
    )
    return (steady,)


@app.cell
def _(ask, mo, sales, share):
    paid = ask(
        """SELECT payment_type, charges, charged_amount FROM payment_types
        WHERE company_id = $company AND currency = $currency AND status = 'Paid' ORDER BY charged_amount DESC"""
    )
    count = sum(row["orders"] for row in sales)
    basket = {
        "average_order_value": share(
            sum(row["gross_sales"] - row["discounts"] for row in sales), count * 100, "0.01"
        ),
        "by_type": {
            row["payment_type"]: share(row["charged_amount"], sum(one["charged_amount"] for one in paid))
            for row in paid
        },
    }
    mo.md(
        f"## 9. How large is a sale, and how is it paid?\n\n**{basket['average_order_value']}** on average"
        f" ({count} orders). Paid by "
        + ", ".join(f"{kind} {percent} %" for kind, percent in basket["by_type"].items())
        + "."
    )
    return (basket,)


@app.cell
def _(ask, mo, share):
    trust = ask("SELECT * FROM data_quality WHERE company_id = $company")[0]
    moved = ask(
        """SELECT coalesce(sum(difference), 0) AS later_changes, count(DISTINCT order_id) AS orders
        FROM order_changes WHERE company_id = $company AND currency = $currency AND total_name = 'total_amount'"""
    )[0]
    unexplained = ask(
        """SELECT coalesce(sum(abs(unexplained)), 0) AS amount FROM reconciliations
        WHERE company_id = $company AND currency = $currency
          AND reconciled_at = (SELECT max(reconciled_at) FROM reconciliations WHERE company_id = $company)"""
    )[0]["amount"]
    trusted = {
        "reconciled_percent": share(trust["reconciled_orders"], trust["orders"]),
        "unexplained": unexplained,
        "held_back": trust["held_back"],
        "later_changes": moved["later_changes"],
        "last_success": trust["last_success"],
    }
    mo.md(
        f"## 10. Can these figures be trusted?\n\n**{trusted['reconciled_percent']} %** of {trust['orders']} orders are"
        f" paid to the cent and without an open warning; {trust['open_warnings']} warnings are open,"
        f" {trust['held_back']} records are held back. The newest reconciliation with Clover left"
        f" **{unexplained:,.2f}** unexplained. Orders that were known before changed by"
        f" {moved['later_changes']:,.2f} in all. Last read {trust['last_success']:%Y-%m-%d %H:%M} UTC."
    )
    return (trusted,)


if __name__ == "__main__":
    app.run()
