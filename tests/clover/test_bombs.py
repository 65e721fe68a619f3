"""No answer may take more than 300 MB of memory, whatever it is packed in; a process of its own asks for each."""

import contextlib
import gzip
import socket
import subprocess
import sys
import threading
import zlib

import httpx
import pytest

from connector.clover.auth.oauth import exchange_code
from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient
from connector.clover.http.inflate import inflated
from connector.clover.http.retry import RetryPolicy
from connector.errors import CloverError, CloverUnavailable

MOST_MB = 300
ZEROS = 200 << 20
SECRET = "tok-example"

ASK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from datetime import UTC, datetime
from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient, Limits
from connector.clover.http.retry import RetryPolicy
from connector.clover.lists.pages import walk
from connector.clover.lists.streams import CHARGES
from connector.clover.lists.window import Window
week = Window(datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 10, 12, tzinfo=UTC))
limits = Limits(total_seconds=float(sys.argv[2]))
policy = RetryPolicy(attempts=2, first_wait=0)
client = CloverClient(sys.argv[1], StaticToken("tok-example"), policy=policy, limits=limits)
try:
    print("rows", sum(len(page.rows) for page in walk(client, CHARGES, week)))
except BaseException as error:
    print(type(error).__name__, error)
# Not getrusage: what the process that started this one had taken would count too.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024, client.meter.requests)
"""


def head(*lines):
    return b"".join(line + b"\r\n" for line in (b"HTTP/1.1 200 OK", b"Connection: close", *lines)) + b"\r\n"


def packed(bits):
    """Two hundred megabytes of zeros in a few hundred kilobytes."""
    pack = zlib.compressobj(9, wbits=bits)
    return b"".join(pack.compress(bytes(1 << 20)) for _ in range(ZEROS >> 20)) + pack.flush()


def once(data, coding):
    return [head(b"Content-Encoding: " + coding, b"Content-Length: %d" % len(data)), data]


def plain():
    yield head()
    for _ in range(ZEROS >> 20):
        yield b" " * (1 << 20)


def in_chunks():
    yield head(b"Transfer-Encoding: chunked")
    for _ in range(ZEROS >> 20):
        yield b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))


def tiny_chunks():
    """A byte a chunk: six bytes of the wire and some objects of ours for each."""
    yield head(b"Transfer-Encoding: chunked")
    for _ in range(ZEROS >> 20):
        yield b"1\r\n \r\n" * (1 << 17)


def record(text):
    """A page of one record, as large as a body may be."""
    return once(gzip.compress(b'{"has_more":false,"data":[' + text + b"]}"), b"gzip")


SEVEN = 7 << 20


def huge_header():
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    for _ in range(ZEROS >> 20):
        yield b"a" * (1 << 20)


def many_headers():
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(ZEROS >> 20):
        yield b"".join(b"X-%d-%d: %s\r\n" % (number, line, b"a" * 1000) for line in range(1024))


def values(value):
    text = b'{"data":[' + value * ((7 << 20) // len(value))
    return once(gzip.compress(text[:-1] + b"]}"), b"gzip")


def wide_letters():
    """One row whose text takes four bytes of memory a letter."""
    text = b'{"has_more":false,"data":[{"a":"\xf0\x9f\x98\x80' + b" " * (7 << 20) + b'"}]}'
    return gzip.compress(text)


TOO_LARGE, REFUSED, BROKEN = "larger than", "content coding", "connection to Clover broke"
BOMBS = {
    "gzip": (lambda: once(packed(31), b"gzip"), TOO_LARGE),
    "x-gzip": (lambda: once(packed(31), b"X-GZIP"), TOO_LARGE),
    "deflate": (lambda: once(packed(15), b"deflate"), TOO_LARGE),
    "deflate without a header": (lambda: once(packed(-15), b"deflate"), TOO_LARGE),
    "gzip twice": (lambda: once(gzip.compress(packed(31)), b"gzip, gzip"), REFUSED),
    "gzip in two lines": (
        lambda: once(gzip.compress(packed(31)), b"gzip\r\nContent-Encoding: gzip"),
        REFUSED,
    ),
    "a thousand codings": (lambda: once(b"x", b", ".join([b"gzip"] * 1000)), REFUSED),
    "br": (lambda: once(b"\x8b\x00\x80" * 99, b"br"), REFUSED),
    "zstd": (lambda: once(b"\x28\xb5\x2f\xfd" * 99, b"zstd"), REFUSED),
    "plain": (plain, TOO_LARGE),
    "chunks": (in_chunks, TOO_LARGE),
    "one header": (huge_header, BROKEN),
    "many headers": (many_headers, BROKEN),
    "empty lists": (lambda: values(b"[],"), "values"),
    "small objects": (lambda: values(b'{"a":{"b":{}}},'), "values"),
    "nested lists": (lambda: values(b"[" * 900 + b"]" * 900 + b","), "values"),
    "lists without an end": (lambda: once(gzip.compress(b'{"data":' + b"[" * SEVEN), b"gzip"), "values"),
    "deep lists": (lambda: record(b"[" * 200_000 + b"]" * 200_000), "broken JSON"),
    "deep objects": (lambda: record(b'{"a":' * 200_000 + b"1" + b"}" * 200_000), "broken JSON"),
    "objects without an end": (lambda: once(b'{"data":[' + b'{"a":' * 200_000, b"identity"), "broken JSON"),
    "a number of seven million digits": (lambda: record(b'{"amount":' + b"9" * SEVEN + b"}"), ""),
    "a fraction of seven million digits": (lambda: record(b'{"amount":1.' + b"9" * SEVEN + b"}"), ""),
    "an exponent of seven million digits": (lambda: record(b'{"amount":1e' + b"9" * SEVEN + b"}"), ""),
    "one string": (lambda: record(b'{"id":"C1","note":"' + b"a" * SEVEN + b'"}'), "rows 1"),
    "one string of escapes": (
        lambda: record(b'{"id":"C1","note":"' + rb"\u1234" * (SEVEN // 6) + b'"}'),
        "rows 1",
    ),
    "one key": (lambda: record(b'{"id":"C1","' + b"a" * SEVEN + b'":1}'), "rows 1"),
    "as many keys as there may be": (
        lambda: record(b"{" + b",".join(b'"%d":1' % n for n in range(240_000)) + b"}"),
        "rows 0",
    ),
    "bytes that are no text": (lambda: record(b'{"note":"' + b"\xff" * SEVEN + b'"}'), ""),
    "gzip of gzip of gzip": (lambda: once(gzip.compress(gzip.compress(packed(31))), b"gzip"), "broken JSON"),
    "many members": (lambda: once(gzip.compress(b" ") * 200_000 + packed(31), b"gzip"), ""),
    "tiny chunks": (tiny_chunks, ""),
    "wide letters": (lambda: once(wide_letters(), b"gzip"), "rows 0"),
}


def serve(answer):
    """A port where every connection gets the same answer; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=reply, args=(connection,), daemon=True).start()

    def reply(connection):
        with connection, contextlib.suppress(OSError):  # the other side has had enough
            connection.recv(65536)
            for piece in answer():
                connection.sendall(piece)

    threading.Thread(target=accept, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("name", BOMBS)
def test_no_answer_takes_more_than_300_mb(name):
    build, words = BOMBS[name]
    made = None if build in (plain, in_chunks, tiny_chunks, huge_header, many_headers) else build()
    listener, url = serve(build if made is None else lambda: made)
    with listener:
        done = subprocess.run(
            [sys.executable, "-c", ASK, url, "4" if build is tiny_chunks else "90"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        listener.shutdown(socket.SHUT_RDWR)
    said, figures = done.stdout.strip().rsplit("\n", 1)
    peak, requests = map(int, figures.split())
    print(f"{name}: peak {peak} MB, {requests} requests; {said}")
    assert peak < MOST_MB
    assert words in said
    assert requests <= 7  # pages of 100, 50, 25, 12, 6, 3 and 2 rows
    assert SECRET not in said


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.parametrize("count", [1, 90])
def test_a_packed_answer_is_read(coding, pack, count):
    rows = ",".join(f'{{"id":"C{n}","created":1791158400000,"text":"{"x" * 3000}"}}' for n in range(count))
    body = pack(f'{{"has_more":false,"data":[{rows}]}}'.encode())
    listener, url = serve(lambda: once(body, coding.encode()))
    with listener, CloverClient(url, StaticToken(SECRET)) as client:
        assert len(client.get_json("/v1/charges")["data"]) == count
        listener.shutdown(socket.SHUT_RDWR)


def test_pieces_are_put_together_whatever_their_size():
    text = bytes(range(256)) * 4000
    for coding, data in {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "x-gzip": gzip.compress(b""),
    }.items():
        for size in (1, 7, 1000, len(data)):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            found = list(inflated(pieces, coding))
            assert b"".join(found) == (b"" if coding == "x-gzip" else text)
            assert max(map(len, found), default=0) <= 64 << 10
        for damaged in (
            ()
            if coding == "x-gzip"
            else (data[:-5], data[:10], b"<html>", data[:20] + b"\xff\xff" + data[22:])
        ):
            with pytest.raises(httpx.DecodingError):
                list(inflated([damaged], coding))


def test_a_refused_coding_does_not_hide_a_status():
    """A proxy's error page in any coding is an outage like any other."""
    answer = [b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"]
    listener, url = serve(lambda: answer)
    policy = RetryPolicy(attempts=1)
    with listener, CloverClient(url, StaticToken(SECRET), policy=policy) as client:
        with pytest.raises(CloverUnavailable, match="503"):
            client.get_json("/v1/charges")
        listener.shutdown(socket.SHUT_RDWR)


def test_a_token_answer_is_bounded_too():
    for answer in (plain, lambda: once(packed(31), b"gzip")):
        listener, url = serve(answer)
        with listener:
            with pytest.raises(CloverError, match="without a token"):
                exchange_code(url + "/oauth/v2/token", {}, sleep=lambda _seconds: None)
            listener.shutdown(socket.SHUT_RDWR)
