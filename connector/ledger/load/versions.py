"""Applies staged versions to a table of versions: new content becomes a new row, nothing is overwritten.

The same for orders and for the records beside them. A version is told by its record, source date and content:
one that is there already adds nothing, so loading a file twice is loading it once. A version older than the
current one is kept and never becomes current.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb


@dataclass(frozen=True, slots=True)
class VersionCounts:
    """What became of staged versions. inserted: new records; updated: records with a new current version."""

    inserted: int = 0
    updated: int = 0
    late: int = 0
    known: int = 0
    first: datetime | None = None
    last: datetime | None = None

    @property
    def rows(self) -> int:
        """Rows that were added."""
        return self.inserted + self.updated + self.late


def apply_versions(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    keys: Sequence[str],
    *,
    connection_id: str,
    snapshot_id: int,
) -> VersionCounts:
    """Add the rows of ``staged_<table>`` that are new. keys: columns that name a record in its connection."""
    same = " AND ".join(f"s.{key} = v.{key}" for key in keys)
    named = ", ".join(keys)
    of_s = ", ".join(f"s.{key}" for key in keys)
    # The two tables below hold only what is new; reading the ledger's narrow columns is all that grows.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT min(s.rowid) AS r, {of_s}, s.source_modified_date, s.content_hash
        FROM temp.staged_{table} s
        WHERE NOT EXISTS (
          SELECT 1 FROM ledger.{table} v
          WHERE v.connection_id = $connection_id AND {same}
            AND v.source_modified_date = s.source_modified_date AND v.content_hash = s.content_hash)
        GROUP BY ALL
        """,  # noqa: S608
        {"connection_id": connection_id},
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE winning AS
        SELECT {of_s}, any_value(v.source_modified_date) IS NOT NULL AS had_version,
          arg_max(s.r, {{'date': s.source_modified_date, 'hash': s.content_hash}}) AS r
        FROM temp.fresh s
        LEFT JOIN (
          SELECT {named}, source_modified_date FROM ledger.{table}
          WHERE replaced_by IS NULL AND connection_id = $connection_id) v ON {same}
        WHERE v.source_modified_date IS NULL OR s.source_modified_date >= v.source_modified_date
        GROUP BY {of_s}
        """,  # noqa: S608
        {"connection_id": connection_id},
    )
    connection.execute(
        f"""
        UPDATE ledger.{table} v SET replaced_by = $snapshot_id
        WHERE v.replaced_by IS NULL AND v.connection_id = $connection_id
          AND EXISTS (SELECT 1 FROM temp.winning s WHERE {same})
        """,  # noqa: S608
        {"connection_id": connection_id, "snapshot_id": snapshot_id},
    )
    connection.execute(
        f"""
        INSERT INTO ledger.{table} BY NAME
        SELECT s.* REPLACE (
          $snapshot_id AS snapshot_id,
          CASE WHEN w.r IS NULL THEN $snapshot_id END AS replaced_by)
        FROM temp.staged_{table} s
        JOIN temp.fresh f ON f.r = s.rowid
        LEFT JOIN temp.winning w ON w.r = s.rowid
        ORDER BY s.rowid
        """,  # noqa: S608
        {"snapshot_id": snapshot_id},
    )
    inserted, updated = _row(
        connection,
        "SELECT count(*) FILTER (NOT had_version), count(*) FILTER (had_version) FROM temp.winning",
    )
    fresh, first, last = _row(
        connection, "SELECT count(*), min(source_modified_date), max(source_modified_date) FROM temp.fresh"
    )
    (staged,) = _row(connection, f"SELECT count(*) FROM temp.staged_{table}")  # noqa: S608
    connection.execute("DROP TABLE temp.fresh")
    connection.execute("DROP TABLE temp.winning")
    return VersionCounts(inserted, updated, fresh - inserted - updated, staged - fresh, first, last)


def delete_orders(
    connection: duckdb.DuckDBPyConnection,
    order_ids: Sequence[str],
    *,
    connection_id: str,
    snapshot_id: int,
    at: datetime,
    loaded_at: datetime,
) -> int:
    """Add a version that says deleted to each of these orders that is current; how many.

    at: when it was noticed. The version keeps the last totals, for those who ask what was deleted, and loses
    lines, payments and document.
    """
    if not order_ids:
        return 0
    values = {
        "ids": list(order_ids),
        "connection_id": connection_id,
        "snapshot_id": snapshot_id,
        "at": at.replace(tzinfo=None, microsecond=0),
        "loaded_at": loaded_at.replace(tzinfo=None),
    }
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE deleted AS
        SELECT * REPLACE (
          greatest(source_modified_date, $at::TIMESTAMP) AS source_modified_date,
          'deleted-' || $snapshot_id AS content_hash, $snapshot_id::BIGINT AS snapshot_id, true AS is_deleted,
          true AS observed, $loaded_at::TIMESTAMP AS modified_date,
          order_line_items[1:0] AS order_line_items, payments[1:0] AS payments,
          service_charges[1:0] AS service_charges, bookings[1:0] AS bookings, NULL AS doc)
        FROM ledger.order_versions
        WHERE replaced_by IS NULL AND NOT is_deleted AND connection_id = $connection_id
          AND order_id IN (SELECT unnest($ids))
        """,
        values,
    )
    connection.execute(
        """
        UPDATE ledger.order_versions SET replaced_by = $snapshot_id
        WHERE replaced_by IS NULL AND connection_id = $connection_id
          AND order_id IN (SELECT order_id FROM temp.deleted)
        """,
        {"snapshot_id": snapshot_id, "connection_id": connection_id},
    )
    connection.execute("INSERT INTO ledger.order_versions BY NAME SELECT * FROM temp.deleted")
    (deleted,) = _row(connection, "SELECT count(*) FROM temp.deleted")
    connection.execute("DROP TABLE temp.deleted")
    return int(deleted)


def apply_source_records(
    connection: duckdb.DuckDBPyConnection, *, connection_id: str, snapshot_id: int
) -> int:
    """Add new states of Clover's own records; how many. The newest answer is the current one: none is late.

    A list row that changed while the record did not only changes the fingerprint by which it is recognised.
    """
    values = {"connection_id": connection_id}
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE changed AS
        SELECT s.rowid AS r, s.kind, s.record_id, s.list_hash,
          v.record_id IS NULL OR (v.content_hash, v.order_id, v.charge_id, v.is_deleted)
            IS DISTINCT FROM (s.content_hash, s.order_id, s.charge_id, coalesce(s.is_deleted, false))
            AS is_new,
          v.list_hash IS DISTINCT FROM s.list_hash AS is_listed_anew
        FROM temp.staged_source_records s
        JOIN (SELECT max(rowid) AS r FROM temp.staged_source_records GROUP BY kind, record_id) l
          ON l.r = s.rowid
        LEFT JOIN (
          SELECT kind, record_id, list_hash, content_hash, order_id, charge_id, is_deleted
          FROM ledger.source_records
          WHERE replaced_by IS NULL AND connection_id = $connection_id) v
          ON v.kind = s.kind AND v.record_id = s.record_id
        """,
        values,
    )
    connection.execute(
        """
        UPDATE ledger.source_records v SET replaced_by = $snapshot_id
        WHERE v.replaced_by IS NULL AND v.connection_id = $connection_id
          AND EXISTS (
            SELECT 1 FROM temp.changed c WHERE c.is_new AND c.kind = v.kind AND c.record_id = v.record_id)
        """,
        {**values, "snapshot_id": snapshot_id},
    )
    connection.execute(
        """
        UPDATE ledger.source_records v SET list_hash = c.list_hash
        FROM temp.changed c
        WHERE NOT c.is_new AND c.is_listed_anew AND c.list_hash IS NOT NULL AND v.replaced_by IS NULL
          AND v.connection_id = $connection_id AND v.kind = c.kind AND v.record_id = c.record_id
        """,
        values,
    )
    connection.execute(
        """
        INSERT INTO ledger.source_records BY NAME
        SELECT s.* REPLACE (
          $snapshot_id AS snapshot_id, NULL AS replaced_by, coalesce(is_deleted, false) AS is_deleted)
        FROM temp.staged_source_records s
        JOIN temp.changed c ON c.r = s.rowid AND c.is_new
        ORDER BY s.rowid
        """,
        {"snapshot_id": snapshot_id},
    )
    (added,) = _row(connection, "SELECT count(*) FILTER (is_new) FROM temp.changed")
    connection.execute("DROP TABLE temp.changed")
    return int(added)


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row
