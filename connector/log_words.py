"""Log lines in words, for people on a terminal: the time of day, whose line it is, what happened.

Ids, microseconds and the name of every field are in the JSON lines, which say the same events.
"""

from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any

from connector.progress import STAGES

_IDS = ("run_id", "company_id", "connection_id", "correlation_id")
_NOT_SAID = frozenset((*_IDS, "event", "level", "timestamp", "logger", "company", "of", "exception", "stack"))
_TOO_MANY = 429
_COLORS = {"warning": "33", "error": "31", "critical": "31"}


def in_words(*, colors: bool) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    """The renderer for structlog: ``12:04:03 Juniper Goods: Clover not reachable, again in 8 s (4 of 8)``."""

    def render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        level = str(event.get("level", "info"))
        company = event.get("company") or event.get("of")
        said = _said(str(event.get("event", "")), event)
        text = f"{company}: {said}" if company else said
        if level in ("error", "critical"):
            text = f"error: {text}"
        if colors and level in _COLORS:
            text = f"\x1b[{_COLORS[level]}m{text}\x1b[0m"
        trace = event.get("exception") or event.get("stack")
        return f"{_time_of_day(event)} {text}" + (f"\n{trace}" if trace else "")

    return render


def _time_of_day(event: Mapping[str, Any]) -> str:
    """Of this machine's wall, as a person reads it."""
    return f"{datetime.fromisoformat(str(event['timestamp'])).astimezone():%H:%M:%S}"


def _said(name: str, event: Mapping[str, Any]) -> str:
    words = _WORDS.get(name)
    try:
        return words(event) if words else _anything(name, event)
    except (KeyError, TypeError, ValueError):  # a field that this version of the words does not know
        return _anything(name, event)


def _anything(name: str, event: Mapping[str, Any]) -> str:
    """An event without a sentence of its own: its name and its facts."""
    text = name.replace(".", " ").replace("_", " ") if " " not in name else name
    facts = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in event.items()
        if key not in _NOT_SAID
        and key not in ("error", "hint")
        and value is not None
        and not key.startswith("_")
    ]
    text += f" ({', '.join(facts)})" if facts else ""
    text += f": {event['error']}" if event.get("error") else ""
    return text + (f" {event['hint']}" if event.get("hint") else "")


def _retry(event: Mapping[str, Any]) -> str:
    status = event["status"]
    what = (
        "Clover not reachable"
        if status is None
        else "Clover asks for a pause"
        if status == _TOO_MANY
        else f"Clover answered {status}"
    )
    return f"{what}, again in {max(1, round(event['wait_seconds']))} s ({event['attempt']} of {event['attempts']})"


def _synced(event: Mapping[str, Any]) -> str:
    facts = [f"{event['inserted']:,} new", f"{event['updated']:,} changed"]
    facts += [f"{event['held_back']:,} held back"] if event["held_back"] else []
    return f"{event['status'].replace('_', ' ')}, {', '.join(facts)}, {event['seconds']:,.1f} s"


def _failed(event: Mapping[str, Any]) -> str:
    return f"failed: {event['error']}" + (f" {event['hint']}" if event.get("hint") else "")


def _progress(event: Mapping[str, Any]) -> str:
    what = STAGES.get(event["stage"], str(event["stage"]))
    return f"{what}, {done_text(event['stage'], event['done'], event['total'], event.get('rows') or 0)}"


def done_text(stage: str, done: int, total: int | None, rows: int) -> str:
    """How far a stage is: ``1,070 rows``, ``12 records``, ``300 of 488 orders``; empty where nothing is counted."""
    match stage:
        case "extract":
            return f"{rows:,} rows"
        case "hydrate":
            return f"{done:,} records"
        case "map":
            return f"{done:,} orders" if total is None else f"{done:,} of {total:,} orders"
        case _:
            return ""


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "clover.retry": _retry,
    "connection.synced": _synced,
    "connection.failed": _failed,
    "connection.warning": lambda event: f"warning: {event['text']}",
    "clover.unknown_words": lambda event: (
        f"Clover uses words that are not known here: {', '.join(event['words'])}"
    ),
    "progress": _progress,
    "store.upgrading": lambda event: (
        f"bringing the store up to date, {event['step']}: {event['done']:,} of {event['total']:,} versions"
    ),
    "note": lambda event: str(event["text"]),
    "stopping": lambda event: f"Stopping. {event['hint']}",
}
"""Event -> its sentence; the others are said by ``_anything``."""
