"""What has to be told to somebody outside, and every attempt to: one queue in ``control.sqlite``.

An event has an id made of what happened, so that it is noted once whoever notices it and how often. Each target it goes
to has a delivery of its own, which one process claims, tries, and either ends or sets down for later. Alerts
(``connector.schedule.alert_book``) and webhooks (``connector.control.webhooks``) are its two users; each has its
own times between attempts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.control.database import ControlDatabase, Row, Statements
from connector.control.file import moment_of, stamp

TABLES = """
CREATE TABLE IF NOT EXISTS outbox_events (
  event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, company_id TEXT, noted TEXT NOT NULL, body TEXT NOT NULL,
  line TEXT) STRICT;
CREATE TABLE IF NOT EXISTS outbox_deliveries (
  event_id TEXT NOT NULL, target TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_try TEXT,
  delivered TEXT, last_status INTEGER, last_error TEXT, PRIMARY KEY (event_id, target)) STRICT;
CREATE INDEX IF NOT EXISTS outbox_due ON outbox_deliveries (next_try) WHERE next_try IS NOT NULL;
"""
CLAIM = timedelta(minutes=1)  # a process that dies while sending is overtaken after this
_JOINED = (
    "SELECT d.event_id, d.target, d.attempts, d.next_try, d.delivered, d.last_status, d.last_error, e.event_type,"
    " e.noted, e.body FROM outbox_deliveries d JOIN outbox_events e USING (event_id)"
)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. body: JSON text. line: events of one line reach a target one after the other; None has none."""

    event_id: str
    event_type: str
    company_id: str | None
    body: str
    line: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one target. ``next_try`` None: delivered or given up. Times are texts of ``stamp``."""

    event_id: str
    event_type: str
    target: str
    noted: str
    attempts: int
    next_try: str | None
    delivered: str | None
    last_status: int | None
    last_error: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Retries:
    """waits: until the second attempt, the third, ...

    within: the last wait is repeated until the event is so old; None gives up after the last.
    """

    waits: tuple[timedelta, ...]
    within: timedelta | None = None

    def next_try(self, *, attempts: int, noted: datetime, now: datetime) -> datetime | None:
        """When to try again after so many attempts that failed; None gives up."""
        if self.within is None:
            return now + self.waits[attempts - 1] if attempts <= len(self.waits) else None
        return now + self.waits[min(attempts, len(self.waits)) - 1] if now - noted < self.within else None


def note(db: Statements, event: Event, targets: Iterable[str], *, now: datetime) -> bool:
    """Queue an event for its targets, at once due. False, and nothing done, when it was noted before."""
    is_new = db.execute(
        "INSERT INTO outbox_events (event_id, event_type, company_id, noted, body, line)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING",
        (event.event_id, event.event_type, event.company_id, stamp(now), event.body, event.line),
    ).rowcount
    if is_new:
        db.executemany(
            "INSERT INTO outbox_deliveries (event_id, target, next_try) VALUES (?, ?, ?)",
            [(event.event_id, target, stamp(now)) for target in targets],
        )
    return bool(is_new)


def due(control: ControlDatabase, targets: Iterable[str], *, now: datetime, most: int = 50) -> list[Delivery]:
    """What should be sent to these targets now, the longest waiting first; of a line only the first."""
    chosen = list(targets)
    if not chosen:
        return []
    marks = ", ".join("?" * len(chosen))
    rows = control.rows(
        _JOINED + f" WHERE d.next_try <= ? AND d.target IN ({marks})"  # noqa: S608 - no value is in it
        " AND (e.line IS NULL OR NOT EXISTS (SELECT 1 FROM outbox_deliveries p JOIN outbox_events q USING (event_id)"
        " WHERE p.target = d.target AND q.line = e.line AND p.rowid < d.rowid AND p.next_try IS NOT NULL))"
        " ORDER BY d.next_try, d.rowid LIMIT ?",
        (stamp(now), *chosen, most),
    )
    return [_delivery(row) for row in rows]


def claim(control: ControlDatabase, delivery: Delivery, *, now: datetime) -> bool:
    """Take a due delivery for this process for a minute; False when another one was faster."""
    return bool(
        control.write(
            "UPDATE outbox_deliveries SET next_try = ? WHERE event_id = ? AND target = ? AND next_try = ?",
            (stamp(now + CLAIM), delivery.event_id, delivery.target, delivery.next_try),
        )
    )


def record(
    control: ControlDatabase,
    delivery: Delivery,
    retries: Retries,
    *,
    status: int | None,
    error: str | None,
    now: datetime,
) -> None:
    """What an attempt brought. error: None is delivered."""
    attempts = delivery.attempts + 1
    again = (
        None
        if error is None
        else retries.next_try(attempts=attempts, noted=moment_of(delivery.noted), now=now)
    )
    control.write(
        "UPDATE outbox_deliveries SET attempts = ?, next_try = ?, delivered = ?, last_status = ?, last_error = ?"
        " WHERE event_id = ? AND target = ?",
        (
            attempts,
            None if again is None else stamp(again),
            stamp(now) if error is None else None,
            status,
            error,
            delivery.event_id,
            delivery.target,
        ),
    )


def deliveries_to(control: ControlDatabase, target: str, *, most: int = 100) -> list[Delivery]:
    """The newest deliveries to one target first."""
    rows = control.rows(
        _JOINED + " WHERE d.target = ? ORDER BY e.noted DESC, e.rowid DESC LIMIT ?", (target, most)
    )
    return [_delivery(row) for row in rows]


def send_again(control: ControlDatabase, event_id: str, target: str, *, now: datetime) -> bool:
    """Make one delivery due at once, whatever became of it before; whether there is one."""
    return bool(
        control.write(
            "UPDATE outbox_deliveries SET next_try = ?, delivered = NULL WHERE event_id = ? AND target = ?",
            (stamp(now), event_id, target),
        )
    )


def remove_target(db: Statements, target: str) -> None:
    """Remove every delivery to a target. The events stay: their ids say that they were told."""
    db.execute("DELETE FROM outbox_deliveries WHERE target = ?", (target,))


def remove_old(db: Statements, target: str, *, before: datetime) -> None:
    """Remove a target's deliveries of events noted before a time, and these events."""
    old = db.execute(
        "DELETE FROM outbox_deliveries WHERE target = ? AND event_id IN"
        " (SELECT event_id FROM outbox_events WHERE noted < ?) RETURNING event_id",
        (target, stamp(before)),
    ).fetchall()
    db.executemany("DELETE FROM outbox_events WHERE event_id = ?", [tuple(row) for row in old])


def forget_events(db: Statements, company_id: str) -> dict[str, int]:
    """Remove a company's events and their deliveries; table -> rows."""
    deliveries = db.execute(
        "DELETE FROM outbox_deliveries WHERE event_id IN (SELECT event_id FROM outbox_events WHERE company_id = ?)",
        (company_id,),
    ).rowcount
    events = db.execute("DELETE FROM outbox_events WHERE company_id = ?", (company_id,)).rowcount
    return {"outbox_deliveries": deliveries, "outbox_events": events}


def _delivery(row: Row) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__dataclass_fields__})
