"""Which episodes go on, and which alerts still have to be sent: kept in the control data, so that a restart
neither tells twice nor forgets to tell. What has to be sent waits in the outbox.

When that file cannot be written, on a full disk for one, the book goes on in memory: an operator must hear of
exactly such a failure.
"""

import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connector.control import outbox
from connector.control.database import ControlDatabase
from connector.control.file import moment_of, stamp
from connector.control.outbox import Delivery, Event, Retries
from connector.control.place import Place, open_control
from connector.errors import StoreError
from connector.logs import get_logger
from connector.schedule.alerts import Alert, Episode, Known, body, decide
from schemas.wire import encode

TABLES = """
CREATE TABLE IF NOT EXISTS alert_episodes (
  connection_id TEXT NOT NULL, company_id TEXT NOT NULL, episode TEXT NOT NULL, began TEXT NOT NULL,
  PRIMARY KEY (connection_id, episode)) STRICT;
CREATE TABLE IF NOT EXISTS alert_watched (
  connection_id TEXT PRIMARY KEY, company_id TEXT NOT NULL, since TEXT NOT NULL) STRICT;
"""
TARGET = "alerts"  # the address itself is the configuration's
RETRIES = Retries(tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800)), within=timedelta(days=1))
_KEPT = timedelta(days=30)
# Inside a transaction SQLite's own errors come through.
_NOT_KEPT = (StoreError, sqlite3.Error)
log = get_logger(__name__)


@dataclass(slots=True)
class AlertBook:
    """One store's episodes and alerts."""

    place: Place
    _memory: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _unsaved: list[Delivery] = field(default_factory=list)
    _watched: dict[str, datetime] = field(default_factory=dict)
    _control: ControlDatabase | None = None

    def watched_since(self, connections: Iterable[tuple[str, str]], now: datetime) -> dict[str, datetime]:
        """(company id, connection id) -> since when this store has been asked to keep the connection fresh."""
        pairs = list(connections)
        for _, connection_id in pairs:
            self._watched.setdefault(connection_id, now)
        try:
            control = self._open()
            known = {
                row["connection_id"]: moment_of(row["since"])
                for row in control.rows("SELECT connection_id, since FROM alert_watched")
            }
            fresh = [(one, company, stamp(now)) for company, one in pairs if one not in known]
            if fresh:
                control.write_many(
                    "INSERT INTO alert_watched VALUES (?, ?, ?) ON CONFLICT (connection_id) DO NOTHING", fresh
                )
            self._watched |= known
        except _NOT_KEPT:
            log.warning("alerts.not_kept")
        return {connection_id: self._watched[connection_id] for _, connection_id in pairs}

    def worth_noting(self, known: Iterable[Known], now: datetime) -> list[Known]:
        """Those of which something has to be told: of ten thousand connections few, found with one question.

        Deliveries that are old are removed on the way.
        """
        looked_at = list(known)
        try:
            with self._open().transaction() as db:
                outbox.remove_old(db, TARGET, before=now - _KEPT)
                rows = db.execute("SELECT connection_id, episode FROM alert_episodes").fetchall()
        except _NOT_KEPT:
            return looked_at
        going_on: dict[str, list[str]] = {}
        for row in rows:
            going_on.setdefault(row["connection_id"], []).append(row["episode"])
        return [
            one
            for one in looked_at
            if decide(one, self._going_on(one, going_on.get(one.connection_id, ())), now)
        ]

    def note(self, known: Known, now: datetime) -> list[Alert]:
        """Decide about one connection; what has to be told is queued. Returns it."""
        try:
            with self._open().transaction() as db:
                rows = db.execute(
                    "SELECT episode FROM alert_episodes WHERE connection_id = ?", (known.connection_id,)
                ).fetchall()
                alerts = decide(known, self._going_on(known, (row["episode"] for row in rows)), now)
                for alert in alerts:
                    db.executemany(
                        "INSERT INTO alert_episodes VALUES (?, ?, ?, ?)",
                        [(known.connection_id, known.company_id, one, stamp(now)) for one in alert.begins],
                    )
                    db.executemany(
                        "DELETE FROM alert_episodes WHERE connection_id = ? AND episode = ?",
                        [(known.connection_id, one) for one in alert.ends],
                    )
                    outbox.note(db, _event(alert, now), [TARGET], now=now)
                outbox.remove_old(db, TARGET, before=now - _KEPT)
        except _NOT_KEPT:
            alerts = self._note_in_memory(known, now)
        else:
            for episode in ("failing", "stale"):
                if any(episode in alert.ends for alert in alerts):
                    self._memory.pop((known.connection_id, episode), None)
        for alert in alerts:
            log.warning("alert.raised", alert=alert.event, company_id=known.company_id,
                        connection_id=known.connection_id, error_kind=known.error_kind)  # fmt: skip
        return alerts

    def waiting(self, now: datetime) -> list[Delivery]:
        """What should be sent now; of a connection never two at once, so that they arrive in order."""
        unsaved = [one for one in self._unsaved if moment_of(one.next_try or one.noted) <= now]
        try:
            return unsaved + outbox.due(self._open(), [TARGET], now=now)
        except _NOT_KEPT:
            return unsaved

    def claim(self, waiting: Delivery, now: datetime) -> bool:
        """Take an alert for this process for a minute; False when another one was faster."""
        if waiting in self._unsaved:
            return True
        try:
            return outbox.claim(self._open(), waiting, now=now)
        except _NOT_KEPT:
            return False

    def attempted(self, waiting: Delivery, status: int | None, error: str | None, now: datetime) -> None:
        """What an attempt brought. error: None is delivered."""
        if waiting in self._unsaved:
            self._unsaved.remove(waiting)
            attempts = waiting.attempts + 1
            again = RETRIES.next_try(attempts=attempts, noted=moment_of(waiting.noted), now=now)
            if error is not None and again is not None:
                self._unsaved.append(replace(waiting, attempts=attempts, next_try=stamp(again)))
            return
        try:
            outbox.record(self._open(), waiting, RETRIES, status=status, error=error, now=now)
        except _NOT_KEPT:
            log.warning("alerts.not_kept")

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def _going_on(self, known: Known, kept: Iterable[str]) -> frozenset[Episode]:
        names = set(kept) | {
            episode for connection, episode in self._memory if connection == known.connection_id
        }
        return frozenset(episode for episode in _EPISODES if episode in names)

    def _note_in_memory(self, known: Known, now: datetime) -> list[Alert]:
        try:
            rows = self._open().rows(
                "SELECT episode FROM alert_episodes WHERE connection_id = ?", (known.connection_id,)
            )
        except _NOT_KEPT:
            rows = []
        kept = {row["episode"] for row in rows}
        found = decide(known, self._going_on(known, kept), now)
        # The end of an episode that cannot be crossed off would be told again and again: it waits.
        alerts = [alert for alert in found if not kept.intersection(alert.ends)]
        for alert in alerts:
            for episode in alert.begins:
                self._memory[(known.connection_id, episode)] = now
            for episode in alert.ends:
                self._memory.pop((known.connection_id, episode), None)
            event, at = _event(alert, now), stamp(now)
            self._unsaved.append(
                Delivery(event.event_id, event.event_type, TARGET, at, 0, at, None, None, None, event.body)
            )
        return alerts

    def _open(self) -> ControlDatabase:
        if self._control is None:
            self._control = open_control(self.place, outbox.TABLES, TABLES)
        return self._control


_EPISODES: tuple[Episode, ...] = ("failing", "stale")


def _event(alert: Alert, now: datetime) -> Event:
    alert_id = f"alert_{uuid.uuid4().hex}"
    text = encode(body(alert, alert_id=alert_id, now=now)).decode()
    return Event(alert_id, alert.event, alert.about.company_id, text, line=alert.about.connection_id)
