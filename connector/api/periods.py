"""The periods of a report: how far back it goes, and on which days each one begins and ends.

Codat: a report covers the full month its date falls in (docs.codat.io, Lending, "Commerce metrics"). So the
last period ends on that month's last day and the others lie before it, back to back, none sharing a day.
"""

import re
from calendar import monthrange
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

from connector.store.api_metrics import Period

Unit = Literal["Day", "Week", "Month", "Year"]


def read_report_date(text: str) -> date:
    """``dd-mm-yyyy``, as Codat's samples have it, or ``yyyy-mm-dd``. Raises ValueError."""
    words = text.strip()
    for pattern, order in ((r"(\d\d)-(\d\d)-(\d{4})", (3, 2, 1)), (r"(\d{4})-(\d\d)-(\d\d)", (1, 2, 3))):
        if match := re.fullmatch(pattern, words, re.ASCII):
            year, month, day = (int(match.group(part)) for part in order)
            return date(year, month, day)
    raise ValueError("write dd-mm-yyyy or yyyy-mm-dd")


def periods(report_date: date, length: int, unit: Unit, number: int) -> list[Period]:
    """``number`` periods of ``length`` units, earliest first. Raises ValueError before the year 1."""
    last = report_date.replace(day=monthrange(report_date.year, report_date.month)[1])
    if last == date.max:
        raise ValueError("the calendar ends with that month")
    edges = [last + timedelta(days=1)]
    try:
        for _ in range(number):
            edges.append(_before(edges[-1], length, unit))
    except OverflowError as exc:
        raise ValueError("the periods reach back before the year 1") from exc
    edges.reverse()
    return [Period(start, following - timedelta(days=1)) for start, following in pairwise(edges)]


def _before(edge: date, length: int, unit: Unit) -> date:
    if unit in ("Day", "Week"):
        return edge - timedelta(days=length * (7 if unit == "Week" else 1))
    # Edges of months and years are always the first of a month.
    months = edge.year * 12 + edge.month - 1 - length * (12 if unit == "Year" else 1)
    if months < 12:
        raise ValueError("the periods reach back before the year 1")
    return date(months // 12, months % 12 + 1, 1)
