"""Points in time and durations as people type them on a command line."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(?:\d+[smhdw])+")


def parse_duration(text: str) -> timedelta:
    """``90s``, ``30m``, ``2h``, ``1d``, ``1h30m``. Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(text)
    return sum(
        (timedelta(**{_UNITS[unit]: int(number)}) for number, unit in re.findall(r"(\d+)([smhdw])", text)),
        timedelta(),
    )


def parse_time(text: str, *, now: datetime) -> datetime:
    """A date, a date and time (UTC unless it carries an offset), or ``7d`` for seven days before ``now``.

    Returns aware UTC. Raises ValueError.
    """
    if _DURATION.fullmatch(text):
        return now - parse_duration(text)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Moment(click.ParamType):  # type: ignore[type-arg] # not generic in every click 8
    """``--since`` and ``--until``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(str(value), now=datetime.now(UTC))
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2024-01-31, 2024-01-31T12:00Z or 7d (seven days ago).",
                param,
                ctx,
            )


class Duration(click.ParamType):  # type: ignore[type-arg] # not generic in every click 8
    """``--max-age``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no duration: write 90s, 30m, 2h, 1d or 1h30m.", param, ctx)


def ago(then: datetime, now: datetime) -> str:
    """How long ago in the largest two units: ``2h 5m``; ``0s`` for a moment that has not come yet."""
    seconds = max(0, int((now - then).total_seconds()))
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
