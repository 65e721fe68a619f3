"""Turns of many schedulers: one row a connection in PostgreSQL, claimed by one host at a time under a lease.

A claim takes rows that nobody else is taking (``FOR UPDATE SKIP LOCKED``) and holds them until the run has ended and is
published. A host that dies renews nothing, and its connections are taken over within a minute. When a connection comes
due is decided by ``planner``, as on one machine; leases go by the database's clock, which all hosts share.
"""

import os
import secrets
import socket
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connector.control.database import ControlDatabase, Row
from connector.control.file import moment_of, stamp
from connector.control.place import Place, open_control
from connector.control.refreshes import TABLES as REFRESHES
from connector.errors import StoreError
from connector.logs import get_logger
from connector.schedule.planner import Due, Job, LastRun, due, in_order, next_due
from connector.schedule.turns import BUSY_WAIT

TABLES = """
CREATE TABLE IF NOT EXISTS due_runs (
  connection_id TEXT PRIMARY KEY, job TEXT, due_at TEXT, requested TEXT, host TEXT, lease_until TIMESTAMPTZ,
  ran_on TEXT, started TEXT, finished TEXT, status TEXT, error_kind TEXT, failures INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS due_runs_due ON due_runs (due_at);
CREATE INDEX IF NOT EXISTS due_runs_host ON due_runs (host)
"""
LEASE_SECONDS = 45
RENEW_EVERY = 10.0  # seconds
# So long a connection waits for the host that ran it last, which has its data at hand; then any host takes it.
AT_HOME = timedelta(seconds=5)
_LATE = timedelta(minutes=10)  # a request may be seen so long after the moment it is dated
_FREE = "(lease_until IS NULL OR lease_until < clock_timestamp())"
_LEASE = f"clock_timestamp() + interval '{LEASE_SECONDS} seconds'"
_CLAIM = f"""
WITH found AS (
  SELECT connection_id FROM due_runs
  WHERE due_at <= ? AND {_FREE} AND (ran_on IS NULL OR ran_on = ? OR requested IS NOT NULL OR due_at <= ?)
  ORDER BY requested IS NULL, started NULLS FIRST, connection_id LIMIT ? FOR UPDATE SKIP LOCKED)
UPDATE due_runs d SET host = ?, lease_until = {_LEASE} FROM found WHERE d.connection_id = found.connection_id
RETURNING d.*
"""  # noqa: S608 - our own text
_ASKED = """
UPDATE due_runs d SET requested = r.requested, due_at = least(coalesce(d.due_at, r.requested), r.requested)
FROM refresh_requests r
WHERE r.connection_id = d.connection_id AND r.requested >= ? AND r.requested <= ? AND d.requested IS NULL
  AND (d.started IS NULL OR d.started < r.requested) AND d.job IS NOT NULL
"""
log = get_logger(__name__)


@dataclass(slots=True)
class FleetTurns:
    """The turns of one scheduler among others. machine: whose cache it uses; several processes may share it."""

    place: Place
    machine: str = field(default_factory=socket.gethostname)
    host: str = ""
    _control: ControlDatabase | None = None
    _jobs: dict[str, Job] = field(default_factory=dict)
    _unset: datetime | None = None
    _ended: dict[str, LastRun] = field(default_factory=dict)
    _since: str = ""
    _away_since: datetime | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.host = self.host or f"{self.machine}:{os.getpid()}:{secrets.token_hex(4)}"
        threading.Thread(target=self._keep_leases, name="leases", daemon=True).start()

    def set_jobs(self, jobs: Iterable[Job], now: datetime) -> None:
        """Rows for all of them; what is not among them comes due no more. Written with the next ``take``."""
        self._jobs = {job.connection_id: job for job in jobs}
        self._unset = now

    def take(self, now: datetime, *, most: int, running: Collection[str]) -> list[Due]:
        """Nothing while PostgreSQL is away: the log says so once, and once when it is back."""
        try:
            self._write_jobs(now)
            self.published(now)
            self._take_requests(now)
            claimed = self._claim(now, most) if most > 0 else []
            taken = [one for row in claimed if (one := self._begun(row, now, running)) is not None]
            last = {row["connection_id"]: run for row in claimed if (run := _last_of(row)) is not None}
        except StoreError as error:
            if self._away_since is None:
                log.error("schedule.turns_unreachable", error=error.message, hint=error.hint)
                self._away_since = now
            return []
        if self._away_since is not None:
            log.info("schedule.turns_back", away_seconds=round((now - self._away_since).total_seconds()))
            self._away_since = None
        return in_order(taken, last)

    def ended(self, connection_id: str, run: LastRun) -> None:
        self._ended[connection_id] = run

    def published(self, now: datetime) -> None:
        """Give back what has ended; what cannot be written waits."""
        try:
            for connection_id, run in list(self._ended.items()):
                self._give_back(connection_id, run, now)
                del self._ended[connection_id]
        except StoreError as error:
            log.warning("schedule.turns_wait", error=error.message)

    def put_off(self, connection_id: str, now: datetime) -> None:
        try:
            self._release(connection_id, now + BUSY_WAIT)
        except StoreError as error:  # the lease ends by itself
            log.warning("schedule.turns_wait", error=error.message)

    def next(self, now: datetime, *, running: Collection[str]) -> datetime | None:  # noqa: ARG002 - the protocol's
        row = self._opened().row(f"SELECT min(due_at) AS due_at FROM due_runs WHERE {_FREE}")  # noqa: S608
        return None if row is None or row["due_at"] is None else max(now, moment_of(row["due_at"]))

    def close(self) -> None:
        """Runs that were abandoned are taken over at once, not when their lease is over."""
        self._stop.set()
        try:
            self._opened().write(
                "UPDATE due_runs SET host = NULL, lease_until = NULL WHERE host = ?", (self.host,)
            )
        except StoreError as error:
            log.warning("schedule.turns_wait", error=error.message)

    def _claim(self, now: datetime, most: int) -> "list[Row]":
        at_home = stamp(now - AT_HOME)
        with self._opened().beside_others() as db:
            return db.execute(_CLAIM, (stamp(now), self.machine, at_home, most, self.host)).fetchall()

    def _begun(self, row: Row, now: datetime, running: Collection[str]) -> Due | None:
        """What was claimed, if it is due as we know it; else it is put down again."""
        connection_id = row["connection_id"]
        job = self._jobs.get(connection_id)
        if job is None or connection_id in running:
            # Of a list that is newer than ours, or a run of ours that outlived its lease.
            self._release(connection_id, now + BUSY_WAIT)
            return None
        last = _last_of(row)
        requested = None if row["requested"] is None else moment_of(row["requested"])
        found = due(job, last, now, requested=requested)
        if found is None:
            self._release(connection_id, next_due(job, last, now))
        return found

    def _give_back(self, connection_id: str, run: LastRun, now: datetime) -> None:
        control = self._opened()
        row = control.row(
            "SELECT * FROM due_runs WHERE connection_id = ? AND host = ?", (connection_id, self.host)
        )
        if row is None:
            log.warning("schedule.turn_lost", connection_id=connection_id)  # another host has taken it over
            return
        failures = int(row["failures"]) + 1 if run.status == "failed" else 0
        last = LastRun(run.started_at, run.finished_at, run.status, run.error_kind, failures)
        job = self._jobs.get(connection_id)
        again = None if job is None else next_due(job, last, now)
        control.write(
            "UPDATE due_runs SET host = NULL, lease_until = NULL, ran_on = ?, started = ?, finished = ?, status = ?,"
            " error_kind = ?, failures = ?, requested = CASE WHEN requested > ? THEN requested END,"
            " due_at = CASE WHEN requested > ? THEN requested ELSE ? END WHERE connection_id = ? AND host = ?",
            (
                self.machine,
                stamp(run.started_at),
                None if run.finished_at is None else stamp(run.finished_at),
                run.status,
                run.error_kind,
                failures,
                stamp(run.started_at),
                stamp(run.started_at),
                None if again is None else stamp(again),
                connection_id,
                self.host,
            ),
        )

    def _release(self, connection_id: str, due_at: datetime | None) -> None:
        self._opened().write(
            "UPDATE due_runs SET host = NULL, lease_until = NULL, due_at = ? WHERE connection_id = ? AND host = ?",
            (None if due_at is None else stamp(due_at), connection_id, self.host),
        )

    def _take_requests(self, now: datetime) -> None:
        self._opened().write(_ASKED, (self._since, stamp(now)))
        self._since = stamp(now - _LATE)

    def _write_jobs(self, now: datetime) -> None:
        if self._unset is None:
            return
        control = self._opened()
        rows = {row["connection_id"]: row for row in control.rows("SELECT * FROM due_runs")}
        fresh = []
        for connection_id, job in self._jobs.items():
            row = rows.get(connection_id)
            if row is None or row["job"] != _text(job):
                moment = next_due(job, None if row is None else _last_of(row), now)
                fresh.append((connection_id, _text(job), None if moment is None else stamp(moment)))
        gone = [(one,) for one, row in rows.items() if one not in self._jobs and row["job"] is not None]
        control.write_many(
            "INSERT INTO due_runs (connection_id, job, due_at) VALUES (?, ?, ?) ON CONFLICT (connection_id)"
            " DO UPDATE SET job = excluded.job, due_at = excluded.due_at",
            fresh,
        )
        control.write_many("UPDATE due_runs SET job = NULL, due_at = NULL WHERE connection_id = ?", gone)
        self._unset = None

    def _keep_leases(self) -> None:
        """In a thread of its own: a loop that waits for a publication must not lose what it runs."""
        while not self._stop.wait(RENEW_EVERY):
            try:
                self._opened().write(
                    f"UPDATE due_runs SET lease_until = {_LEASE} WHERE host = ?",  # noqa: S608 - our own text
                    (self.host,),
                )
            except StoreError as error:
                log.warning("schedule.leases_not_renewed", error=error.message)

    def _opened(self) -> ControlDatabase:
        if self._control is None:
            self._control = open_control(self.place, REFRESHES, TABLES)
        return self._control


def _text(job: Job) -> str:
    """What changes when the row has to be planned anew."""
    return f"{job.expression} {job.timezone} {job.jitter.total_seconds():.0f}"


def _last_of(row: Row) -> LastRun | None:
    if row["started"] is None:
        return None
    finished = None if row["finished"] is None else moment_of(row["finished"])
    return LastRun(
        moment_of(row["started"]), finished, row["status"], row["error_kind"], int(row["failures"])
    )
