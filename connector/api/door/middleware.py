"""The door every request passes: correlation id, key, scope, quota, size, error body, safe headers, access log.

Who has no key is refused here at a bounded rate, before anything is read, and counted rather than logged; a key that
may not write is refused before its body is waited for.

Plain ASGI, because it stands before routing: an unknown path without a key is a 401 and tells nothing about
what exists. Paths with doubled slashes are read as one (Codat's clients do not strip a trailing slash from
the server URL), and parameter names are read in any case, as Codat reads them.
"""

import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import structlog
from prometheus_client import Counter, Histogram
from starlette.responses import Response

from connector.api.answer.errors import ApiError, body, busy, never_synced, unauthorized, unreadable
from connector.api.door.auth import looked_up, recognised, secret_of
from connector.api.door.connections import MOST_CONNECTIONS
from connector.api.door.limits import AtOnce
from connector.api.door.pages import Pages
from connector.api.state import ApiState, Call
from connector.control.access_log import Access
from connector.control.file import stamp
from connector.errors import StoreError
from connector.ledger.published import NothingPublishedError
from connector.logs import get_logger
from connector.redaction import place, trace

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/", "/health", "/health/live", "/health/ready", "/openapi.json", "/metrics"})
OPEN_AT_ONCE = 2  # requests of one address for open paths that are worked on at a time; the others wait
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PARAMETERS = {
    name.lower(): name
    for name in (
        *("page", "pageSize", "query", "orderBy", "asOf", "tags", "connectionId", "scenario"),
        *("fromSnapshot", "toSnapshot", "format", "pinnedTo"),
        *("reportDate", "periodLength", "numberOfPeriods", "periodUnit", "includeDisplayNames"),
        "reportType",
    )
}
SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-cache"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]
REQUESTS = Counter("connector_api_requests", "Requests answered, by route and status.", ["route", "status"])
SECONDS = Histogram(
    "connector_api_request_seconds",
    "Time from the request to the end of its answer, by route.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 20),
)
log = get_logger(__name__)


class Front:
    """Wraps the application; see the module."""

    def __init__(self, app: App, *, state: ApiState, pages: Pages | None = None) -> None:
        self._app = app
        self._state = state
        self._pages = pages
        most = state.settings.most_at_once
        self._admitted = AtOnce(most, state.settings.most_at_once_a_key, state.settings.turns_a_key)
        # As many as there are connections: one that is sent away would be back at once.
        self._open = AtOnce(MOST_CONNECTIONS, MOST_CONNECTIONS, OPEN_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        call = Call(self._state, uuid.uuid4().hex)
        scope["call"] = call
        _tidy(scope)
        answer = _Answer(call, send)
        admitted = False
        structlog.contextvars.bind_contextvars(correlation_id=call.correlation_id)
        try:
            async with await self._admit(scope, call, answer):
                admitted = True
                await self._app(scope, _limited(receive, self._state.settings.most_body), answer.send)
        except ApiError as error:
            if not admitted:
                await self._state.settings.sleep(self._state.refusals.take())
            await self._refuse(scope, call, answer, error)
        except NothingPublishedError:
            await self._refuse(scope, call, answer, never_synced())
        except (StoreError, OSError) as exc:
            self._say("api.store_failed", scope, exc, error=str(exc), hint=getattr(exc, "hint", None))
            await self._refuse(scope, call, answer, unreadable())
        except Exception as exc:  # the last line of defence: a body without internals, the cause in the log
            self._say("api.failed", scope, exc, error=type(exc).__name__, exception=trace(exc))
            broken = ApiError(500, "Something went wrong here; quote the correlation id.")
            await self._refuse(scope, call, answer, broken)
        finally:
            self._note(scope, call, answer, time.perf_counter() - started)
            structlog.contextvars.unbind_contextvars("correlation_id")

    async def _refuse(self, scope: Scope, call: Call, answer: "_Answer", error: ApiError) -> None:
        if self._pages is None or not self._pages.owns(scope["path"]):
            await answer.error(error)
        elif answer.status is None:
            page = self._pages.refusal(call, scope["path"], scope["query_string"].decode("latin-1"), error)
            await answer.page(page)

    def _is_open(self, path: str) -> bool:
        return path in OPEN_PATHS or (self._pages is not None and self._pages.is_open(path))

    async def _admit(self, scope: Scope, call: Call, answer: "_Answer") -> AbstractAsyncContextManager[None]:
        """What the request holds while it is answered. Raises ApiError where it is not."""
        headers = {
            name: value for name, value in scope["headers"] if name in (b"authorization", b"content-length")
        }
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._state.settings.most_body:
            raise ApiError(413, f"A body is at most {self._state.settings.most_body} bytes.")
        if self._is_open(scope["path"]):
            return self._open.request(address_of(scope))
        if self._pages is not None and self._pages.owns(scope["path"]):
            key = await looked_up(call, partial(self._pages.key, call, scope["headers"]))
            if key is None:
                raise unauthorized()
        else:
            secret = secret_of(headers.get(b"authorization", b"").decode("latin-1"))
            key = await recognised(call, secret, address_of(scope))
        call.key = key
        if (connection := scope.get("state", {}).get("connection")) is not None:
            connection.prove()
        quota = self._state.quota.take(key.key_id, key.requests_per_minute)
        answer.extra = quota.headers()
        if quota.exceeded:
            raise busy(quota.wait)
        # Every route that changes something needs the scope write; asked here, before a body is waited for.
        if scope["method"] not in READING_METHODS:
            call.require("write")
        return self._admitted.request(key.key_id)

    def _route(self, scope: Scope) -> str:
        """The path's pattern, without ids. What was refused before it had one is not named: it may hold a secret."""
        pattern = getattr(scope.get("route"), "path", None)
        return pattern or (scope["path"] if scope["path"] in OPEN_PATHS else "unknown")

    def _say(self, event: str, scope: Scope, failure: Exception, **fields: str | None) -> None:
        """A fault for the operator; ``where`` tells one from another, so that each is said some times a minute."""
        log.error(event, route=self._route(scope), where=place(failure), **fields)

    def _note(self, scope: Scope, call: Call, answer: "_Answer", seconds: float) -> None:
        is_open = self._is_open(scope["path"])
        route = self._route(scope)
        status = answer.status or 499  # the client went away before an answer
        REQUESTS.labels(route, str(status)).inc()
        SECONDS.labels(route).observe(seconds)
        if is_open and (scope["method"] in READING_METHODS or (call.key is None and status < 400)):
            return
        if call.key is None or status == 429:
            self._state.access_log.refused(call.now(), None if call.key is None else call.key.key_id, status)
            return
        query = scope["query_string"].decode("latin-1")[:2048] or None
        self._state.access_log.add(
            Access(
                at=stamp(call.now()),
                correlation_id=call.correlation_id,
                key_id=call.key.key_id,
                method=scope["method"],
                route=route,
                company_id=call.company_id,
                connection_id=call.connection_id,
                query=query,
                rows=call.rows,
                snapshot_id=call.snapshot_id,
                status=status,
                milliseconds=round(seconds * 1000, 3),
                address=address_of(scope),
            )
        )
        log.debug("api.answered", route=route, status=status, rows=call.rows, milliseconds=seconds * 1000)


class _Answer:
    """Adds the headers every answer has, and remembers the status."""

    def __init__(self, call: Call, send: Send) -> None:
        self._call = call
        self._send = send
        self.status: int | None = None
        self.extra: list[tuple[bytes, bytes]] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            own = [(n.encode(), v.encode()) for n, v in self._call.headers.items()]
            safe = [(n, v) for n, v in SAFE_HEADERS if n not in names]
            correlation = (b"x-correlation-id", self._call.correlation_id.encode())
            message = {**message, "headers": [*given, correlation, *self.extra, *own, *safe]}
        await self._send(message)

    async def page(self, page: Response) -> None:
        """A page, whole."""
        headers = list(page.raw_headers)
        await self.send({"type": "http.response.start", "status": page.status_code, "headers": headers})
        await self.send({"type": "http.response.body", "body": page.body})

    async def error(self, error: ApiError) -> None:
        if self.status is not None:
            return  # the answer has begun: all that is left is to cut it short
        content = body(error, self._call.correlation_id)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": content})


def _tidy(scope: Scope) -> None:
    # On the undecoded path: a record's id may hold an encoded slash.
    path = scope.get("raw_path", scope["path"].encode()).split(b"?")[0]
    while b"//" in path:
        path = path.replace(b"//", b"/")
    scope["raw_path"] = path.rstrip(b"/") or b"/"
    scope["path"] = unquote(scope["raw_path"].decode("latin-1"))
    raw = scope["query_string"]
    if raw:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
        scope["query_string"] = urlencode([(PARAMETERS.get(n.lower(), n), v) for n, v in pairs]).encode()


def _limited(receive: Receive, most: int) -> Receive:
    seen = 0

    async def receive_some() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise ApiError(413, f"A body is at most {most} bytes.")
        return message

    return receive_some


def address_of(scope: Scope) -> str:
    """Where a request came from, behind trusted proxies too."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
