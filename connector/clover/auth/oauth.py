"""OAuth v2 pairs: asking Clover for them, and handing out an access token that is good now.

Clover's rules (docs.clover.com, Use OAuth; Refresh access tokens): bodies are JSON, expirations are Unix
seconds, and a refresh token is good for one use. So a new pair is on disk before it is used, and only one
process at a time refreshes. The first pair comes from ``connector.clover.auth.authorize``.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from connector.clover.auth.credentials import PairStore
from connector.clover.http.inflate import gathered
from connector.clover.http.reach import Patience, shown, why
from connector.clover.http.responses import retry_after
from connector.clover.http.retry import RetryPolicy, with_retries
from connector.clover.http.transport import SOCKET_ERRORS, DeadlineTransport, deadline, proxy_for
from connector.errors import CloverError, CloverUnavailable, Deauthorized, StoreError, Throttled
from connector.logs import get_logger
from connector.redaction import remember_secrets

log = get_logger(__name__)

# Renewed so long before its end, seconds: longer than any one request.
_MARGIN = 120.0
# A pair this young is not renewed for its age alone: if it looks old, it is this machine's clock that is
# wrong, and every renewal would burn a refresh token.
_YOUNG = 300.0

_LARGEST_ANSWER = 64 << 10  # bytes; a pair of tokens has some hundreds

_POLICY = RetryPolicy(attempts=4, total_seconds=60.0)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What Clover hands out. Times in Unix seconds, None if Clover left them out; obtained_at by our clock."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    access_expires: float | None = None
    refresh_expires: float | None = None
    obtained_at: float = 0.0


def exchange_code(
    url: str,
    body: Mapping[str, str],
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
    timeout: float = 30.0,
    patience: Patience | None = None,
    named_in: str = "",
) -> TokenPair:
    """Posts JSON to Clover's token or refresh address and reads the pair from the answer.

    Raises Deauthorized when Clover refuses (4xx), CloverUnavailable when it cannot be reached or answers
    nonsense. Neither ever quotes what was sent or received.
    """

    waiting = patience or Patience()

    def attempt() -> TokenPair:
        sockets = transport or DeadlineTransport(url)
        with (
            httpx.Client(transport=sockets, timeout=timeout, follow_redirects=False) as http,
            deadline(min(timeout, waiting.left())),
        ):
            try:
                headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
                with http.stream("POST", url, json=dict(body), headers=headers) as response:
                    answer = gathered(response.iter_bytes(), _LARGEST_ANSWER) or b""
            except (httpx.HTTPError, *SOCKET_ERRORS) as error:
                raise CloverUnavailable(
                    f"Clover's OAuth address could not be reached: {shown(url, proxy_for(url))}: {why(error)}.",
                    method="POST",
                    path=url,
                    hint=f"{named_in} leads there." if named_in else None,
                ) from None
        waiting.note_answer()
        return _pair_in(response, answer, url, now())

    return with_retries(attempt, policy=_POLICY, sleep=sleep, patience=waiting.left)


def _pair_in(response: httpx.Response, body: bytes, url: str, now: float) -> TokenPair:
    status = response.status_code
    if status == 429:
        raise Throttled(
            "Clover's OAuth address answered 429.", retry_after=retry_after(response.headers), path=url
        )
    if status >= 500 or status == 408:
        raise CloverUnavailable(
            f"Clover's OAuth address answered {status}.", method="POST", path=url, status=status
        )
    if status in (400, 401, 403):
        raise Deauthorized(
            f"Clover refused to give a token ({status}).", method="POST", path=url, status=status
        )
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    access = answer.get("access_token") if isinstance(answer, dict) else None
    if status != 200 or not isinstance(access, str) or not access.isascii() or not access.isprintable():
        raise CloverError(
            f"Clover's OAuth address answered {status} without a token.",
            method="POST",
            path=url,
            status=status,
            hint="Check token_url and refresh_url of the connection.",
        )
    refresh = answer.get("refresh_token")
    return TokenPair(
        access_token=access,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        access_expires=_seconds(answer.get("access_token_expiration")),
        refresh_expires=_seconds(answer.get("refresh_token_expiration")),
        obtained_at=now,
    )


def _seconds(value: object) -> float | None:
    """Unix seconds. Clover counts in milliseconds elsewhere, so a value that large is taken for those."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        return None
    return value / 1_000 if value > 10**11 else float(value)


class OAuthToken:
    """A TokenSource that renews itself. Safe between threads and, by the store's lock, between processes and hosts.

    seed: the refresh token of the configuration; used while nothing is stored, and again when changed there. cure: what
    to do when the merchant has taken the access back.
    """

    def __init__(
        self,
        connection_id: str,
        store: PairStore,
        *,
        client_id: str,
        refresh_url: str,
        seed: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        patience: Patience | None = None,
        named_in: str = "",
        cure: str | None = None,
    ) -> None:
        self._connection_id = connection_id
        self._cure = (
            cure or f"The merchant must connect again: connector authorize --connection {connection_id}"
        )
        self._store = store
        self._client_id = client_id
        self._refresh_url = refresh_url
        self._seed = seed
        self._transport = transport
        self._sleep = sleep
        self._now = now
        self._patience = patience
        self._named_in = named_in
        self._lock = threading.Lock()
        self._pair: TokenPair | None = None

    def current(self) -> str:
        """A token that is good for some minutes yet. Raises Deauthorized when none can be had."""
        with self._lock:
            if self._pair is None or not self._is_good(self._pair, None):
                self._pair = self._renewed(None)
            return self._pair.access_token

    def refresh(self, rejected: str | None = None) -> str:
        """A token other than ``rejected``. Raises Deauthorized when none can be had."""
        with self._lock:
            if self._pair is None or self._pair.access_token == rejected or rejected is None:
                self._pair = self._renewed(rejected)
            return self._pair.access_token

    def __repr__(self) -> str:
        return f"OAuthToken(connection_id={self._connection_id!r})"

    def _is_good(self, pair: TokenPair, rejected: str | None) -> bool:
        if not pair.access_token or pair.access_token == rejected:
            return False
        if pair.access_expires is None or 0 <= self._now() - pair.obtained_at < _YOUNG:
            return True
        return self._now() < pair.access_expires - _MARGIN

    def _renewed(self, rejected: str | None) -> TokenPair:
        given: list[TokenPair] = []
        try:
            return self._renewed_alone(rejected, given)
        except StoreError as error:
            if not given or not self._store.save_again_seconds:
                raise
            log.warning("clover.token_not_kept", connection_id=self._connection_id, error=error.message)
        self._save_again(given[0])
        return given[0]

    def _save_again(self, pair: TokenPair) -> None:
        """What Clover has given must be kept: nobody can renew with the refresh token before it any more."""
        for attempt in Retrying(
            retry=retry_if_exception_type(StoreError),
            stop=stop_after_delay(self._store.save_again_seconds),
            wait=wait_fixed(1.0),
            sleep=self._sleep,
            reraise=True,
        ):
            with attempt:
                save_pair(self._store, self._connection_id, pair, seed=self._seed)

    def _renewed_alone(self, rejected: str | None, given: list[TokenPair]) -> TokenPair:
        """given: takes the pair that Clover has handed out, whatever becomes of keeping it."""
        with self._store.lock(self._connection_id):
            stored = self._load()
            if stored is not None and self._is_good(stored, rejected):
                return stored  # another process was faster
            refresh_token = (stored.refresh_token if stored else None) or self._seed
            if not refresh_token:
                raise self._deauthorized("there is no refresh token")
            self._rehearse_saving()
            try:
                pair = exchange_code(
                    self._refresh_url,
                    {"client_id": self._client_id, "refresh_token": refresh_token},
                    transport=self._transport,
                    sleep=self._sleep,
                    now=self._now,
                    patience=self._patience,
                    named_in=self._named_in,
                )
            except Deauthorized as refused:
                raise self._deauthorized(f"Clover refused the refresh token ({refused.status})") from None
            pair = TokenPair(
                pair.access_token,
                pair.refresh_token or refresh_token,
                pair.access_expires,
                pair.refresh_expires,
                pair.obtained_at,
            )
            given.append(pair)
            save_pair(self._store, self._connection_id, pair, seed=self._seed)
            log.info("clover.token_renewed", connection_id=self._connection_id)
            return pair

    def _load(self) -> TokenPair | None:
        stored = self._store.load(self._connection_id)
        if stored is None:
            return None
        # A refresh token newly written into the configuration is a person's repair: it goes before a stored one.
        if self._seed is not None and stored.get("seed") not in (None, _fingerprint(self._seed)):
            return None
        pair = TokenPair(
            access_token=str(stored.get("access_token") or ""),
            refresh_token=str(stored["refresh_token"]) if stored.get("refresh_token") else None,
            access_expires=_seconds(stored.get("access_expires")),
            refresh_expires=_seconds(stored.get("refresh_expires")),
            obtained_at=_seconds(stored.get("obtained_at")) or 0.0,
        )
        remember_secrets(secret for secret in (pair.access_token, pair.refresh_token) if secret)
        return pair

    def _rehearse_saving(self) -> None:
        """A full disk must be found out before the refresh token is used up, not after."""
        stored = self._store.load(self._connection_id)
        self._store.save(self._connection_id, stored if stored is not None else {})

    def _deauthorized(self, reason: str) -> Deauthorized:
        return Deauthorized(
            f"Connection {self._connection_id} is no longer authorised: {reason}. Nothing was changed.",
            method="POST",
            path=self._refresh_url,
            status=401,
            hint=self._cure,
        )


def save_pair(
    store: PairStore,
    connection_id: str,
    pair: TokenPair,
    *,
    seed: str | None = None,
    merchant_id: str | None = None,
) -> None:
    """Stores a pair durably. seed: the configured refresh token at that time, kept as a fingerprint only."""
    remember_secrets(secret for secret in (pair.access_token, pair.refresh_token) if secret)
    store.save(
        connection_id,
        {
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "access_expires": pair.access_expires,
            "refresh_expires": pair.refresh_expires,
            "obtained_at": pair.obtained_at,
            "merchant_id": merchant_id,
            "seed": _fingerprint(seed) if seed else None,
        },
    )


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
