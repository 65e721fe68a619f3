"""Moments and their texts: Clover's numbers in, Codat's and the ledger's texts out. Nothing else writes a time.

Clover counts milliseconds (docs.clover.com, Ecommerce data model); some of its samples count seconds. The ledger and
Codat's documents keep Clover's milliseconds; a text shows a fraction only where there is one.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECONDS_BELOW = 10**11  # as milliseconds that would be before 1973: such a value counts seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Clover began in 2010; nothing it says happened before this century, or later than clocks may differ.
_FIRST_MS = 946_684_800_000
_CLOCKS_DIFFER = timedelta(days=1)
_OFFSET = len("+00:00")


def as_milliseconds(number: int | float) -> int | float:
    """A number of Clover's as milliseconds; one that small that it must count seconds is taken as seconds."""
    return number * 1000 if 0 <= number < SECONDS_BELOW else number


@lru_cache(maxsize=4_096)
def from_ms(milliseconds: int) -> datetime:
    """Aware UTC, to the millisecond. Raises OverflowError beyond the year 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware moment, fractions of one cut off."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def is_usable(milliseconds: int | None, now: datetime) -> bool:
    """Whether something can have happened then. now: aware; a day more is forgiven, for clocks differ."""
    return milliseconds is not None and _FIRST_MS <= milliseconds <= _last_usable_ms(now)


@lru_cache(maxsize=16)
def _last_usable_ms(now: datetime) -> int:
    return to_ms(now + _CLOCKS_DIFFER)


def to_the_millisecond(moment: datetime) -> datetime:
    """Aware UTC, finer fractions cut off; a moment without a zone is UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(microsecond=aware.microsecond // 1000 * 1000)


def wire_text(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ`` of an aware moment, with milliseconds where there are some (Codat: dates are UTC)."""
    return _text(moment).replace(" ", "T") + "Z"


def second_text(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ`` of an aware moment, fractions cut off: for what the connector says of its own doings."""
    return wire_text(moment.replace(microsecond=0))


def ledger_text(moment: datetime | None) -> str | None:
    """``YYYY-MM-DD HH:MM:SS`` in UTC, with milliseconds where there are some; None stays None."""
    return None if moment is None else _text(moment)


def from_wire(text: str) -> datetime:
    """The aware moment that ``wire_text`` wrote."""
    return datetime.fromisoformat(text)


def as_ledger_text(wire: str | None) -> str | None:
    """What ``wire_text`` wrote as ``ledger_text`` writes it; None stays None."""
    return None if wire is None else wire.replace("T", " ").removesuffix("Z")


def _text(moment: datetime) -> str:
    aware = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return aware.isoformat(" ", "milliseconds" if aware.microsecond >= 1000 else "seconds")[:-_OFFSET]
