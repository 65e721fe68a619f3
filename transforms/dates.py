"""The merchant's days, and ``sourceModifiedDate``.

Clover's Ecommerce records have no date of change. The newest date that any record of the order carries stands in
for it (docs.clover.com, Ecommerce data model); a change that no date explains takes the start of the run that saw
it. A date that cannot be (see ``schemas.times.is_usable``) dates nothing: an order must not be pinned in the future.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.times import from_ms, to_the_millisecond

_SECOND = timedelta(seconds=1)


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
    return max(to_the_millisecond(run_start), to_the_millisecond(previous) + _SECOND)
