"""The server stays reachable: descriptors, connections, half-sent requests, callers without a key, many at once."""

import io
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog

from connector.api.answer.paging import Pins
from connector.api.door import connections, shared
from connector.api.door.limits import REFUSALS_A_SECOND, RefusalPace
from connector.api.door.shared import SharedPins, SharedQuota
from connector.cli.processes.listening import listen
from connector.control import access_log as api_access_log
from connector.control import companies as api_companies
from connector.control import keys as api_keys
from connector.control.access_log import AccessLog, access_log_size, prune_access_log, read_refused
from connector.control.file import MOST_IDLE, ControlFile, stamp
from connector.logs import Repeats, configure_logging, get_logger

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"
NOW = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
DESCRIPTORS = Path("/proc/self/fd")


def open_files(of: str) -> int:
    """How many descriptors of this process point at a file whose name holds ``of``."""
    found = 0
    for link in DESCRIPTORS.iterdir():
        try:
            found += of in str(link.readlink())
        except OSError:  # closed meanwhile
            continue
    return found


@pytest.mark.parametrize("work", ["row", "rows", "write", "transaction", "failing"])
def test_threads_that_end_leave_no_descriptor_of_the_control_file(tmp_path, work):
    control = ControlFile(tmp_path, "CREATE TABLE IF NOT EXISTS t (n INTEGER)")

    def once(_n):
        barrier.wait()
        if work == "transaction":
            with control.transaction() as db:
                db.execute("INSERT INTO t VALUES (1)")
        elif work == "failing":
            with pytest.raises(ValueError, match="on purpose"), control.transaction():
                raise ValueError("on purpose")
        else:
            getattr(control, work)("INSERT INTO t VALUES (1)" if work == "write" else "SELECT * FROM t")

    after = []
    for _burst in range(6):
        barrier = threading.Barrier(16)
        with ThreadPoolExecutor(16) as burst:
            list(burst.map(once, range(16)))
        after.append(open_files(str(tmp_path)))
    # The file, its WAL and its index for each idle connection; and SQLite keeps what was closed while another
    # connection held a lock, for the next to open. With a connection a thread it would be 48 more each time.
    assert max(after) <= 3 * MOST_IDLE + 16, after
    control.close()
    assert open_files(str(tmp_path)) == 0


def test_a_statement_inside_a_transaction_belongs_to_it_and_leaves_with_it(tmp_path):
    control = ControlFile(tmp_path, "CREATE TABLE IF NOT EXISTS t (n INTEGER)")

    def half_done():
        with control.transaction() as db:
            db.execute("INSERT INTO t VALUES (1)")
            control.write("INSERT INTO t VALUES (2)")
            assert len(control.rows("SELECT * FROM t")) == 2
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        half_done()
    assert control.rows("SELECT * FROM t") == []
    control.close()


def good_key(state, *scopes, label="lender"):
    """The Authorization header of a new key, and its id."""
    key, secret = api_keys.create_key(state.control, label, now=datetime.now(UTC), scopes=scopes or ("read",))
    return "Bearer " + secret, key.key_id


def known(state):
    api_companies.take_from_config(state.control, [(JUNIPER, "Juniper Goods", [SHOP])], now=NOW)


def opened(url, sent=b""):
    """A raw connection to the server, over which ``sent`` went."""
    host, port = url.removeprefix("http://").split(":")
    made = socket.create_connection((host, int(port)), timeout=5)
    made.sendall(sent)
    return made


def rest(connection):
    """What the server says until it closes, and after how many seconds that was."""
    began, said = time.monotonic(), b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    connection.close()
    return said, time.monotonic() - began


def eventually(true, seconds=10):
    """Whether something became true in time."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def status(answer):
    return int(answer.split(b" ", 2)[1])


def request(path="/companies", key="", method="GET", more=b""):
    asked = f"{method} {path} HTTP/1.1\r\nHost: x\r\n" + (f"Authorization: {key}\r\n" if key else "")
    return asked.encode() + more + b"\r\n"


def test_a_listening_socket_hands_down_that_small_answers_do_not_wait():
    """asyncio sets it only on sockets that name their protocol, which those of create_server do not."""
    with (
        listen("127.0.0.1", 0, hint="") as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_twenty_small_requests_on_one_connection_take_a_moment(books, builders):
    with builders.listening(books.directory) as (url, state), httpx.Client(base_url=url) as client:
        known(state)
        client.headers["Authorization"] = good_key(state)[0]
        client.get("/companies")
        began = time.monotonic()
        for _ in range(20):
            assert client.get("/companies").status_code == 200
        assert time.monotonic() - began < 0.6  # 44 ms each where the kernel waits; 3 ms each where not


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", None),
        (b"GET /comp", 408),
        (b"GET /companies HTTP/1.1\r\nHost: x\r\nX-Slow: ", 408),
        (request("/companies", method="POST", more=b"Content-Length: 10\r\n") + b"{", 401),
        (request("/companies", "{write}", "POST", b"Content-Length: 10\r\n") + b"{", 408),
        (request("/companies", "{write}", "POST", b"Transfer-Encoding: chunked\r\n") + b"5\r\n{", 408),
        (request("/companies", "{read}", "POST", b"Content-Length: 10\r\n") + b"{", 403),
        (request("/companies", "{read}", more=b"Content-Length: 10\r\n") + b"{", 200),
        (request("/health/live") + b"GET /health/live HTTP/1.1\r\nHo", 200),
    ],
    ids=[
        "silent",
        "half a line",
        "half a header",
        "no key, half a body",
        "half a body",
        "half a chunk",
        "no scope, half a body",
        "a body nobody reads",
        "half a second request",
    ],
)
def test_a_request_that_does_not_arrive_whole_is_closed(books, builders, sent, answered):
    with builders.listening(books.directory, serving={"arrival_seconds": 0.5}) as (url, state):
        known(state)
        keys = {scope: good_key(state, scope)[0] for scope in ("read", "write")}
        for scope, key in keys.items():
            sent = sent.replace(b"{%s}" % scope.encode(), key.encode())
        httpx.get(f"{url}/companies", headers={"Authorization": keys["read"]})
        said, seconds = rest(opened(url, sent))
        assert 0.3 < seconds < 3
        assert (status(said) if said else None) == answered
        assert httpx.get(f"{url}/health/live").status_code == 200


def test_drops_of_a_header_do_not_prolong_its_time(books, builders):
    with builders.listening(books.directory, serving={"arrival_seconds": 0.5}) as (url, _state):
        connection = opened(url, b"GET / HTTP/1.1\r\nX: ")
        began = time.monotonic()
        try:
            while time.monotonic() - began < 5:
                connection.sendall(b"x")
                time.sleep(0.05)
        except (BrokenPipeError, ConnectionResetError):
            connection.close()
        assert time.monotonic() - began < 3


def test_a_request_on_time_and_a_connection_that_rests_are_left_alone(books, builders):
    with builders.listening(books.directory, serving={"arrival_seconds": 0.5}) as (url, state):
        known(state)
        with httpx.Client(base_url=url, headers={"Authorization": good_key(state)[0]}) as client:
            first = client.get("/companies").extensions["network_stream"].get_extra_info("client_addr")
            time.sleep(1.2)
            again = client.get("/companies").extensions["network_stream"].get_extra_info("client_addr")
            assert first == again


def test_a_header_without_end_is_refused(books, builders):
    with builders.listening(books.directory) as (url, _state):
        connection = opened(url, b"GET / HTTP/1.1\r\n")
        line = b"X: " + b"y" * 8000 + b"\r\n"
        with ExitStack() as stop:
            stop.callback(connection.close)
            for _ in range(12):
                try:
                    connection.sendall(line)
                except OSError:
                    break
                time.sleep(0.01)
            assert rest(connection)[1] < 3


def test_a_missing_scope_is_said_before_the_body_has_come(books, builders):
    with builders.listening(books.directory) as (url, state):
        known(state)
        half = request("/companies", good_key(state)[0], "POST", b"Content-Length: 10\r\n") + b"{"
        connection = opened(url, half)
        assert status(connection.recv(65536)) == 403
        connection.close()


def test_when_there_are_too_many_connections_those_without_a_good_key_are_given_up_first(books, builders):
    with builders.listening(books.directory, serving={"most_connections": 8}) as (url, state):
        known(state)
        with httpx.Client(base_url=url, headers={"Authorization": good_key(state)[0]}) as client:
            first = client.get("/companies").extensions["network_stream"].get_extra_info("client_addr")
            with ExitStack() as held:
                idle = [held.enter_context(opened(url)) for _ in range(30)]
                time.sleep(0.3)
                again = client.get("/companies")
                assert again.status_code == 200
                assert again.extensions["network_stream"].get_extra_info("client_addr") == first
                idle[0].settimeout(1)
                with pytest.raises((ConnectionResetError, AssertionError)):
                    assert idle[0].recv(1) != b"", "closed"
                other = httpx.get(f"{url}/companies", headers={"Authorization": good_key(state)[0]})
                assert other.status_code == 200


def test_who_waits_with_a_wrong_key_takes_no_place_of_one_with_a_good_key(books, builders):
    with builders.listening(books.directory, most_at_once=8) as (url, state):
        known(state)
        with ExitStack() as held, httpx.Client(base_url=url, timeout=10) as client:
            client.headers["Authorization"] = good_key(state)[0]
            for n in range(40):
                held.enter_context(opened(url, request(key=f"Bearer cck_{n}_x")))
            answers = [client.get("/companies").status_code for _ in range(20)]
        assert answers == [200] * 20


def test_a_key_has_a_bound_of_its_own_below_that_of_all(books, builders):
    """Half-sent bodies of one key do not keep another from being served."""
    bounds = {"most_at_once": 20, "most_at_once_a_key": 5}
    with builders.listening(books.directory, **bounds) as (url, state), ExitStack() as held:
        known(state)
        greedy, _ = good_key(state, "write", "read")
        half = request("/companies", greedy, "POST", b"Content-Length: 10\r\n") + b"{"
        holding = [held.enter_context(opened(url, half)) for _ in range(30)]
        refused = 0
        for connection in holding:
            connection.settimeout(0.5)
            try:
                refused += status(connection.recv(65536)) == 429
            except TimeoutError:
                continue
        assert refused == 25
        mine = httpx.get(f"{url}/companies", headers={"Authorization": good_key(state)[0]})
        assert mine.status_code == 200
        theirs = httpx.get(f"{url}/companies", headers={"Authorization": greedy})
        assert (theirs.status_code, theirs.headers["retry-after"]) == (429, "1")


def test_one_key_never_holds_every_thread(books, builders):
    """Forty questions of one key that take long wait for each other; another key's is answered meanwhile."""
    release = threading.Event()
    with builders.listening(books.directory) as (url, state):
        known(state)
        greedy, _ = good_key(state)
        other, _ = good_key(state)
        found, began = api_companies.get_company, threading.Semaphore(0)
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(60) as crowd:

            def slow(control, company_id):
                if company_id == "slow":
                    began.release()
                    release.wait(20)
                return found(control, company_id)

            patch.setattr(api_companies, "get_company", slow)
            asked = [
                crowd.submit(
                    httpx.get, f"{url}/companies/slow", headers={"Authorization": greedy}, timeout=30
                )
                for _ in range(60)
            ]
            assert all(began.acquire(timeout=10) for _ in range(20))
            assert not began.acquire(timeout=0.3)
            try:
                answer = httpx.get(f"{url}/companies/{JUNIPER}", headers={"Authorization": other}, timeout=5)
            finally:
                release.set()
            assert answer.status_code == 200
            assert {one.result().status_code for one in asked} == {404}


def test_refusals_are_spread_over_time():
    now = [100.0]
    pace = RefusalPace(clock=lambda: now[0])
    waits = [pace.take() for _ in range(5 * REFUSALS_A_SECOND)]
    assert REFUSALS_A_SECOND <= sum(wait == 0 for wait in waits) <= REFUSALS_A_SECOND + 1
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(4, abs=0.01)
    now[0] += 60
    assert pace.take() == 0


@pytest.mark.parametrize("refused", ["no key", "wrong key", "quota", "at once", "scope", "too long"])
def test_everything_refused_at_the_door_takes_its_turn(books, builders, refused):
    """Else a closed loop of cheap refusals would keep the loop from everybody else."""
    slept = []

    async def note(seconds):
        slept.append(seconds)

    more = {"most_at_once": 0} if refused == "at once" else {}
    for server in builders.serve(books, sleep=note, **more):
        server.state.refusals.take = lambda: 0.123
        headers, path, method = (
            server.key("read", requests_per_minute=0 if refused == "quota" else 99),
            ORDERS,
            "GET",
        )
        if refused == "no key":
            headers = {}
        elif refused == "wrong key":
            headers = {"Authorization": "Bearer cck_x_y"}
        elif refused == "scope":
            method = "POST"
        elif refused == "too long":
            headers |= {"Content-Length": "99999999"}
        answer = server.client.request(method, path, headers=headers)
        assert answer.status_code in (401, 403, 413, 429)
        assert 0.123 in slept
        slept.clear()
        if refused != "at once":
            assert server.client.get("/companies", headers=server.key("read")).status_code == 200
            assert slept == []


FORWARDED = {"X-Forwarded-For": "203.0.113.7, 198.51.100.4"}


@pytest.mark.parametrize(
    ("trusted", "address"),
    [
        ((), "127.0.0.1"),
        (("10.0.0.0/8",), "127.0.0.1"),
        (("127.0.0.1/32",), "198.51.100.4"),
        (("127.0.0.0/8", "198.51.100.0/24"), "203.0.113.7"),
    ],
)
def test_a_forwarded_address_is_believed_only_from_proxies_that_are_named(
    books, builders, trusted, address, monkeypatch
):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own variable changes nothing
    with builders.listening(books.directory, serving={"trusted_proxies": trusted}) as (url, state):
        known(state)
        headers = {"Authorization": good_key(state)[0], **FORWARDED}
        assert httpx.get(f"{url}/companies", headers=headers).status_code == 200
        assert eventually(lambda: api_access_log.read_access_log(state.control))
        assert api_access_log.read_access_log(state.control)[0].address == address


def refused(control):
    return [(one.day, one.key_id != "", one.status, one.requests) for one in read_refused(control)]


def test_what_is_refused_at_the_door_is_counted_by_day_and_no_row_each(server):
    limited = server.key("read", requests_per_minute=1)
    wrong = {"Authorization": "Bearer cck_x_y"}
    for _ in range(5):
        server.client.get("/companies?query=" + "x" * 2000)
        server.client.get(ORDERS, headers=wrong)
        server.client.get("/companies", headers=limited)
    server.state.access_log.flush()
    assert refused(server.state.control) == [
        ("2026-11-20", False, 401, 10),
        ("2026-11-20", True, 429, 4),
    ]
    assert len(api_access_log.read_access_log(server.state.control)) == 1


def test_the_control_file_stays_as_it_is_under_requests_without_a_key(server):
    def size():
        server.state.access_log.flush()
        server.state.control.write("PRAGMA wal_checkpoint(TRUNCATE)")
        return sum(path.stat().st_size for path in server.books.directory.glob("control.sqlite*"))

    server.client.get("/companies")
    before = size()
    for _ in range(300):
        server.client.get("/companies?query=" + "x" * 2000)
    assert size() == before


def access(at):
    return api_access_log.Access(
        stamp(at), "c", "k", "GET", "/companies", None, None, None, 1, 1, 200, 1.0, "127.0.0.1"
    )


def test_the_access_log_keeps_its_days(tmp_path, monkeypatch):
    monkeypatch.setattr(api_access_log, "_PRUNED_AT_ONCE", 10)
    control = ControlFile(tmp_path, api_access_log.TABLES)
    log = AccessLog(control, keep=timedelta(days=90), clock=lambda: NOW)
    for days in [89, 91] * 25:
        log.add(access(NOW - timedelta(days=days)))
    log.refused(NOW - timedelta(days=91), None, 401)
    log.refused(NOW, None, 401)
    log.flush()
    while not prune_access_log(control, before=NOW - timedelta(days=90)):
        pass
    kept = api_access_log.read_access_log(control)
    assert {entry.at for entry in kept} == {stamp(NOW - timedelta(days=89))}
    assert len(kept) == 25
    assert refused(control) == [("2026-11-20", False, 401, 1)]
    log.close()
    control.close()


def test_a_log_that_is_too_old_is_deleted_by_the_server_itself(tmp_path):
    control = ControlFile(tmp_path, api_access_log.TABLES)
    control.write(
        "INSERT INTO access_log VALUES (?, 'c', 'k', 'GET', '/', NULL, NULL, NULL, 1, 1, 200, 1, 'a')",
        (stamp(NOW - timedelta(days=91)),),
    )
    log = AccessLog(control, clock=lambda: NOW)
    log.add(access(NOW))
    assert eventually(lambda: [e.at for e in api_access_log.read_access_log(control)] == [stamp(NOW)])
    log.close()
    control.close()


def test_a_log_that_cannot_be_written_keeps_its_rows_for_later_and_loses_no_reader(tmp_path):
    control = ControlFile(tmp_path, api_access_log.TABLES)
    log = AccessLog(control, clock=lambda: NOW)
    control.write("ALTER TABLE access_log RENAME TO elsewhere")
    log.add(access(NOW))
    log.flush()
    control.write("ALTER TABLE elsewhere RENAME TO access_log")
    log.add(access(NOW))
    log.flush()
    assert len(api_access_log.read_access_log(control)) == 2
    log.close()
    control.close()


def test_the_size_of_the_log_is_known_without_changing_anything(tmp_path):
    since = NOW - timedelta(days=7)
    assert access_log_size(tmp_path, since=since) is None
    assert list(tmp_path.iterdir()) == []
    control = ControlFile(tmp_path, api_access_log.TABLES)
    log = AccessLog(control, clock=lambda: NOW)
    log.add(access(NOW))
    log.refused(NOW, None, 401)
    log.refused(NOW - timedelta(days=8), None, 401)
    log.close()
    found = access_log_size(tmp_path, since=since)
    control.close()
    assert (found.rows, found.oldest, found.refused) == (1, stamp(NOW), 1)
    assert found.size >= (tmp_path / "control.sqlite").stat().st_size > 0


def test_one_fault_said_again_and_again_is_said_some_times_and_then_counted():
    now = [0.0]
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    try:
        for handler in logging.getLogger().handlers:
            handler.addFilter(Repeats(most=3, clock=lambda: now[0]))
        log, theirs = get_logger("ours"), logging.getLogger("asyncio")
        for n in range(100):
            log.error("api.failed", error=f"no {n}")
            theirs.error("socket.accept() out of system resource\nsocket: %s", f"<socket {n}>")
            log.info("fine")
        now[0] = 61
        log.error("api.failed", error="again")
        theirs.error("socket.accept() out of system resource\nsocket: x")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sum(line["event"] == "fine" for line in lines) == 100
    faults = [line for line in lines if line["event"] == "api.failed"]
    assert len(faults) == 4
    assert faults[-1]["left_out"] == 97
    accepts = [line for line in lines if "out of system resource" in line["event"]]
    assert len(accepts) == 4
    assert "97 like it left out" in accepts[-1]["event"]


@pytest.mark.parametrize("kind", ["one body", "stream"])
def test_an_answer_that_nobody_reads_is_given_up(monkeypatch, kind):
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.3)
    piece = b"x" * (1 << 20)

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1 if kind == "one body" else 64):
            body = piece * 64 if kind == "one body" else piece
            await send({"type": "http.response.body", "body": body, "more_body": kind == "stream"})
        await send({"type": "http.response.body", "body": b""}) if kind == "stream" else None

    with connections_of(app, keep_alive=0.3) as (url, server):
        deaf = opened(url, request("/"))
        assert eventually(lambda: server.server_state.connections)
        assert eventually(lambda: not server.server_state.connections)
        deaf.close()
        slow = opened(url, request("/"))
        slow.settimeout(5)
        read = 0
        while read < 64 << 20:
            got = len(slow.recv(1 << 20))
            assert got, "a client that reads, slowly, is served to the end"
            read += got
            time.sleep(0.02)  # so that it takes longer than a connection may rest
        slow.close()


@contextmanager
def connections_of(app, *, keep_alive):
    config = connections.ServerConfig(app, port=0)
    config.timeout_keep_alive = keep_alive
    server = connections.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", server
    server.should_exit = True
    thread.join(20)


def shared_parts(directory):
    control = ControlFile(directory, *shared.TABLES)
    return control, SharedQuota(control, 2, clock=lambda: NOW), SharedPins(control)


def test_workers_count_a_keys_requests_together_and_page_on_one_snapshot(tmp_path):
    (first, quota, pins), (second, other_quota, other_pins) = shared_parts(tmp_path), shared_parts(tmp_path)
    assert [quota.take("k").exceeded, other_quota.take("k").exceeded, quota.take("k").exceeded] == [
        False,
        False,
        True,
    ]
    assert not other_quota.take("another").exceeded
    reader = ("key", "/orders", "query=" + "x" * 60_000)
    assert pins.snapshot(reader, 1, 5) == 5
    assert other_pins.snapshot(reader, 2, 6) == 5
    assert other_pins.snapshot(reader, 1, 6) == 6
    assert pins.snapshot(reader, 2, 7) == 6
    first.close()
    second.close()


def test_a_worker_that_cannot_use_the_shared_file_answers_by_itself(tmp_path):
    control, quota, pins = shared_parts(tmp_path)
    for table in ("quota", "pins"):
        control.write(f"DROP TABLE {table}")
    assert [quota.take("k").exceeded for _ in range(3)] == [False, False, True]
    assert pins.snapshot(("k",), 1, 5) == 5
    assert pins.snapshot(("k",), 2, 6) == 5
    control.close()


def test_what_is_kept_of_each_reader_does_not_grow_with_what_he_asks():
    pins = Pins(most=100)
    for n in range(1000):
        pins.snapshot(("key", "/orders", f"query={n}" + "x" * 10_000), 1, 5)
    assert sum(len(name) for name in pins._pins) == 100 * 16
