"""What earlier runs stored of one connection, read for its next run. Ids go in as one list parameter.

The run holds the connection's lock and the published file was repaired before, so nothing newer exists anywhere.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb

from connector.ledger.connection_state import connection_states

_ROUNDING = timedelta(seconds=2)
_CURRENT = (
    "FROM ledger.source_records WHERE connection_id = $connection AND replaced_by IS NULL AND NOT is_deleted"
)
# Also what Clover deleted: the last that was read of it.
_LATEST = "FROM ledger.source_records WHERE connection_id = $connection AND replaced_by IS NULL"
_AMONG = "IN (SELECT unnest($ids))"
# kind, id, order id, reason, amount in minor units, currency
HeldBackRecord = tuple[str, str, str | None, str, int | None, str | None]


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """Who the merchant was when the last run was loaded; None where nobody knew."""

    name: str | None
    country: str | None
    currency: str | None


class Home(NamedTuple):
    """Where a record was at home when it was last loaded. created_ms: the time it was booked under."""

    id: str
    order_id: str | None
    charge_id: str | None
    created_ms: int | None


class StoredRefund(NamedTuple):
    """A refund as it is stored. created_ms: what it is booked under; payload: its JSON, without personal data."""

    id: str
    order_id: str | None
    charge_id: str | None
    created_ms: int | None
    list_hash: str
    payload: str


class StoredVersion(NamedTuple):
    """The current version of an order. modified: sourceModifiedDate, aware UTC; content_hash: "" when deleted."""

    order_id: str
    modified: datetime
    content_hash: str
    doc: str | None


class Stored:
    """One connection's records in one published file. Every method is one query; none writes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, connection_id: str) -> None:
        self._db = connection
        self.connection_id = connection_id
        self._has_records = True
        self._has_records = bool(self._records(f"SELECT 1 {_LATEST} LIMIT 1"))

    @property
    def is_empty(self) -> bool:
        """Whether no record of the connection was ever stored."""
        return not self._has_records

    def list_hashes(self, kind: str, ids: list[str]) -> Mapping[str, str]:
        """Record id -> fingerprint of its list row when it was last read."""
        return dict(
            self._records(
                f"SELECT record_id, list_hash {_CURRENT} AND kind = $kind AND record_id {_AMONG}",
                kind=kind,
                ids=ids,
            )
        )

    def list_hashes_between(self, since: datetime, until: datetime) -> dict[str, dict[str, str]]:
        """Kind -> record id -> fingerprint of its list row, of what was created in a span, or nobody knows when.

        Clover rounds times, so a little more is looked at. Empty when nothing is stored for the span.
        """
        rows = self._stream(
            f"SELECT kind, record_id, list_hash {_CURRENT}"
            " AND (created_at IS NULL OR (created_at >= $since AND created_at < $until))",
            since=_bare(since - _ROUNDING),
            until=_bare(until + _ROUNDING),
        )
        hashes: dict[str, dict[str, str]] = {}
        for kind, record_id, list_hash in rows:
            hashes.setdefault(kind, {})[record_id] = list_hash
        return hashes

    def created_between(self, kind: str, since: datetime, until: datetime) -> Mapping[str, str | None]:
        """Record id -> order id of current records created in ``since <= created < until``."""
        return dict(
            self._records(
                f"SELECT record_id, order_id {_CURRENT} AND kind = $kind"
                " AND created_at >= $since AND created_at < $until",
                kind=kind,
                since=_bare(since),
                until=_bare(until),
            )
        )

    def homes(self, kind: str, ids: list[str]) -> Iterator[Home]:
        """Where stored records are at home, also those that Clover deleted since."""
        rows = self._records(
            f"SELECT record_id, order_id, charge_id, epoch_ms(created_at) {_LATEST}"
            f" AND kind = $kind AND record_id {_AMONG}",
            kind=kind,
            ids=ids,
        )
        return (Home(*row) for row in rows)

    def orders_naming(self, charge_ids: list[str]) -> list[tuple[str, str, bool]]:
        """(order id, charge id, whether it is the latest) of current orders that name one of the charges."""
        return self._records(
            f"""
            WITH named AS (
              SELECT record_id, unnest(names) AS charge_id, json_extract_string(payload, '$.charge') AS latest
              {_CURRENT} AND kind = 'order' AND list_has_any(names, $ids))
            SELECT record_id, charge_id, coalesce(latest = charge_id, false) FROM named
            WHERE charge_id {_AMONG} ORDER BY ALL
            """,
            ids=charge_ids,
        )

    def records_of_orders(self, order_ids: list[str]) -> Mapping[str, list[tuple[str, str]]]:
        """Order id -> (kind, record id) of its current charges and refunds."""
        rows = self._records(
            f"SELECT order_id, kind, record_id {_CURRENT}"
            f" AND kind IN ('charge', 'refund') AND order_id {_AMONG} ORDER BY ALL",
            ids=order_ids,
        )
        records: dict[str, list[tuple[str, str]]] = {}
        for order_id, kind, record_id in rows:
            records.setdefault(order_id, []).append((kind, record_id))
        return records

    def refunds(self, ids: list[str]) -> list[StoredRefund]:
        """Stored refunds that Clover has not deleted."""
        if not ids:
            return []
        rows = self._records(
            f"SELECT record_id, order_id, charge_id, epoch_ms(created_at), list_hash, payload {_CURRENT}"
            f" AND kind = 'refund' AND record_id {_AMONG} ORDER BY record_id",
            ids=ids,
        )
        return [StoredRefund(*row) for row in rows]

    def charges_of_orders(self, order_ids: list[str]) -> list[tuple[str, str, str, bool]]:
        """(order id, charge id, payload, whether it was deleted) of every charge these orders ever had."""
        return self._records(
            f"SELECT order_id, record_id, payload, is_deleted {_LATEST}"
            f" AND kind = 'charge' AND order_id {_AMONG} ORDER BY ALL",
            ids=order_ids,
        )

    def order_payloads(self, order_ids: Collection[str]) -> dict[str, str]:
        """Order id -> what Clover last said of it, also of an order it has no more."""
        if not order_ids:
            return {}
        return dict(
            self._records(
                f"SELECT record_id, payload {_LATEST} AND kind = 'order' AND record_id {_AMONG}",
                ids=list(order_ids),
            )
        )

    def gift_card_orders(self, order_ids: Collection[str]) -> dict[str, str]:
        """Order id -> what the platform last said of it, of the orders in which it knows of a gift card."""
        return dict(
            self._records(
                f"SELECT record_id, payload {_CURRENT} AND kind = 'platform' AND record_id {_AMONG}"
                " AND regexp_matches(payload, '\"isRevenue\": ?false')",
                ids=list(order_ids),
            )
        )

    def published_among(self, order_ids: Collection[str]) -> set[str]:
        """Those of the orders that are published."""
        rows = self._records(
            "SELECT order_id FROM ledger.order_versions WHERE connection_id = $connection AND replaced_by IS NULL"
            f" AND NOT is_deleted AND order_id {_AMONG}",
            ids=list(order_ids),
        )
        return {order_id for (order_id,) in rows}

    def orders_with_references(self, references: list[str]) -> list[tuple[str, str, bool]]:
        """(order id, reference, whether it is published under that number) of orders that carry one of them."""
        if not references:
            return []
        return self._records(
            f"""
            SELECT s.record_id, s.reference, coalesce(v.order_number = s.reference, false)
            FROM (SELECT record_id, json_extract_string(payload, '$.external_reference_id') AS reference
                  {_CURRENT} AND kind = 'order') s
            LEFT JOIN ledger.order_versions v
                   ON v.connection_id = $connection AND v.order_id = s.record_id AND v.replaced_by IS NULL
                  AND NOT v.is_deleted
            WHERE s.reference {_AMONG} ORDER BY ALL
            """,
            ids=references,
        )

    def all_records(self) -> Iterator[tuple[str, str, str | None, bool]]:
        """(kind, id, order id, whether Clover deleted it) of every record as it was last read."""
        return self._stream(f"SELECT kind, record_id, order_id, is_deleted {_LATEST}")

    def rows_of(self, keys: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Current records among (kind, id), as rows a load takes."""
        ids_of: dict[str, list[str]] = {}
        for kind, record_id in keys:
            ids_of.setdefault(kind, []).append(record_id)
        for kind, ids in sorted(ids_of.items()):
            rows = self._ask(
                "SELECT kind, record_id, order_id, charge_id, created_at::VARCHAR AS created_at,"
                f" list_hash, content_hash, names, payload {_CURRENT} AND kind = $kind AND record_id {_AMONG}",
                kind=kind,
                ids=ids,
            )
            names = [column[0] for column in rows.description]
            for row in rows.fetchall():
                yield dict(zip(names, row, strict=True))

    def current_versions(self, order_ids: list[str]) -> Iterator[StoredVersion]:
        """Current versions of orders, also deleted ones: their dates must not go back."""
        rows = self._records(
            "SELECT order_id, source_modified_date, CASE WHEN is_deleted THEN '' ELSE content_hash END, doc"
            " FROM ledger.order_versions WHERE connection_id = $connection AND replaced_by IS NULL"
            f" AND order_id {_AMONG}",
            ids=order_ids,
        )
        for order_id, modified, content_hash, doc in rows:
            yield StoredVersion(order_id, modified.replace(tzinfo=UTC), content_hash, doc)

    def totals(self, order_ids: list[str]) -> dict[str, tuple[str, Decimal, Decimal]]:
        """Order id -> (currency, totalAmount, totalRefund) as published, major units."""
        rows = self._ask(
            "SELECT order_id, currency, total_amount, total_refund FROM ledger.order_versions"
            " WHERE connection_id = $connection AND replaced_by IS NULL AND NOT is_deleted"
            f" AND order_id {_AMONG}",
            ids=order_ids,
        )
        return {
            order_id: (currency, amount, refund) for order_id, currency, amount, refund in rows.fetchall()
        }

    def documents(self, data_type: str, ids: list[str]) -> Mapping[str, str]:
        """Record id -> current document of customers, products and the like."""
        return dict(
            self._records(
                "SELECT record_id, doc FROM ledger.record_versions WHERE connection_id = $connection"
                f" AND data_type = $data_type AND replaced_by IS NULL AND NOT is_deleted AND record_id {_AMONG}",
                data_type=data_type,
                ids=ids,
            )
        )

    def record_ids(self, data_type: str) -> set[str]:
        """Ids of all current customers, products and the like."""
        rows = self._ask(
            "SELECT record_id FROM ledger.record_versions WHERE connection_id = $connection"
            " AND data_type = $data_type AND replaced_by IS NULL AND NOT is_deleted",
            data_type=data_type,
        )
        return {row[0] for row in rows.fetchall()}

    def unusable_records(self) -> tuple[tuple[str, str, str | None], ...]:
        """(kind, id, order id) of what is held back as unreadable, unmapped or leading to no order."""
        rows = self._ask(
            "SELECT DISTINCT record_kind, record_id, order_id FROM ledger.held_back WHERE connection_id = $connection"
            " AND reason IN ('unreadable', 'no_link') AND resolved_run IS NULL ORDER BY ALL"
        )
        return tuple(rows.fetchall())

    def held_back(self) -> list[HeldBackRecord]:
        """Everything that is held back, whatever the reason."""
        return self._ask(
            "SELECT record_kind, record_id, order_id, reason, amount_minor, currency FROM ledger.held_back"
            " WHERE connection_id = $connection AND resolved_run IS NULL ORDER BY ALL"
        ).fetchall()

    def orders_to_poll(self, at: datetime) -> tuple[str, ...]:
        """Unsettled orders whose next poll has come, or that a wrong clock says were polled at a time to come."""
        rows = self._ask(
            "SELECT order_id FROM ledger.open_orders WHERE connection_id = $connection"
            " AND (next_poll <= $at OR last_polled > $at) ORDER BY ALL",
            at=_bare(at),
        )
        return tuple(row[0] for row in rows.fetchall())

    def open_since(self, order_ids: list[str]) -> Mapping[str, datetime]:
        """Order id -> since when it has been unsettled, aware UTC."""
        rows = self._ask(
            "SELECT order_id, first_seen FROM ledger.open_orders WHERE connection_id = $connection"
            f" AND order_id {_AMONG}",
            ids=order_ids,
        )
        return {order_id: first_seen.replace(tzinfo=UTC) for order_id, first_seen in rows.fetchall()}

    def merchant(self) -> StoredMerchant | None:
        """Who the merchant was when the last run was loaded, None before the first."""
        row = self._ask(
            "SELECT merchant_name, country, currency FROM ledger.connections WHERE connection_id = $connection"
        ).fetchone()
        return None if row is None else StoredMerchant(*row)

    def cursors(self) -> Mapping[str, datetime]:
        """Stream -> its high-water mark, aware UTC, of every stream that has one."""
        rows = self._ask('SELECT stream, "cursor" FROM ledger.sync_state WHERE connection_id = $connection')
        return {stream: cursor.replace(tzinfo=UTC) for stream, cursor in rows.fetchall()}

    def deep_scans(self) -> Mapping[str, datetime]:
        """Tier -> when it was last completed, aware UTC."""
        rows = self._ask(
            "SELECT tier, last_completed FROM ledger.deep_scans WHERE connection_id = $connection"
        )
        return {tier: completed.replace(tzinfo=UTC) for tier, completed in rows.fetchall()}

    def last_success_began(self, at: datetime) -> datetime | None:
        """When the newest sync began that succeeded and is not dated after ``at``."""
        state = connection_states(self._db, at=at).get(self.connection_id)
        return None if state is None else state.last_success_began

    def loaded_runs(self) -> set[str]:
        """Ids of the runs whose data was loaded, all of it or a part so far."""
        rows = self._ask(
            "SELECT run_id FROM ledger.sync_runs WHERE connection_id = $connection AND status <> 'failed'"
        )
        return {row[0] for row in rows.fetchall()}

    def _ask(self, sql: str, **values: object) -> duckdb.DuckDBPyConnection:
        return self._db.execute(sql, {"connection": self.connection_id, **values})

    def _records(self, sql: str, **values: object) -> list[Any]:
        """The rows of what is only there once a record is stored: a first sync asks nothing."""
        return self._ask(sql, **values).fetchall() if self._has_records else []

    def _stream(self, sql: str, **values: object) -> Iterator[Any]:
        """``_records`` in chunks; nothing else may be asked until the last was taken."""
        if self._has_records:
            rows = self._ask(sql, **values)
            while chunk := rows.fetchmany(10_000):
                yield from chunk


def _bare(moment: datetime) -> datetime:
    """UTC without a zone, as the ledger keeps times."""
    return moment.astimezone(UTC).replace(tzinfo=None)
