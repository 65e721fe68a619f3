"""Which alerts are due: pure decisions over what is known of each connection, and the words of an alert.

An alert belongs to an episode: it is told when the episode begins and once more when it is over, never in
between. Keeping episodes is ``alert_book``'s, sending ``delivery``'s.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from connector.redaction import redact
from connector.schedule.advice import next_command
from connector.schedule.planner import longest_interval
from schemas.times import second_text

Episode = Literal["failing", "stale"]
Event = Literal["connection.failed", "connection.stale", "connection.recovered"]

# Neither says that something is wrong: another process works, or the operator wanted it so.
_NOT_A_FAILURE = frozenset({"busy", "stopped"})
_AT_LEAST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a connection. Times are aware UTC.

    status: of its newest run, None when there was none or it says nothing. watched_since: what staleness is
    counted from before the first success. stale_after: None never grows stale.
    """

    company_id: str
    connection_id: str
    merchant_id: str
    status: str | None
    watched_since: datetime
    stale_after: timedelta | None
    last_success: datetime | None = None
    run_id: str | None = None
    error_kind: str | None = None
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. begins and ends: the episodes that open and close with it."""

    event: Event
    about: Known
    begins: tuple[Episode, ...] = ()
    ends: tuple[Episode, ...] = ()


def decide(known: Known, going_on: frozenset[Episode], now: datetime) -> list[Alert]:
    """What has to be told about one connection, given the episodes that were told to begin."""
    is_failing = _is_failing(known)
    is_stale = known.stale_after is not None and _age(known, now) > known.stale_after
    alerts = []
    if is_failing and "failing" not in going_on:
        alerts.append(Alert("connection.failed", known, begins=("failing",)))
    if is_stale and "stale" not in going_on:
        alerts.append(Alert("connection.stale", known, begins=("stale",)))
    over: list[Episode] = []
    if is_failing is False and "failing" in going_on:
        over.append("failing")
    if not is_stale and "stale" in going_on:
        over.append("stale")
    if over:
        alerts.append(Alert("connection.recovered", known, ends=tuple(over)))
    return alerts


def stale_after(expression: str | None, hours: float | None) -> timedelta | None:
    """How long a connection may go without a success; None for one that only runs when asked."""
    if expression is None:
        return None
    if hours is not None:
        return timedelta(hours=hours)
    return max(_AT_LEAST, 2 * longest_interval(expression))


def body(alert: Alert, *, alert_id: str, now: datetime) -> Mapping[str, Any]:
    """What is posted, ready for JSON. Ids and an error in words; no names of businesses, no sales, no person."""
    known = alert.about
    wrong = alert.event != "connection.recovered"
    following = next_command(known.error_kind, company_id=known.company_id) if wrong else None
    document = {
        "id": alert_id,
        "event": alert.event,
        "at": _text(now),
        "text": redact(_said(alert, following)),
        "companyId": known.company_id,
        "connectionId": known.connection_id,
        "merchantId": known.merchant_id,
        "lastSuccess": _text(known.last_success),
        "runId": known.run_id,
        "status": known.status,
        "error": {"kind": known.error_kind, "message": redact(known.error), "hint": known.hint}
        if wrong and known.error
        else None,
        "ended": list(alert.ends),
        "next": following,
    }
    return {key: value for key, value in document.items() if value not in (None, [])}


def trial_body(connections: Sequence[tuple[str, str, str]], *, now: datetime) -> Mapping[str, Any]:
    """What ``connector alerts test`` posts: the shape of an alert, marked as none.

    connections: each one's company id, own id and merchant id; at least one.
    """
    merchants = ", ".join(merchant for _, _, merchant in connections[:5])
    more = f" and {len(connections) - 5} more" if len(connections) > 5 else ""
    company_id, connection_id, merchant_id = connections[0]
    return {
        "id": f"alert_{uuid.uuid4().hex}",
        "event": "alerts.test",
        "at": _text(now),
        "text": f"A test, nothing is wrong: alerts of merchants {merchants}{more} arrive here. Next: nothing to do",
        "companyId": company_id,
        "connectionId": connection_id,
        "merchantId": merchant_id,
    }


def _said(alert: Alert, following: str | None) -> str:
    """What a person reads in a chat: which merchant, why, and what to type."""
    known = alert.about
    whose = f"merchant {known.merchant_id}, company {known.company_id}"
    cause = known.error or {"partly_done": "Some records could not be read, or money is held back."}.get(
        known.status or "", ""
    )
    what = {
        "connection.failed": f"Sync failed: {whose}.",
        "connection.stale": f"No successful sync since {_text(known.last_success) or 'ever'}: {whose}.",
        "connection.recovered": f"Sync works again: {whose}.",
    }[alert.event]
    if following is None:
        return what
    return " ".join(part for part in (what, cause, f"Next: {following}") if part)


def _is_failing(known: Known) -> bool | None:
    """None when the newest run says neither that it works nor that it does not."""
    if known.status in (None, "running") or known.error_kind in _NOT_A_FAILURE:
        return None
    return known.status != "succeeded"


def _age(known: Known, now: datetime) -> timedelta:
    return now - (known.last_success or known.watched_since)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else second_text(moment)
