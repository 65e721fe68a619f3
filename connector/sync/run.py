"""One run of one connection: lock, plan, pieces, report. Fails clean: a failed run is recorded and nothing else."""

import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import structlog

from connector.clover.client import CloverClient
from connector.clover.platform import MerchantProfile
from connector.clover.streams import STREAMS
from connector.config import Company, Config, Connection
from connector.errors import ConfigError, ConnectorError, Deauthorized, StoreBusy, StoreError
from connector.progress import Progress
from connector.store.interface import Store
from connector.sync.access import CloverAccess
from connector.sync.batch_files import BatchFiles
from connector.sync.connecting import Pace, connected, merchant_of, witnessed
from connector.sync.known import Known, known_of
from connector.sync.loading import Loading
from connector.sync.mapping import MappedBatch
from connector.sync.modes import SyncMode
from connector.sync.parallel import MappingProcesses
from connector.sync.pipeline import Plan, map_piece, read_piece
from connector.sync.platform_customers import CUSTOMERS, fill_in_customers
from connector.sync.replay import stage_archive
from connector.sync.report import Change, RunReport
from connector.sync.side_records import SideRecords
from connector.sync.spans import Span, asked_span, incremental_span, pieces
from connector.sync.staging import Staging
from connector.sync.witness import Witness
from transforms.model import Merchant

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
        try:
            with runtime.store.run_lock(connection.id), MappingProcesses() as processes:
                _Run(runtime, company, connection, mode, report, progress, processes).under_lock()
        except Exception as error:
            _note_failure(report, _explained(error))
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
    processes: MappingProcesses

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
                    self._commit([Span(at, at, moves_cursor=False)], directory, None, None, None)
                else:
                    self._read_and_load(directory)
            if self.report.unreadable:
                self.report.status, self.report.exit_code = "partly_done", 3
        except Exception as error:
            _note_failure(self.report, _explained(error))
            self.report.finished_at = self.runtime.now()
            if not self.mode.dry_run:
                deauthorized = isinstance(error, Deauthorized)
                self.loading.record_failure(deauthorized=deauthorized, merchant=self._merchant_as_stored())

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
                profile = witness.profile() if witness else None
                left = pieces(self._span())
                while left:
                    left = self._commit(left, directory, access, witness, profile)
            finally:
                _count_requests(self.report, clients)

    def _commit(
        self,
        todo: list[Span],
        directory: Path,
        access: CloverAccess | None,
        witness: Witness | None,
        profile: MerchantProfile | None,
    ) -> list[Span]:
        """Read, map and load as many pieces as make one commit, with a notebook of its own. Returns what is left."""
        work = Path(tempfile.mkdtemp(dir=directory))
        staging = Staging(work / "staging.sqlite")
        report, left = self.report, list[Span]()
        try:
            with self.runtime.store.open_reader() as reader:
                known = known_of(reader, self.connection.id)
                plan = self._plan(todo, known, profile)
                if access is None:
                    raw = self.runtime.raw_directory
                    intake = stage_archive(raw, known, staging, self.progress)
                else:
                    intake, left = read_piece(plan, access, known, staging, self.progress, witness)
                    _count_requests(report, [access.client] + ([witness.client] if witness else []))
                for kind, rows in intake.rows.items():
                    report.rows_read[kind] = report.rows_read.get(kind, 0) + rows
                files = BatchFiles(work, self.company.id, self.connection.id)

                def note_changes(batch: MappedBatch) -> None:
                    if self.mode.dry_run:
                        report.changes.extend(_changes(batch, known))

                def fill_in(side: SideRecords) -> None:
                    if witness is not None:
                        nightly = not left and "nightly" in todo[-1].deep_scans
                        stored = (lambda: known.record_ids(CUSTOMERS)) if nightly else None
                        fill_in_customers(witness, side, plan.run_start, stored=stored)

                result = map_piece(
                    plan,
                    staging,
                    known,
                    files,
                    self.progress,
                    intake=intake,
                    processes=self.processes,
                    on_batch=note_changes,
                    fill_in=fill_in,
                )
        finally:
            staging.close()
        report.orders_mapped += result.mapped
        report.held_back.update(files.held_back)
        report.unreadable += files.unreadable
        report.issues.update(files.issues)
        report.unknown_words.update(files.unknown_words)
        if self.mode.dry_run:
            report.orders_unchanged += result.unchanged
            return left
        self.progress.stage("load")
        if not left:
            report.finished_at = self.runtime.now()
        done = todo[len(todo) - len(left) - 1]
        moves = self.mode.kind == "sync" and done.moves_cursor
        self.loading.apply(
            done,
            files,
            unchanged=result.unchanged,
            cursors={f"{stream.kind}s": done.until for stream in plan.streams} if moves else {},
            last=not left,
            progress=self.progress,
            merchant=plan.merchant,
        )
        return left

    def _plan(self, todo: list[Span], known: Known, profile: MerchantProfile | None) -> Plan:
        ordinary = self.mode.kind == "sync"
        sync, cursor = self.runtime.config.sync, known.cursor()
        return Plan(
            company_id=self.company.id,
            connection_id=self.connection.id,
            merchant=merchant_of(self.connection, profile, known.merchant()),
            pieces=tuple(todo),
            run_start=self.report.started_at,
            window_days=sync.window_days,
            unpaid_orders=sync.unpaid_orders,
            streams=tuple(s for s in STREAMS if self.mode.stream in (None, f"{s.kind}s")),
            poll=known.orders_to_poll(self.report.started_at) if ordinary else (),
            retry=known.unreadable_records() if ordinary else (),
            unnamed=known.unnamed(),
            # A person who asks for a span wants all of it again; nobody has to on a first sync.
            read_sparse_again=cursor is not None
            and (self.mode.asks_for_a_span or "nightly" in todo[-1].deep_scans),
            hints_since=cursor if ordinary else None,
        )

    def _merchant_as_stored(self) -> Merchant:
        try:
            with self.runtime.store.open_reader() as reader:
                before = known_of(reader, self.connection.id).merchant()
        except StoreError:
            before = None
        return merchant_of(self.connection, None, before)

    def _span(self) -> Span:
        mode, run_start, start = self.mode, self.report.started_at, start_of(self.connection)
        with self.runtime.store.open_reader() as reader:
            known = known_of(reader, self.connection.id)
            cursor, scans = known.cursor(), known.deep_scans()
        if mode.full:
            return asked_span(since=None, until=None, cursor=None, start=start, run_start=run_start)
        if mode.asks_for_a_span:
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
    before = known.totals([change[0] for change in batch.changes] + batch.tombstones)
    found = []
    for order_id, currency, amount, refund in batch.changes:
        old = before.get(order_id)
        found.append(Change(order_id, currency, old and old[1], amount, old and old[2], refund))
    deleted = {order_id: before[order_id] for order_id in batch.tombstones if order_id in before}
    return found + [Change(order_id, old[0], old[1], None, old[2], None) for order_id, old in deleted.items()]


def _explained(error: Exception) -> ConnectorError:
    """The error itself when it was raised on purpose; a bug as one that says where to look, without quoting data."""
    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, OSError | sqlite3.Error):
        # Clover's side never raises these: the run's own notes could not be written or read.
        return StoreError(
            f"The notes of the run could not be kept: {error}. Nothing of this step was stored.",
            hint="Free disk space or correct the owner of the store, then run it again; connector check says more.",
        )
    log.exception("run.bug", error_type=type(error).__name__)
    return ConnectorError(
        f"An unexpected {type(error).__name__} stopped the run. Nothing was written; what was stored is unharmed.",
        hint="Run again with --verbose and report the traceback.",
    )


def _note_failure(report: RunReport, error: ConnectorError) -> None:
    report.status, report.exit_code = "failed", error.exit_code
    report.error_kind, report.error = error.kind, error.message
    report.hint = error.hint or "What was loaded before is kept; the next sync starts from the same place."
    if isinstance(error, StoreBusy):
        report.error_kind = "busy"


def _count_requests(report: RunReport, clients: list[CloverClient]) -> None:
    meters = [client.meter for client in clients]
    report.requests = sum(meter.requests for meter in meters)
    report.retries = sum(meter.retries for meter in meters)
    report.throttled = sum(meter.throttled for meter in meters)
    report.waited_seconds = sum(meter.waited_seconds for meter in meters)


def _log_line(report: RunReport) -> None:
    if report.unknown_words:
        log.warning("clover.unknown_words", words=dict(sorted(report.unknown_words.items())))
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
