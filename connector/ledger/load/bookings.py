"""What happened to an order, one booking an event: the one place that turns lines and payments into figures.

Computed when a row is loaded, so that sales by day, the journal and the history are sums over one list. Events:

``sale``     of the goods, on the merchant's day of the order; goods that were sold again after they came back, on the
             day of the charge that sold them (record_id names it). Tips are charged with the first sale.
``refund``   what one refund gave back, on its day, and the money of it.
``payment``  money received, on its day.

The words are those of ``columns.txt``. What a refund's money holds beyond its lines is the tip it gave back. Money in
another currency than the order's is booked in its own and stays beside the order's figures. Where a refund line names
no refund, nothing is taken for a tip.

Every figure of a refund is signed as it moves the sum of that name: ``returns`` and ``estimated_tax`` (tax given back
whose share was estimated) are positive; tax, service charges, tips, overpayments, gift cards and money given back are
negative. A gift card is what was paid for it, without tax; its discount is in no figure.
``previous_refund`` is the day of the order's refund before this one, so that an order is counted once in a period.
"""

from collections.abc import Callable, Mapping

import duckdb

from connector.errors import StoreError

# Lists are made in memory, of which the writer has 256 MiB.
_AT_ONCE = 20_000
_FIGURES = (
    "gross_sales", "discounts", "returns", "service_charges", "tax", "estimated_tax", "tips", "overpayments",
    "gift_cards_sold", "collected",
)  # fmt: skip


def book(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    *,
    connection_id: str | None = None,
    advance: Callable[[int], None] = lambda _rows: None,
) -> None:
    """Fill ``bookings`` of the rows of a table of order versions, from their other columns; of one connection or all.

    table: ``ledger.order_versions`` or one of its shape, its lines, service charges and payments with their days.
    advance: is told after each part how many rows were filled.
    Within a transaction: between two of them DuckDB may give the rows other numbers. Raises StoreError when a row was
    left out.
    """
    of_connection = "" if connection_id is None else "AND connection_id = $connection_id"
    values = {} if connection_id is None else {"connection_id": connection_id}
    # What is written lands behind the last of these, so that no row comes up twice.
    spans = connection.execute(
        f"""
        SELECT min(r), max(r), count(*) FROM (
          SELECT rowid AS r, row_number() OVER (ORDER BY rowid) AS n FROM {table} WHERE true {of_connection}
        )
        GROUP BY n // {_AT_ONCE} ORDER BY 1
        """,  # noqa: S608 - only our own table names are put in
        values,
    ).fetchall()
    for first, last, rows in spans:
        booked = _book_some(connection, table, of_connection, values | {"first": first, "last": last})
        if booked != rows:
            raise StoreError(
                f"{table}: {booked} of {rows} orders were booked. Nothing was changed.",
                hint="Run the command again; connector check says more.",
            )
        advance(rows)


def _book_some(
    connection: duckdb.DuckDBPyConnection, table: str, of_connection: str, values: Mapping[str, object]
) -> int:
    sums = ", ".join(f'coalesce(sum("{name}"), 0)::DECIMAL(18,4) AS "{name}"' for name in _FIGURES)
    packed = ", ".join(f'"{name}" := s."{name}"' for name in _FIGURES)
    row = connection.execute(
        f"""
        WITH versions AS (
          SELECT rowid AS r, is_deleted, created_local_date, currency, total_gratuity, order_line_items,
            service_charges, payments,
            len(list_filter(order_line_items, lambda l: l.quantity < 0 AND l.refund_id IS NULL)) = 0 AS is_told
          FROM {table} WHERE rowid BETWEEN $first AND $last {of_connection}
        ),
        lines AS (
          SELECT r, currency, created_local_date, line.quantity < 0 AS is_refund, line.refund_id AS refund_id,
            line.charge_id AS charge_id, coalesce(line.local_date, created_local_date) AS local_date,
            line.kind AS kind, line.total_amount AS total, coalesce(line.total_tax_amount, 0) AS tax,
            coalesce(list_sum([share.total_amount FOR share IN line.discount_allocations]), 0) AS discount
          FROM (
            SELECT r, currency, created_local_date, unnest(order_line_items) AS line
            FROM versions WHERE NOT is_deleted
          )
        ),
        money AS (
          SELECT r, is_told, currency AS order_currency, payment.id AS id, payment.is_refund AS is_refund,
            payment.amount AS amount, coalesce(payment.currency, currency) AS currency,
            coalesce(payment.local_date, created_local_date) AS local_date,
            coalesce(payment."type", 'Unknown') AS payment_type
          FROM (
            SELECT r, is_told, currency, created_local_date, unnest(payments) AS payment
            FROM versions WHERE NOT is_deleted
          )
          WHERE payment.status = 'Paid'
        ),
        tips_back AS (
          SELECT m.r, m.id, m.currency, least(m.amount - coalesce(any_value(l.total), 0), 0) AS tips
          FROM money m
          LEFT JOIN (
            SELECT r, refund_id, sum(total) AS total FROM lines WHERE is_refund GROUP BY r, refund_id
          ) l ON l.r = m.r AND l.refund_id = m.id
          WHERE m.is_refund AND m.is_told AND m.currency = m.order_currency
          GROUP BY m.r, m.id, m.currency, m.amount
        ),
        parts AS (
          SELECT r, 'sale' AS event, NULL::VARCHAR AS record_id, created_local_date AS local_date, currency,
            NULL::VARCHAR AS payment_type, total_gratuity AS tips
          FROM versions WHERE NOT is_deleted
          UNION ALL BY NAME
          SELECT r, 'sale' AS event, charge_id AS record_id, local_date, currency,
            CASE WHEN kind = 'gift_card' THEN 0 ELSE total - tax + discount END AS gross_sales,
            CASE WHEN kind = 'gift_card' THEN 0 ELSE discount END AS discounts, tax,
            CASE WHEN kind = 'gift_card' THEN total - tax END AS gift_cards_sold
          FROM lines WHERE NOT is_refund
          UNION ALL BY NAME
          SELECT r, 'sale' AS event, charge.charge_id AS record_id,
            coalesce(charge.local_date, created_local_date) AS local_date, currency,
            CASE WHEN charge."type" = 'Overpayment' THEN 0 ELSE charge.total_amount - coalesce(charge.tax_amount, 0) END
              AS service_charges,
            CASE WHEN charge."type" = 'Overpayment' THEN charge.total_amount - coalesce(charge.tax_amount, 0) END
              AS overpayments,
            charge.tax_amount AS tax
          FROM (
            SELECT r, currency, created_local_date, unnest(service_charges) AS charge
            FROM versions WHERE NOT is_deleted
          )
          UNION ALL BY NAME
          SELECT r, 'refund' AS event, refund_id AS record_id, local_date, currency,
            CASE WHEN kind IN ('service_charge', 'overpayment', 'gift_card') THEN 0 ELSE tax - total END AS "returns",
            CASE WHEN kind = 'service_charge' THEN total - tax END AS service_charges,
            CASE WHEN kind = 'overpayment' THEN total - tax END AS overpayments,
            CASE WHEN kind = 'gift_card' THEN total - tax END AS gift_cards_sold,
            tax, CASE WHEN kind = 'amount' THEN -tax END AS estimated_tax
          FROM lines WHERE is_refund
          UNION ALL BY NAME
          SELECT r, CASE WHEN is_refund THEN 'refund' ELSE 'payment' END AS event, id AS record_id, local_date,
            currency, payment_type, amount AS collected
          FROM money
          UNION ALL BY NAME
          SELECT r, 'refund' AS event, id AS record_id, currency, tips FROM tips_back
          UNION ALL BY NAME
          SELECT r, 'sale' AS event, NULL::VARCHAR AS record_id, currency, -tips AS tips FROM tips_back
        ),
        summed AS (
          SELECT r, event, record_id, currency, max(local_date) AS local_date, max(payment_type) AS payment_type,
            {sums}
          FROM parts
          GROUP BY r, event, record_id, currency
        ),
        in_a_row AS (
          SELECT r, record_id, currency,
            lag(local_date) OVER (PARTITION BY r, currency ORDER BY local_date, record_id) AS previous_refund
          FROM summed
          WHERE event = 'refund'
        ),
        booked AS (
          SELECT s.r, struct_pack(event := s.event, record_id := s.record_id, local_date := s.local_date,
            currency := s.currency, payment_type := s.payment_type, {packed},
            previous_refund := i.previous_refund) AS booking
          FROM summed s
          LEFT JOIN in_a_row i ON s.event = 'refund' AND i.r = s.r AND i.currency = s.currency
            AND i.record_id IS NOT DISTINCT FROM s.record_id
        ),
        filled AS (
          SELECT v.r, list(b.booking ORDER BY b.booking.local_date, b.booking.event DESC, b.booking.record_id)
            FILTER (b.booking IS NOT NULL) AS bookings
          FROM versions v LEFT JOIN booked b ON b.r = v.r
          GROUP BY v.r
        )
        UPDATE {table} t SET bookings = coalesce(f.bookings, [])
        FROM filled f WHERE f.r = t.rowid
        """,  # noqa: S608 - only our own table names are put in
        dict(values),
    ).fetchone()
    return int(row[0]) if row else 0
