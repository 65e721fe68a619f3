"""The socket side: HTTP/1.1 with keep-alive, one thread a connection, and answers that go wrong on purpose."""

import socket
import struct
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any
from urllib.parse import parse_qsl, unquote

from connector.sandbox.answers import REASONS, Answer, Request
from connector.sandbox.faults import Fault

_MOST_HEADERS = 100
_PIECES = 16

Exchange = Callable[[Request], tuple[Answer, Fault | None, Callable[[], None]]]


class Server(ThreadingHTTPServer):
    """Listens on loopback. exchange: makes the answer, and what to call when it is out. date: Unix seconds."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], exchange: Exchange, date: Callable[[], float] = time.time
    ) -> None:
        self.exchange = exchange
        self.date = date
        self.stopping = Event()
        self._sockets: set[socket.socket] = set()
        self._guard = Lock()
        self._number = 0
        super().__init__(address, Connection)

    def next_number(self) -> int:
        with self._guard:
            self._number += 1
            return self._number

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._sockets.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """Stops listening, ends what hangs, closes what is open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._guard:
            left = list(self._sockets)
        for one in left:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's error; anything else is, and loudly."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One client's connection. Reads requests by hand: the standard parser is most of a request's time."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Reads one request and answers it; sets ``close_connection`` when it was the last."""
        try:
            request = self._read()
            if request is None:
                self.close_connection = True
                return
            answer, fault, done = self.server.exchange(request)
            try:
                self._send(request, answer, fault)
            finally:
                done()
        except OSError:
            self.close_connection = True

    def _read(self) -> Request | None:
        line = self.rfile.readline(65_537)
        words = line.decode("latin-1").split()
        if len(words) != 3:
            return None
        method, target, version = words
        headers: dict[str, str] = {}
        for _ in range(_MOST_HEADERS):
            raw = self.rfile.readline(65_537)
            if raw in (b"\r\n", b"\n", b""):
                break
            name, _, value = raw.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length") or 0))
        connection = headers.get("connection", "").lower()
        self.close_connection = connection == "close" or version == "HTTP/1.0"
        path, _, query = target.partition("?")
        params = tuple(parse_qsl(query, keep_blank_values=True)) if query else ()
        return Request(self.server.next_number(), method, unquote(path), params, headers, body)

    def _send(self, request: Request, answer: Answer, fault: Fault | None) -> None:
        kind = fault.kind if fault is not None else ""
        if kind == "hang":
            self.server.stopping.wait(fault.seconds if fault is not None else 0)
            self.close_connection = True
            return
        if kind == "reset":
            self._reset()
            return
        body = answer.body[: len(answer.body) // 2] if kind == "truncated" else answer.body
        lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}"]
        lines += [
            f"Date: {formatdate(self.server.date(), usegmt=True)}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if request.method == "HEAD":
            body = b""
        if kind == "cut_off":
            self.wfile.write(head + body[: len(body) // 2])
            self._reset()
        elif kind == "drip" and fault is not None:
            self.wfile.write(head)
            step = max(1, -(-len(body) // _PIECES))
            for at in range(0, len(body), step):
                if self.server.stopping.wait(fault.seconds):
                    self.close_connection = True
                    return
                self.wfile.write(body[at : at + step])
        else:
            self.wfile.write(head + body)

    def _reset(self) -> None:
        """Closes so that the client sees a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the sandbox keeps its own log, without tokens."""
