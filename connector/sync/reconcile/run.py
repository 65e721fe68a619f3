"""Reads Clover's lists again and proves, to the minor unit, that the store says the same. Changes no order.

How records are compared, and what counts as an explanation, is in ``comparison``. A record that Clover no longer has
becomes an open issue of its order, and the order is due to be read by the next sync, which deletes or corrects it and
closes the issue.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson

from connector.clover.lists.streams import STREAMS, is_sparse
from connector.clover.lists.window import Window
from connector.config import Company, Config, Connection
from connector.errors import ConfigError, ConnectorError
from connector.ledger import reconcile_reads
from connector.ledger.interface import Reader, Store
from connector.ledger.load.batch import Batch, NdjsonWriter, RunRow
from connector.ledger.reconcile_reads import DELETED_AT_CLOVER
from connector.ledger.stored import Stored
from connector.progress import Progress, Silent
from connector.sync.connect.connecting import Pace, connected, selected_connections
from connector.sync.many import utc_now
from connector.sync.plan import start_of
from connector.sync.read.clover import CloverAccess
from connector.sync.read.listing import ListJob, read_jobs
from connector.sync.read.rows import whole_number
from connector.sync.read.rows_without_id import with_an_id
from connector.sync.reconcile.comparison import (
    DayLine,
    Difference,
    Line,
    Published,
    Reason,
    SourceRecord,
    compare,
    compare_money,
)
from connector.sync.reconcile.report import (
    ConnectionReconciliation,
    ReconciledLine,
    ReconciledRecord,
    ReconcileReport,
)
from connector.sync.run import new_run_id
from schemas.money import exponent, to_decimal, to_minor
from schemas.times import as_milliseconds, from_ms, is_usable, ledger_text


def reconcile_all(
    config: Config,
    store: Store,
    *,
    company: str | None = None,
    connection: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress | None = None,
    now: Callable[[], datetime] = utc_now,
    pace: Pace | None = None,
    transport: httpx.BaseTransport | None = None,
) -> ReconcileReport:
    """Reconcile every selected connection, one after the other, and keep the results where analysts see them.

    since: default start_date. until: default now. Raises ConfigError when nothing is selected.
    """
    pace = pace or Pace(config)
    results = []
    for owner, candidate in selected_connections(config, company, connection):
        started = now()
        result = ConnectionReconciliation(
            new_run_id(started),
            owner.id,
            owner.name,
            candidate.id,
            since or start_of(candidate),
            until or started,
        )
        try:
            with store.run_lock(candidate.id):
                store.repair()
                _reconcile(
                    config, store, candidate, result, pace, (progress or Silent()).of(owner.name), transport
                )
                result.seconds = (now() - started).total_seconds()
                _keep(store, result, owner, started, now())
        except ConnectorError as error:
            result.error, result.hint, result.exit_code = error.message, error.hint, error.exit_code
        result.seconds = (now() - started).total_seconds()
        results.append(result)
    return ReconcileReport(results)


def _reconcile(
    config: Config,
    store: Store,
    connection: Connection,
    result: ConnectionReconciliation,
    pace: Pace,
    progress: Progress,
    transport: httpx.BaseTransport | None,
) -> None:
    if result.since >= result.until:
        raise ConfigError("The span to reconcile is empty: --since is not before --until.")
    with (
        store.open_reader() as reader,
        connected(
            config, connection, pace, run_id=result.run_id, raw_directory=None, transport=transport
        ) as access,
    ):
        stored = _stored(reader, connection, result)
        listed = _listed(access, connection, result, stored, progress)
        before = Stored(reader.connection, connection.id)
        cursor = before.cursor()
        unshown = reconcile_reads.unshown_records(reader.connection, connection.id)
        held_back = {(kind, record_id): reason for (kind, record_id), reason in unshown.items() if reason}
        unusable = {(kind, record_id) for kind, record_id, _ in with_an_id(before.unusable_records())}
        reasons = {(kind, record_id): reason for kind, record_id, _, reason, _, _ in before.held_back()}
        held_back |= {key: reasons[key] for key in unusable}
        published = _published(reader, connection, result)
        # Within the overlap a record may have become visible late; the next sync reads that span again.
        seen_until = None if cursor is None else cursor - config.sync.overlap
        lines, differences = compare(listed, stored, seen_until=seen_until, held_back=held_back, uncounted={})
        why = {(difference.stream, difference.record_id): difference.reason for difference in differences}
        money, unequal = compare_money(listed, stored, published, why=why, held_back=held_back)
        result.requests = access.client.meter.requests
    records = {(day, f"{stream}s", currency): line for (day, stream, currency), line in lines.items()}
    result.lines = [_line(key, line) for key, line in sorted((records | money).items())]
    result.differences = [_record(difference, f"{difference.stream}s") for difference in differences]
    result.differences += [_record(difference, difference.stream) for difference in unequal]
    result.deleted = [difference for difference in differences if difference.reason is Reason.DELETED]


def _published(
    reader: Reader, connection: Connection, result: ConnectionReconciliation
) -> dict[str, Published]:
    zone = ZoneInfo(connection.timezone)
    payments = {}
    for payment_id, currencies, amounts, is_refund, created in reconcile_reads.published_payments(
        reader.connection, connection.id
    ):
        day = (created.replace(tzinfo=UTC) if created else result.until).astimezone(zone).date()
        minor = (to_minor(amount, exponent(code)) for amount, code in zip(amounts, currencies, strict=True))
        payments[payment_id] = Published(payment_id, is_refund, day, tuple(currencies), tuple(minor))
    return payments


def _stored(
    reader: Reader, connection: Connection, result: ConnectionReconciliation
) -> dict[tuple[str, str], SourceRecord]:
    zone = ZoneInfo(connection.timezone)
    records = {}
    for stream in STREAMS:
        rows = reconcile_reads.stored_records(
            reader.connection, connection.id, stream.kind, result.since, result.until
        )
        for record_id, order_id, created, amount, currency, payload in rows:
            row = orjson.loads(payload)
            # What Clover does not date is booked under an assumed time, which no list of a span goes by.
            aware = created.replace(tzinfo=UTC) if created and _created(row, result.until) else None
            records[stream.kind, record_id] = SourceRecord(
                stream.kind,
                record_id,
                aware,
                (aware or result.until).astimezone(zone).date(),
                currency or "XXX",
                amount or 0,
                row,
                order_id or (record_id if stream.kind == "order" else None),
            )
    return records


def _listed(
    access: CloverAccess,
    connection: Connection,
    result: ConnectionReconciliation,
    stored: Mapping[tuple[str, str], SourceRecord],
    progress: Progress,
) -> list[SourceRecord]:
    """Every row Clover lists for the span. A sparse row takes what it lacks from the store, or is read by id."""
    zone = ZoneInfo(connection.timezone)
    windows = Window(result.since, result.until).split(access.window_days)
    jobs = [ListJob(stream, window) for window in windows for stream in STREAMS]
    progress.stage("extract", total=len(jobs))
    records: list[SourceRecord] = []
    unknown: dict[str, list[str]] = {stream.kind: [] for stream in STREAMS}
    for item in read_jobs(jobs, access.walk, workers=access.workers):
        if item.page is None:
            progress.advance()
            continue
        kind = item.job.stream.kind
        for row in item.page.rows:
            known = stored.get((kind, str(row["id"])))
            if known is not None:
                amount = whole_number(row.get("amount"))
                currency = str(row.get("currency") or known.currency).upper()
                records.append(
                    SourceRecord(
                        kind, known.record_id, known.created, known.day, currency,
                        known.amount_minor if amount is None else amount, {**known.row, **row},
                    )
                )  # fmt: skip
            elif is_sparse(item.job.stream, row) or kind == "refund":
                unknown[kind].append(str(row["id"]))
            else:
                records.append(_read(kind, row, zone, result.until))
    currencies = {key[1]: record.currency for key, record in stored.items() if key[0] == "charge"}
    currencies |= {record.record_id: record.currency for record in records if record.stream == "charge"}
    for kind, ids in unknown.items():
        for read in access.read_many(kind, ids):
            if read.row is not None:
                row = read.row
                if kind == "refund" and not row.get("currency"):
                    row = {**row, "currency": currencies.get(str(row.get("charge")), "XXX")}
                records.append(_read(kind, row, zone, result.until))
    return records


def _read(kind: str, row: Mapping[str, Any], zone: ZoneInfo, until: datetime) -> SourceRecord:
    created = _created(row, until)
    currency = str(row.get("currency") or "XXX").upper()
    return SourceRecord(
        kind,
        str(row["id"]),
        created,
        (created or until).astimezone(zone).date(),
        currency,
        whole_number(row.get("amount")) or 0,
        row,
    )


def _created(row: Mapping[str, Any], now: datetime) -> datetime | None:
    number = whole_number(row.get("created"))
    created_ms = None if number is None else int(as_milliseconds(number))
    return from_ms(created_ms) if created_ms is not None and is_usable(created_ms, now) else None


def _line(key: Line, line: DayLine) -> ReconciledLine:
    day, stream, currency = key
    return ReconciledLine(
        day=day,
        stream=stream,
        currency=currency,
        clover_count=line.clover_count,
        clover_amount=to_decimal(line.clover_minor, exponent(currency)),
        stored_count=line.stored_count,
        stored_amount=to_decimal(line.stored_minor, exponent(currency)),
        explained=to_decimal(line.explained_minor, exponent(currency)),
        unexplained=to_decimal(line.unexplained_minor, exponent(currency)),
        unexplained_records=line.unexplained_records,
        reasons=line.reasons,
    )


def _record(difference: Difference, stream: str) -> ReconciledRecord:
    return ReconciledRecord(
        stream, difference.record_id, difference.day, difference.currency,
        to_decimal(difference.amount_minor, exponent(difference.currency)), difference.reason.value, difference.detail,
    )  # fmt: skip


def _keep(
    store: Store, result: ConnectionReconciliation, owner: Company, started: datetime, finished: datetime
) -> None:
    """Store the lines where ``status``, the read API and analysts find them."""
    directory = store.begin_run(result.run_id)
    try:
        with NdjsonWriter(directory) as writer:
            writer.write("reconciliations", (_row(result, line, started) for line in result.lines))
            writer.write("data_issues", (_issue(result, difference) for difference in result.deleted))
            writer.write("open_orders", _to_read_again(result, started))
            files = writer.close()
        run = RunRow(
            result.run_id, owner.id, result.connection_id, "reconcile", started, finished,
            status="succeeded" if result.agrees else "partly_done", requests=result.requests,
        )  # fmt: skip
        store.apply(Batch(run=run, files=files))
        store.publish()
    finally:
        store.end_run(result.run_id)


def _row(result: ConnectionReconciliation, line: ReconciledLine, at: datetime) -> dict[str, Any]:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(line.reasons.items()))
    return {
        "run_id": result.run_id,
        "company_id": result.company_id,
        "connection_id": result.connection_id,
        "reconciled_at": ledger_text(at),
        "since": ledger_text(result.since),
        "until": ledger_text(result.until),
        "day": line.day.isoformat(),
        "stream": line.stream,
        "currency": line.currency,
        "clover_count": line.clover_count,
        "clover_amount": str(line.clover_amount),
        "stored_count": line.stored_count,
        "stored_amount": str(line.stored_amount),
        "explained": str(line.explained),
        "unexplained": str(line.unexplained),
        "detail": reasons or None,
    }


def _issue(result: ConnectionReconciliation, difference: Difference) -> dict[str, Any]:
    return {
        "company_id": result.company_id,
        "connection_id": result.connection_id,
        "order_id": difference.order_id,
        "code": DELETED_AT_CLOVER,
        "severity": "warning",
        "detail": f"Clover no longer lists the {difference.stream} {difference.record_id};"
        " the next sync reads its order again.",
        "difference_minor": difference.amount_minor,
        "currency": difference.currency,
    }


def _to_read_again(result: ConnectionReconciliation, started: datetime) -> list[dict[str, Any]]:
    orders = sorted({difference.order_id for difference in result.deleted if difference.order_id is not None})
    return [
        {
            "connection_id": result.connection_id,
            "order_id": order_id,
            "reason": DELETED_AT_CLOVER,
            "polled_at": ledger_text(started),
            "next_poll": ledger_text(started),
        }
        for order_id in orders
    ]
