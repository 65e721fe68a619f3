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
