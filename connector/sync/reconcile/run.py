"""Reads Clover's lists again and proves, to the minor unit, that the store says the same. Changes no order.

How records are compared, and what counts as an explanation, is in ``comparison``, their money in ``money``. A record
that Clover no longer has becomes an open issue of its order, and the order is due to be read by the next sync, which
deletes or corrects it and closes the issue.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connector.clover.lists.streams import STREAMS, is_sparse
from connector.clover.lists.window import Window
from connector.config import Connection
from connector.errors import ConfigError, ConnectorError
from connector.ledger import reconcile_reads
from connector.ledger.interface import Reader, Store
from connector.ledger.load.batch import Batch, NdjsonWriter, RunRow
from connector.ledger.reconcile_reads import DELETED_AT_CLOVER
from connector.ledger.stored import Stored
from connector.logs import bound
from connector.progress import Progress, Silent
from connector.sync.connect.connecting import selected_connections
from connector.sync.plan import cursor_of, start_of
from connector.sync.read.clover import CloverAccess
from connector.sync.read.listing import GrowingJobs, read_jobs
from connector.sync.read.rows import whole_number
from connector.sync.read.rows_without_id import with_an_id
from connector.sync.reconcile.comparison import (
    Difference,
    Line,
    Published,
    RecordKey,
    SourceRecord,
    compare,
)
from connector.sync.reconcile.money import compare_money
from connector.sync.reconcile.report import ConnectionReconciliation, ReconcileReport
from connector.sync.run import new_run_id
from connector.sync.runtime import Runtime
from connector.sync.side_by_side import Pair
from schemas.money import exponent, to_minor
from schemas.times import as_milliseconds, from_ms, is_usable, ledger_text


def reconcile_all(
    runtime: Runtime,
    *,
    company: str | None = None,
    connection: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress | None = None,
) -> ReconcileReport:
    """Reconcile every selected connection, several side by side, and keep the results where analysts see them.

    since: default start_date. until: default now. Raises ConfigError when nothing is selected.
    """
    shown = progress or Silent()

    def run(here: Runtime, pair: Pair) -> ConnectionReconciliation:
        owner, merchant = pair
        here = replace(here, store=here.store.store_of(owner.id))
        started = here.now()
        result = ConnectionReconciliation(
            new_run_id(started), owner.id, owner.name, merchant.id,
            since or start_of(merchant), until or started, started,
        )  # fmt: skip
        of_run = {"run_id": result.run_id, "company": owner.name, "company_id": owner.id}
        try:
            with bound(**of_run, connection_id=merchant.id), here.store.run_lock(merchant.id):
                here.store.repair(merchant.id)
                _reconcile(here, merchant, result, shown.of(owner.name))
                result.finished = here.now()
                _keep(here.store, result)
        except ConnectorError as error:
            _failed(result, error)
        result.finished = here.now()
        return result

    todo = selected_connections(runtime.config, company, connection)
    return ReconcileReport(runtime.run_many(todo, run, _failed))


def _failed(result: ConnectionReconciliation, error: ConnectorError) -> None:
    if result.error is None:
        result.error, result.hint, result.exit_code = error.message, error.hint, error.exit_code


def _reconcile(
    runtime: Runtime, connection: Connection, result: ConnectionReconciliation, progress: Progress
) -> None:
    if result.since >= result.until:
        raise ConfigError("The span to reconcile is empty: --since is not before --until.")
    with (
        runtime.store.open_reader() as reader,
        runtime.connected(connection, result.run_id, keep_raw=False) as access,
    ):
        sides = _Sides(reader, connection, Window(result.since, result.until))
        stored = sides.stored()
        listed = sides.listed(access, stored, progress)
        held_back, published = sides.held_back(), sides.published()
        # Within the overlap a record may have become visible late; the next sync reads that span again.
        cursor = cursor_of(Stored(reader.connection, connection.id))
        seen_until = None if cursor is None else cursor - runtime.config.sync.overlap
        records = compare(listed, stored, seen_until=seen_until, held_back=held_back)
        why = {
            (difference.kind, difference.record_id): difference.reason for difference in records.differences
        }
        money = compare_money(listed, stored, published, why=why, held_back=held_back)
        result.requests = access.client.meter.requests
    result.lines = [line for _, line in sorted((records.lines | money.lines).items())]
    result.differences = records.differences + money.differences


@dataclass(frozen=True, slots=True)
class _Sides:
    """What Clover and the store say of one connection's records of a span."""

    reader: Reader
    connection: Connection
    span: Window

    def stored(self) -> dict[RecordKey, SourceRecord]:
        """The records as they are stored."""
        records = {}
        for stream in STREAMS.values():
            rows = reconcile_reads.stored_records(
                self.reader.connection, self.connection.id, stream.kind, self.span.since, self.span.until
            )
            for record_id, order_id, created, amount, currency, payload in rows:
                row = orjson.loads(payload)
                # What Clover does not date is booked under an assumed time, which no list of a span goes by.
                aware = created.replace(tzinfo=UTC) if created and self._created(row) else None
                order = order_id or (record_id if stream.kind == "order" else None)
                records[stream.kind, record_id] = SourceRecord(
                    stream.kind,
                    record_id,
                    aware,
                    self._day(aware),
                    currency or "XXX",
                    amount or 0,
                    row,
                    order,
                )
        return records

    def held_back(self) -> dict[RecordKey, str]:
        """Records that no published order shows, with the reason where there is one."""
        stored = Stored(self.reader.connection, self.connection.id)
        unshown = reconcile_reads.unshown_records(self.reader.connection, self.connection.id)
        held_back = {key: reason for key, reason in unshown.items() if reason}
        unusable = {(kind, record_id) for kind, record_id, _ in with_an_id(stored.unusable_records())}
        reasons = {(kind, record_id): reason for kind, record_id, _, reason, _, _ in stored.held_back()}
        return held_back | {key: reasons[key] for key in unusable}

    def published(self) -> dict[str, Published]:
        """Payment id -> what published orders carry of it."""
        payments = {}
        for payment_id, currencies, amounts, is_refund, created in reconcile_reads.published_payments(
            self.reader.connection, self.connection.id
        ):
            day = self._day(created.replace(tzinfo=UTC) if created else None)
            minor = (
                to_minor(amount, exponent(code)) for amount, code in zip(amounts, currencies, strict=True)
            )
            payments[payment_id] = Published(payment_id, is_refund, day, tuple(currencies), tuple(minor))
        return payments

    def listed(
        self, access: CloverAccess, stored: Mapping[RecordKey, SourceRecord], progress: Progress
    ) -> list[SourceRecord]:
        """Every row Clover lists for the span. A sparse row takes what it lacks from the store, or is read by id."""
        records: list[SourceRecord] = []
        unknown: dict[str, list[str]] = {kind: [] for kind in STREAMS}
        for kind, row in self._rows(access, progress):
            known = stored.get((kind, str(row["id"])))
            if known is not None:
                amount = whole_number(row.get("amount"))
                currency = str(row.get("currency") or known.currency).upper()
                minor = known.amount_minor if amount is None else amount
                records.append(
                    SourceRecord(*known.key, known.created, known.day, currency, minor, {**known.row, **row})
                )
            elif kind == "refund" or is_sparse(STREAMS[kind], row):
                unknown[kind].append(str(row["id"]))
            else:
                records.append(self._read(kind, row))
        currencies = {key[1]: record.currency for key, record in stored.items() if key[0] == "charge"}
        currencies |= {record.record_id: record.currency for record in records if record.kind == "charge"}
        for kind, ids in unknown.items():
            for read in access.read_many(kind, dict.fromkeys(ids)):
                if read.row is not None:
                    row = read.row
                    if kind == "refund" and not row.get("currency"):
                        row = {**row, "currency": currencies.get(str(row.get("charge")), "XXX")}
                    records.append(self._read(kind, row))
        return records

    def _rows(self, access: CloverAccess, progress: Progress) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(kind, row) of every list of the span, in windows of the length that fits."""
        jobs = GrowingJobs({stream: [self.span] for stream in STREAMS.values()}, access.lengths)
        progress.stage("extract", total=len(STREAMS) * self.span.days)
        for item in read_jobs(jobs, access.walk, workers=access.workers):
            if item.page is None:
                progress.advance(item.job.window.days)
                continue
            progress.rows(len(item.page.rows))
            for row in item.page.rows:
                yield item.job.stream.kind, row

    def _read(self, kind: str, row: Mapping[str, Any]) -> SourceRecord:
        created, currency = self._created(row), str(row.get("currency") or "XXX").upper()
        amount = whole_number(row.get("amount")) or 0
        return SourceRecord(kind, str(row["id"]), created, self._day(created), currency, amount, row)

    def _created(self, row: Mapping[str, Any]) -> datetime | None:
        number = whole_number(row.get("created"))
        created_ms = None if number is None else int(as_milliseconds(number))
        return (
            from_ms(created_ms) if created_ms is not None and is_usable(created_ms, self.span.until) else None
        )

    def _day(self, at: datetime | None) -> date:
        """The merchant's day; of what has no time that of the comparison."""
        return (at or self.span.until).astimezone(ZoneInfo(self.connection.timezone)).date()


def _keep(store: Store, result: ConnectionReconciliation) -> None:
    """Store the lines where ``status``, the read API and analysts find them."""
    directory = store.begin_run(result.run_id)
    try:
        with NdjsonWriter(directory) as writer:
            writer.write("reconciliations", (_row(result, line) for line in result.lines))
            # Only what an order is read again for: the next sync closes it.
            of_orders = [difference for difference in result.deleted if difference.order_id is not None]
            writer.write("data_issues", (_issue(result, difference) for difference in of_orders))
            writer.write("open_orders", _to_read_again(result))
            files = writer.close()
        run = RunRow(
            result.run_id, result.company_id, result.connection_id, "reconcile", result.started, result.finished,
            status="succeeded" if result.agrees else "partly_done", requests=result.requests,
        )  # fmt: skip
        store.apply(Batch(run=run, files=files))
        store.publish_soon(result.connection_id)
    finally:
        store.end_run(result.run_id)


def _row(result: ConnectionReconciliation, line: Line) -> dict[str, Any]:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(line.reasons.items()))
    return {
        "run_id": result.run_id,
        "company_id": result.company_id,
        "connection_id": result.connection_id,
        "reconciled_at": ledger_text(result.started),
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
        "detail": f"Clover no longer lists the {difference.kind} {difference.record_id};"
        " the next sync reads its order again.",
        "difference_minor": difference.amount_minor,
        "currency": difference.currency,
    }


def _to_read_again(result: ConnectionReconciliation) -> list[dict[str, Any]]:
    orders = sorted({difference.order_id for difference in result.deleted if difference.order_id is not None})
    return [
        {
            "connection_id": result.connection_id,
            "order_id": order_id,
            "reason": DELETED_AT_CLOVER,
            "polled_at": ledger_text(result.started),
            "next_poll": ledger_text(result.started),
        }
        for order_id in orders
    ]
