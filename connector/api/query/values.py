"""The values of a query: text from the client into a number, an instant or a truth value, exactly.

A date is midnight UTC; a time without a zone is UTC; fractions of a second are allowed (docs.codat.io,
"Query Codat's APIs"). Nothing here goes through a float.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{0,30})?")
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*([Zz]|[+-]\d\d:?\d\d)?)?"
)


def number(text: str) -> Decimal:
    """Raises ValueError when ``text`` is not a plain decimal number (no exponent, no thousands mark)."""
    if not _NUMBER.fullmatch(text) or not text.isascii():
        raise ValueError(f'"{text}" is not a number')
    return Decimal(text)


def instant(text: str) -> datetime:
    """Naive UTC, as the store keeps times. Raises ValueError when ``text`` is no date of the calendar."""
    match = _DATE.fullmatch(text) if text.isascii() else None
    if match is None:
        raise ValueError(f'"{text}" is not a date; write 2026-01-31 or 2026-01-31T12:00:00Z')
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(  # noqa: DTZ001 - the store keeps UTC without a zone
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
        )
        if zone and zone not in "Zz":
            sign = -1 if zone[0] == "+" else 1
            digits = zone[1:].replace(":", "")
            if int(digits[:2]) > 14 or int(digits[2:]) > 59:
                raise ValueError("offset")
            moment += sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    except (ValueError, OverflowError) as exc:
        raise ValueError(f'"{text}" is not a date of the calendar') from exc
    return moment


def truth(text: str) -> bool:
    """Raises ValueError for anything but true and false (case ignored)."""
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError(f'"{text}" is neither true nor false')
    return lowered == "true"
