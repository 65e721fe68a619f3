"""Visits of merchants to the page that connects them: one row a browser that opened a link, and what became of it.

The browser is known by the hash of a random token in its cookie, Clover's answer by the hash of the state that was sent
with it. A state belongs to one visit, is taken once, and only for ten minutes. No code and no token of Clover is here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from connector.control.database import ControlDatabase
from connector.control.file import moment_of, stamp

Stage = Literal["opened", "sent", "details", "linked", "relinked", "refused", "failed"]
TABLES = """
CREATE TABLE IF NOT EXISTS link_visits (
  visit_hash TEXT PRIMARY KEY, company_id TEXT NOT NULL, connection_id TEXT, redirect TEXT, opened TEXT NOT NULL,
  stage TEXT NOT NULL, reason TEXT, region TEXT, consented TEXT, ended TEXT, state_hash TEXT, state_made TEXT,
  state_used TEXT, merchant_id TEXT, profile TEXT);
CREATE INDEX IF NOT EXISTS link_visits_company ON link_visits (company_id, opened);
CREATE INDEX IF NOT EXISTS link_visits_connection ON link_visits (connection_id, ended);
CREATE TABLE IF NOT EXISTS link_claims (
  connection_id TEXT PRIMARY KEY, visit_hash TEXT NOT NULL, claimed TEXT NOT NULL);
"""
VISIT = timedelta(hours=4)
STATE = timedelta(minutes=10)
KEPT = timedelta(days=90)
CLAIM = timedelta(minutes=2)  # a process that dies while it links is overtaken after this
MOST_OPEN = (
    20  # visits of one link that nobody went on with; older ones make room, so that no link fills the table
)
ENDED = ("linked", "relinked")
FAILED = ("failed", "refused")


@dataclass(frozen=True, slots=True)
class Visit:
    """One browser at one link. Times are texts of ``stamp``.

    connection_id: None until a company's link has led to one. profile: JSON of what Clover said of the merchant, while
    the merchant is asked for the rest.
    """

    visit_hash: str
    company_id: str
    connection_id: str | None
    redirect: str | None
    opened: str
    stage: Stage
    reason: str | None = None
    region: str | None = None
    consented: str | None = None
    ended: str | None = None
    merchant_id: str | None = None
    profile: str | None = None


_COLUMNS = ", ".join(Visit.__dataclass_fields__)


def hash_of(secret: str) -> str:
    """How a cookie or a state is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def open_visit(control: ControlDatabase, visit: Visit, *, now: datetime) -> None:
    """Note a browser down; of the same link the oldest that nobody went on with are removed, and what is long over."""
    with control.transaction() as db:
        db.execute("DELETE FROM link_visits WHERE opened < ?", (stamp(now - KEPT),))
        of_link = "company_id = ? AND coalesce(connection_id, '') = ? AND stage = 'opened'"
        link = (visit.company_id, visit.connection_id or "")
        db.execute(
            f"DELETE FROM link_visits WHERE {of_link} AND visit_hash NOT IN (SELECT visit_hash FROM link_visits"  # noqa: S608
            f" WHERE {of_link} ORDER BY opened DESC, visit_hash LIMIT ?)",
            (*link, *link, MOST_OPEN - 1),
        )
        db.execute(
            "INSERT INTO link_visits (visit_hash, company_id, connection_id, redirect, opened, stage)"
            " VALUES (?, ?, ?, ?, ?, 'opened')",
            (visit.visit_hash, *link[:1], visit.connection_id, visit.redirect, visit.opened),
        )


def visit_of(control: ControlDatabase, browser: str, *, now: datetime) -> Visit | None:
    """The visit of a browser, by its cookie; None where there is none, or it was begun hours ago."""
    row = control.row(
        f"SELECT {_COLUMNS} FROM link_visits WHERE visit_hash = ? AND opened > ?",  # noqa: S608 - our own names
        (hash_of(browser), stamp(now - VISIT)),
    )
    return None if row is None else _visit(row)


def send_to_clover(
    control: ControlDatabase, visit: Visit, *, state: str, connection_id: str, region: str, now: datetime
) -> None:
    """The merchant consents and is sent to Clover with a state of its own; an earlier state of the visit is over."""
    control.write(
        "UPDATE link_visits SET stage = 'sent', reason = NULL, consented = ?, connection_id = ?, region = ?,"
        " state_hash = ?, state_made = ?, state_used = NULL WHERE visit_hash = ?",
        (stamp(now), connection_id, region, hash_of(state), stamp(now), visit.visit_hash),
    )


def take_state(
    control: ControlDatabase, visit: Visit, state: str, *, now: datetime
) -> Literal["taken", "used", "late", "foreign"]:
    """Take the state that came back, once. ``foreign``: it is not this browser's, and stays good for its own."""
    taken = control.write(
        "UPDATE link_visits SET state_used = ? WHERE visit_hash = ? AND state_hash = ? AND state_used IS NULL"
        " AND state_made > ?",
        (stamp(now), visit.visit_hash, hash_of(state), stamp(now - STATE)),
    )
    if taken:
        return "taken"
    row = control.row(
        "SELECT state_used, state_made FROM link_visits WHERE visit_hash = ? AND state_hash = ?",
        (visit.visit_hash, hash_of(state)),
    )
    if row is None:
        return "foreign"
    return "used" if row["state_used"] else "late"


def claim(control: ControlDatabase, connection_id: str, visit: Visit, *, now: datetime) -> bool:
    """Whether this visit may link the connection now; no other one may until it is released."""
    return bool(
        control.write(
            "INSERT INTO link_claims (connection_id, visit_hash, claimed) VALUES (?, ?, ?)"
            " ON CONFLICT (connection_id) DO UPDATE SET visit_hash = excluded.visit_hash, claimed = excluded.claimed"
            " WHERE link_claims.claimed < ? OR link_claims.visit_hash = excluded.visit_hash",
            (connection_id, visit.visit_hash, stamp(now), stamp(now - CLAIM)),
        )
    )


def release(control: ControlDatabase, connection_id: str, visit: Visit) -> None:
    """The visit is done with the connection."""
    control.write(
        "DELETE FROM link_claims WHERE connection_id = ? AND visit_hash = ?",
        (connection_id, visit.visit_hash),
    )


def note_details(control: ControlDatabase, visit: Visit, *, merchant_id: str, profile: str) -> None:
    """Clover agreed and left something out, for which the merchant is asked."""
    control.write(
        "UPDATE link_visits SET stage = 'details', merchant_id = ?, profile = ? WHERE visit_hash = ?",
        (merchant_id, profile, visit.visit_hash),
    )


def note_asked_again(control: ControlDatabase, visit: Visit) -> None:
    """What the merchant said could not be used."""
    control.write("UPDATE link_visits SET reason = 'details' WHERE visit_hash = ?", (visit.visit_hash,))


def begin_again(control: ControlDatabase, visit: Visit) -> None:
    """Back to the question; a state that is still on its way is good for nothing any more."""
    control.write(
        "UPDATE link_visits SET stage = 'opened', reason = NULL, state_hash = NULL, profile = NULL"
        " WHERE visit_hash = ?",
        (visit.visit_hash,),
    )


def note_failed(control: ControlDatabase, visit: Visit, *, stage: Stage, reason: str, now: datetime) -> None:
    """It did not work, or the merchant refused; the same visit may begin again."""
    control.write(
        "UPDATE link_visits SET stage = ?, reason = ?, ended = ? WHERE visit_hash = ?",
        (stage, reason, stamp(now), visit.visit_hash),
    )


def note_linked(
    control: ControlDatabase,
    visit: Visit,
    *,
    connection_id: str,
    merchant_id: str | None,
    again: bool,
    now: datetime,
) -> None:
    """It worked. again: the merchant had been connected before. merchant_id: None where it is not known here."""
    control.write(
        "UPDATE link_visits SET stage = ?, reason = NULL, connection_id = ?, merchant_id = ?, profile = NULL,"
        " ended = ? WHERE visit_hash = ?",
        ("relinked" if again else "linked", connection_id, merchant_id, stamp(now), visit.visit_hash),
    )


def relinked_at(control: ControlDatabase, connection_ids: Iterable[str]) -> dict[str, datetime]:
    """When connections were last linked again by their merchants, aware UTC; those that never were are left out."""
    found = {}
    for connection_id in connection_ids:
        row = control.row(
            "SELECT max(ended) AS ended FROM link_visits WHERE connection_id = ? AND stage = 'relinked'",
            (connection_id,),
        )
        if row is not None and row["ended"]:
            found[connection_id] = moment_of(row["ended"])
    return found


def newest_failure(control: ControlDatabase, connection_id: str) -> tuple[str | None, str] | None:
    """Reason and time of the newest visit of a connection, where that led to nothing; None where it did not fail."""
    row = control.row(
        "SELECT stage, reason, ended FROM link_visits WHERE connection_id = ? AND ended IS NOT NULL"
        " ORDER BY ended DESC, visit_hash LIMIT 1",
        (connection_id,),
    )
    return None if row is None or row["stage"] not in FAILED else (row["reason"], row["ended"])


def visits_since(control: ControlDatabase, *, most: int) -> list[Visit]:
    """The newest visits first."""
    rows = control.rows(
        f"SELECT {_COLUMNS} FROM link_visits ORDER BY opened DESC, visit_hash LIMIT ?",  # noqa: S608 - our own names
        (most,),
    )
    return [_visit(row) for row in rows]


def is_waiting(visit: Visit, now: datetime) -> bool:
    """Whether the merchant may still go on with it."""
    return visit.stage not in ENDED and now - moment_of(visit.opened) < VISIT


def _visit(row: Any) -> Visit:
    return Visit(**{name: row[name] for name in Visit.__dataclass_fields__})
