"""Whether a host can be reached at all: its name looked up in time, why it is silent in words, how long to wait first.

A system looks names up as long as it likes, and a host with several addresses gets the whole time to connect for each;
here both end with the time that is left.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpcore
import httpx

# What says that no connection came to be, and that one did and stayed silent.
NOT_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.ProxyError,
)
TIMED_OUT = (httpx.TimeoutException, httpcore.TimeoutException)
_TIMEOUTS = {
    "ConnectTimeout": "no connection was made in time",
    "PoolTimeout": "no connection was free in time",
    "WriteTimeout": "the request could not be sent in time",
    "ReadTimeout": "the connection was made, and no answer came in time",
}


class Patience:
    """How long a host may take for its first answer ever; afterwards it has all the time that retries allow.

    seconds: from the first request on; None waits as long as retries do. Shared by all clients of a host.
    """

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._until: float | None = None
        self._lock = threading.Lock()
        self._is_answered = False
        # Why nothing came so far, for those that ask when no time is left.
        self.reason = ""

    def left(self) -> float:
        """Seconds, infinite once the host has answered."""
        if self._seconds is None or self._is_answered:
            return float("inf")
        with self._lock:
            if self._until is None:
                self._until = self._clock() + self._seconds
        return max(0.0, self._until - self._clock())

    @property
    def is_used_up(self) -> bool:
        return self.left() <= 0

    def note_answer(self) -> None:
        self._is_answered = True


def addresses(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host, in the system's order. Raises httpcore.ConnectError, ConnectTimeout."""
    found: list[str] = []
    failure: list[Exception] = []

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, UnicodeError) as error:
            failure.append(error)

    # A look-up cannot be ended, only left alone.
    thread = threading.Thread(target=look_up, name=f"look up {host}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        try:
            raise failure[0]
        except (
            OSError,
            UnicodeError,
        ) as error:  # here, so that it stays its context: httpcore cuts off causes
            raise httpcore.ConnectError(str(error)) from error
    if not found:
        raise httpcore.ConnectTimeout(f"the name {host} was not looked up in time")
    return found


def why(error: BaseException) -> str:
    """Why nothing came, in words that quote nothing of an answer; with the error's class, for whoever reports it."""
    return f"{_reason(error)} ({type(error).__name__})"


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "TLS could not be agreed on; is it an https server?"
        if isinstance(cause, socket.gaierror):
            is_unknown = cause.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
            return "there is no such name" if is_unknown else "the name could not be looked up"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, ConnectionResetError):
            return "the connection broke"  # or was closed in good order, as it happens: one word for both
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, TimeoutError):
            return cause.strerror.lower()
    if "looked up in time" in str(error):
        return "the name was not looked up in time"
    return _TIMEOUTS.get(type(error).__name__, "the connection broke")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def shown(base_url: str, proxy: str | None = None) -> str:
    """An address for people: without path, user name or password; with the proxy that leads there."""
    parts = urlsplit(base_url)
    address = f"{parts.scheme}://{_place(parts.hostname, parts.port)}"
    if proxy is None:
        return address
    through = urlsplit(proxy)
    return f"{address} through the proxy {_place(through.hostname, through.port)}"


def _place(host: str | None, port: int | None) -> str:
    name = f"[{host}]" if host and ":" in host else host or ""
    return name if port is None else f"{name}:{port}"
