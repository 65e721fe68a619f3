"""Link tokens: what a link has to carry to open anything. Signed, and good until a day that stands in it.

    TOKEN = base64url( expiry day, 3 bytes | company id | 0 | connection id ) "." base64url( HMAC-SHA256, 16 bytes )

Nothing is kept of a token: the ids in it say what it opens, and the keys are made of those that close OAuth pairs, so
that whoever has the database alone can make none. The same link is given out all day, which keeps answers the same.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGNATURE = 16  # bytes; 128 bits, as the keys
_LONGEST = 512  # characters


@dataclass(frozen=True, slots=True)
class Opens:
    """What a token opens. connection_id: None where the merchant of the company is still to be chosen one for."""

    company_id: str
    connection_id: str | None


class InvalidLink(Exception):
    """No token of ours. ``is_over``: it was one, and its days are over."""

    def __init__(self, *, is_over: bool = False) -> None:
        super().__init__("expired" if is_over else "invalid")
        self.is_over = is_over


class LinkTokens:
    """Makes and reads tokens. keys: secrets, newest first; the first signs, all are believed."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [derived(key, "link token") for key in keys]

    def make(self, opens: Opens, *, now: datetime, valid_days: int) -> str:
        """Good to the end of the day, UTC, that is so many days after ``now``."""
        day = (now + timedelta(days=valid_days + 1) - _EPOCH).days
        payload = day.to_bytes(3) + f"{opens.company_id}\0{opens.connection_id or ''}".encode()
        return f"{_text(payload)}.{_text(_signed(self._keys[0], payload))}"

    def read(self, token: str, *, now: datetime) -> Opens:
        """Raises InvalidLink."""
        payload, signature = _parts(token)
        if not any(hmac.compare_digest(_signed(key, payload), signature) for key in self._keys):
            raise InvalidLink
        if now >= _EPOCH + timedelta(days=int.from_bytes(payload[:3])):
            raise InvalidLink(is_over=True)
        company_id, _, connection_id = payload[3:].decode().partition("\0")
        return Opens(company_id, connection_id or None)


def derived(key: str, purpose: str) -> bytes:
    """A key for one purpose out of the one that closes OAuth pairs; neither tells the other."""
    return hmac.new(key.encode(), f"connector {purpose}".encode(), hashlib.sha256).digest()


def _signed(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, payload, hashlib.sha256).digest()[:_SIGNATURE]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(token: str) -> tuple[bytes, bytes]:
    if len(token) > _LONGEST or not token.isascii():
        raise InvalidLink
    head, _, tail = token.partition(".")
    try:
        payload, signature = (
            base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True) for part in (head, tail)
        )
    except (binascii.Error, ValueError):
        raise InvalidLink from None
    if (_text(payload), _text(signature)) != (head, tail) or len(payload) < 5:
        raise InvalidLink  # one token has one spelling
    return payload, signature
