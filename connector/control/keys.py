"""The API's keys: made at random, shown once, kept as a hash, scoped, expiring, revocable at once.

A key reads ``cck_<key id>_<secret>``: the id finds the row, the hash of the whole is compared in constant
time. The secret has 256 random bits, so a plain SHA-256 is enough: there is no dictionary to try.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from connector.control.database import ControlDatabase, Row
from connector.control.file import stamp

SCOPES = ("read", "write", "lineage")
TABLES = """
CREATE TABLE IF NOT EXISTS api_keys (
  key_id TEXT PRIMARY KEY, label TEXT NOT NULL, secret_hash TEXT NOT NULL, companies TEXT, scopes TEXT NOT NULL,
  requests_per_minute INTEGER, created TEXT NOT NULL, expires TEXT, revoked TEXT) STRICT;
"""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """``companies``: None for all of them. ``expires``, ``revoked``: instants as text, None for never."""

    key_id: str
    label: str
    companies: frozenset[str] | None
    scopes: frozenset[str]
    created: str
    expires: str | None = None
    revoked: str | None = None
    requests_per_minute: int | None = None

    def may_see(self, company_id: str) -> bool:
        return self.companies is None or company_id in self.companies

    def is_good(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or stamp(now) < self.expires)


def create_key(
    control: ControlDatabase,
    label: str,
    *,
    now: datetime,
    companies: Iterable[str] | None = None,
    scopes: Iterable[str] = ("read",),
    expires: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret text, which is kept nowhere."""
    wanted = frozenset(scopes)
    if unknown := wanted - set(SCOPES):
        raise ValueError(f"unknown scopes {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
    key = ApiKey(
        key_id="".join(secrets.choice(_ALPHABET) for _ in range(10)),
        label=label,
        companies=None if companies is None else frozenset(companies),
        scopes=wanted,
        created=stamp(now),
        expires=None if expires is None else stamp(expires),
        requests_per_minute=requests_per_minute,
    )
    secret = f"cck_{key.key_id}_{secrets.token_urlsafe(32)}"
    control.write(
        "INSERT INTO api_keys (key_id, label, secret_hash, companies, scopes, requests_per_minute, created, expires)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.key_id,
            label,
            _hash(secret),
            None if key.companies is None else json.dumps(sorted(key.companies)),
            json.dumps(sorted(key.scopes)),
            requests_per_minute,
            key.created,
            key.expires,
        ),
    )
    return key, secret


def find_key(control: ControlDatabase, secret: str, *, now: datetime) -> ApiKey | None:
    """The key a client showed, None when it is wrong, expired or revoked.

    Read anew each time: revoked is at once.
    """
    parts = secret.split("_", 2)
    key_id = parts[1] if len(parts) == 3 and parts[0] == "cck" else ""
    row = control.row("SELECT * FROM api_keys WHERE key_id = ?", (key_id,))
    same = hmac.compare_digest(_hash(secret), _NOBODY if row is None else row["secret_hash"])
    if row is None or not same:
        return None
    key = _key(row)
    return key if key.is_good(now) else None


def key_of(control: ControlDatabase, key_id: str, *, now: datetime) -> ApiKey | None:
    """The key of an id that was proved before; None when it has expired or was revoked since."""
    row = control.row("SELECT * FROM api_keys WHERE key_id = ?", (key_id,))
    key = None if row is None else _key(row)
    return key if key is not None and key.is_good(now) else None


def list_keys(control: ControlDatabase) -> list[ApiKey]:
    """Every key there ever was, oldest first."""
    return [_key(row) for row in control.rows("SELECT * FROM api_keys ORDER BY created, key_id")]


def revoke_key(control: ControlDatabase, key_id: str, *, now: datetime) -> bool:
    """Whether there was such a key that was still good. It is refused from the next request on."""
    return bool(
        control.write(
            "UPDATE api_keys SET revoked = ? WHERE key_id = ? AND revoked IS NULL", (stamp(now), key_id)
        )
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _key(row: Row) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        label=row["label"],
        companies=None if row["companies"] is None else frozenset(json.loads(row["companies"])),
        scopes=frozenset(json.loads(row["scopes"])),
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
        requests_per_minute=row["requests_per_minute"],
    )
