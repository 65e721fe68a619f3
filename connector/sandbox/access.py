"""Who may read what: bearer tokens, their permissions, and OAuth v2 pairs that expire and are used once.

Bodies are JSON and expirations Unix seconds (docs.clover.com, Use OAuth; Refresh access tokens).
"""

import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from connector.sandbox.answers import Answer, Request, json_answer, refusal
from connector.sandbox.world import World

PERMISSIONS = frozenset({"READ_ORDERS", "READ_PAYMENTS", "READ_CUSTOMERS", "READ_MERCHANT"})
_YEAR = 365 * 86_400


@dataclass(slots=True)
class Grant:
    """What one token opens. denied: streams refused although the permission is there. expires_at: seconds."""

    world: World
    permissions: frozenset[str] = PERMISSIONS
    denied: frozenset[str] = frozenset()
    platform: bool = True
    expires_at: float | None = None


@dataclass(slots=True)
class _Pending:
    world: World
    permissions: frozenset[str]
    platform: bool


@dataclass(slots=True)
class Access:
    """Tokens of one sandbox. clock: Unix seconds. access_seconds, code_seconds: how long a token and a code live.

    asks: whether the consent page asks; without it every merchant agrees at once.
    """

    clock: Callable[[], float] = time.time
    access_seconds: float = 1_800.0
    code_seconds: float = 600.0
    asks: bool = False
    client_id: str = "SANDBOXAPP001"
    client_secret: str = field(default="sandbox-client-secret", repr=False)
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    refreshes: int = 0
    refused_refreshes: int = 0
    exchanges: int = 0
    _codes: dict[str, tuple[_Pending, float]] = field(default_factory=dict, repr=False)
    _refresh_tokens: dict[str, _Pending] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def grant(
        self,
        token: str,
        world: World,
        *,
        permissions: Iterable[str] = PERMISSIONS,
        denied: Iterable[str] = (),
        platform: bool = True,
    ) -> Grant:
        """Gives a token that does not expire, as a merchant's private key. denied: e.g. ``refunds``."""
        grant = Grant(world, frozenset(permissions), frozenset(denied), platform)
        self.grants[token] = grant
        return grant

    def pair(
        self, world: World, *, permissions: Iterable[str] = PERMISSIONS, platform: bool = True
    ) -> dict[str, Any]:
        """A new OAuth pair, as Clover's token endpoint would answer it."""
        with self._lock:
            return self._pair(_Pending(world, frozenset(permissions), platform))

    def code(
        self, world: World, *, permissions: Iterable[str] = PERMISSIONS, seconds: float | None = None
    ) -> str:
        """An authorisation code to be exchanged once. seconds: how long it lives, else ``code_seconds``."""
        code = secrets.token_hex(16)
        until = self.clock() + (self.code_seconds if seconds is None else seconds)
        with self._lock:
            self._codes[code] = (_Pending(world, frozenset(permissions), True), until)
        return code

    def expire(self, token: str) -> None:
        """The access token is over from now on; its refresh token is not."""
        self.grants[token].expires_at = self.clock()

    def revoke(self, world: World) -> None:
        """The merchant removes the app: every token of his is dead."""
        with self._lock:
            self.grants = {token: grant for token, grant in self.grants.items() if grant.world is not world}
            self._refresh_tokens = {
                token: pending
                for token, pending in self._refresh_tokens.items()
                if pending.world is not world
            }

    def bearer(self, request: Request) -> str:
        """The token sent, or ""."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def of(self, request: Request) -> Grant | None:
        """What the request's token opens now; None for an unknown or an expired one."""
        grant = self.grants.get(self.bearer(request))
        if grant is None or (grant.expires_at is not None and self.clock() >= grant.expires_at):
            return None
        return grant

    def oauth(self, request: Request) -> Answer:
        """``POST /oauth/v2/token`` and ``/oauth/v2/refresh``; a code or refresh token is good once."""
        try:
            asked = json.loads(request.body or b"{}")
        except ValueError:
            return refusal(400, "The body is not JSON.")
        if not isinstance(asked, dict) or asked.get("client_id") != self.client_id:
            return json_answer({"message": "Unknown client."}, 401)
        with self._lock:
            if request.path.endswith("/refresh"):
                pending = self._refresh_tokens.pop(str(asked.get("refresh_token")), None)
                self.refreshes += pending is not None
                self.refused_refreshes += pending is None
            elif asked.get("client_secret") != self.client_secret and "code_verifier" not in asked:
                return json_answer({"message": "Unknown client."}, 401)
            else:
                pending, until = self._codes.pop(str(asked.get("code")), (None, 0.0))
                pending = pending if self.clock() < until else None
                self.exchanges += pending is not None
            if pending is None:
                return json_answer({"message": "Failed to validate authentication code."}, 401)
            pair = self._pair(pending)
        if request.param("no_refresh_token") == "true":
            pair = {name: value for name, value in pair.items() if not name.startswith("refresh")}
        return json_answer(pair)

    def _pair(self, pending: _Pending) -> dict[str, Any]:
        access, refresh, now = (
            f"eyJ-{secrets.token_hex(16)}",
            f"clvroar-{secrets.token_hex(16)}",
            self.clock(),
        )
        self.grants[access] = Grant(
            pending.world,
            pending.permissions,
            platform=pending.platform,
            expires_at=now + self.access_seconds,
        )
        self._refresh_tokens[refresh] = pending
        return {
            "access_token": access,
            "access_token_expiration": int(now + self.access_seconds),
            "refresh_token": refresh,
            "refresh_token_expiration": int(now + self.access_seconds) + _YEAR,
        }
