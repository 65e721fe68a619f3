"""What a run found out beside the versions: issues, held-back records, open orders, reconciliations.

For every order the run looked at, what it did not find again is closed: an issue healed, a record published,
an order settled. What it did not look at stays as it was.
"""

from collections.abc import Sequence
from datetime import datetime

import duckdb

_SAME_ISSUE = """(s.order_id, s.code, s.severity, s.detail, s.difference_minor, s.currency)
  IS NOT DISTINCT FROM (i.order_id, i.code, i.severity, i.detail, i.difference_minor, i.currency)
  AND (i.record_id IS NULL OR (s.record_kind, s.record_id) IS NOT DISTINCT FROM (i.record_kind, i.record_id))"""


def apply_issues(
    connection: duckdb.DuckDBPyConnection,
    *,
    connection_id: str,
    snapshot_id: int,
    at: datetime,
    released: Sequence[tuple[str, str]] = (),
) -> int:
    """Open new issues, close healed ones; how many rows changed. released: as in ``apply_held_back``."""
    values = {"connection_id": connection_id, "snapshot_id": snapshot_id, "at": at.replace(tzinfo=None)}
    _name_payments_of_two_orders(connection, connection_id)
    closed = _changed(
        connection,
        f"""
        UPDATE ledger.data_issues i SET resolved_snapshot = $snapshot_id, resolved_at = $at
        WHERE i.resolved_snapshot IS NULL AND i.connection_id = $connection_id
          AND (i.order_id IN (SELECT order_id FROM temp.staged_seen_orders)
            OR (i.order_id IS NULL AND i.record_kind || ' ' || i.record_id IN (SELECT unnest($released)))
            OR i.code = 'payment_once')
          AND NOT EXISTS (SELECT 1 FROM temp.staged_data_issues s WHERE {_SAME_ISSUE})
        """,  # noqa: S608
        {**values, "released": _names(released)},
    )
    opened = _changed(
        connection,
        f"""
        INSERT INTO ledger.data_issues BY NAME
        SELECT DISTINCT s.* REPLACE (
          $snapshot_id AS first_seen_snapshot, NULL AS resolved_snapshot,
          $at AS first_seen_at, NULL AS resolved_at)
        FROM temp.staged_data_issues s
        WHERE NOT EXISTS (
          SELECT 1 FROM ledger.data_issues i
          WHERE i.resolved_snapshot IS NULL AND i.connection_id = $connection_id AND {_SAME_ISSUE})
        ORDER BY s.order_id, s.code
        """,  # noqa: S608
        values,
    )
    return closed + opened


def _name_payments_of_two_orders(connection: duckdb.DuckDBPyConnection, connection_id: str) -> None:
    """Stage an issue ``payment_once`` for every published order with a payment that another one has too.

    Each record has one home (``connector.sync.link.links``), so there should be none; this is looked at, not hoped.
    """
    connection.execute(
        """
        INSERT INTO temp.staged_data_issues BY NAME
        WITH published AS (
          SELECT company_id, order_id, unnest(payments) AS p FROM ledger.order_versions
          WHERE connection_id = $connection_id AND replaced_by IS NULL AND NOT is_deleted),
        twice AS (
          SELECT p.id AS payment_id FROM published GROUP BY ALL HAVING count(DISTINCT order_id) > 1)
        SELECT o.company_id, $connection_id AS connection_id, o.order_id, 'payment_once' AS code,
          'error' AS severity, o.p.currency AS currency,
          'payment ' || o.p.id || ' of ' || o.p.amount || ' is in another published order too' AS detail,
          CASE WHEN o.p.amount < 0 THEN 'refund' ELSE 'charge' END AS record_kind, o.p.id AS record_id
        FROM published o JOIN twice t ON t.payment_id = o.p.id
        """,
        {"connection_id": connection_id},
    )


def _names(released: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{kind} {record_id}" for kind, record_id in released]


def apply_held_back(
    connection: duckdb.DuckDBPyConnection,
    *,
    connection_id: str,
    run_id: str,
    released: Sequence[tuple[str, str]] = (),
) -> None:
    """Note records that are held back, and resolve those of looked-at orders that are no longer.

    released: (record kind, record id) of records that were looked at themselves; their order may not be known.
    """
    values = {"connection_id": connection_id, "run_id": run_id}
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE holding AS
        SELECT * FROM temp.staged_held_back
        WHERE rowid IN (SELECT max(rowid) FROM temp.staged_held_back GROUP BY record_kind, record_id)
        """
    )
    connection.execute(
        """
        UPDATE ledger.held_back h SET resolved_run = $run_id
        WHERE h.resolved_run IS NULL AND h.connection_id = $connection_id
          AND (h.order_id IN (SELECT order_id FROM temp.staged_seen_orders)
            OR h.record_kind || ' ' || h.record_id IN (SELECT unnest($released)))
          AND NOT EXISTS (
            SELECT 1 FROM temp.holding s WHERE s.record_kind = h.record_kind AND s.record_id = h.record_id)
        """,
        {**values, "released": _names(released)},
    )
    connection.execute(
        """
        UPDATE ledger.held_back h SET
          last_seen_run = $run_id, reason = s.reason, detail = s.detail, amount_minor = s.amount_minor,
          currency = s.currency,
          order_id = coalesce(s.order_id, h.order_id)
        FROM temp.holding s
        WHERE h.resolved_run IS NULL AND h.connection_id = $connection_id
          AND s.record_kind = h.record_kind AND s.record_id = h.record_id
        """,
        values,
    )
    connection.execute(
        """
        INSERT INTO ledger.held_back BY NAME
        SELECT s.* REPLACE ($run_id AS first_seen_run, $run_id AS last_seen_run, NULL AS resolved_run)
        FROM temp.holding s
        WHERE NOT EXISTS (
          SELECT 1 FROM ledger.held_back h
          WHERE h.connection_id = $connection_id AND h.resolved_run IS NULL
            AND s.record_kind = h.record_kind AND s.record_id = h.record_id)
        """,
        values,
    )
    connection.execute("DROP TABLE temp.holding")


def apply_open_orders(connection: duckdb.DuckDBPyConnection, *, connection_id: str, at: datetime) -> None:
    """Note orders that must be polled again, and forget looked-at ones that are settled."""
    values = {"connection_id": connection_id, "at": at.replace(tzinfo=None, microsecond=0)}
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE opening AS
        SELECT $connection_id AS connection_id, s.order_id, s.reason,
          least(coalesce(o.first_seen, s.first_seen, s.polled_at, $at), $at) AS first_seen,
          coalesce(s.polled_at, s.last_polled, $at) AS last_polled, s.next_poll
        FROM (
          SELECT * FROM temp.staged_open_orders
          WHERE rowid IN (SELECT max(rowid) FROM temp.staged_open_orders GROUP BY order_id)) s
        LEFT JOIN ledger.open_orders o ON o.connection_id = $connection_id AND o.order_id = s.order_id
        """,
        values,
    )
    connection.execute(
        """
        DELETE FROM ledger.open_orders
        WHERE connection_id = $connection_id AND (
          order_id IN (SELECT order_id FROM temp.staged_seen_orders)
          OR order_id IN (SELECT order_id FROM temp.opening))
        """,
        {"connection_id": connection_id},
    )
    connection.execute("INSERT INTO ledger.open_orders BY NAME SELECT * FROM temp.opening")
    connection.execute("DROP TABLE temp.opening")


def apply_reconciliations(connection: duckdb.DuckDBPyConnection) -> None:
    """Add comparisons; the same comparison loaded twice is kept once."""
    connection.execute(
        """
        INSERT INTO ledger.reconciliations BY NAME
        SELECT DISTINCT s.* FROM temp.staged_reconciliations s
        WHERE NOT EXISTS (
          SELECT 1 FROM ledger.reconciliations r
          WHERE (r.run_id, r.connection_id, r."day", r.stream, r.currency)
            IS NOT DISTINCT FROM (s.run_id, s.connection_id, s."day", s.stream, s.currency))
        ORDER BY s."day", s.stream, s.currency
        """
    )


def _changed(connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, object]) -> int:
    row = connection.execute(sql, values).fetchone()
    return 0 if row is None else int(row[0])
