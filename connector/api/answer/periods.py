"""The periods of a report: how far back it goes, and on which days each one begins and ends.

Codat: a report covers the full month its date falls in (docs.codat.io, Lending, "Commerce metrics"). So the
last period of months or years ends on that month's last day. Periods of days or weeks end on the date itself,
whole. The others lie before it, back to back, none sharing a day.
"""

import re
from calendar import monthrange
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

from connector.api.query import values as query_values
from connector.api.reads.metrics import Period

Unit = Literal["Day", "Week", "Month", "Year"]


def read_report_date(text: str) -> date:
    """``dd-mm-yyyy``, as Codat's samples have it, or ``yyyy-mm-dd``, also with a time. Raises ValueError.

    A time with a zone names the UTC day it falls in.
    """
    words = text.strip()
    if match := re.fullmatch(r"(\d\d)-(\d\d)-(\d{4})(?=$|[Tt ])(.*)", words, re.ASCII):
        day, month, year, rest = match.groups()
        words = f"{year}-{month}-{day}{rest}"
    try:
        return query_values.instant(words).date()
    except ValueError as exc:
        raise ValueError("write dd-mm-yyyy or yyyy-mm-dd, with or without a time") from exc


def periods(report_date: date, length: int, unit: Unit, number: int) -> list[Period]:
    """``number`` periods of ``length`` units, earliest first. Raises ValueError before the year 1."""
    last = report_date
    if unit in ("Month", "Year"):
        last = last.replace(day=monthrange(last.year, last.month)[1])
    if last == date.max:
        raise ValueError("the calendar ends with that day")
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
