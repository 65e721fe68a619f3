"""Which span of source time a run reads. Pure arithmetic; the clock is passed in.

The stored cursor is the upper bound of the last completed span. The overlap widens the question and is
never subtracted from what is stored, so a quiet week does not creep backwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# Clover shows no modified time, so old objects are listed again now and then: edits made on a device or
# in the dashboard, and deletions, are seen by no other means.
DEEP_SCANS: Mapping[str, tuple[timedelta, timedelta]] = {
    "nightly": (timedelta(days=7), timedelta(days=1)),
    "weekly": (timedelta(days=90), timedelta(days=7)),
    "monthly": (timedelta(days=396), timedelta(days=30)),
}
# A long span is read piece by piece; after any piece the run may commit what it has.
PIECE = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Span:
    """What a run will read: ``since <= created < until``, and which deep scans that completes.

    moves_cursor: whether the stored cursor becomes ``until`` once all of it is committed.
    """

    since: datetime
    until: datetime
    moves_cursor: bool
    deep_scans: tuple[str, ...] = ()


# Clocks of two machines differ by seconds; an answer may take minutes to be waited for.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Position:
    """How far reading has come, as far as it can be believed. ahead: the newest stored date after the run's start."""

    cursor: datetime | None
    deep_scans: Mapping[str, datetime]
    ahead: datetime | None = None


def believed(
    cursor: datetime | None,
    deep_scans: Mapping[str, datetime],
    *,
    run_start: datetime,
    last_success: datetime | None,
) -> Position:
    """The position without what a wrong clock has stored: nothing can have been read up to a time that is to come.

    last_success: start of the newest sync that succeeded and is not dated after run_start; its span was read for
    sure. A deep scan that is dated in the future is due.
    """
    past = {tier: at for tier, at in deep_scans.items() if at <= run_start}
    later = [at for at in (cursor, *deep_scans.values()) if at is not None and at > run_start]
    if cursor is not None and cursor > run_start:
        cursor = last_success
    return Position(cursor, past, max(later, default=None))


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """The machine's clock beside Clover's. ceiling: nothing later may be stored as read; None for no such limit."""

    ceiling: datetime | None = None
    warning: str | None = None


def check_clock(
    *, run_start: datetime, now: datetime, first_date: datetime | None, last_date: datetime | None
) -> ClockCheck:
    """Compare clocks by Clover's first and newest answer of the run; each was sent after run_start and before now."""
    if first_date is not None and run_start - first_date > CLOCK_TOLERANCE:
        return ClockCheck(
            first_date,
            f"This machine's clock is {_minutes(run_start - first_date)} ahead of Clover's. Lists count as read up to"
            f" Clover's time, {first_date:%Y-%m-%d %H:%M:%S} UTC. Set the clock (NTP).",
        )
    if last_date is not None and last_date - now > CLOCK_TOLERANCE:
        return ClockCheck(
            None,
            f"This machine's clock is {_minutes(last_date - now)} behind Clover's: sales of that time are not read"
            " until it has passed. Set the clock (NTP).",
        )
    return ClockCheck()


def _minutes(difference: timedelta) -> str:
    return f"{difference // timedelta(minutes=1):,} min"


def incremental_span(
    *,
    cursor: datetime | None,
    start: datetime,
    overlap: timedelta,
    run_start: datetime,
    last_deep_scans: Mapping[str, datetime],
) -> Span:
    """The span of an ordinary sync: from the cursor less the overlap, or further back when a deep scan is due.

    Without a cursor everything since ``start`` is read, and every deep scan is thereby done.
    """
    if cursor is None:
        return Span(min(start, run_start), run_start, moves_cursor=True, deep_scans=tuple(DEEP_SCANS))
    since = cursor - overlap
    due = []
    for tier, (reach, every) in DEEP_SCANS.items():
        last = last_deep_scans.get(tier)
        if last is None or run_start - last >= every:
            due.append(tier)
            since = min(since, run_start - reach)
    # A cursor ahead of the clock (a clock set back) must not turn into an empty or negative span.
    since = max(min(since, run_start - overlap), start)
    return Span(min(since, run_start), run_start, moves_cursor=True, deep_scans=tuple(due))


def asked_span(
    *,
    since: datetime | None,
    until: datetime | None,
    cursor: datetime | None,
    start: datetime,
    run_start: datetime,
) -> Span:
    """The span a person asked for. The cursor moves only where no gap would be left behind it."""
    first = since or start
    last = min(until or run_start, run_start)
    closes_the_gap = first <= start or (cursor is not None and first <= cursor)
    return Span(first, last, moves_cursor=closes_the_gap and (cursor is None or last > cursor))


def pieces(span: Span, longest: timedelta = PIECE) -> list[Span]:
    """The span cut into pieces, oldest first; deep scans are done with the last."""
    cut = []
    since = span.since
    while since < span.until:
        until = min(since + longest, span.until)
        last = until == span.until
        cut.append(Span(since, until, span.moves_cursor, span.deep_scans if last else ()))
        since = until
    return cut or [span]
