"""Reads a batch's NDJSON files into temporary tables shaped like the ledger's, and adds what only it knows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from connector.ledger.load.bookings import book
from connector.ledger.load.postings import move_days

# A served order with hundreds of lines and payments stays far below this; bytes.
_LONGEST_LINE = 32 << 20
# The moments whose days are the merchant's days of a sale and of a payment.
_SOLD = "coalesce(created_date, source_modified_date)"
_PAID = "coalesce(p.created_date, p.source_modified_date, source_modified_date)"


def _clock(moment: str) -> str:
    return f"((({moment}) AT TIME ZONE 'UTC') AT TIME ZONE $timezone)"


def _local(moment: str) -> str:
    return f"{_clock(moment)}::DATE"


_SOLD_ON = f"coalesce(created_local_date, {_local(_SOLD)})"
_TABLES: Mapping[str, Sequence[str]] = {
    # table -> columns a row may have beside those of the ledger's table
    "order_versions": (),
    "record_versions": (),
    "source_records": (),
    "data_issues": (),
    "held_back": (),
    "open_orders": ("polled_at TIMESTAMP",),
    "reconciliations": (),
}


def stage(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path | Sequence[Path]]) -> None:
    """Temporary tables ``staged_<table>`` for every table, empty where the batch has no file.

    Raises ValueError for an unknown table, which is a bug.
    """
    unknown = files.keys() - _TABLES.keys() - {"seen_orders"}
    if unknown:
        raise ValueError(f"a batch has no table {', '.join(sorted(unknown))}")
    known = _columns(connection)
    for table, extra in _TABLES.items():
        columns = known[table] | dict(column.split(" ", 1) for column in extra)
        _stage_one(connection, table, columns, _paths(files.get(table)))
    _stage_one(connection, "seen_orders", {"order_id": "VARCHAR"}, _paths(files.get("seen_orders")))


def has_rows(files: Mapping[str, Path | Sequence[Path]]) -> bool:
    """Whether any file of a batch holds a row."""
    return any(_paths(given) for given in files.values())


def unstage(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop the temporary tables."""
    for table in (*_TABLES, "seen_orders"):
        connection.execute(f"DROP TABLE IF EXISTS temp.staged_{table}")


def fill_orders(connection: duckdb.DuckDBPyConnection, *, timezone: str, loaded_at: datetime) -> None:
    """Add load time, the merchant's days where missing, and sums over nested parts to staged orders."""
    stamp = f"{loaded_at:%Y-%m-%dT%H:%M:%SZ}"
    connection.execute(
        f"""
        UPDATE temp.staged_order_versions SET
          currency = coalesce(currency, 'XXX'),
          is_deleted = coalesce(is_deleted, false),
          created_local_date = coalesce(created_local_date, {_local(_SOLD)}),
          created_local_time = {_clock(_SOLD)},
          modified_date = $loaded_at,
          doc = replace(doc, '"modifiedDate":"@loaded"', '"modifiedDate":"' || $stamp || '"'),
          order_line_items = [
            {_line_on_its_day(_SOLD_ON)} for l in coalesce(order_line_items, [])],
          service_charges = [
            {_charge_on_its_day(_SOLD_ON)} for s in coalesce(service_charges, [])],
          payments = [{payment_with("p.modified_date", "p.local_date")} for p in coalesce(payments, [])],
          sold_tax_amount = (
            coalesce(list_sum([l.total_tax_amount for l in order_line_items if l.quantity > 0]), 0)
            + coalesce(list_sum([s.tax_amount for s in service_charges]), 0))::DECIMAL(18,4),
          sold_discount = coalesce(list_sum([d.total_amount for d in flatten(
            [l.discount_allocations for l in order_line_items if l.quantity > 0])]), 0)::DECIMAL(18,4),
          service_charges_amount =
            coalesce(list_sum([s.total_amount for s in service_charges]), 0)::DECIMAL(18,4),
          paid_amount =
            coalesce(list_sum([p.amount for p in payments if p.status = 'Paid'
              AND coalesce(p.currency, currency, 'XXX') = coalesce(currency, 'XXX')]), 0)::DECIMAL(18,4)
        """,  # noqa: S608 - only our own column names are put in
        {"timezone": timezone, "loaded_at": loaded_at.replace(tzinfo=None), "stamp": stamp},
    )
    book(connection, "temp.staged_order_versions")


def fill_records(connection: duckdb.DuckDBPyConnection, *, loaded_at: datetime) -> None:
    """The load time of staged customers, products and the like."""
    connection.execute(
        """
        UPDATE temp.staged_record_versions SET
          is_deleted = coalesce(is_deleted, false),
          modified_date = $loaded_at,
          doc = replace(doc, '"modifiedDate":"@loaded"', '"modifiedDate":"' || $stamp || '"')
        """,
        {"loaded_at": loaded_at.replace(tzinfo=None), "stamp": f"{loaded_at:%Y-%m-%dT%H:%M:%SZ}"},
    )


def move_to_timezone(connection: duckdb.DuckDBPyConnection, connection_id: str, timezone: str) -> None:
    """Give every stored version of a connection the days of another time zone, where they were wrong."""
    connection.execute(
        f"""
        UPDATE ledger.order_versions SET
          created_local_date = {_local(_SOLD)},
          created_local_time = {_clock(_SOLD)},
          payments = [{payment_with("p.modified_date", "NULL::DATE")} for p in payments],
          order_line_items = [{_line_on_its_day(_local(_SOLD))} for l in order_line_items],
          service_charges = [{_charge_on_its_day(_local(_SOLD))} for s in service_charges]
        WHERE connection_id = $connection_id
        """,  # noqa: S608
        {"timezone": timezone, "connection_id": connection_id},
    )
    book(connection, "ledger.order_versions", connection_id=connection_id)
    move_days(connection, connection_id)


def payment_with(modified_date: str, local_date: str) -> str:
    """SQL of the payment ``p``: its own day, else that of its creation; its own modified date, also NULL."""
    return f"""struct_pack(id := p.id, amount := p.amount, currency := p.currency, "type" := p."type",
      status := p.status, provider := p.provider, created_date := p.created_date,
      modified_date := {modified_date},
      source_modified_date := p.source_modified_date,
      local_date := coalesce({local_date}, {_local(_PAID)}),
      is_refund := coalesce(p.is_refund, p.amount < 0, false))"""


def _line_on_its_day(sold_on: str) -> str:
    """SQL of the line ``l``: the day of its refund or of the charge that sold it again, else that of the sale."""
    refund = "list_filter(payments, lambda p: p.id = l.refund_id)[1].created_date"
    refunded_on = (
        f"CASE WHEN l.refund_id IS NOT NULL THEN coalesce({_local(refund)}, l.refund_local_date) END"
    )
    return f"""struct_pack(id := l.id, quantity := l.quantity, unit_price := l.unit_price,
      tax_percentage := l.tax_percentage, total_tax_amount := l.total_tax_amount,
      total_amount := l.total_amount,
      product_id := l.product_id, product_name := l.product_name, variant_id := l.variant_id,
      variant_name := l.variant_name, refund_id := l.refund_id,
      refund_local_date := {refunded_on},
      discount_allocations := l.discount_allocations,
      kind := coalesce(l.kind, 'goods'), charge_id := l.charge_id,
      local_date := coalesce({refunded_on}, {_charged_on("l")}, {sold_on}))"""


def _charge_on_its_day(sold_on: str) -> str:
    """SQL of the service charge ``s``: the day of the charge that made it again, else that of the sale."""
    return f"""struct_pack(description := s.description, total_amount := s.total_amount,
      tax_percentage := s.tax_percentage, tax_amount := s.tax_amount, quantity := s.quantity, "type" := s."type",
      charge_id := s.charge_id, local_date := coalesce({_charged_on("s")}, {sold_on}))"""


def _charged_on(part: str) -> str:
    return _local(f"list_filter(payments, lambda p: p.id = {part}.charge_id)[1].created_date")


def _stage_one(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], paths: Sequence[str]
) -> None:
    declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE staged_{table} ({declared})")
    if paths:
        connection.execute(
            f"INSERT INTO temp.staged_{table} SELECT {', '.join(_names(columns))} FROM read_json($paths,"  # noqa: S608
            f" format = 'newline_delimited', columns = $columns, maximum_object_size = {_LONGEST_LINE})",
            {"paths": list(paths), "columns": dict(columns)},
        )


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Table of the ledger -> its columns and their types."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = current_database() AND schema_name = 'ledger' ORDER BY table_name, column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def _names(columns: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in columns]


def _paths(given: Path | Sequence[Path] | None) -> list[str]:
    if given is None:
        return []
    paths = [given] if isinstance(given, Path) else list(given)
    # An empty file is no JSON to DuckDB.
    return [str(path) for path in paths if path.stat().st_size > 0]
