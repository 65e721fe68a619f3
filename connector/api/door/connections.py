"""HTTP connections: how many may be open, how long a request may take to arrive, what nobody reads.

uvicorn's own protocol waits for ever for the rest of a header or a body, and takes every connection there is a
descriptor for. Here a request has ten seconds from its first byte to its last. When no connection is left,
the one is closed that was of least use: first those over which no good key ever came, the oldest before the
others, then one that has been idle longest.
"""

import asyncio
import resource
import socket
import uuid
from typing import Any

import uvicorn
from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from connector.api.answer.errors import ApiError, body

ARRIVAL_SECONDS = 10.0  # for header and body together; a body is 64 kB at most
MOST_HEADER = 64 * 1024  # bytes; uvicorn's other parser has the same bound
STALLED_SECONDS = 30.0  # an answer of which the client took less than the next in this time is given up
LEAST_READ = 32 * 1024  # bytes
MOST_CONNECTIONS = 4096
ACCEPTED_AT_ONCE = 32  # connections taken from the queue before their number is looked at
RESERVED_DESCRIPTORS = 96  # for those, the control file and its log, published files, webhooks
GRACE_SECONDS = 20
_QUEUE = 2048  # connections the kernel holds until they are taken
GIVEN_UP = Counter(
    "connector_api_connections_given_up",
    "Connections closed by the server: late (half-sent), header (too long), unread (answer), full (too many).",
    ["reason"],
)


def room_for_connections(most: int = MOST_CONNECTIONS) -> int:
    """How many connections the process has descriptors for, at most ``most``.

    Raises the soft limit as far as the hard one allows: 1,024 is what a shell or a service begins with.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return most
    return max(16, min(most, soft - RESERVED_DESCRIPTORS))


class OpenConnections:
    """Which connections are open, in the order in which they are given up when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._unproven: dict[HttpConnection, None] = {}  # by arrival
        self._proven: dict[HttpConnection, None] = {}  # by their last request

    def add(self, connection: "HttpConnection") -> None:
        """Take a new connection, and give another up for it where that is needed."""
        if len(self._unproven) + len(self._proven) >= self._most:
            idle = (held for held in self._proven if held.idle)
            given_up = next(iter(self._unproven), None) or next(idle, None) or connection
            self.remove(given_up)
            given_up.give_up("full")
            if given_up is connection:
                return
        self._unproven[connection] = None

    def prove(self, connection: "HttpConnection") -> None:
        """A good key came over it."""
        if connection in self._unproven or connection in self._proven:
            self.remove(connection)
            self._proven[connection] = None

    def remove(self, connection: "HttpConnection") -> None:
        """It is closed."""
        self._unproven.pop(connection, None)
        self._proven.pop(connection, None)


class ServerConfig(uvicorn.Config):
    """How the API is served. ``trusted_proxies``: addresses and networks whose ``X-Forwarded-For`` is believed."""

    def __init__(
        self,
        app: Any,
        *,
        trusted_proxies: tuple[str, ...] = (),
        most_connections: int = MOST_CONNECTIONS,
        arrival_seconds: float = ARRIVAL_SECONDS,
        **more: Any,
    ) -> None:
        super().__init__(
            app,
            http=HttpConnection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            backlog=ACCEPTED_AT_ONCE,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=30,
            **more,
        )
        self.open = OpenConnections(most_connections)
        self.arrival_seconds = arrival_seconds


class Server(uvicorn.Server):
    """uvicorn's server; the kernel's queue stays long although few connections are taken from it at a time."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_QUEUE)


class HttpConnection(HttpToolsProtocol):
    """One connection; see the module."""

    config: ServerConfig

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._arriving = False  # some of a request has come, and not yet all of it
        self._header_bytes: int | None = None  # of the header that arrives; None outside of one
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._unsent = 0

    @property
    def idle(self) -> bool:
        """Nothing is asked and nothing is being answered."""
        return not self._arriving and (self.cycle is None or self.cycle.response_complete)

    def prove(self) -> None:
        """A good key came: this connection is given up after all that never had one."""
        self.config.open.prove(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(self.config.arrival_seconds, self._give_up_waiting)
        self.config.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.open.remove(self)
        self._arriving = False
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER:
                self._refuse(
                    "header", ApiError(431, f"The header of a request is at most {MOST_HEADER} bytes.")
                )
        if not self._arriving:
            self._stop_waiting()
        elif self._late is None:
            self._late = self.loop.call_later(self.config.arrival_seconds, self._give_up_waiting)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["connection"] = self
        self._arriving, self._header_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arriving = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()

    def timeout_keep_alive_handler(self) -> None:
        if not self.transport.get_write_buffer_size():
            super().timeout_keep_alive_handler()
            return
        # The answer was handed over, not read. Closing would wait for the client, whether it reads or not.
        if self._stalled is None:
            self._watch()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _give_up_waiting(self) -> None:
        self._late = None
        if self.pipeline:  # reading waits for answers of ours, not for the client
            self._late = self.loop.call_later(self.config.arrival_seconds, self._give_up_waiting)
        elif self._arriving:
            self._refuse("late", ApiError(408, "The request did not arrive in time."))
        else:
            self.give_up("late")

    def _watch(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self._give_up_writing)

    def _give_up_writing(self) -> None:
        self._stalled = None
        unsent = self.transport.get_write_buffer_size()
        if unsent and self._unsent - unsent < min(LEAST_READ, self._unsent):
            self.give_up("unread")
        elif unsent:
            self._watch()

    def give_up(self, reason: str) -> None:
        """Close at once, whatever is still to be sent."""
        GIVEN_UP.labels(reason).inc()
        self.transport.abort()

    def _refuse(self, reason: str, error: ApiError) -> None:
        """Say why where nothing was answered yet, and close."""
        if self.transport.is_closing():
            return
        GIVEN_UP.labels(reason).inc()
        if self._header_bytes is not None or not self.cycle.response_started:
            content = body(error, uuid.uuid4().hex)
            self.transport.write(
                STATUS_LINE[error.status]
                + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(content)
                + b"connection: close\r\n\r\n"
                + content
            )
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_watching(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
