"""What changed between two snapshots of a connection: orders inserted, updated and deleted, and amounts by month."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from connector.ledger.published import Publication

Kind = Literal["inserted", "updated", "deleted"]
TOTALS = ("total_amount", "total_refund", "total_tax_amount", "total_discount", "total_gratuity")
_TOTALS = ", ".join(TOTALS)


def _known(at: str) -> str:
    """The condition of a connection's versions that were the newest at a snapshot, deletions among them."""
    return f"""company_id = $company AND connection_id = $connection
    AND snapshot_id <= {at} AND (replaced_by IS NULL OR replaced_by > {at})"""


def _orders(at: str) -> str:
    return f"""
  SELECT order_id, snapshot_id, content_hash, currency, created_date,
    date_trunc('month', coalesce(created_local_date, created_date))::DATE AS "month", {_TOTALS}
  FROM ledger.order_versions WHERE {_known(at)} AND NOT is_deleted"""  # noqa: S608 - our own column names only


# Both sides are complete states, so an order that came and went in between is no change, and none is told twice.
_CHANGED = f"""
WITH a AS ({_orders("$since")}), b AS ({_orders("$until")}),
gone AS (SELECT order_id, snapshot_id FROM ledger.order_versions WHERE {_known("$until")} AND is_deleted),
changed AS (
  SELECT order_id, a, b, CASE WHEN a.order_id IS NULL THEN 'inserted' WHEN b.order_id IS NULL THEN 'deleted'
    ELSE 'updated' END AS change
  FROM a FULL JOIN b USING (order_id)
  WHERE a.order_id IS NULL OR b.order_id IS NULL
    OR (a.snapshot_id, a.content_hash) IS DISTINCT FROM (b.snapshot_id, b.content_hash))
"""  # noqa: S608 - our own column names only


@dataclass(frozen=True, slots=True)
class Side:
    """An order at one of the two snapshots. ``totals``: by column name, major units, exact."""

    currency: str
    month: date
    created: datetime
    totals: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One order. ``snapshot_id``: the load that brought its newest state. ``before``, ``after`` None: not there."""

    change: Kind
    order_id: str
    snapshot_id: int
    before: Side | None
    after: Side | None


@dataclass(frozen=True, slots=True)
class MonthChange:
    """Orders of one month (the merchant's), currency and kind of change. ``totals``: after less before."""

    month: date
    currency: str
    change: Kind
    orders: int
    totals: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Span:
    """Whose changes, after which snapshot and up to which."""

    company_id: str
    connection_id: str
    since: int
    until: int

    def values(self) -> dict[str, object]:
        return {
            "company": self.company_id,
            "connection": self.connection_id,
            "since": self.since,
            "until": self.until,
        }


def order_changes(publication: Publication, span: Span, *, limit: int, offset: int) -> list[OrderChange]:
    """A page of the changed orders, by id."""
    sides = ", ".join(
        f"{side}.currency, {side}.month, {side}.created_date, "
        + ", ".join(f"{side}.{name}" for name in TOTALS)
        for side in ("c.a", "c.b")
    )
    rows = publication.cursor.execute(
        f"{_CHANGED} SELECT c.change, c.order_id, coalesce(c.b.snapshot_id, gone.snapshot_id, c.a.snapshot_id),"  # noqa: S608
        f" {sides} FROM changed c LEFT JOIN gone USING (order_id) ORDER BY c.order_id LIMIT $limit OFFSET $offset",
        {**span.values(), "limit": limit, "offset": offset},
    ).fetchall()
    width = 3 + len(TOTALS)
    return [
        OrderChange(row[0], row[1], row[2], _side(row[3 : 3 + width]), _side(row[3 + width :]))
        for row in rows
    ]


def change_counts(publication: Publication, span: Span) -> dict[str, int]:
    """Kind of change -> how many orders; kinds that did not occur are left out."""
    rows = publication.cursor.execute(
        f"{_CHANGED} SELECT change, count(*) FROM changed GROUP BY 1",  # noqa: S608
        span.values(),
    ).fetchall()
    return dict(rows)


def month_changes(publication: Publication, span: Span) -> list[MonthChange]:
    """What the changes come to, by month, currency and kind. An order that moved is in both of its months."""
    added = ", ".join(f"sum(sign * {name})" for name in TOTALS)

    def side(name: str, sign: int) -> str:
        columns = ", ".join(f"{name}.{column}" for column in ("currency", '"month"', *TOTALS))
        return f"SELECT change, {sign} AS sign, order_id, {columns} FROM changed WHERE {name}.currency IS NOT NULL"  # noqa: S608

    rows = publication.cursor.execute(
        f"{_CHANGED}, sides AS ({side('a', -1)} UNION ALL {side('b', 1)})"  # noqa: S608
        f' SELECT "month", currency, change, count(DISTINCT order_id), {added} FROM sides'
        " GROUP BY ALL ORDER BY ALL",
        span.values(),
    ).fetchall()
    return [
        MonthChange(row[0], row[1], row[2], row[3], dict(zip(TOTALS, row[4:], strict=True))) for row in rows
    ]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting of the connection that was corrected. ``setting``: timezone, country, currency or a name."""

    setting: str
    was: str | None
    became: str | None
    snapshot_id: int


def setting_changes(publication: Publication, span: Span) -> list[SettingChange]:
    """Settings that were corrected, by snapshot. A time zone moves the days of all orders of the connection."""
    rows = publication.cursor.execute(
        "SELECT setting, from_value, to_value, snapshot_id FROM ledger.setting_changes"
        " WHERE company_id = $company AND connection_id = $connection AND snapshot_id > $since"
        " AND snapshot_id <= $until ORDER BY snapshot_id, setting",
        span.values(),
    ).fetchall()
    return [SettingChange(*row) for row in rows]


def _side(values: tuple[object, ...]) -> Side | None:
    currency, month, created, *totals = values
    if currency is None:
        return None
    return Side(currency, month, created, dict(zip(TOTALS, totals, strict=True)))  # type: ignore[arg-type]
