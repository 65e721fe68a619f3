"""Sessions of the portal: who signed in with which key, kept by the hash of a random token and ended in good time.

A session is only a way to say which key asks: whether that key is still good is looked up at every request, so a
revoked key ends its sessions at once. It ends by itself when nothing was asked for half an hour, and after a
working day whatever was asked.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from connector.control.database import ControlDatabase
from connector.control.file import moment_of, stamp

TABLES = """
CREATE TABLE IF NOT EXISTS portal_sessions (
  token_hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, began TEXT NOT NULL, seen TEXT NOT NULL) STRICT;
"""
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
_SEEN_AGAIN_AFTER = timedelta(minutes=1)  # a page that is read at once after another need not be written down


def begin_session(control: ControlDatabase, key_id: str, *, now: datetime) -> str:
    """The token of a new session, which is kept nowhere. Sessions that have ended are removed on the way."""
    token = secrets.token_urlsafe(32)
    with control.transaction() as db:
        db.execute(
            "DELETE FROM portal_sessions WHERE seen <= ? OR began <= ?",
            (stamp(now - IDLE), stamp(now - LONGEST)),
        )
        db.execute(
            "INSERT INTO portal_sessions VALUES (?, ?, ?, ?)", (_hash(token), key_id, stamp(now), stamp(now))
        )
    return token


def session_key(control: ControlDatabase, token: str, *, now: datetime) -> str | None:
    """Id of the key that a session was begun with; None where there is no such session, or it has ended."""
    row = control.row("SELECT key_id, began, seen FROM portal_sessions WHERE token_hash = ?", (_hash(token),))
    if row is None or now - moment_of(row["seen"]) >= IDLE or now - moment_of(row["began"]) >= LONGEST:
        return None
    if now - moment_of(row["seen"]) >= _SEEN_AGAIN_AFTER:
        control.write("UPDATE portal_sessions SET seen = ? WHERE token_hash = ?", (stamp(now), _hash(token)))
    return str(row["key_id"])


def end_session(control: ControlDatabase, token: str) -> None:
    """Signed out: the token opens nothing any more, wherever a copy of it is."""
    control.write("DELETE FROM portal_sessions WHERE token_hash = ?", (_hash(token),))


def form_token(token: str) -> str:
    """What a form of the session carries to prove that a page of ours sent it; another text each time it is asked for.

    It never repeats because pages travel compressed beside text that others chose, which would give it away.
    """
    salt = secrets.token_hex(16)
    return f"{salt}.{_proof(token, salt)}"


def is_form_token(token: str, given: str) -> bool:
    """Whether a form came from a page of this session."""
    salt, _, proof = given.partition(".")
    return bool(salt) and hmac.compare_digest(_proof(token, salt).encode(), proof.encode("utf-8", "replace"))


def _proof(token: str, salt: str) -> str:
    return hmac.new(token.encode(), f"form {salt}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
