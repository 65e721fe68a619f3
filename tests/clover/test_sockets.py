"""A real server on a loopback port that misbehaves on the wire."""

import contextlib
import socket
import threading
import time

import pytest

from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient, Limits
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.retry import RetryPolicy
from connector.errors import CloverUnavailable

BODY = b'{"object":"list","has_more":false,"data":[]}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class WireServer:
    """Answers each connection's first request with the next behaviour, the last one for ever."""

    def __init__(self, *behaviours):
        self._behaviours = list(behaviours)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            thread = threading.Thread(target=self._answer, args=(connection, behaviour), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _answer(self, connection, behaviour):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            self.requests.append(connection.recv(65536))
            behaviour(connection, self._stop)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._socket.close()
        for thread in self._threads[1:]:
            thread.join(timeout=5)


def good(connection, _stop):
    connection.sendall(GOOD)


def reset_in_body(connection, _stop):
    connection.sendall(GOOD[:-10])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def close_in_body(connection, _stop):
    connection.sendall(GOOD[:-10])


def close_in_chunks(connection, _stop):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + BODY[:16] + b"\r\n")


def close_at_once(_connection, _stop):
    return


def hang(_connection, stop):
    stop.wait(5)


def drip(data):
    def behaviour(connection, stop):
        for byte in data:
            connection.sendall(bytes([byte]))
            if stop.wait(0.02):
                return

    return behaviour


def no_http(connection, _stop):
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def client_for(server, attempts=2, **limits):
    limits = {"connect_seconds": 1, "read_seconds": 0.3, "total_seconds": 0.4} | limits
    return CloverClient(
        server.url,
        StaticToken("tok-example"),
        pacer=Pacer(1000, 10, app=AppPacer(1000, 10)),
        sleep=lambda _seconds: None,
        limits=Limits(**limits),
        policy=RetryPolicy(attempts=attempts),
    )


@pytest.mark.parametrize(
    "bad", [reset_in_body, close_in_body, close_in_chunks, close_at_once, no_http], ids=lambda b: b.__name__
)
def test_a_broken_connection_is_tried_again(bad):
    with WireServer(bad, good) as server, client_for(server) as client:
        assert client.get_json("/v1/charges") == {"object": "list", "has_more": False, "data": []}
        assert client.meter.retries == 1


@pytest.mark.parametrize(
    "bad", [reset_in_body, close_in_body, close_in_chunks, hang], ids=lambda b: b.__name__
)
def test_a_connection_that_stays_broken_is_given_up(bad):
    with WireServer(bad) as server, client_for(server) as client, pytest.raises(CloverUnavailable):
        client.get_json("/v1/charges")


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_slow_drip_cannot_hold_a_request_beyond_its_total_time(part):
    """Each byte comes well within the read timeout; the whole would take many seconds."""
    if part == "headers":
        data = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 400
    else:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + b" " * 400

    with WireServer(drip(data)) as server, client_for(server, attempts=1) as client:
        started = time.monotonic()
        with pytest.raises(CloverUnavailable, match="in time"):
            client.get_json("/v1/charges")
        assert time.monotonic() - started < 3


def test_a_port_where_nobody_listens_is_unavailable():
    with WireServer(good) as server:
        pass
    with client_for(server) as client, pytest.raises(CloverUnavailable, match="ConnectError"):
        client.get_json("/v1/charges")


def test_the_proxy_of_the_environment_is_used_and_its_exceptions_are_kept(monkeypatch):
    with WireServer(good) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with CloverClient("http://scl.example.com", StaticToken("tok-example")) as client:
            client.get_json("/v1/charges")
        assert proxy.requests[0].startswith(b"GET http://scl.example.com/v1/charges")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with WireServer(good) as server, client_for(server) as client:
        assert client.get_json("/v1/charges")["data"] == []
