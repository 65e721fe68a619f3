"""Reads for a run: what is already stored of one connection. Ids go in as one list parameter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb

Connection = duckdb.DuckDBPyConnection
_STREAMS = 3
# kind, id, order id, reason, amount in minor units, currency
HeldBackRecord = tuple[str, str, str | None, str, int | None, str | None]


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """Who the merchant was when the last run was loaded; None where nobody knew."""

    name: str | None
    country: str | None
    currency: str | None


def merchant(connection: Connection, connection_id: str) -> StoredMerchant | None:
    """The merchant of a connection, None before its first run."""
    row = connection.execute(
        "SELECT merchant_name, country, currency FROM ledger.connections WHERE connection_id = $connection",
        {"connection": connection_id},
    ).fetchone()
    return None if row is None else StoredMerchant(*row)


def record_ids(connection: Connection, connection_id: str, data_type: str) -> set[str]:
    """Ids of all current customers, products and the like."""
    rows = connection.execute(
        "SELECT record_id FROM ledger.record_versions WHERE connection_id = $connection"
        " AND data_type = $data_type AND replaced_by IS NULL AND NOT is_deleted",
        {"connection": connection_id, "data_type": data_type},
    )
    return {row[0] for row in rows.fetchall()}


def is_new(connection: Connection, connection_id: str) -> bool:
    """Whether nothing at all is stored of a connection."""
    row = connection.execute(
        "SELECT 1 FROM ledger.source_records WHERE connection_id = $connection LIMIT 1",
        {"connection": connection_id},
    ).fetchone()
    return row is None


def list_hashes(connection: Connection, connection_id: str, kind: str, ids: list[str]) -> Mapping[str, str]:
    """Record id -> fingerprint of its list row when it was last read."""
    rows = connection.execute(
        "SELECT record_id, list_hash FROM ledger.source_records WHERE connection_id = $connection AND kind = $kind"
        " AND replaced_by IS NULL AND NOT is_deleted AND record_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "kind": kind, "ids": ids},
    )
    return dict(rows.fetchall())


def list_hashes_between(
    connection: Connection, connection_id: str, since: datetime, until: datetime
) -> Iterator[tuple[str, str, str]]:
    """(kind, record id, fingerprint of its list row) of current records created in a span, or nobody knows when."""
    rows = connection.execute(
        "SELECT kind, record_id, list_hash FROM ledger.source_records WHERE connection_id = $connection"
        " AND replaced_by IS NULL AND NOT is_deleted"
        " AND (created_at IS NULL OR (created_at >= $since AND created_at < $until))",
        {"connection": connection_id, "since": _bare(since), "until": _bare(until)},
    )
    while found := rows.fetchmany(10_000):
        yield from found


def records_of_orders(
    connection: Connection, connection_id: str, order_ids: list[str]
) -> Mapping[str, list[tuple[str, str]]]:
    """Order id -> (kind, record id) of its current charges and refunds."""
    rows = connection.execute(
        "SELECT order_id, kind, record_id FROM ledger.source_records WHERE connection_id = $connection"
        " AND kind IN ('charge', 'refund') AND replaced_by IS NULL AND NOT is_deleted"
        " AND order_id IN (SELECT unnest($ids)) ORDER BY ALL",
        {"connection": connection_id, "ids": order_ids},
    ).fetchall()
    found: dict[str, list[tuple[str, str]]] = {}
    for order_id, kind, record_id in rows:
        found.setdefault(order_id, []).append((kind, record_id))
    return found


def homes(
    connection: Connection, connection_id: str, kind: str, ids: list[str]
) -> list[tuple[str, str | None, str | None, int | None]]:
    """(record id, order id, charge id, created in milliseconds) of stored records, also of deleted ones."""
    return connection.execute(
        "SELECT record_id, order_id, charge_id, epoch_ms(created_at) FROM ledger.source_records"
        " WHERE connection_id = $connection AND kind = $kind AND replaced_by IS NULL"
        " AND record_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "kind": kind, "ids": ids},
    ).fetchall()


def orders_naming(
    connection: Connection, connection_id: str, charge_ids: list[str]
) -> list[tuple[str, str, bool]]:
    """(order id, charge id, whether it is the latest) of current orders that name one of the charges."""
    return connection.execute(
        """
        WITH named AS (
          SELECT record_id, unnest(names) AS charge_id, json_extract_string(payload, '$.charge') AS latest
          FROM ledger.source_records
          WHERE connection_id = $connection AND kind = 'order' AND replaced_by IS NULL AND NOT is_deleted
            AND list_has_any(names, $ids))
        SELECT record_id, charge_id, coalesce(latest = charge_id, false) FROM named
        WHERE charge_id IN (SELECT unnest($ids)) ORDER BY ALL
        """,
        {"connection": connection_id, "ids": charge_ids},
    ).fetchall()


def order_payloads(connection: Connection, connection_id: str, order_ids: list[str]) -> dict[str, str]:
    """Order id -> what Clover last said of it, also of an order it has no more."""
    rows = connection.execute(
        "SELECT record_id, payload FROM ledger.source_records WHERE connection_id = $connection AND kind = 'order'"
        " AND replaced_by IS NULL AND record_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "ids": order_ids},
    )
    return dict(rows.fetchall())


def charges_of_orders(
    connection: Connection, connection_id: str, order_ids: list[str]
) -> list[tuple[str, str, str, bool]]:
    """(order id, charge id, payload, whether it was deleted) of every charge these orders ever had."""
    return connection.execute(
        "SELECT order_id, record_id, payload, is_deleted FROM ledger.source_records WHERE connection_id = $connection"
        " AND kind = 'charge' AND replaced_by IS NULL AND order_id IN (SELECT unnest($ids)) ORDER BY ALL",
        {"connection": connection_id, "ids": order_ids},
    ).fetchall()


def orders_with_references(
    connection: Connection, connection_id: str, references: list[str]
) -> list[tuple[str, str, bool]]:
    """(order id, reference, whether it is published under that number) of orders that carry one of them."""
    return connection.execute(
        """
        SELECT s.record_id, s.reference, coalesce(v.order_number = s.reference, false)
        FROM (SELECT record_id, json_extract_string(payload, '$.external_reference_id') AS reference
              FROM ledger.source_records
              WHERE connection_id = $connection AND kind = 'order' AND replaced_by IS NULL AND NOT is_deleted) s
        LEFT JOIN ledger.order_versions v
               ON v.connection_id = $connection AND v.order_id = s.record_id AND v.replaced_by IS NULL
              AND NOT v.is_deleted
        WHERE s.reference IN (SELECT unnest($references)) ORDER BY ALL
        """,
        {"connection": connection_id, "references": references},
    ).fetchall()


def created_between(
    connection: Connection, connection_id: str, kind: str, since: datetime, until: datetime
) -> Mapping[str, str]:
    """Record id -> order id of current records created in ``since <= created < until``."""
    rows = connection.execute(
        "SELECT record_id, order_id FROM ledger.source_records WHERE connection_id = $connection AND kind = $kind"
        " AND replaced_by IS NULL AND NOT is_deleted AND order_id IS NOT NULL"
        " AND created_at >= $since AND created_at < $until",
        {"connection": connection_id, "kind": kind, "since": _bare(since), "until": _bare(until)},
    )
    return dict(rows.fetchall())


def current_versions(
    connection: Connection, connection_id: str, order_ids: list[str]
) -> Iterator[tuple[str, datetime, str, str | None]]:
    """(order id, sourceModifiedDate aware UTC, content hash, document) of current versions; "" hash when deleted."""
    rows = connection.execute(
        "SELECT order_id, source_modified_date, CASE WHEN is_deleted THEN '' ELSE content_hash END, doc"
        " FROM ledger.order_versions WHERE connection_id = $connection AND replaced_by IS NULL"
        " AND order_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "ids": order_ids},
    ).fetchall()
    for order_id, modified, content_hash, doc in rows:
        yield order_id, modified.replace(tzinfo=UTC), content_hash, doc


def totals(
    connection: Connection, connection_id: str, order_ids: list[str]
) -> dict[str, tuple[str, Decimal, Decimal]]:
    """Order id -> (currency, totalAmount, totalRefund), major units."""
    rows = connection.execute(
        "SELECT order_id, currency, total_amount, total_refund FROM ledger.order_versions"
        " WHERE connection_id = $connection AND replaced_by IS NULL AND NOT is_deleted"
        " AND order_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "ids": order_ids},
    ).fetchall()
    return {order_id: (currency, amount, refund) for order_id, currency, amount, refund in rows}


def documents(
    connection: Connection, connection_id: str, data_type: str, ids: list[str]
) -> Mapping[str, str]:
    """Record id -> current document of customers, products and the like."""
    rows = connection.execute(
        "SELECT record_id, doc FROM ledger.record_versions WHERE connection_id = $connection"
        " AND data_type = $data_type AND replaced_by IS NULL AND NOT is_deleted AND record_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "data_type": data_type, "ids": ids},
    )
    return dict(rows.fetchall())


def stored_rows(
    connection: Connection, connection_id: str, keys: list[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """Current source records among (kind, id), as rows a load takes."""
    for kind in sorted({kind for kind, _ in keys}):
        rows = connection.execute(
            "SELECT kind, record_id, order_id, charge_id, created_at::VARCHAR AS created_at,"
            " list_hash, content_hash, names, payload FROM ledger.source_records WHERE connection_id = $connection"
            " AND kind = $kind AND replaced_by IS NULL AND NOT is_deleted AND record_id IN (SELECT unnest($ids))",
            {
                "connection": connection_id,
                "kind": kind,
                "ids": [record_id for k, record_id in keys if k == kind],
            },
        )
        names = [column[0] for column in rows.description]
        for row in rows.fetchall():
            yield dict(zip(names, row, strict=True))


def refunds(
    connection: Connection, connection_id: str, ids: list[str]
) -> list[tuple[str, str | None, str | None, int | None, str, str]]:
    """(id, order id, charge id, created in milliseconds, list hash, payload) of current refunds."""
    return connection.execute(
        "SELECT record_id, order_id, charge_id, epoch_ms(created_at), list_hash, payload"
        " FROM ledger.source_records WHERE connection_id = $connection AND kind = 'refund'"
        " AND replaced_by IS NULL AND NOT is_deleted AND record_id IN (SELECT unnest($ids)) ORDER BY record_id",
        {"connection": connection_id, "ids": ids},
    ).fetchall()


def unusable_records(connection: Connection, connection_id: str) -> tuple[tuple[str, str, str | None], ...]:
    """(kind, id, order id) of records that could not be read or mapped or lead to no order, and are held back."""
    rows = connection.execute(
        "SELECT DISTINCT record_kind, record_id, order_id FROM ledger.held_back WHERE connection_id = $connection"
        " AND reason IN ('unreadable', 'no_link') AND resolved_run IS NULL ORDER BY ALL",
        {"connection": connection_id},
    )
    return tuple(rows.fetchall())


def held_back_records(connection: Connection, connection_id: str) -> list[HeldBackRecord]:
    """Everything that is held back, see ``HeldBackRecord``."""
    return connection.execute(
        "SELECT record_kind, record_id, order_id, reason, amount_minor, currency FROM ledger.held_back"
        " WHERE connection_id = $connection AND resolved_run IS NULL ORDER BY ALL",
        {"connection": connection_id},
    ).fetchall()


def orders_to_poll(connection: Connection, connection_id: str, at: datetime) -> tuple[str, ...]:
    """Unsettled orders whose next poll has come, or that a wrong clock says were polled at a time to come."""
    rows = connection.execute(
        "SELECT order_id FROM ledger.open_orders WHERE connection_id = $connection"
        " AND (next_poll <= $at OR last_polled > $at) ORDER BY ALL",
        {"connection": connection_id, "at": _bare(at)},
    )
    return tuple(row[0] for row in rows.fetchall())


def open_since(connection: Connection, connection_id: str, order_ids: list[str]) -> Mapping[str, datetime]:
    """Order id -> since when it has been unsettled, aware UTC."""
    rows = connection.execute(
        "SELECT order_id, first_seen FROM ledger.open_orders WHERE connection_id = $connection"
        " AND order_id IN (SELECT unnest($ids))",
        {"connection": connection_id, "ids": order_ids},
    ).fetchall()
    return {order_id: first_seen.replace(tzinfo=UTC) for order_id, first_seen in rows}


def lowest_cursor(connection: Connection, connection_id: str) -> datetime | None:
    """The lowest high-water mark of the streams, aware UTC; None until every stream has one."""
    row = connection.execute(
        'SELECT count(*), min("cursor") FROM ledger.sync_state WHERE connection_id = $connection'
        " AND stream IN ('charges', 'orders', 'refunds')",
        {"connection": connection_id},
    ).fetchone()
    return None if row is None or row[0] < _STREAMS else row[1].replace(tzinfo=UTC)


def deep_scans(connection: Connection, connection_id: str) -> Mapping[str, datetime]:
    """Tier -> when it was last completed, aware UTC."""
    rows = connection.execute(
        "SELECT tier, last_completed FROM ledger.deep_scans WHERE connection_id = $connection",
        {"connection": connection_id},
    ).fetchall()
    return {tier: completed.replace(tzinfo=UTC) for tier, completed in rows}


def all_records(connection: Connection, connection_id: str) -> Iterator[tuple[str, str, str | None, bool]]:
    """(kind, id, order id, whether Clover deleted it) of every record as it was last read."""
    rows = connection.execute(
        "SELECT kind, record_id, order_id, is_deleted FROM ledger.source_records"
        " WHERE connection_id = $connection AND replaced_by IS NULL",
        {"connection": connection_id},
    )
    while chunk := rows.fetchmany(10_000):
        yield from chunk


def loaded_runs(connection: Connection, connection_id: str) -> set[str]:
    """Ids of the runs of a connection whose data was loaded, all of it or a part so far."""
    rows = connection.execute(
        "SELECT run_id FROM ledger.sync_runs WHERE connection_id = $connection AND status <> 'failed'",
        {"connection": connection_id},
    )
    return {row[0] for row in rows.fetchall()}


def _bare(moment: datetime) -> datetime:
    """UTC without a zone, as the ledger keeps times."""
    return moment.astimezone(UTC).replace(tzinfo=None)
