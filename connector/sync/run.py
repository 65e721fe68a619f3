"""One run of one connection: lock, plan, pieces, report. Fails clean: a failed run is recorded and nothing else."""

import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from connector.clover.platform import MerchantProfile
from connector.config import Company, Connection
from connector.errors import Deauthorized, PartlyDone, StoreError
from connector.ledger.stored import Stored
from connector.logs import bound
from connector.progress import Progress, Silent
from connector.sync.commit import Commit, Mapped, Source
from connector.sync.connect.connecting import merchant_of
from connector.sync.failure import MOVED, count_requests, explained, log_line, mended, note_failure
from connector.sync.load import Loading
from connector.sync.map.processes import MappingProcesses
from connector.sync.modes import SyncMode
from connector.sync.plan import Plan, plan_of, position_of, span_of
from connector.sync.read.refund_feed import RefundFeed
from connector.sync.report import RunReport, summed
from connector.sync.runtime import Runtime
from connector.sync.spans import ClockCheck, Span, check_clock, pieces
from transforms.model import Merchant

# A run of a fleet that another host overtook is done so often.
_ATTEMPTS = 3


def run_connection(
    runtime: Runtime, company: Company, connection: Connection, mode: SyncMode, progress: Progress
) -> RunReport:
    """Run one connection from start to end. Never raises for what a user may meet: the report says it.

    Where another host of a fleet stored the company meanwhile, it is run again on top of that.
    """
    here = replace(runtime, store=runtime.store.store_of(company.id))
    for _ in range(_ATTEMPTS - 1):
        report = _run_once(here, company, connection, mode, progress)
        if report.error_kind != MOVED:
            return report
        here = replace(runtime, store=runtime.store.store_of(company.id))
    return _run_once(here, company, connection, mode, progress)


def _run_once(
    runtime: Runtime, company: Company, connection: Connection, mode: SyncMode, progress: Progress
) -> RunReport:
    started = runtime.now()
    report = RunReport(
        run_id=new_run_id(started),
        company_id=company.id,
        company_name=company.name,
        connection_id=connection.id,
        kind=mode.kind,
        started_at=started,
    )
    of_run = {"run_id": report.run_id, "company": company.name, "company_id": company.id}
    with bound(**of_run, connection_id=connection.id):
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
                    self._read_archive(directory)
                else:
                    self._read_clover(directory)
            if self.report.is_partly_done:
                self.report.status, self.report.exit_code = "partly_done", PartlyDone.exit_code
        except Exception as error:
            note_failure(self.report, mended(self.runtime.store, explained(error)))
            self.report.finished_at = self.runtime.now()
            if not self.mode.dry_run:
                deauthorized = isinstance(error, Deauthorized)
                self.loading.record_failure(deauthorized=deauthorized, merchant=self._merchant_as_stored())

    def _read_archive(self, directory: Path) -> None:
        """Map everything that earlier runs kept, in one commit; Clover is not asked."""
        at = self.report.started_at
        with self._opened() as stored:
            plan = self._plan([Span(at, at, moves_cursor=False)], stored, None)
            self.runtime.store.bring_raw(self.connection.id)
            with Commit.begin(plan, stored, None, self.progress, directory) as commit:
                commit.list_archive(self.runtime.raw_directory)
                mapped = commit.map_orders(self.processes)
        self._note(commit, mapped)
        if not self.mode.dry_run:
            self._load(commit, mapped, ClockCheck())

    def _read_clover(self, directory: Path) -> None:
        runtime = self.runtime
        with (
            runtime.connected(self.connection, self.report.run_id, keep_raw=not self.mode.dry_run) as access,
            runtime.witnessed(self.connection) as witness,
            closing(RefundFeed(directory / "refunds.sqlite")) as refunds,
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as background,
        ):
            source = Source(access, witness, witness.profile() if witness else None, refunds)
            try:
                self._commits(source, directory, background)
            finally:
                source.stop.set()
                count_requests(self.report, source.clients)

    def _commits(self, source: Source, directory: Path, background: ThreadPoolExecutor) -> None:
        """One commit after the other, each with as many pieces as it can take.

        The next rows are listed while these are mapped and loaded: one waits for Clover, the others for processors and
        the disk.
        """
        listed: Future[Commit] | None = None
        left: list[Span] | None = None
        while left is None or left:
            ahead = listed.result() if listed else None
            with self._opened() as stored:
                plan = self._plan(left or pieces(self._span(stored)), stored, source.profile)
                if ahead is None:
                    commit = self._listed(plan, stored, source, self.progress, directory)
                else:
                    commit = ahead
                    commit.go_on(plan, stored, self.progress)
                with commit:
                    commit.complete()
                    count_requests(self.report, source.clients)
                    listed, left = None, commit.left
                    if left and not self.mode.dry_run:
                        rest = replace(plan, pieces=tuple(left))
                        listed = background.submit(
                            copy_context().run, self._list_ahead, rest, source, directory
                        )
                    mapped = commit.map_orders(self.processes)
            self._note(commit, mapped)
            if self.mode.dry_run:
                continue
            self._load(commit, mapped, self._check_clock(source))
            if left:
                self.progress.stage("extract")

    def _listed(
        self, plan: Plan, stored: Stored, source: Source, progress: Progress, directory: Path
    ) -> Commit:
        commit = Commit.begin(plan, stored, source, progress, directory)
        try:
            commit.list_rows()
        except BaseException:
            commit.notebook.close()
            raise
        return commit

    def _list_ahead(self, plan: Plan, source: Source, directory: Path) -> Commit:
        with self._opened() as stored:
            return self._listed(plan, stored, source, Silent(), directory)

    def _note(self, commit: Commit, mapped: Mapped) -> None:
        """Put what a commit read and mapped into the report."""
        report, files = self.report, mapped.files
        for kind, rows in commit.intake.rows.items():
            report.rows_read[kind] = report.rows_read.get(kind, 0) + rows
        report.orders_mapped += mapped.orders
        report.held_back.update(files.held_back)
        report.unreadable += files.unreadable
        report.withheld = summed(mapped.withheld)
        report.issues.update(files.issues)
        report.unknown_words.update(files.unknown_words)
        report.changes.extend(mapped.changes)
        if self.mode.dry_run:
            report.orders_unchanged += mapped.unchanged

    def _load(self, commit: Commit, mapped: Mapped, clock: ClockCheck) -> None:
        plan = commit.plan
        self.progress.stage("load")
        if commit.is_last:
            self.report.finished_at = self.runtime.now()
        moves = self.mode.kind == "sync" and commit.done.moves_cursor
        self.loading.apply(
            commit.done,
            mapped,
            cursors={stream.name: commit.done.until for stream in plan.streams} if moves else {},
            ceiling=clock.ceiling,
            last=commit.is_last,
            progress=self.progress,
            merchant=plan.merchant,
        )

    def _plan(self, todo: Sequence[Span], stored: Stored, profile: MerchantProfile | None) -> Plan:
        return plan_of(
            self.company,
            self.connection,
            self.mode,
            self.runtime.config.sync,
            stored,
            tuple(todo),
            run_start=self.report.started_at,
            profile=profile,
        )

    @contextmanager
    def _opened(self) -> Iterator[Stored]:
        """What earlier commits stored, as it is published now."""
        with self.runtime.store.open_reader() as reader:
            yield Stored(reader.connection, self.connection.id)

    def _check_clock(self, source: Source) -> ClockCheck:
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

    def _span(self, stored: Stored) -> Span:
        ahead = position_of(stored, self.report.started_at).ahead
        if ahead is not None:
            self.report.warn(
                f"An earlier run stored a date after this run's start ({ahead:%Y-%m-%d %H:%M:%S} UTC): a clock was"
                " wrong. Reading goes on from the last success that is not in the future, and deep scans are due."
            )
        overlap = self.runtime.config.sync.overlap
        return span_of(self.connection, self.mode, stored, overlap=overlap, run_start=self.report.started_at)

    def _merchant_as_stored(self) -> Merchant:
        try:
            with self._opened() as stored:
                before = stored.merchant()
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
