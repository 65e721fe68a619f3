"""When each connection comes due next, in a heap, so that a step looks only at those whose time has come.

What ``planner`` says stays the rule: a connection is asked again when its time has come, when something of it has
changed, and once more before it begins.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connector.schedule.planner import Due, Job, LastRun, due, in_order, next_due


@dataclass(slots=True)
class DueTimes:
    """The connections of one scheduler. Times are aware UTC."""

    _jobs: dict[str, Job] = field(default_factory=dict)
    _last: Mapping[str, LastRun] = field(default_factory=dict)
    # (when to look again, connection); an entry counts while it is the connection's newest, in _at.
    _heap: list[tuple[datetime, str]] = field(default_factory=list)
    _at: dict[str, datetime] = field(default_factory=dict)
    _ready: dict[str, Due] = field(default_factory=dict)
    _stale: set[str] = field(default_factory=set)
    _looked_at: datetime | None = None

    def set_jobs(self, jobs: Iterable[Job]) -> None:
        """All connections there are now."""
        fresh = {job.connection_id: job for job in jobs}
        self._stale |= {
            one for one in fresh.keys() | self._jobs.keys() if fresh.get(one) != self._jobs.get(one)
        }
        self._jobs = fresh

    def set_last(self, last: Mapping[str, LastRun]) -> None:
        """The newest run of each connection."""
        if last is not self._last:
            self._stale |= {
                one for one in last.keys() | self._last.keys() if last.get(one) != self._last.get(one)
            }
            self._last = last

    def take(
        self, now: datetime, *, most: int, requested: Mapping[str, datetime], leave: Collection[str]
    ) -> list[Due]:
        """Those that should begin now, at most so many, in the order of ``in_order``.

        requested: the oldest unanswered request of each connection. leave: connections that may not begin.
        """
        self._look(now)
        if most <= 0:
            return []
        asked = (
            due(job, self._last.get(one), now, requested=moment)
            for one, moment in requested.items()
            if one not in leave and (job := self._jobs.get(one)) is not None
        )
        found = {one.connection_id: one for one in self._ready.values() if one.connection_id not in leave}
        found |= {one.connection_id: one for one in asked if one is not None}
        taken: list[Due] = []
        for one in in_order(found.values(), self._last):
            if len(taken) == most:
                break
            if one.reason == "requested":
                taken.append(one)
                continue
            again = due(self._jobs[one.connection_id], self._last.get(one.connection_id), now)
            if again is None:  # a clock that was wrong has passed it
                self._stale.add(one.connection_id)
            else:
                taken.append(again)
        return taken

    def next(self, now: datetime, *, leave: Collection[str]) -> datetime | None:
        """When the next connection comes due that is not among ``leave``; ``now`` if one is due."""
        self._look(now)
        if any(one not in leave for one in self._ready):
            return now
        return min((moment for one, moment in self._at.items() if one not in leave), default=None)

    def _look(self, now: datetime) -> None:
        if self._looked_at is not None and now < self._looked_at:
            self._stale |= self._jobs.keys()  # the clock was set back: nothing that was worked out holds
        self._looked_at = now
        while self._heap and self._heap[0][0] <= now:
            moment, one = heapq.heappop(self._heap)
            if self._at.get(one) == moment:
                self._stale.add(one)
        for one in self._stale:
            self._plan(one, now)
        self._stale.clear()

    def _plan(self, one: str, now: datetime) -> None:
        self._at.pop(one, None)
        self._ready.pop(one, None)
        job = self._jobs.get(one)
        if job is None:
            return
        last = self._last.get(one)
        if (found := due(job, last, now)) is not None:
            self._ready[one] = found
        elif (moment := next_due(job, last, now)) is not None:
            self._at[one] = moment
            heapq.heappush(self._heap, (moment, one))
