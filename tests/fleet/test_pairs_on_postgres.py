"""A merchant's OAuth pair is renewed once, whichever host needs it: Clover's refresh tokens work one time only."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from connector.clover.auth.kept_pairs import KeptPairs
from connector.config import FleetPlace
from connector.control import pairs
from connector.errors import StoreError
from tests.clover.test_oauth import (  # noqa: F401
    KEY,
    OAuthServer,
    now,
    source,
    test_a_refresh_token_newly_written_into_the_configuration_goes_first,
    test_a_token_is_used_until_shortly_before_its_end_in_seconds,
    test_another_process_takes_up_the_stored_pair,
    test_many_threads_with_the_same_refusal_refresh_once,
    test_two_processes_with_the_same_refusal_refresh_once,
)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path
    url = request.getfixturevalue("postgres_url")
    return FleetPlace(url, str(tmp_path / "bucket"), tmp_path / "cache")


@pytest.fixture
def store(place):
    return KeptPairs(place, [KEY])


HOST = """
import sys
from pathlib import Path
from connector.clover.auth.kept_pairs import KeptPairs
from connector.clover.auth.oauth import OAuthToken
from connector.config import FleetPlace
url, place, key, refreshes = sys.argv[1:]
where = FleetPlace(place, "/b", Path("/c")) if "://" in place else Path(place)
store = KeptPairs(where, [key])
for _ in range(int(refreshes)):  # a process that begins anew each time, and finds its token refused
    token = OAuthToken("conn-1", store, client_id="APP", refresh_url=url, seed="refresh-0")
    assert token.refresh(token.current())
"""


@pytest.fixture
def clover():
    """Clover's refresh address: each token is good once, and two refreshes never at the same time."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                is_good = body["refresh_token"] == f"refresh-{server.given}"
                server.refused += not is_good
                server.given += is_good
                number = server.given
            answer = {
                "access_token": f"access-{number}",
                "access_token_expiration": 4_000_000_000,
                "refresh_token": f"refresh-{number}",
            }
            text = json.dumps(answer if is_good else {"message": "401 Unauthorized"}).encode()
            self.send_response(200 if is_good else 401)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.given, server.refused, server.lock = 0, 0, threading.Lock()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_hosts_that_refresh_at_once_never_use_a_refresh_token_twice(place, clover):
    where = place.database_url if isinstance(place, FleetPlace) else str(place)
    url = f"http://127.0.0.1:{clover.server_address[1]}/oauth/v2/refresh"
    hosts = [subprocess.Popen([sys.executable, "-c", HOST, url, where, KEY, "3"]) for _ in range(2)]
    assert [host.wait(timeout=60) for host in hosts] == [0, 0]
    assert clover.refused == 0
    # Each refusal was told of the token that was the newest then: at most one refresh each, and the first.
    assert 2 <= clover.given <= 7
    assert KeptPairs(place, [KEY]).load("conn-1")["refresh_token"] == f"refresh-{clover.given}"


def test_nothing_is_kept_in_the_clear(store, place, now):  # noqa: F811
    source(store, OAuthServer(), now).current()
    sealed = pairs.read_pair(pairs.open_pairs(place), "conn-1")
    assert sealed
    assert "access-1" not in sealed
    assert "refresh-1" not in sealed


def test_a_pair_that_could_not_be_kept_at_first_is_kept_when_the_database_is_back(
    store,
    place,
    now,  # noqa: F811
    monkeypatch,
):
    if not isinstance(place, FleetPlace):
        pytest.skip("a disk that is full is found out before the refresh token is spent")
    server = OAuthServer()
    whole, away = KeptPairs.save, []

    def save(self, connection_id, values):
        if values.get("refresh_token") == "refresh-1" and len(away) < 3:
            away.append(connection_id)
            raise StoreError("PostgreSQL is away.")
        whole(self, connection_id, values)

    monkeypatch.setattr(KeptPairs, "save", save)
    assert source(store, server, now).current() == "access-1"
    assert len(away) == 3
    assert store.load("conn-1")["refresh_token"] == "refresh-1"
