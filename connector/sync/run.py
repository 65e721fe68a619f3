"""One run of one connection: lock, plan, pieces, report. Fails clean: a failed run is recorded and nothing else."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event

import httpx
import structlog

from connector.clover.http.client import CloverClient
from connector.clover.platform import MerchantProfile
from connector.config import Company, Config, Connection
from connector.errors import Deauthorized, StoreError
from connector.ledger.interface import Store
from connector.progress import Progress, Silent
from connector.sync.commit import Mapped, Plan, complete, drop_known, list_pieces, map_piece
from connector.sync.connect.connecting import Pace, connected, merchant_of, witnessed
from connector.sync.failure import changes_of, count_requests, explained, log_line, mended, note_failure
from connector.sync.link.notebook import Staging
from connector.sync.link.stored import Known, known_of
from connector.sync.load import Loading
from connector.sync.map.batch import MappedBatch
from connector.sync.map.files import BatchFiles
from connector.sync.map.processes import MappingProcesses
from connector.sync.map.side_records import SideRecords
from connector.sync.modes import SyncMode
from connector.sync.plan import plan_of, position_of, span_of
from connector.sync.read.archive import stage_archive
from connector.sync.read.clover import CloverAccess
from connector.sync.read.intake import Intake
from connector.sync.read.platform import Witness
from connector.sync.read.platform_customers import CUSTOMERS, fill_in_customers
from connector.sync.report import RunReport, summed
from connector.sync.spans import ClockCheck, Span, check_clock, pieces
from transforms.model import Merchant


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
            note_failure(report, mended(runtime.store, explained(error)))
        report.finished_at = report.finished_at or runtime.now()
        log_line(report)
    return report


def new_run_id(at: datetime) -> str:
    """Unique, and in order of time when sorted as text."""
    return f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a run reads. stop: set when whatever reads ahead need not go on. background: the thread that does."""

    access: CloverAccess
    witness: Witness | None
    profile: MerchantProfile | None
    stop: Event
    background: ThreadPoolExecutor

    @property
    def clients(self) -> list[CloverClient]:
        return [self.access.client] + ([self.witness.client] if self.witness else [])


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a commit begins with: the notebook with the rows that were listed. left: pieces for later commits."""

    work: Path
    staging: Staging
    intake: Intake
    left: list[Span]


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
        self.runtime.store.repair(self.connection.id)
        try:
            with self._directory() as directory:
                if self.mode.kind == "rebuild":
                    at = self.report.started_at
                    self._commit([Span(at, at, moves_cursor=False)], directory, None, None)
                else:
                    self._read_and_load(directory)
            if self.report.is_partly_done:
                self.report.status, self.report.exit_code = "partly_done", 3
        except Exception as error:
            note_failure(self.report, mended(self.runtime.store, explained(error)))
            self.report.finished_at = self.runtime.now()
            if not self.mode.dry_run:
                deauthorized = isinstance(error, Deauthorized)
                self.loading.record_failure(deauthorized=deauthorized, merchant=self._merchant_as_stored())

    def _read_and_load(self, directory: Path) -> None:
        runtime, stop = self.runtime, Event()
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
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as background,
        ):
            source = _Source(access, witness, witness.profile() if witness else None, stop, background)
            try:
                left, ahead = self._commit(None, directory, source, None)
                while left:
                    left, ahead = self._commit(left, directory, source, ahead)
            finally:
                stop.set()
                count_requests(self.report, source.clients)

    def _commit(
        self,
        todo: list[Span] | None,
        directory: Path,
        source: "_Source | None",
        ahead: "Future[_Listing] | None",
    ) -> "tuple[list[Span], Future[_Listing] | None]":
        """Read, map and load as many pieces as make one commit, with a notebook of its own.

        todo: None for the first one of a run. ahead: what was listed already while the commit before was loaded.
        Returns what is left, and its listing.
        """
        report = self.report
        listing = ahead.result() if ahead is not None else None
        with self.runtime.store.open_reader() as reader:
            known = known_of(reader, self.connection.id)
            todo = todo or pieces(self._span(known))
            plan = self._plan(todo, known, source)
            if listing is None:
                listing = self._list(plan, known, directory, source, self.progress)
            else:
                drop_known(plan, todo[: len(todo) - len(listing.left)], known, listing.staging)
            with closing(listing.staging):
                files, result = self._complete_and_map(listing, plan, known, source)
                held_before = known.held_back()
        left = listing.left
        for kind, rows in listing.intake.rows.items():
            report.rows_read[kind] = report.rows_read.get(kind, 0) + rows
        report.orders_mapped += result.mapped
        report.held_back.update(files.held_back)
        report.unreadable += files.unreadable
        report.withheld = summed(files.withheld(held_before))
        report.issues.update(files.issues)
        report.unknown_words.update(files.unknown_words)
        if self.mode.dry_run:
            report.orders_unchanged += result.unchanged
            return left, None
        # The next rows are listed while these are loaded: one waits for Clover, the other for the disk.
        following = None
        if left and source is not None:
            following = source.background.submit(
                copy_context().run, self._list_ahead, replace(plan, pieces=tuple(left)), directory, source
            )
        self.progress.stage("load")
        clock = self._check_clock(source)
        if not left:
            report.finished_at = self.runtime.now()
        done = todo[len(todo) - len(left) - 1]
        moves = self.mode.kind == "sync" and done.moves_cursor
        self.loading.apply(
            done,
            files,
            unchanged=result.unchanged,
            cursors={f"{stream.kind}s": done.until for stream in plan.streams} if moves else {},
            ceiling=clock.ceiling,
            last=not left,
            progress=self.progress,
            merchant=plan.merchant,
        )
        if following is not None:
            self.progress.stage("extract")
        return left, following

    def _list(
        self, plan: Plan, known: Known, directory: Path, source: "_Source | None", progress: Progress
    ) -> "_Listing":
        work = Path(tempfile.mkdtemp(dir=directory))
        staging = Staging(work / "staging.sqlite")
        try:
            if source is None:
                intake = stage_archive(self.runtime.raw_directory, known, staging, progress)
                return _Listing(work, staging, intake, [])
            intake, left = list_pieces(plan, source.access, known, staging, progress, source.stop)
        except BaseException:
            staging.close()
            raise
        return _Listing(work, staging, intake, left)

    def _list_ahead(self, plan: Plan, directory: Path, source: "_Source") -> "_Listing":
        with self.runtime.store.open_reader() as reader:
            return self._list(plan, known_of(reader, self.connection.id), directory, source, Silent())

    def _complete_and_map(
        self, listing: "_Listing", plan: Plan, known: Known, source: "_Source | None"
    ) -> tuple[BatchFiles, Mapped]:
        staging, intake, is_last = listing.staging, listing.intake, not listing.left
        if source is not None:
            complete(
                plan, intake, source.access, known, staging, self.progress, source.witness, is_last=is_last
            )
            count_requests(self.report, source.clients)
        files = BatchFiles(listing.work, self.company.id, self.connection.id)

        def note_changes(batch: MappedBatch) -> None:
            if self.mode.dry_run:
                self.report.changes.extend(changes_of(batch, known))

        def fill_in(side: SideRecords) -> None:
            if source is not None and source.witness is not None:
                nightly = is_last and "nightly" in plan.pieces[-1].deep_scans
                stored = (lambda: known.record_ids(CUSTOMERS)) if nightly else None
                fill_in_customers(source.witness, side, plan.run_start, stored=stored)

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
        return files, result

    def _plan(self, todo: list[Span], known: Known, source: "_Source | None") -> Plan:
        return plan_of(
            self.company,
            self.connection,
            self.mode,
            self.runtime.config.sync,
            known,
            tuple(todo),
            run_start=self.report.started_at,
            profile=source.profile if source else None,
        )

    def _check_clock(self, source: "_Source | None") -> ClockCheck:
        if source is None:
            return ClockCheck()
        client = source.access.client
        clock = check_clock(
            run_start=self.report.started_at,
            now=self.runtime.now(),
            first_date=client.first_date,
            last_date=client.last_date,
        )
        if clock.warning and not any("machine's clock" in warning for warning in self.report.warnings):
            self.report.warn(clock.warning)
        return clock

    def _span(self, known: Known) -> Span:
        ahead = position_of(known, self.report.started_at).ahead
        if ahead is not None:
            self.report.warn(
                f"An earlier run stored a date after this run's start ({ahead:%Y-%m-%d %H:%M:%S} UTC): a clock was"
                " wrong. Reading goes on from the last success that is not in the future, and deep scans are due."
            )
        overlap = self.runtime.config.sync.overlap
        return span_of(self.connection, self.mode, known, overlap=overlap, run_start=self.report.started_at)

    def _merchant_as_stored(self) -> Merchant:
        try:
            with self.runtime.store.open_reader() as reader:
                before = known_of(reader, self.connection.id).merchant()
        except StoreError:
            before = None
        return merchant_of(self.connection, None, before)

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
