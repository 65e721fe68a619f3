"""The loop of ``connector schedule``: asks the planner what is due, begins it, takes in what has ended.

One step does everything once and never waits, so tests and ``--once`` drive it as the loop does. Runs have a
thread each and share the process's pacer, in which every token gets its turn: a large merchant slows nobody down
more than any other does.
"""

import queue
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from connector.config import Company, Config, Connection
from connector.control.kept import kept_version, with_kept
from connector.control.place import control_place
from connector.control.unlinked import given_up_connections
from connector.errors import ConnectorError, StoreBusy, StoreError
from connector.ledger.bursts import LATEST, Gathering
from connector.ledger.interface import Store
from connector.logs import get_logger
from connector.outbound import Networks
from connector.progress import Silent
from connector.schedule.after_runs import after_runs
from connector.schedule.alert_book import AlertBook
from connector.schedule.delivery import Post, deliver, post
from connector.schedule.planner import Due, Job, LastRun, places
from connector.schedule.threads import Begin, in_thread
from connector.schedule.turns import Turns, turns_of
from connector.sync.connect.connecting import Pace
from connector.sync.failure import note_failure
from connector.sync.modes import SyncMode
from connector.sync.report import RunReport
from connector.sync.run import run_connection
from connector.sync.runtime import Runtime

# A run that takes longer gives its place to another.
LONG_AFTER = timedelta(minutes=10)
# Seconds. While another process loads, the loop goes on; what waits is published with what that process publishes.
PUBLISH_WAIT = 1.0
STOP_WAIT = 10.0
# So long and it is a failure: the writer's file may be open in some program that is not ours.
GIVE_UP_PUBLISHING = timedelta(minutes=10)
# Staleness needs no run to be noticed, and figures no run to be fresh.
LOOK_EVERY = timedelta(minutes=1)
log = get_logger(__name__)


@dataclass(slots=True)
class Scheduler:
    """One store's scheduler. load: reads the configuration anew. now: aware UTC.

    begin: how a run is begun; tests run it on the spot. send: how an alert is posted. aside: where figures and alerts
    are done, one after the other.
    """

    config: Config
    store: Store
    load: Callable[[], Config]
    now: Callable[[], datetime]
    pace: Pace
    begin: Begin = in_thread
    send: Post = post
    transport: httpx.BaseTransport | None = None
    aside: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="after-runs"))
    reload_asked: bool = False
    is_stopping: bool = False
    _running: dict[str, datetime] = field(default_factory=dict)
    _ended: "queue.SimpleQueue[RunReport]" = field(default_factory=queue.SimpleQueue)
    # Runs that ended, and when the first of them did; they are told once they are published.
    _unpublished: list[RunReport] = field(default_factory=list)
    _unpublished_since: datetime | None = None
    _told: list[RunReport] = field(default_factory=list)
    # Connections whose newest run here has failed -> that run, which the store may not have been able to keep.
    _failed: dict[str, RunReport] = field(default_factory=dict)
    _is_closed: bool = False
    _kept_version: int | None = None
    _given_up: frozenset[str] = frozenset()
    _looked_at: datetime | None = None
    _after: "Future[None] | None" = None
    _gathering: Gathering = field(init=False)
    _turns: Turns = field(init=False)
    _pairs: dict[str, tuple[Company, Connection]] = field(default_factory=dict)
    _book: AlertBook = field(init=False)

    def __post_init__(self) -> None:
        self._gathering = Gathering(self.store)
        self._turns = turns_of(self.config, self.store)
        self._plan_jobs()
        self._book = AlertBook(control_place(self.config))

    @property
    def running(self) -> frozenset[str]:
        """Connections that are being read by this process."""
        return frozenset(self._running)

    def step(self) -> int:
        """Take in what has ended, begin what is due. Returns how many runs were begun; never waits for one."""
        if self.reload_asked:
            self.reload_asked = False
            self._reload()
        self._look_at_kept()
        self._take_in()
        if self._looked_at is None:
            self._repair()
        self._look_after()
        begun = 0 if self.is_stopping else self._begin_due()
        self._publish(is_burst_over=not begun and not self._running)
        if self._told:
            self._look_after()
        return begun

    def stop(self) -> None:
        """Begin nothing more; runs that read end at their next request, runs that load finish loading."""
        self.is_stopping = True
        self.pace.app.stop()

    def close(self) -> None:
        """Tell what is left to tell. Runs that still go on are abandoned; the next run repairs after them."""
        if self._is_closed:
            return
        self._is_closed = True
        self._take_in()
        self._publish(is_burst_over=True, wait=STOP_WAIT)
        self._told, self._unpublished = self._told + self._unpublished, []
        self._look_after(wait=True)
        self.aside.shutdown(wait=True, cancel_futures=True)
        self._book.close()
        self._turns.close()

    def next_due(self) -> datetime | None:
        """When the next connection comes due that is not running."""
        return self._turns.next(self.now(), running=self._running)

    def _begin_due(self) -> int:
        now = self.now()
        free = places(
            self._running.values(),
            now,
            side_by_side=self.config.scheduler.side_by_side,
            long_after=LONG_AFTER,
        )
        chosen = self._turns.take(now, most=free, running=self._running)
        for one in chosen:
            self._begin(one, now)
        return len(chosen)

    def _begin(self, one: Due, now: datetime) -> None:
        company, connection = self._pairs[one.connection_id]
        self._running[connection.id] = now
        log.info(
            "schedule.run_begins",
            company_id=company.id,
            connection_id=connection.id,
            reason=one.reason,
            late_seconds=round((now - one.since).total_seconds()),
        )
        config = self.config
        self.begin(
            lambda: self._ended.put(self._run(config, company, connection)), name=f"run {connection.id}"
        )

    def _run(self, config: Config, company: Company, connection: Connection) -> RunReport:
        runtime = Runtime(config, self._gathering, self.pace, self.now, self.transport)
        return run_connection(runtime, company, connection, SyncMode(), Silent())

    def _take_in(self) -> None:
        while not self._ended.empty():
            report = self._ended.get()
            self._running.pop(report.connection_id, None)
            if report.error_kind == "busy":
                self._turns.put_off(report.connection_id, self.now())
                continue
            self._remember(report)
            self._unpublished.append(report)
            self._unpublished_since = self._unpublished_since or self.now()

    def _remember(self, report: RunReport) -> None:
        ended = report.finished_at or self.now()
        self._turns.ended(
            report.connection_id, LastRun(report.started_at, ended, report.status, report.error_kind)
        )

    def _publish(self, *, is_burst_over: bool, wait: float = PUBLISH_WAIT) -> None:
        """Make visible what runs have committed: once for all that end together, and within seconds."""
        if self._unpublished_since is None:
            return
        waited = abs(self.now() - self._unpublished_since)
        if not is_burst_over and waited < LATEST:
            return
        try:
            self._gathering.publish(wait=wait)
        except ConnectorError as error:
            if isinstance(error, StoreBusy) and waited < GIVE_UP_PUBLISHING:
                return
            log.error("schedule.not_published", error=error.message, hint=error.hint)
            for report in self._unpublished:
                if report.status != "failed":
                    note_failure(report, error)
                    self._remember(report)
        self._turns.published(self.now())
        self._told += self._unpublished
        self._unpublished, self._unpublished_since = [], None

    def _look_after(self, *, wait: bool = False) -> None:
        """Figures and alerts, aside from the loop: an endpoint that hangs must not hold up a run."""
        if self._after is not None and not self._after.done() and not wait:
            return
        now = self.now()
        is_time = self._looked_at is None or abs(now - self._looked_at) >= LOOK_EVERY
        if self._told or is_time:
            reports, self._told, self._looked_at = self._told, [], now
            config = self.config
            configured = {connection.id for _, connection in config.enabled_pairs()}
            earlier = [run for run in self._failed.values() if run.connection_id in configured]
            for report in reports:
                self._failed.pop(report.connection_id, None)
                if report.status == "failed":
                    self._failed[report.connection_id] = report
            self._after = self.aside.submit(
                lambda: after_runs(
                    config,
                    self.store,
                    reports,
                    earlier=earlier,
                    now=self.now,
                    book=self._book,
                    send=self.send,
                )
            )
        elif (url := self.config.alerts.webhook_url) is not None and (wait or self._book.waiting(now)):
            networks = self.config.private_networks
            self._after = self.aside.submit(lambda: _deliver(self._book, url, self.now, self.send, networks))
        if wait and self._after is not None:
            self._after.result()

    def _repair(self) -> None:
        """Publish what a killed process had committed, so that its failures are known, and told, before they pass."""
        try:
            self.store.repair()
        except ConnectorError as error:
            log.error("schedule.not_repaired", error=error.message, hint=error.hint)

    def _reload(self) -> None:
        try:
            fresh = self.load()
            if fresh.store != self.config.store:
                raise StoreError(
                    "The configuration names another store.", hint="Stop the scheduler and start it again."
                )
        except ConnectorError as error:
            log.error("schedule.config_kept", error=error.message, hint=error.hint)
            return
        if fresh.limits != self.config.limits:
            self.pace.change(fresh)
        self._take(fresh)

    def _look_at_kept(self) -> None:
        """Take in companies that were kept, disabled or given up since the last step."""
        place = control_place(self.config)
        try:
            version = kept_version(place)
            if version == self._kept_version:
                return
            self._given_up = given_up_connections(place)
            if self._kept_version is not None or any(company.is_kept for company in self.config.companies):
                self._take(with_kept(self.config, place))
            self._kept_version = version
        except ConnectorError as error:
            log.error("schedule.companies_kept", error=error.message, hint=error.hint)

    def _take(self, fresh: Config) -> None:
        self.config = fresh
        self._plan_jobs()
        log.info("schedule.config_loaded", connections=len(self._pairs))

    def _plan_jobs(self) -> None:
        self._pairs = {
            one.id: (company, one)
            for company, one in self.config.enabled_pairs()
            if one.id not in self._given_up
        }
        jitter = timedelta(seconds=self.config.scheduler.jitter_seconds)
        jobs = (Job(one.id, one.schedule, one.timezone, jitter) for _, one in self._pairs.values())
        self._turns.set_jobs(jobs, self.now())


def _deliver(book: AlertBook, url: str, now: Callable[[], datetime], send: Post, networks: Networks) -> None:
    deliver(book, url, now=now, send=send, networks=networks)
