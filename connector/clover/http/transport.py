"""HTTP over sockets with one deadline for the whole exchange.

httpx's own timeouts start anew with every byte, so a server that drips one byte now and then holds a request
for ever, in the headers as in the body. Here every read, write and connect gets at most what is left until
the deadline. httpx also unpacks a body as far as it goes and through any number of codings; here one coding is
accepted, unpacked in small pieces, so that a reader can stop. What to do with an answer is left to
``connector.clover.http.client``.
"""

import time
import urllib.request
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from connector.clover.http.inflate import CODINGS, codings_of, inflated
from connector.clover.http.reach import addresses
from connector.errors import CloverError

# What a DeadlineTransport raises. These are httpcore's own: httpx translates only inside its own transport.
SOCKET_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)

_PACKED = (b"content-encoding", b"content-length")  # what an unpacked body no longer is

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Everything this thread reads or writes inside the block must be over after so many seconds."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _left(timeout: float | None, late: type[Exception]) -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise late("the answer as a whole took too long")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        until = time.monotonic() + _left(timeout, httpcore.ConnectTimeout)
        found = addresses(host, port, until - time.monotonic())
        while True:
            # One that is silent leaves time for the others.
            share = max(0.01, (until - time.monotonic()) / len(found))
            try:
                stream = self._backend.connect_tcp(found.pop(0), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not found or time.monotonic() >= until:
                    raise
            else:
                return _Stream(stream)


class _Body(httpx.SyncByteStream):
    """The unpacked body."""

    def __init__(self, response: httpcore.Response, coding: str | None) -> None:
        self._response = response
        self._coding = coding

    def __iter__(self) -> Iterator[bytes]:
        packed = self._response.iter_stream()
        yield from packed if self._coding is None else inflated(packed, self._coding)

    def close(self) -> None:
        self._response.close()


class DeadlineTransport(httpx.BaseTransport):
    """Connections to one host, through the environment's proxy (HTTPS_PROXY, NO_PROXY) where there is one.

    Bodies come unpacked. Raises SOCKET_ERRORS, and CloverError for a body in a coding that is not read.
    """

    def __init__(self, base_url: str, *, connections: int = 10) -> None:
        ssl_context = httpx.create_ssl_context()
        proxy = proxy_for(base_url)
        shared: dict[str, Any] = {
            "ssl_context": ssl_context,
            "max_connections": connections,
            "keepalive_expiry": 20.0,
            "network_backend": _Backend(),
        }
        self._pool = httpcore.HTTPProxy(proxy, **shared) if proxy else httpcore.ConnectionPool(**shared)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        codings = codings_of(answer.headers)
        if len(codings) > 1 or not set(codings) <= set(CODINGS):
            answer.close()
            if answer.status != 200:  # the status says enough
                return httpx.Response(answer.status, headers=_without(answer.headers, _PACKED))
            raise CloverError(
                f"Clover answered {request.method} {url.path} with a body in "
                f"{f'{len(codings)} content codings' if len(codings) > 1 else 'a content coding'} that is not "
                "read: at most one is, gzip or deflate.",
                method=request.method,
                path=url.path,
                status=answer.status,
                hint="Check that base_url points at Clover and what a proxy in between does to answers.",
            )
        headers = _without(answer.headers, _PACKED) if codings else answer.headers
        body = _Body(answer, codings[0] if codings else None)
        return httpx.Response(answer.status, headers=headers, stream=body, extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


def _without(headers: Sequence[tuple[bytes, bytes]], names: Collection[bytes]) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header[0].lower() not in names]


def proxy_for(base_url: str) -> str | None:
    """The environment's proxy for an address; it may hold a password."""
    parts = urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
