"""Which episodes go on, and which alerts still have to be sent: kept in ``control.sqlite``, so that a restart
neither tells twice nor forgets to tell.

When that file cannot be written, on a full disk for one, the book goes on in memory: an operator must hear of
exactly such a failure.
"""

import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.control.file import ControlFile, stamp
from connector.errors import StoreError
from connector.logs import get_logger
from connector.schedule.alerts import Alert, Episode, Known, body, decide
from schemas.wire import encode

TABLES = """
CREATE TABLE IF NOT EXISTS alert_episodes (
  connection_id TEXT NOT NULL, company_id TEXT NOT NULL, episode TEXT NOT NULL, began TEXT NOT NULL,
  PRIMARY KEY (connection_id, episode)) STRICT;
CREATE TABLE IF NOT EXISTS alert_deliveries (
  alert_id TEXT PRIMARY KEY, connection_id TEXT NOT NULL, company_id TEXT NOT NULL, body TEXT NOT NULL,
  made TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_try TEXT, delivered TEXT, last_error TEXT) STRICT;
CREATE TABLE IF NOT EXISTS alert_watched (
  connection_id TEXT PRIMARY KEY, company_id TEXT NOT NULL, since TEXT NOT NULL) STRICT;
"""
# Seconds until the next attempt; the last one repeats until a day has passed.
RETRY_AFTER = (5, 30, 120, 600, 1800)
GIVE_UP_AFTER = timedelta(days=1)
_KEPT = timedelta(days=30)
# Inside a transaction SQLite's own errors come through.
_NOT_KEPT = (StoreError, sqlite3.Error)
log = get_logger(__name__)


@dataclass(slots=True)
class Waiting:
    """An alert that has not been delivered. body: JSON text."""

    alert_id: str
    body: str
    made: datetime
    attempts: int


@dataclass(slots=True)
class AlertBook:
    """One store's episodes and alerts."""

    directory: Path
    _memory: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _unsaved: list[tuple[Waiting, datetime]] = field(default_factory=list)
    _watched: dict[str, datetime] = field(default_factory=dict)
    _control: ControlFile | None = None

    def watched_since(self, connections: Iterable[tuple[str, str]], now: datetime) -> dict[str, datetime]:
        """(company id, connection id) -> since when this store has been asked to keep the connection fresh."""
        pairs = list(connections)
        for _, connection_id in pairs:
            self._watched.setdefault(connection_id, now)
        try:
            with self._open().transaction() as db:
                db.executemany(
                    "INSERT OR IGNORE INTO alert_watched VALUES (?, ?, ?)",
                    [(connection_id, company_id, stamp(now)) for company_id, connection_id in pairs],
                )
                for row in db.execute("SELECT connection_id, since FROM alert_watched").fetchall():
                    self._watched[row["connection_id"]] = _parse(row["since"])
        except _NOT_KEPT:
            log.warning("alerts.not_kept")
        return {connection_id: self._watched[connection_id] for _, connection_id in pairs}

    def note(self, known: Known, now: datetime) -> list[Alert]:
        """Decide about one connection; what has to be told is queued. Returns it."""
        try:
            with self._open().transaction() as db:
                rows = db.execute(
                    "SELECT episode FROM alert_episodes WHERE connection_id = ?", (known.connection_id,)
                ).fetchall()
                alerts = decide(known, self._going_on(known, (row["episode"] for row in rows)), now)
                for alert in alerts:
                    alert_id = _new_id()
                    db.executemany(
                        "INSERT INTO alert_episodes VALUES (?, ?, ?, ?)",
                        [(known.connection_id, known.company_id, one, stamp(now)) for one in alert.begins],
                    )
                    db.executemany(
                        "DELETE FROM alert_episodes WHERE connection_id = ? AND episode = ?",
                        [(known.connection_id, one) for one in alert.ends],
                    )
                    db.execute(
                        "INSERT INTO alert_deliveries (alert_id, connection_id, company_id, body, made, next_try)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (
                            alert_id,
                            known.connection_id,
                            known.company_id,
                            _json(alert, alert_id, now),
                            stamp(now),
                            stamp(now),
                        ),
                    )
                db.execute("DELETE FROM alert_deliveries WHERE made < ?", (stamp(now - _KEPT),))
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

    def waiting(self, now: datetime) -> list[Waiting]:
        """What should be sent now, oldest first; of a connection never two at once, so that they arrive in order."""
        found = [one for one, next_try in self._unsaved if next_try <= now]
        try:
            rows = self._open().rows(
                "SELECT alert_id, body, made, attempts FROM alert_deliveries d WHERE next_try <= ? AND NOT EXISTS"
                " (SELECT 1 FROM alert_deliveries e WHERE e.connection_id = d.connection_id AND e.rowid < d.rowid"
                " AND e.next_try IS NOT NULL) ORDER BY rowid",
                (stamp(now),),
            )
        except _NOT_KEPT:
            return found
        return found + [Waiting(r["alert_id"], r["body"], _parse(r["made"]), r["attempts"]) for r in rows]

    def claim(self, waiting: Waiting, now: datetime) -> bool:
        """Take an alert for this process for a minute; False when another one was faster."""
        if any(one is waiting for one, _ in self._unsaved):
            return True
        try:
            return bool(
                self._open().write(
                    "UPDATE alert_deliveries SET next_try = ?, attempts = attempts + 1"
                    " WHERE alert_id = ? AND attempts = ? AND next_try IS NOT NULL",
                    (stamp(now + timedelta(minutes=1)), waiting.alert_id, waiting.attempts),
                )
            )
        except _NOT_KEPT:
            return False

    def attempted(self, waiting: Waiting, error: str | None, now: datetime) -> None:
        """What an attempt brought: None is delivered."""
        again = None
        if error is not None and now - waiting.made < GIVE_UP_AFTER:
            again = now + timedelta(seconds=RETRY_AFTER[min(waiting.attempts, len(RETRY_AFTER) - 1)])
        if any(one is waiting for one, _ in self._unsaved):
            self._unsaved = [pair for pair in self._unsaved if pair[0] is not waiting]
            waiting.attempts += 1
            if again is not None:
                self._unsaved.append((waiting, again))
            return
        try:
            self._open().write(
                "UPDATE alert_deliveries SET next_try = ?, delivered = ?, last_error = ? WHERE alert_id = ?",
                (
                    None if again is None else stamp(again),
                    stamp(now) if error is None else None,
                    error,
                    waiting.alert_id,
                ),
            )
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
            alert_id = _new_id()
            self._unsaved.append((Waiting(alert_id, _json(alert, alert_id, now), now, 0), now))
        return alerts

    def _open(self) -> ControlFile:
        if self._control is None:
            try:
                self._control = ControlFile(self.directory, TABLES)
            except (OSError, sqlite3.Error) as error:
                raise StoreError(f"{self.directory} cannot be written: {error}.") from error
        return self._control


_EPISODES: tuple[Episode, ...] = ("failing", "stale")


def _json(alert: Alert, alert_id: str, now: datetime) -> str:
    return encode(body(alert, alert_id=alert_id, now=now)).decode()


def _new_id() -> str:
    return f"alert_{uuid.uuid4().hex}"


def _parse(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
