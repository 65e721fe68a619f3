"""Who wants to be told of what: endpoints, and their events in the outbox.

Sending is ``connector.api.webhook_delivery``'s. Retry times and the five days after which an endpoint is given up
are Codat's (docs.codat.io, "Webhooks").
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.control import outbox
from connector.control.database import ControlDatabase, Row
from connector.control.file import stamp
from connector.control.outbox import Delivery, Event, Retries
from schemas.wire import encode

RETRIES = Retries(
    tuple(timedelta(seconds=s) for s in (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
)
_ONCE = Retries(())
GIVE_UP_AFTER = timedelta(days=5)
TABLES = """
CREATE TABLE IF NOT EXISTS webhooks (
  webhook_id TEXT PRIMARY KEY, url TEXT NOT NULL, event_types TEXT NOT NULL, company_tags TEXT, companies TEXT,
  secret TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, key_id TEXT,
  failing_since TEXT) STRICT;
CREATE TABLE IF NOT EXISTS connection_told (
  connection_id TEXT PRIMARY KEY, connected INTEGER NOT NULL, turn INTEGER NOT NULL) STRICT;
"""
_NAMESPACE = uuid.UUID("6a7d8f2e-2f39-4a5e-9d5b-0f5a4b1c7e11")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint. ``companies``.

    Those its maker may see, None for all. ``event_types`` empty means every type.
    """

    webhook_id: str
    url: str
    event_types: tuple[str, ...]
    company_tags: tuple[str, ...]
    companies: frozenset[str] | None
    secret: str
    disabled: bool
    created: str
    failing_since: str | None = None

    def wants(self, event_type: str, company_id: str | None, tags: Mapping[str, str]) -> bool:
        """Whether an event goes to this endpoint.

        Tags are ``key:value``, one of them must be the company's.
        """
        if self.disabled or (self.event_types and event_type not in self.event_types):
            return False
        if self.companies is not None and company_id not in self.companies:
            return False
        return not self.company_tags or any(f"{k}:{v}" in self.company_tags for k, v in tags.items())


def event_id(*parts: str) -> str:
    """The id of what happened; the same parts give the same id."""
    return "evt_" + uuid.uuid5(_NAMESPACE, "/".join(parts)).hex


def create_webhook(control: ControlDatabase, webhook: Webhook, *, key_id: str | None) -> None:
    """The id must be new."""
    control.write(
        "INSERT INTO webhooks (webhook_id, url, event_types, company_tags, companies, secret, disabled, created,"
        " key_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            webhook.webhook_id,
            webhook.url,
            json.dumps(webhook.event_types),
            json.dumps(webhook.company_tags),
            None if webhook.companies is None else json.dumps(sorted(webhook.companies)),
            webhook.secret,
            int(webhook.disabled),
            webhook.created,
            key_id,
        ),
    )


def list_webhooks(control: ControlDatabase) -> list[Webhook]:
    """Every endpoint, oldest first."""
    return [_webhook(row) for row in control.rows("SELECT * FROM webhooks ORDER BY created, webhook_id")]


def delete_webhook(control: ControlDatabase, webhook_id: str) -> None:
    """The endpoint and what was still to be sent to it."""
    with control.transaction() as db:
        outbox.remove_target(db, webhook_id)
        db.execute("DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,))


def note_event(
    control: ControlDatabase,
    identity: str,
    event_type: str,
    payload: Mapping[str, object],
    *,
    now: datetime,
    company_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
) -> bool:
    """Queue an event for every endpoint that wants it, at once due. False when it was noted before.

    The envelope is Codat's: id, eventType, generatedDate, payload.
    ``only``: webhook ids, for a test delivery.
    """
    body = encode({"id": identity, "eventType": event_type, "generatedDate": stamp(now), "payload": payload})
    event = Event(identity, event_type, company_id, body.decode())
    with control.transaction() as db:
        if only is not None:
            targets = list(only)
        else:
            hooks = [_webhook(row) for row in db.execute("SELECT * FROM webhooks").fetchall()]
            targets = [hook.webhook_id for hook in hooks if hook.wants(event_type, company_id, tags or {})]
        return outbox.note(db, event, targets, now=now)


def due_deliveries(
    control: ControlDatabase, *, now: datetime, most: int = 50
) -> list[tuple[Delivery, Webhook]]:
    """What should be sent now, the longest waiting first."""
    hooks = {hook.webhook_id: hook for hook in list_webhooks(control) if not hook.disabled}
    return [(one, hooks[one.target]) for one in outbox.due(control, hooks, now=now, most=most)]


def record_attempt(
    control: ControlDatabase, delivery: Delivery, *, status: int | None, error: str | None, now: datetime
) -> None:
    """What an attempt brought.

    Done for 2XX, else when to try again; an endpoint failing for days is disabled.
    """
    is_good = status is not None and 200 <= status < 300
    with control.transaction() as db:
        outbox.record(
            control, delivery, RETRIES, status=status, error=None if is_good else error or "failed", now=now
        )
        if is_good:
            db.execute("UPDATE webhooks SET failing_since = NULL WHERE webhook_id = ?", (delivery.target,))
        else:
            db.execute(
                "UPDATE webhooks SET failing_since = coalesce(failing_since, ?) WHERE webhook_id = ?",
                (stamp(now), delivery.target),
            )
            db.execute(
                "UPDATE webhooks SET disabled = 1 WHERE webhook_id = ? AND failing_since <= ?",
                (delivery.target, stamp(now - GIVE_UP_AFTER)),
            )


def record_test(
    control: ControlDatabase, delivery: Delivery, *, status: int | None, error: str | None, now: datetime
) -> None:
    """What a test delivery brought; it is tried once and counts neither for nor against the endpoint."""
    outbox.record(control, delivery, _ONCE, status=status, error=error, now=now)


def _webhook(row: Row) -> Webhook:
    return Webhook(
        webhook_id=row["webhook_id"],
        url=row["url"],
        event_types=tuple(json.loads(row["event_types"])),
        company_tags=tuple(json.loads(row["company_tags"] or "[]")),
        companies=None if row["companies"] is None else frozenset(json.loads(row["companies"])),
        secret=row["secret"],
        disabled=bool(row["disabled"]),
        created=row["created"],
        failing_since=row["failing_since"],
    )


def note_status_event(
    control: ControlDatabase,
    connection_id: str,
    connected: bool,
    payload: Mapping[str, object],
    *,
    now: datetime,
    company_id: str,
    tags: Mapping[str, str],
) -> bool:
    """Tell that a connection was connected, reconnected or disconnected; False when that was told last.

    A connection that never was connected is not told to be disconnected.
    """
    row = control.row("SELECT * FROM connection_told WHERE connection_id = ?", (connection_id,))
    if row is None and not connected:
        return False
    if row is not None and bool(row["connected"]) == connected:
        return False
    turn = 0 if row is None else row["turn"] + 1
    taken = control.write(
        "INSERT INTO connection_told VALUES (?, ?, ?) ON CONFLICT (connection_id) DO UPDATE"
        " SET connected = excluded.connected, turn = excluded.turn WHERE connection_told.turn < excluded.turn",
        (connection_id, int(connected), turn),
    )
    if not taken:
        return False
    event_type = (
        "connection.disconnected"
        if not connected
        else ("connection.connected" if turn == 0 else "connection.reconnected")
    )
    identity = event_id("connection", connection_id, str(turn))
    return note_event(control, identity, event_type, payload, now=now, company_id=company_id, tags=tags)
