"""Moments: Clover's milliseconds as aware UTC datetimes in whole seconds, and ``sourceModifiedDate``.

Clover's Ecommerce records have no date of change. The newest date that any record of the order carries stands in
for it (docs.clover.com, Ecommerce data model); a change that no date explains takes the start of the run that saw
it. Milliseconds are cut off, never rounded up: the same charge shows them when created and not when read.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


def from_ms(milliseconds: int) -> datetime:
    """Aware UTC, whole seconds."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC)


def whole_seconds(moment: datetime) -> datetime:
    """Aware UTC without fractions; a moment without a zone is UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(microsecond=0)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_day(moment: datetime, timezone: str) -> date:
    """The merchant's calendar day of a moment. A zone nobody knows counts as UTC."""
    try:
        return moment.astimezone(_zone(timezone)).date()
    except OverflowError:  # the last hours of the year 9999
        return moment.date()


def newest(milliseconds: Iterable[int | None]) -> datetime | None:
    """The newest of some moments, None when there is none."""
    known = [moment for moment in milliseconds if moment is not None]
    return from_ms(max(known)) if known else None


def observed_date(previous: datetime, run_start: datetime) -> datetime:
    """The date of a change that no record dates: when it was seen, and always later than the version before."""
    return max(whole_seconds(run_start), whole_seconds(previous) + _SECOND)
