"""Whose turn it is: what the scheduler asks for runs to begin, and tells of runs that ended.

One scheduler decides for itself; those of a fleet take their turns from one table (``connector.schedule.fleet_turns``).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from connector.config import Config
from connector.control.place import control_place
from connector.ledger.interface import Store
from connector.schedule.due_times import DueTimes
from connector.schedule.history import KnownRuns, PastReader
from connector.schedule.planner import Due, Job, LastRun
from connector.schedule.requests import RefreshRequests

# Another process holds the connection: look again after this.
BUSY_WAIT = timedelta(seconds=30)


class Turns(Protocol):
    """Times are aware UTC."""

    def set_jobs(self, jobs: Iterable[Job], now: datetime) -> None:
        """All connections there are now."""

    def take(self, now: datetime, *, most: int, running: Collection[str]) -> list[Due]:
        """Those that should begin now, at most so many: what somebody waits for, then who has waited longest."""

    def ended(self, connection_id: str, run: LastRun) -> None:
        """A run that was taken here has ended; nobody begins another before ``published``."""

    def published(self, now: datetime) -> None:
        """What ended so far can be seen by everybody, or never will be."""

    def put_off(self, connection_id: str, now: datetime) -> None:
        """What was taken is held by another process: look again in half a minute."""

    def next(self, now: datetime, *, running: Collection[str]) -> datetime | None:
        """When the next connection comes due that is not running."""

    def close(self) -> None:
        """Leave."""


@dataclass(slots=True)
class OwnTurns:
    """Of the one scheduler of a store in a directory."""

    _runs: KnownRuns
    _requests: RefreshRequests
    _times: DueTimes = field(default_factory=DueTimes)
    _not_before: dict[str, datetime] = field(default_factory=dict)

    def set_jobs(self, jobs: Iterable[Job], now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        self._times.set_jobs(jobs)

    def take(self, now: datetime, *, most: int, running: Collection[str]) -> list[Due]:
        last = self._runs.last(now)
        self._times.set_last(last)
        waits = {one for one, moment in self._not_before.items() if now < moment <= now + BUSY_WAIT}
        chosen = self._times.take(
            now, most=most, requested=self._requests.waiting(last), leave={*running, *waits}
        )
        for one in chosen:
            self._not_before.pop(one.connection_id, None)
        return chosen

    def ended(self, connection_id: str, run: LastRun) -> None:
        self._runs.note(connection_id, run)

    def published(self, now: datetime) -> None:
        """Nobody else waits for it."""

    def put_off(self, connection_id: str, now: datetime) -> None:
        self._not_before[connection_id] = now + BUSY_WAIT

    def next(self, now: datetime, *, running: Collection[str]) -> datetime | None:
        self._times.set_last(self._runs.last(now))
        return self._times.next(now, leave=running)

    def close(self) -> None:
        self._requests.close()


def turns_of(config: Config, store: Store) -> Turns:
    """The scheduler's own turns, or those it shares with the other hosts of a fleet."""
    place = control_place(config)
    if config.fleet is None:
        return OwnTurns(KnownRuns(PastReader(store)), RefreshRequests(place))
    from connector.schedule.fleet_turns import FleetTurns

    return FleetTurns(place)
