"""Which bookings hold between which loads, and on which day each went into books that are never changed.

A booking that a new version carries unchanged goes on holding; one that it changes or lacks is replaced, and what is
in its place holds from this load on. So a state as known at a load, the difference between two loads, and a journal
whose booked days never change are all sums over one table.

**Booked days.** A day of a connection is closed once a sync that began after it came to its end: everything older had
been read then. What a load learns of a day that is still open is booked on that day; what it learns of a closed one,
and every correction of what was booked before, on the merchant's day of the load.
"""

from collections.abc import Callable, Mapping

import duckdb

# Versions that are joined with each other at a time, in the writer's 256 MiB.
_AT_ONCE = 100_000
_FIGURES = (
    "gross_sales", "discounts", '"returns"', "service_charges", "tax", "estimated_tax", "tips", "overpayments",
    "gift_cards_sold", "collected", "previous_refund",
)  # fmt: skip
_SAME = "p.connection_id = n.connection_id AND p.order_id = n.order_id AND p.replaced_by = n.snapshot_id"
_UNCHANGED = (
    f"{_SAME} AND p.booking = n.booking AND p.created_local_date IS NOT DISTINCT FROM n.created_local_date"
    " AND p.currency = n.currency"
)
_KEY = "p.event = n.event AND p.record_key = n.record_key AND p.booking_currency = n.booking_currency"


def post(
    connection: duckdb.DuckDBPyConnection,
    *,
    snapshot_id: int | None = None,
    advance: Callable[[int], None] = lambda _rows: None,
) -> None:
    """Post what a load changed, its run and snapshot being written; without one, everything that was ever loaded.

    advance: is told after each part of everything how many versions were posted, about.
    """
    if snapshot_id is not None:
        # Narrow columns first: what a load grows by is its own orders, not those that are there.
        of_load = (
            "AND rowid IN (SELECT rowid FROM ledger.order_versions"
            " WHERE snapshot_id = $snapshot OR replaced_by = $snapshot)"
        )
        _post_some(connection, of_load, {"snapshot": snapshot_id})
        return
    row = connection.execute("SELECT count(*) FROM ledger.order_versions").fetchone()
    versions = int(row[0]) if row else 0
    parts = 1 + versions // _AT_ONCE
    for part in range(parts):
        _post_some(connection, "AND hash(order_id) % $parts = $part", {"parts": parts, "part": part})
        advance(versions * (part + 1) // parts - versions * part // parts)


def _post_some(connection: duckdb.DuckDBPyConnection, of_load: str, values: Mapping[str, int]) -> None:
    snapshot_id = values.get("snapshot")
    of_snapshot = {} if snapshot_id is None else {"snapshot": snapshot_id}
    began = "true" if snapshot_id is None else "n.snapshot_id = $snapshot"
    ended = "p.replaced_by IS NOT NULL" if snapshot_id is None else "p.replaced_by = $snapshot"
    figures = ", ".join(f"s.booking.{name} AS {name}" for name in _FIGURES)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE turned AS
        SELECT *, booking.event AS event, coalesce(booking.record_id, '') AS record_key,
          coalesce(booking.currency, '') AS booking_currency
        FROM (
          SELECT company_id, connection_id, order_id, snapshot_id, replaced_by, created_local_date, currency,
            unnest(bookings) AS booking
          FROM ledger.order_versions
          WHERE (replaced_by IS NULL OR replaced_by > snapshot_id) {of_load}
        )
        """,  # noqa: S608
        dict(values),
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE days AS
        WITH loads AS (
          SELECT s.snapshot_id, s.connection_id, s.run_id, s.loaded_at,
            coalesce(r.started_at, s.loaded_at) AS started_at, coalesce(c.timezone, 'UTC') AS timezone
          FROM ledger.snapshots s
          LEFT JOIN ledger.sync_runs r USING (run_id, connection_id)
          LEFT JOIN ledger.connections c USING (connection_id)
          {"" if snapshot_id is None else "WHERE s.snapshot_id = $snapshot"}
        ),
        read AS (
          SELECT connection_id, started_at FROM ledger.sync_runs
          WHERE kind = 'sync' AND status IN ('succeeded', 'partly_done')
        )
        SELECT l.snapshot_id, {_day_of("l.loaded_at")} AS learned, {_day_of("read.started_at")} AS closed
        FROM loads l
        ASOF LEFT JOIN read ON read.connection_id = l.connection_id AND read.started_at < l.started_at
        """,  # noqa: S608
        of_snapshot,
    )
    connection.execute(
        f"""
        INSERT INTO ledger.postings BY NAME
        WITH ends AS (
          SELECT p.* FROM temp.turned p
          WHERE {ended} AND NOT EXISTS (FROM temp.turned n WHERE {_UNCHANGED})
        ),
        starts AS (
          SELECT n.*, EXISTS (FROM temp.turned p WHERE {_SAME} AND {_KEY}) AS is_correction
          FROM temp.turned n
          WHERE {began} AND NOT EXISTS (FROM temp.turned p WHERE {_UNCHANGED})
        ),
        spans AS (
          SELECT n.* EXCLUDE (replaced_by), p.replaced_by AS replaced_by
          FROM starts n
          ASOF LEFT JOIN ends p ON p.connection_id = n.connection_id AND p.order_id = n.order_id AND {_KEY}
            AND p.replaced_by > n.snapshot_id
        )
        SELECT s.company_id, s.connection_id, s.order_id, s.snapshot_id, s.replaced_by, s.event,
          s.booking.record_id AS record_id, s.booking.local_date AS local_date, s.created_local_date,
          s.booking.currency AS currency,
          coalesce(s.booking.currency = s.currency, s.booking.currency IS NULL) AS is_order_currency,
          s.booking.payment_type AS payment_type, {figures}, s.is_correction,
          CASE WHEN NOT s.is_correction AND (d.closed IS NULL OR s.booking.local_date >= d.closed)
            THEN s.booking.local_date ELSE greatest(d.learned, d.closed) END AS booked_date,
          greatest(e.learned, e.closed) AS reversed_date
        FROM spans s
        LEFT JOIN temp.days d ON d.snapshot_id = s.snapshot_id
        LEFT JOIN temp.days e ON e.snapshot_id = s.replaced_by
        ORDER BY s.company_id, s.connection_id, s.booking.local_date, s.order_id, s.event DESC
        """,  # noqa: S608
        of_snapshot,
    )
    if snapshot_id is not None:
        connection.execute(
            f"""
            UPDATE ledger.postings n SET replaced_by = $snapshot, reversed_date = greatest(d.learned, d.closed)
            FROM temp.days d, temp.turned p
            WHERE n.replaced_by IS NULL AND n.snapshot_id < $snapshot AND {ended} AND d.snapshot_id = $snapshot
              AND p.connection_id = n.connection_id AND p.order_id = n.order_id AND p.event = n.event
              AND p.record_key = coalesce(n.record_id, '') AND p.booking_currency = coalesce(n.currency, '')
              AND NOT EXISTS (FROM temp.turned t WHERE {_UNCHANGED.replace("n.", "t.")})
            """,  # noqa: S608
            of_snapshot,
        )
    connection.execute("DROP TABLE temp.turned")
    connection.execute("DROP TABLE temp.days")


def move_days(connection: duckdb.DuckDBPyConnection, connection_id: str) -> None:
    """Give the postings of a connection the days that their versions have by now; booked days stay."""
    connection.execute(
        """
        UPDATE ledger.postings n SET local_date = v.booking.local_date, created_local_date = v.created_local_date,
          previous_refund = v.booking.previous_refund
        FROM (
          SELECT order_id, snapshot_id, created_local_date, unnest(bookings) AS booking
          FROM ledger.order_versions
          WHERE connection_id = $connection AND (replaced_by IS NULL OR replaced_by > snapshot_id)
        ) v
        WHERE n.connection_id = $connection AND v.order_id = n.order_id AND v.snapshot_id = n.snapshot_id
          AND v.booking.event = n.event AND v.booking.record_id IS NOT DISTINCT FROM n.record_id
          AND v.booking.currency IS NOT DISTINCT FROM n.currency
        """,
        {"connection": connection_id},
    )


def _day_of(moment: str) -> str:
    return f"((({moment}) AT TIME ZONE 'UTC') AT TIME ZONE l.timezone)::DATE"
