"""Spans of source time to read, and their arithmetic in Clover's milliseconds.

Which span a run should read (cursor, overlap, safety lag) is decided by ``connector.sync``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connector.errors import ConfigError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_WINDOW_DAYS = 89.0  # one less than the limit of Clover's backend: docs.clover.com, 90-day limits
MILLISECOND = timedelta(milliseconds=1)

# 10^12 ms is 2001-09-09, years before Clover's first sale. A smaller filter value means that seconds
# were taken for milliseconds, and would ask for the whole history.
EARLIEST = EPOCH + 10**12 * MILLISECOND


def milliseconds(at: datetime) -> int:
    """Unix milliseconds of an aware time, rounded down; exact, without floats."""
    return (at - EPOCH) // MILLISECOND


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of source time: ``since <= created < until``, both aware UTC.

    Raises ConfigError when a bound is naive, before 2001-09-09, or ``until`` precedes ``since``.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        for bound in (self.since, self.until):
            if bound.tzinfo is None:
                raise ConfigError(
                    "A window needs times with a time zone.", hint="Write the time with Z or +00:00."
                )
        if self.since < EARLIEST:
            raise ConfigError(
                f"A window cannot start at {self.since.isoformat()}: Clover has no data from before 2010.",
                hint="Choose a later start_date.",
            )
        if self.until < self.since:
            raise ConfigError(f"A window cannot end ({self.until}) before it starts ({self.since}).")

    @property
    def since_ms(self) -> int:
        """Lower bound in Unix milliseconds, inclusive."""
        return milliseconds(self.since)

    @property
    def until_ms(self) -> int:
        """Upper bound in Unix milliseconds, exclusive."""
        return milliseconds(self.until)

    @property
    def days(self) -> int:
        """Its length for whoever watches; adjoining windows sum up."""
        return self.until.toordinal() - self.since.toordinal()

    def split(self, days: float) -> tuple["Window", ...]:
        """Adjoining windows of at most ``days`` days, oldest first; none for an empty window."""
        if days <= 0:
            raise ConfigError("A window must be split into pieces longer than nothing.")
        return tuple(self._pieces(timedelta(days=days)))

    def _pieces(self, length: timedelta) -> Iterator["Window"]:
        start = self.since
        while start < self.until:
            end = min(start + length, self.until)
            yield Window(start, end)
            start = end

    def halves(self) -> tuple["Window", "Window"] | None:
        """Two adjoining windows cut at a whole millisecond; None when no such cut is left."""
        middle = EPOCH + (self.since_ms + self.until_ms) // 2 * MILLISECOND
        if not self.since < middle < self.until:
            return None
        return Window(self.since, middle), Window(middle, self.until)
