"""One run of one connection: lock, plan, pieces, report. Fails clean: a failed run is recorded and nothing else."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import structlog

from connector.clover.client import CloverClient
from connector.clover.streams import STREAMS
from connector.config import Company, Config, Connection
from connector.errors import ConfigError, ConnectorError, Deauthorized, StoreBusy
from connector.progress import Progress
from connector.store.interface import Store
from connector.sync.access import CloverAccess
from connector.sync.batch_files import BatchFiles
from connector.sync.connecting import Pace, connected, merchant_of, witnessed
from connector.sync.known import Known
from connector.sync.loading import Loading
from connector.sync.mapping import MappedBatch
from connector.sync.modes import SyncMode
from connector.sync.parallel import WORTH_IT_FROM, map_in_processes
from connector.sync.pipeline import Plan, map_piece, read_piece
from connector.sync.replay import stage_archive
from connector.sync.report import Change, RunReport
from connector.sync.spans import Span, asked_span, incremental_span, pieces
from connector.sync.staging import Staging
from connector.sync.witness import Witness

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What all runs of a process share. now: the clock, aware UTC. transport: replaces the network in tests."""

    config: Config
    store: Store
    pace: Pace
    now: Callable[[], datetime]
    transport: httpx.BaseTransport | None = None

    @property
    def raw_directory(self) -> Path:
        return self.store.directory / "raw"


def run_connection(
    runtime: Runtime, company: Company, connection: Connection, mode: SyncMode, progress: Progress
) -> RunReport:
    """Run one connection from start to end. Never raises for what a user may meet: the report says it."""
    started = runtime.now()
    report = RunReport(
        run_id=new_run_id(started),
        company_id=company.id,
        company_name=company.name,
        connection_id=connection.id,
        kind=mode.kind,
        started_at=started,
    )
    with structlog.contextvars.bound_contextvars(
        run_id=report.run_id, company_id=company.id, connection_id=connection.id
    ):
        run = _Run(runtime, company, connection, mode, report, progress)
        try:
            with runtime.store.run_lock(connection.id):
                run.under_lock()
        except ConnectorError as error:
            _note_failure(report, error)
        report.finished_at = report.finished_at or runtime.now()
        _log_line(report)
    return report


def new_run_id(at: datetime) -> str:
    """Unique, and in order of time when sorted as text."""
    return f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def start_of(connection: Connection) -> datetime:
    """Midnight of the start date in the merchant's own time zone, as aware UTC."""
    local = datetime.combine(connection.start_date, time(), tzinfo=ZoneInfo(connection.timezone))
    return local.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Run:
    runtime: Runtime
    company: Company
    connection: Connection
    mode: SyncMode
    report: RunReport
    progress: Progress

    @property
    def loading(self) -> Loading:
        return Loading(self.runtime.store, self.company, self.connection, self.report)

    def under_lock(self) -> None:
        """The run itself; what goes wrong is recorded while the lock is still held."""
        self.runtime.store.repair()
        try:
            with self._directory() as directory:
                if self.mode.kind == "rebuild":
                    at = self.report.started_at
                    self._piece(Span(at, at, moves_cursor=False), directory, None, None, last=True)
                else:
                    self._read_and_load(directory)
            if self.report.unreadable:
                self.report.status, self.report.exit_code = "partly_done", 3
        except ConnectorError as error:
            _note_failure(self.report, error)
            self.report.finished_at = self.runtime.now()
            if not self.mode.dry_run:
                self.loading.record_failure(deauthorized=isinstance(error, Deauthorized))

    def _read_and_load(self, directory: Path) -> None:
        runtime = self.runtime
        with (
            connected(
                runtime.config,
                self.connection,
                runtime.pace,
                run_id=self.report.run_id,
                raw_directory=None if self.mode.dry_run else runtime.raw_directory,
                transport=runtime.transport,
            ) as access,
            witnessed(runtime.config, self.connection, runtime.pace, transport=runtime.transport) as witness,
        ):
            clients = [access.client] + ([witness.client] if witness else [])
            try:
                todo = pieces(self._span())
                for number, span in enumerate(todo, start=1):
                    self._piece(span, directory, access, witness, last=number == len(todo))
                    _count_requests(self.report, clients)
            finally:
                _count_requests(self.report, clients)

    def _piece(
        self, span: Span, directory: Path, access: CloverAccess | None, witness: Witness | None, *, last: bool
    ) -> None:
        """Read, map and load one piece of the span, with a notebook of its own."""
        work = Path(tempfile.mkdtemp(dir=directory))
        staging = Staging(work / "staging.sqlite")
        report = self.report
        try:
            with self.runtime.store.open_reader() as reader:
                known = Known(reader, self.connection.id)
                plan = self._plan(span, known, last=last)
                if access is None:
                    intake = stage_archive(
                        self.runtime.raw_directory, self.connection.id, staging, self.progress
                    )
                else:
                    intake = read_piece(plan, access, known, staging, self.progress, witness)
                for kind, rows in intake.rows.items():
                    report.rows_read[kind] = report.rows_read.get(kind, 0) + rows
                files = BatchFiles(work, self.company.id, self.connection.id)

                def note_changes(batch: MappedBatch) -> None:
                    if self.mode.dry_run:
                        report.changes.extend(_changes(batch, known))

                large = staging.count_dirty() >= WORTH_IT_FROM
                result = map_piece(
                    plan,
                    staging,
                    known,
                    files,
                    self.progress,
                    intake=intake,
                    run_batches=map_in_processes if large else None,
                    on_batch=note_changes,
                )
        finally:
            staging.close()
        report.orders_mapped += result.mapped
        report.held_back.update(files.held_back)
        report.unreadable += files.unreadable
        report.issues.update(files.issues)
        if self.mode.dry_run:
            report.orders_unchanged += result.unchanged
            return
        self.progress.stage("load")
        if access is not None:
            _count_requests(report, [access.client] + ([witness.client] if witness else []))
        if last:
            report.finished_at = self.runtime.now()
        moves = self.mode.kind == "sync" and span.moves_cursor
        self.loading.apply(
            span,
            files,
            unchanged=result.unchanged,
            cursors={f"{stream.kind}s": span.until for stream in plan.streams} if moves else {},
            last=last,
            progress=self.progress,
        )

    def _plan(self, span: Span, known: Known, *, last: bool) -> Plan:
        ordinary = last and self.mode.kind == "sync"
        sync, cursor = self.runtime.config.sync, known.cursor()
        return Plan(
            company_id=self.company.id,
            connection_id=self.connection.id,
            merchant=merchant_of(self.connection),
            span=span,
            run_start=self.report.started_at,
            window_days=sync.window_days,
            unpaid_orders=sync.unpaid_orders,
            streams=tuple(s for s in STREAMS if self.mode.stream in (None, f"{s.kind}s")),
            poll=known.orders_to_poll(self.report.started_at) if ordinary else (),
            retry=known.unreadable_records() if ordinary else (),
            read_sparse_again="nightly" in span.deep_scans and cursor is not None,
            hints_since=cursor if ordinary else None,
        )

    def _span(self) -> Span:
        mode, run_start, start = self.mode, self.report.started_at, start_of(self.connection)
        with self.runtime.store.open_reader() as reader:
            known = Known(reader, self.connection.id)
            cursor, scans = known.cursor(), known.deep_scans()
        if mode.full:
            return asked_span(since=None, until=None, cursor=None, start=start, run_start=run_start)
        if mode.since or mode.until or mode.kind == "resync":
            span = asked_span(
                since=mode.since, until=mode.until, cursor=cursor, start=start, run_start=run_start
            )
            if span.since >= span.until:
                raise ConfigError(
                    "The span asked for is empty: it ends before it begins.", hint="Check --since."
                )
            return span
        overlap = self.runtime.config.sync.overlap
        return incremental_span(
            cursor=cursor, start=start, overlap=overlap, run_start=run_start, last_deep_scans=scans
        )

    @contextmanager
    def _directory(self) -> Iterator[Path]:
        """Where the run keeps its notebook and files; a dry run leaves nothing in the store's directory."""
        if self.mode.dry_run:
            with tempfile.TemporaryDirectory(prefix="connector-") as directory:
                yield Path(directory)
            return
        directory_of_run = self.runtime.store.begin_run(self.report.run_id)
        try:
            yield directory_of_run
        finally:
            self.runtime.store.end_run(self.report.run_id)


def _changes(batch: MappedBatch, known: Known) -> list[Change]:
    """What a batch would change, with old and new totals in major units."""
    before = known.totals([row["order_id"] for row in batch.rows] + batch.tombstones)
    found = []
    for row in batch.rows:
        old = before.get(row["order_id"])
        found.append(
            Change(
                order_id=row["order_id"],
                currency=row["currency"],
                old_total=old[1] if old else None,
                new_total=Decimal(row["total_amount"]),
                old_refund=old[2] if old else None,
                new_refund=Decimal(row["total_refund"]),
            )
        )
    deleted = {order_id: before[order_id] for order_id in batch.tombstones if order_id in before}
    return found + [Change(order_id, old[0], old[1], None, old[2], None) for order_id, old in deleted.items()]


def _note_failure(report: RunReport, error: ConnectorError) -> None:
    report.status, report.exit_code = "failed", error.exit_code
    report.error_kind, report.error, report.hint = error.kind, error.message, error.hint
    if isinstance(error, StoreBusy):
        report.error_kind = "busy"


def _count_requests(report: RunReport, clients: list[CloverClient]) -> None:
    meters = [client.meter for client in clients]
    report.requests = sum(meter.requests for meter in meters)
    report.retries = sum(meter.retries for meter in meters)
    report.throttled = sum(meter.throttled for meter in meters)
    report.waited_seconds = sum(meter.waited_seconds for meter in meters)


def _log_line(report: RunReport) -> None:
    fields = {
        "status": report.status,
        "orders": report.orders_mapped,
        "inserted": report.orders_inserted,
        "updated": report.orders_updated,
        "held_back": sum(report.held_back.values()),
        "requests": report.requests,
        "retries": report.retries,
        "seconds": round(report.seconds, 2),
    }
    if report.status == "failed":
        log.error(
            "connection.synced", **fields, error_kind=report.error_kind, error=report.error, hint=report.hint
        )
    else:
        log.info("connection.synced", **fields)
