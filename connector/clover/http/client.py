"""One GET to Clover that either gives JSON or raises an error a person can act on.

Paces, authorises, bounds time and size, retries, counts and archives. Lists, records and their meaning are
left to ``pages``, ``hydrate`` and ``platform``.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from connector.clover.auth.tokens import TokenSource
from connector.clover.http.inflate import gathered
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.reach import NOT_CONNECTED, TIMED_OUT, Patience, shown, why
from connector.clover.http.responses import (
    BodyTooLarge,
    Unauthorized,
    breaches_app_limit,
    permission_missing,
    read_answer,
)
from connector.clover.http.retry import RetryPolicy, wait_seconds, with_retries
from connector.clover.http.transport import SOCKET_ERRORS, DeadlineTransport, deadline, proxy_for
from connector.clover.lists.streams import STREAMS
from connector.errors import CloverError, CloverUnavailable, Deauthorized, Throttled
from connector.logs import get_logger

log = get_logger(__name__)

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]


class Archive(Protocol):
    """Where the bodies are kept: ``connector.clover.archive.RawArchive``."""

    def append(self, path: str, params: Sequence[tuple[str, str]], status: int, body: bytes) -> None: ...


@dataclass(slots=True)
class RequestMeter:
    """What a client has cost. waited_seconds: for the pacer and between attempts, summed over threads."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    waited_seconds: float = 0.0
    by_status: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(
        self, *, requests: int = 0, retries: int = 0, waited: float = 0.0, status: int | None = None
    ) -> None:
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.waited_seconds += waited
            if status is not None:
                self.by_status[status] += 1
                self.throttled += status == 429


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one attempt: seconds to connect, between two reads, for the whole answer; bytes of the unpacked body."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 90.0
    body_bytes: int = 8 << 20


# Cheap and empty: one second of the year 2020. Asked only to learn which streams a token may read.
_PROBE = {"created.gte": 1577836800000, "created.lt": 1577836801000, "limit": 2}


def default_user_agent() -> str:
    """Name and version, which Clover asks for."""
    try:
        return f"clover-codat-connector/{version('clover-codat-connector')}"
    except PackageNotFoundError:
        return "clover-codat-connector/0"


def _loopback_port(base_url: str) -> int | None:
    parts = urlsplit(base_url)
    return parts.port if parts.hostname in ("127.0.0.1", "localhost", "::1") else None


class CloverClient:
    """Reads one merchant's data from one host. Safe to share between threads; close it when done.

    transport: replaces the sockets, for tests. sleep, clock: seconds; the pacer has its own clock. named_in: where the
    configuration names the address. patience: how long the first answer may take.
    """

    def __init__(
        self,
        base_url: str,
        token: TokenSource,
        *,
        pacer: Pacer | None = None,
        archive: Archive | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        user_agent: str | None = None,
        limits: Limits | None = None,
        policy: RetryPolicy | None = None,
        patience: Patience | None = None,
        named_in: str = "",
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._pacer = pacer or Pacer(app=AppPacer(clock=clock))
        self._archive = archive
        self._sleep = sleep
        self._clock = clock
        self._limits = limits or Limits()
        self._policy = policy or RetryPolicy()
        self._patience = patience or Patience()
        self._named_in = named_in
        self.meter = RequestMeter()
        # What Clover's clock said in its first and its newest answer, aware UTC.
        self.first_date: datetime | None = None
        self.last_date: datetime | None = None
        self._http = httpx.Client(
            transport=transport or DeadlineTransport(self._base_url),
            timeout=httpx.Timeout(
                self._limits.read_seconds,
                connect=self._limits.connect_seconds,
                pool=self._limits.total_seconds,
            ),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": user_agent or default_user_agent(),
            },
            follow_redirects=False,  # a redirect could carry the token to another host
        )

    def get_json(
        self, path: str, params: Params = (), *, permission: str = "", may_refresh: bool = True
    ) -> object:
        """The JSON that Clover answers with, after retries.

        permission: what a 403 means, as Clover names it. may_refresh: whether a 401 may cost a token refresh.
        Raises Throttled, CloverUnavailable, Deauthorized, PermissionMissing, and from
        ``connector.clover.http.responses`` NotFound, BadRequest, BodyTooLarge.
        """
        pairs = [
            (name, str(value)) for name, value in (params.items() if isinstance(params, Mapping) else params)
        ]
        waited = [0.0]

        def attempt() -> object:
            return self._authorised(path, pairs, permission, may_refresh, waited)

        def before_wait(number: int, error: CloverError, seconds: float) -> None:
            self.meter.count(retries=1, waited=seconds)
            log.warning(
                "clover.retry", path=path, status=error.status, attempt=number, attempts=self._policy.attempts,
                wait_seconds=round(seconds, 2),
            )  # fmt: skip

        return with_retries(
            attempt,
            policy=self._policy,
            sleep=self._sleep,
            clock=self._clock,
            queued=lambda: waited[0],
            patience=self._patience.left,
            before_wait=before_wait,
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> "CloverClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _authorised(
        self,
        path: str,
        params: list[tuple[str, str]],
        permission: str,
        may_refresh: bool,
        waited: list[float],
    ) -> object:
        """One attempt; a 401 costs one refresh and one more request."""
        token = self._token.current()
        try:
            return self._send(path, params, permission, token, waited)
        except Unauthorized as refused:
            if not may_refresh:
                raise Deauthorized(refused.message, path=path, status=401) from None
        try:
            token = self._token.refresh(token)
            return self._send(path, params, permission, token, waited)
        except (Unauthorized, Deauthorized) as refused:
            # A missing permission may also come as 401: then the token still opens another stream.
            if self._opens_another_stream(path, token, waited):
                raise permission_missing(path, permission, status=401) from None
            raise Deauthorized(
                f"Clover refuses the merchant's token at GET {path}, and no other token can be had.",
                path=path,
                status=401,
                hint=refused.hint or "The merchant must connect again: connector authorize --connection ID",
            ) from None

    def _opens_another_stream(self, path: str, token: str, waited: list[float]) -> bool:
        paths = tuple(stream.path for stream in STREAMS.values())
        if not path.startswith(paths):
            return False
        for other in paths:
            if path.startswith(other):
                continue
            try:
                self._send(other, [(k, str(v)) for k, v in _PROBE.items()], "", token, waited)
            except (Throttled, CloverUnavailable):
                raise
            except CloverError:
                continue
            return True
        return False

    def _send(
        self, path: str, params: list[tuple[str, str]], permission: str, token: str, waited: list[float]
    ) -> object:
        with self._pacer.slot() as queued:
            waited[0] += queued
            self.meter.count(requests=1, waited=queued)
            status, headers, body = self._exchange(path, params, token)
        self._patience.note_answer()
        self.meter.count(status=status)
        self._note_date(headers.get("date"))
        try:
            document = read_answer(status, headers, body, path=path, permission=permission)
        except Throttled as throttled:
            # Everybody on this token waits, not only this thread: calls during the pause lengthen it.
            pause = wait_seconds(self._policy, 1, throttled, spread=lambda: 0.0)
            self._pacer.pause(pause, whole_app=breaches_app_limit(headers))
            raise
        if self._archive is not None:
            self._archive.append(path, params, status, body)
        return document

    def _note_date(self, header: str | None) -> None:
        try:
            date = parsedate_to_datetime(header or "").astimezone(UTC)
        except (TypeError, ValueError):
            return  # no date, or none that is one
        self.first_date = self.first_date or date
        self.last_date = date

    def _exchange(
        self, path: str, params: list[tuple[str, str]], token: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        started = self._clock()
        try:
            with (
                deadline(min(self._limits.total_seconds, self._patience.left())),
                self._http.stream(
                    "GET",
                    self._base_url + path,
                    params=tuple(params),
                    headers={"Authorization": f"Bearer {token}"},
                ) as response,
            ):
                body = gathered(self._in_time(started, response.iter_bytes()), self._limits.body_bytes)
                if body is None and response.status_code == 200:
                    raise BodyTooLarge(
                        f"Clover's answer to GET {path} is larger than {self._limits.body_bytes} bytes.",
                        path=path,
                        status=200,
                    )
                return response.status_code, response.headers, body or b""
        except NOT_CONNECTED as error:
            raise self._silent(f"Clover cannot be reached for GET {path}", path, error) from None
        except TIMED_OUT as error:
            raise self._silent(f"Clover did not answer GET {path} in time", path, error) from None
        except (httpx.HTTPError, *SOCKET_ERRORS) as error:
            raise self._silent(f"The connection to Clover broke at GET {path}", path, error) from None

    def _silent(self, what: str, path: str, error: Exception) -> CloverUnavailable:
        """Says where and why. The text of a protocol error may quote the answer, so it is left out."""
        address = shown(self._base_url, proxy_for(self._base_url))
        if not self._patience.is_used_up or not self._patience.reason:
            self._patience.reason = why(error)
        hint = "Nothing is lost; the next sync starts from the same place."
        if self._patience.is_used_up and not isinstance(error, NOT_CONNECTED):
            hint = f"To wait longer: connector sync --patient. {hint}"
        if isinstance(error, NOT_CONNECTED) and self._named_in:
            hint = f"{self._named_in} says that Clover is at {shown(self._base_url)}. {hint}"
        if isinstance(error, NOT_CONNECTED) and (port := _loopback_port(self._base_url)):
            hint = f"A stand-in listens there only while it runs: connector sandbox --port {port}. {hint}"
        return CloverUnavailable(f"{what}: {address}: {self._patience.reason}.", path=path, hint=hint)

    def _in_time(self, started: float, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._clock() - started > self._limits.total_seconds:
                raise httpx.ReadTimeout("the answer as a whole took too long")
            yield piece
