"""One load: everything a batch brings, its cursors and the run's row, in one transaction.

Files of a batch and their columns (NDJSON, UTC times as ``YYYY-MM-DD HH:MM:SS``, money as decimal text):

order_versions   the columns of ``ledger.order_versions`` but snapshot_id, replaced_by, modified_date, sums
record_versions  likewise; data_type says which kind of record
source_records   likewise; the newest state of each record the run read
seen_orders      order_id of every order that was looked at; what is not found again of it is closed
data_issues      company_id, connection_id, order_id, code, severity, detail, difference_minor, currency,
                 record_kind, record_id
held_back        company_id, connection_id, record_kind, record_id, order_id, reason, detail, amount_minor, currency
open_orders      order_id, reason, polled_at, next_poll
reconciliations  the columns of ``ledger.reconciliations``

In documents ``"modifiedDate":"@loaded"`` becomes the time of the load.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from connector.ledger.failpoints import failpoint
from connector.ledger.load import findings
from connector.ledger.load.batch import Applied, Batch, ConnectionRow, RunRow
from connector.ledger.load.postings import post
from connector.ledger.load.stage import fill_orders, fill_records, has_rows, move_to_timezone, stage, unstage
from connector.ledger.load.versions import (
    VersionCounts,
    apply_source_records,
    apply_versions,
    delete_orders,
)


@dataclass(frozen=True, slots=True)
class _Load:
    """The numbers of this load: its snapshot id, if it will have one, and its time."""

    snapshot_id: int
    loaded_at: datetime


# Settings of which a reader has to know when they are corrected.
_SETTINGS = ("timezone", "country", "currency", "company_name", "merchant_name")


@dataclass(frozen=True, slots=True)
class _Setting:
    name: str
    was: str | None
    became: str | None


def apply_batch(connection: duckdb.DuckDBPyConnection, batch: Batch, *, now: datetime) -> Applied:
    """Commit a batch, or leave everything as it was. now: aware UTC."""
    # Most runs of most merchants find nothing new: those only move the cursors and tell of the run.
    is_quiet = not (has_rows(batch.files) or batch.tombstones or batch.released)
    if not is_quiet:
        stage(connection, batch.files)
    connection.execute("BEGIN")
    try:
        load = _next_load(connection, now)
        applied = _apply_quiet(connection, batch, load) if is_quiet else _apply(connection, batch, load)
        failpoint("apply.before_commit")
        connection.execute("COMMIT")
    except BaseException:
        _rollback(connection)
        raise
    failpoint("apply.after_commit")
    if not is_quiet:
        unstage(connection)
    return applied


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    # The first error says why; after a fatal one DuckDB has rolled back by itself.
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")


def _apply(connection: duckdb.DuckDBPyConnection, batch: Batch, load: _Load) -> Applied:
    connection_id = batch.run.connection_id
    settings = _put_connection(connection, batch.connection)
    fill_orders(connection, timezone=_timezone(connection, connection_id), loaded_at=load.loaded_at)
    fill_records(connection, loaded_at=load.loaded_at)
    where: dict[str, Any] = {"connection_id": connection_id, "snapshot_id": load.snapshot_id}
    orders = apply_versions(connection, "order_versions", ("order_id",), **where)
    deleted = delete_orders(
        connection, batch.tombstones, at=batch.run.started_at, loaded_at=load.loaded_at, **where
    )
    records = apply_versions(connection, "record_versions", ("data_type", "record_id"), **where)
    sources = apply_source_records(connection, **where)
    issues = findings.apply_issues(connection, at=load.loaded_at, released=batch.released, **where)
    findings.apply_held_back(
        connection, connection_id=connection_id, run_id=batch.run.run_id, released=batch.released
    )
    findings.apply_open_orders(connection, connection_id=connection_id, at=batch.run.started_at)
    findings.apply_reconciliations(connection)
    has_snapshot = bool(orders.rows or deleted or records.rows or sources or issues or settings)
    applied = Applied(
        snapshot_id=load.snapshot_id if has_snapshot else None,
        loaded_at=load.loaded_at,
        orders_inserted=orders.inserted,
        orders_updated=orders.updated + deleted,
        orders_unchanged=batch.orders_unchanged + orders.known,
        orders_deleted=deleted,
        late=orders.late,
    )
    if has_snapshot:
        _add_snapshot(connection, batch.run, applied, orders, records.rows, sources)
        _add_setting_changes(connection, batch.run, load, settings)
    _tell_of_run(connection, batch, load, applied)
    if orders.rows or deleted:
        post(connection, snapshot_id=load.snapshot_id)
    return applied


def _apply_quiet(connection: duckdb.DuckDBPyConnection, batch: Batch, load: _Load) -> Applied:
    """A batch without a single row: a snapshot only where a setting was corrected."""
    settings = _put_connection(connection, batch.connection)
    applied = Applied(
        snapshot_id=load.snapshot_id if settings else None,
        loaded_at=load.loaded_at,
        orders_unchanged=batch.orders_unchanged,
    )
    if settings:
        _add_snapshot(connection, batch.run, applied, VersionCounts(), 0, 0)
        _add_setting_changes(connection, batch.run, load, settings)
    _tell_of_run(connection, batch, load, applied)
    return applied


def _tell_of_run(connection: duckdb.DuckDBPyConnection, batch: Batch, load: _Load, applied: Applied) -> None:
    _put_state(connection, batch, load)
    _put_run(connection, batch.run, applied)
    connection.execute(
        "UPDATE ledger.publication SET commit_id = commit_id + 1, committed_at = ?,"
        " snapshot_id = greatest(snapshot_id, ?)",
        [_plain(load.loaded_at), applied.snapshot_id or 0],
    )


def _next_load(connection: duckdb.DuckDBPyConnection, now: datetime) -> _Load:
    row = connection.execute("SELECT snapshot_id, committed_at FROM ledger.publication").fetchone()
    assert row is not None
    newest, last = row
    # A client that asks for "modified after the last I saw", cut to the second, must not miss this load.
    after_the_last = last.replace(tzinfo=UTC) + timedelta(seconds=1)
    return _Load(newest + 1, max(now.astimezone(UTC).replace(microsecond=0), after_the_last))


def _put_connection(connection: duckdb.DuckDBPyConnection, row: ConnectionRow | None) -> list[_Setting]:
    """Write what is known of the connection; what was corrected. A corrected time zone moves every version's days."""
    if row is None:
        return []
    before = connection.execute(
        f"SELECT {', '.join(_SETTINGS)} FROM ledger.connections WHERE connection_id = ?",  # noqa: S608
        [row.connection_id],
    ).fetchone()
    columns = (
        "company_id", "company_name", "connection_id", "merchant_id", "merchant_name", "platform",
        "environment", "country", "currency", "timezone", "status", "first_date",
        "fiscal_year_start",
    )  # fmt: skip
    _put(connection, "connections", ("connection_id",), {column: getattr(row, column) for column in columns})
    if before is None:
        return []
    corrected = [
        _Setting(name, was, getattr(row, name))
        for name, was in zip(_SETTINGS, before, strict=True)
        # What was not known before is learned, not corrected.
        if was is not None and was != getattr(row, name)
    ]
    if before[_SETTINGS.index("timezone")] != row.timezone:
        move_to_timezone(connection, row.connection_id, row.timezone)
    return corrected


def _add_setting_changes(
    connection: duckdb.DuckDBPyConnection, run: RunRow, load: _Load, settings: Sequence[_Setting]
) -> None:
    for setting in settings:
        _insert(
            connection,
            "setting_changes",
            {
                "company_id": run.company_id,
                "connection_id": run.connection_id,
                "snapshot_id": load.snapshot_id,
                "setting": setting.name,
                "from_value": setting.was,
                "to_value": setting.became,
            },
        )


def _timezone(connection: duckdb.DuckDBPyConnection, connection_id: str) -> str:
    row = connection.execute(
        "SELECT timezone FROM ledger.connections WHERE connection_id = ?", [connection_id]
    ).fetchone()
    return "UTC" if row is None or row[0] is None else str(row[0])


def _add_snapshot(
    connection: duckdb.DuckDBPyConnection,
    run: RunRow,
    applied: Applied,
    orders: VersionCounts,
    records_changed: int,
    source_records_changed: int,
) -> None:
    _insert(
        connection,
        "snapshots",
        {
            "snapshot_id": applied.snapshot_id,
            "run_id": run.run_id,
            "company_id": run.company_id,
            "connection_id": run.connection_id,
            "loaded_at": _plain(applied.loaded_at),
            "from_source_modified_date": orders.first,
            "to_source_modified_date": orders.last,
            "orders_inserted": applied.orders_inserted,
            "orders_updated": applied.orders_updated,
            "orders_unchanged": applied.orders_unchanged,
            "orders_deleted": applied.orders_deleted,
            "late": applied.late,
            "records_changed": records_changed,
            "source_records_changed": source_records_changed,
        },
    )


def _put_state(connection: duckdb.DuckDBPyConnection, batch: Batch, load: _Load) -> None:
    for stream, cursor in batch.cursors.items():
        before = connection.execute(
            'SELECT "cursor" FROM ledger.sync_state WHERE connection_id = ? AND stream = ?',
            [batch.run.connection_id, stream],
        ).fetchone()
        moment, present = _plain(cursor), _plain(batch.present or batch.run.started_at)
        assert moment is not None
        assert present is not None
        _put(
            connection,
            "sync_state",
            ("connection_id", "stream"),
            {
                "company_id": batch.run.company_id,
                "connection_id": batch.run.connection_id,
                "stream": stream,
                # A high-water mark: a span read again further back does not lower it, unless it is in the future.
                "cursor": moment if before is None or before[0] > present else max(moment, before[0]),
                "updated_snapshot": load.snapshot_id,
                "updated_at": _plain(load.loaded_at),
            },
        )
    for tier, completed in batch.deep_scans.items():
        _put(
            connection,
            "deep_scans",
            ("connection_id", "tier"),
            {"connection_id": batch.run.connection_id, "tier": tier, "last_completed": _plain(completed)},
        )


def _put_run(connection: duckdb.DuckDBPyConnection, run: RunRow, applied: Applied) -> None:
    before = connection.execute(
        "SELECT orders_inserted, orders_updated, orders_unchanged, snapshot_id FROM ledger.sync_runs"
        " WHERE run_id = ? AND connection_id = ?",
        [run.run_id, run.connection_id],
    ).fetchone() or (0, 0, 0, None)
    _put(
        connection,
        "sync_runs",
        ("run_id", "connection_id"),
        {
            "run_id": run.run_id,
            "company_id": run.company_id,
            "connection_id": run.connection_id,
            "kind": run.kind,
            "started_at": _plain(run.started_at),
            "finished_at": _plain(run.finished_at),
            "status": run.status,
            "requests": run.requests,
            "retries": run.retries,
            "throttled": run.throttled,
            "waited_seconds": run.waited_seconds,
            "rows_read": dict(run.rows_read),
            "orders_inserted": before[0] + applied.orders_inserted,
            "orders_updated": before[1] + applied.orders_updated,
            "orders_unchanged": before[2] + applied.orders_unchanged,
            "orders_held_back": run.orders_held_back,
            "error_kind": run.error_kind,
            "error": run.error,
            "snapshot_id": before[3] if applied.snapshot_id is None else applied.snapshot_id,
        },
    )


def _put(
    connection: duckdb.DuckDBPyConnection, table: str, keys: tuple[str, ...], row: Mapping[str, Any]
) -> None:
    """One row by its keys: the old one goes, the new one comes."""
    same = " AND ".join(f'"{key}" = ${key}' for key in keys)
    connection.execute(f"DELETE FROM ledger.{table} WHERE {same}", {key: row[key] for key in keys})  # noqa: S608
    _insert(connection, table, row)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, row: Mapping[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO ledger.{table} ({names}) VALUES ({places})", list(row.values()))  # noqa: S608


def _plain(moment: datetime | None) -> datetime | None:
    """UTC without a zone, as the ledger keeps it."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
