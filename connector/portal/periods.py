"""Which periods a page shows: chosen by the reader, or the last year, or the last month by day."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from connector.api.answer.errors import ApiError
from connector.report.sales import By

MONTHS, DAYS = 12, 31
_MOST = {"month": 120, "day": 400}


@dataclass(frozen=True, slots=True)
class Span:
    """Whole periods. since: first day of the first. until: last day of the last."""

    by: By
    since: date
    until: date

    def starts(self) -> Iterator[date]:
        """The first day of each period."""
        start = self.since
        while start <= self.until:
            yield start
            start = self.end(start) + timedelta(days=1)

    def end(self, start: date) -> date:
        """The last day of the period that begins on a day."""
        return start if self.by == "day" else start.replace(day=monthrange(start.year, start.month)[1])

    def label(self, start: date) -> str:
        return start.isoformat() if self.by == "day" else f"{start:%Y-%m}"


def chosen_span(by: str, since: str, until: str, newest: date) -> Span:
    """What was asked for, or the last periods up to the newest day. Raises ApiError 400."""
    if by not in _MOST:
        raise ApiError(400, "by is month or day.")
    last = _day(until, "to") or newest
    first = _day(since, "from") or (
        _months_before(last, MONTHS - 1) if by == "month" else last - timedelta(DAYS - 1)
    )
    if by == "month":
        first, last = first.replace(day=1), last.replace(day=monthrange(last.year, last.month)[1])
        periods = (last.year - first.year) * 12 + last.month - first.month + 1
    else:
        periods = (last - first).days + 1
    if not 1 <= periods <= _MOST[by]:
        raise ApiError(400, f"From {first} to {last} is not 1 to {_MOST[by]} {by}s.")
    return Span("month" if by == "month" else "day", first, last)


def _day(text: str, name: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(f"{text}-01" if len(text) == 7 else text)
    except ValueError:
        raise ApiError(400, f"{name}: a day is written like 2026-11-30.") from None
    if not 1970 <= found.year <= 9990:
        raise ApiError(400, f"{name}: {found.year} is no year of a sale.")
    return found


def _months_before(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)
