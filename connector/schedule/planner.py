"""When a connection is due, and why. Pure: the last runs and the clock are passed in; nothing is started here.

A cron expression is read in the connection's own time zone, clock changes included. A tick that passed while
nothing ran is caught up once, however many were missed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim

Reason = Literal["requested", "first", "scheduled", "interrupted", "retry"]

# Failures that may cure themselves are tried again before the next tick; the others wait for a person.
PASSING = frozenset({"clover", "store"})
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=1)
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """A connection and its cron expression; None runs only when asked for. jitter: longest delay of a tick."""

    connection_id: str
    expression: str | None
    timezone: str
    jitter: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a connection. Times are aware UTC; finished_at None: it never came to its end.

    failures: how many of the newest runs failed in a row, this one included.
    """

    started_at: datetime
    finished_at: datetime | None
    status: str
    error_kind: str | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A run that should begin now. since: from when on it is due, aware UTC."""

    connection_id: str
    reason: Reason
    since: datetime


def is_past(last: LastRun | None, now: datetime) -> bool:
    """Whether a run can be believed to have begun: one that is dated after now is of a clock that was wrong."""
    return last is not None and last.started_at <= now


def due(job: Job, last: LastRun | None, now: datetime, *, requested: datetime | None = None) -> Due | None:
    """Whether the connection should run now. requested: the oldest unanswered request for a refresh.

    A run or a request that is dated after now is of a wrong clock, and neither keeps the connection from running nor
    makes it run.
    """
    if last is not None and not is_past(last, now):
        last = None
    if requested is not None and requested <= now:
        return Due(job.connection_id, "requested", requested)
    if job.expression is None:
        return None
    if last is None:
        return Due(job.connection_id, "first", now)
    if _was_interrupted(last):
        return Due(job.connection_id, "interrupted", last.finished_at or last.started_at)
    tick = previous_tick(job, now)
    if tick is not None and last.started_at < tick:
        return Due(job.connection_id, "scheduled", tick)
    again = retry_at(last)
    if again is not None and again <= now:
        return Due(job.connection_id, "retry", again)
    return None


def next_due(job: Job, last: LastRun | None, now: datetime) -> datetime | None:
    """When the connection comes due next, ``now`` if it is due already; None if only on request."""
    if job.expression is None:
        return None
    if due(job, last, now) is not None:
        return now
    tick = next_tick(job, now)
    again = None if last is None else retry_at(last)
    return tick if again is None else min(again, tick)


def retry_at(last: LastRun) -> datetime | None:
    """When a failed run is tried again: after 5 minutes, then 10, 20, ... up to an hour. None: not by itself."""
    if last.status != "failed" or last.error_kind not in PASSING:
        return None
    wait = FIRST_RETRY * (1 << min(max(last.failures, 1) - 1, 10))
    return (last.finished_at or last.started_at) + min(wait, LONGEST_RETRY)


def in_order(found: Iterable[Due], last: Mapping[str, LastRun]) -> list[Due]:
    """Who begins first: what somebody waits for, then who has gone without a run for longest."""
    never = datetime.min.replace(tzinfo=UTC)

    def rank(one: Due) -> tuple[bool, datetime, str]:
        run = last.get(one.connection_id)
        return (one.reason != "requested", never if run is None else run.started_at, one.connection_id)

    return sorted(found, key=rank)


def places(
    running_since: Iterable[datetime], now: datetime, *, side_by_side: int, long_after: timedelta
) -> int:
    """How many runs may begin. A run that takes long gives its place away, so that it cannot keep others waiting.

    At most four times ``side_by_side`` run at once, long ones included.
    """
    ages = [now - since for since in running_since]
    short = sum(age < long_after for age in ages)
    return max(0, min(side_by_side - short, 4 * side_by_side - len(ages)))


def previous_tick(job: Job, now: datetime) -> datetime | None:
    """The newest tick whose delay is over by ``now``; with its delay, aware UTC."""
    assert job.expression is not None
    delay = delay_of(job)
    at = (now - delay).astimezone(UTC).replace(microsecond=0)
    around = _around(job.expression, job.timezone, now.astimezone(UTC).replace(microsecond=0))
    for tick in around.before:
        if tick <= at:
            return tick + delay
    earlier = _last_until(job.expression, job.timezone, at)
    return None if earlier is None else earlier + delay


def next_tick(job: Job, now: datetime) -> datetime:
    """The first tick that comes due after ``now``; with its delay, aware UTC."""
    assert job.expression is not None
    delay = delay_of(job)
    at = (now - delay).astimezone(UTC)
    around = _around(job.expression, job.timezone, now.astimezone(UTC).replace(microsecond=0))
    found = around.after
    for tick in around.before:
        if tick <= at:
            return found + delay
        found = tick
    return _first_after(job.expression, job.timezone, at) + delay


@dataclass(frozen=True, slots=True)
class _Around:
    """Ticks without a delay around one second: the newest of then or before, the newest first, and the first after."""

    before: tuple[datetime, ...]
    after: datetime


@lru_cache(maxsize=1024)
def _around(expression: str, timezone: str, at: datetime) -> _Around:
    """The same for all connections of one expression and zone: a delay is a tenth of an interval at most."""
    before: list[datetime] = []
    tick = _last_until(expression, timezone, at)
    while tick is not None and len(before) < 2:
        before.append(tick)
        tick = _last_until(expression, timezone, tick - timedelta(seconds=1))
    return _Around(tuple(before), _first_after(expression, timezone, at))


def _last_until(expression: str, timezone: str, at: datetime) -> datetime | None:
    # In reverse the search begins below its start, and a tick at this very second counts.
    start = (at + timedelta(seconds=1)).astimezone(ZoneInfo(timezone))
    ticks: Iterator[datetime] = CronSim(expression, start, reverse=True)
    tick = next(ticks, None)
    return None if tick is None else tick.astimezone(UTC)


def _first_after(expression: str, timezone: str, at: datetime) -> datetime:
    ticks: Iterator[datetime] = CronSim(expression, at.astimezone(ZoneInfo(timezone)))
    # In the hour that the end of summer time repeats, the search may begin with a tick of its first passing.
    return next(found for tick in ticks if (found := tick.astimezone(UTC)) > at)


def delay_of(job: Job) -> timedelta:
    """The connection's own delay: always the same, spread evenly over the connections.

    Without it every merchant's run would begin in the same second. At most a tenth of the shortest interval.
    """
    if job.expression is None or not job.jitter:
        return timedelta()
    most = min(job.jitter, shortest_interval(job.expression) / 10)
    share = int.from_bytes(sha256(job.connection_id.encode()).digest()[:4]) / 2**32
    return timedelta(seconds=int(most.total_seconds() * share))


@lru_cache(maxsize=1024)
def shortest_interval(expression: str) -> timedelta:
    """Between two ticks of the expression, of its first fifty."""
    return min(_intervals(expression))


@lru_cache(maxsize=1024)
def longest_interval(expression: str) -> timedelta:
    """Between two ticks of the expression, of its first fifty: nights and weekends without a run included."""
    return max(_intervals(expression))


def _intervals(expression: str) -> list[timedelta]:
    ticks = CronSim(expression, _REFERENCE)
    moments = [tick for tick, _ in zip(ticks, range(51), strict=False)]
    return [later - earlier for earlier, later in pairwise(moments)] or [timedelta(days=366)]


def _was_interrupted(last: LastRun) -> bool:
    """Stopped by the operator. A killed run leaves the run before it as the newest, or one without an end."""
    return last.error_kind == "stopped" or (last.status == "running" and last.finished_at is None)
