"""Clover's limits hold over all hosts, as the server sees them; a pause that one is asked for holds for all."""

import subprocess
import sys
import threading
import time

import pytest

from connector.clover.http.fleet_pacing import FleetAppPacer
from connector.clover.http.pacing import Pacer
from connector.config import FleetPlace
from connector.errors import Stopped, StoreError, Throttled

HOST = """
import sys, threading, time
from pathlib import Path
from connector.clover.http.fleet_pacing import FleetAppPacer
from connector.clover.http.pacing import Pacer
from connector.config import FleetPlace
app = FleetAppPacer(FleetPlace(sys.argv[1], "/b", Path("/c")), 36, 9)
tokens = [Pacer(12, 5, app=app, name=name) for name in sys.argv[2].split(",")]
until, lines = float(sys.argv[3]), []
def work(token):
    while time.time() < until:
        with token.slot():
            began = time.time()
            time.sleep(0.03)
            lines.append((began, time.time(), token.budget.name))
threads = [threading.Thread(target=work, args=(token,)) for token in tokens for _ in range(5)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
for line in lines:
    print(*line)
"""


@pytest.fixture
def place(postgres_url, tmp_path):
    return FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "cache")


@pytest.fixture
def pacer(place):
    return lambda name="", rate=1000, **app: Pacer(
        1000, 5, app=FleetAppPacer(place, rate, 9), name=name, **app
    )


def fullest(starts):
    """Most starts in any one second."""
    starts = sorted(starts)
    return max(
        sum(first <= start < first + 1 for start in starts[at : at + 200]) for at, first in enumerate(starts)
    )


def test_two_hosts_together_keep_to_the_limits_of_app_and_token(place):
    until = str(time.time() + 6)
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, place.database_url, tokens, until], stdout=subprocess.PIPE, text=True
        )
        for tokens in ("shared,a,b", "shared,c,d")
    ]
    rows = [line.split() for host in hosts for line in host.communicate(timeout=60)[0].splitlines()]
    assert [host.returncode for host in hosts] == [0, 0]
    starts = [float(row[0]) for row in rows]
    # A loaded machine wakes late, so that more starts may fall into one second than were reserved in one.
    assert fullest(starts) <= 50, "Clover's limit of an app"
    assert fullest([float(row[0]) for row in rows if row[2] == "shared"]) <= 16, "Clover's limit of a token"
    in_flight = [sum(float(row[0]) <= start < float(row[1]) for row in rows) for start in starts]
    assert max(in_flight) <= 10, "Clover's limit of requests at a time"
    both = [start for start in starts if start > min(starts) + 2]
    assert len(both) / (max(both) - min(both)) > 20, "and the limit is used"


def test_a_pause_that_one_host_is_asked_for_holds_for_the_others(pacer):
    one, other = pacer("token"), pacer("token")
    with one.slot():
        one.pause(0.6, whole_app=True)
    began = time.monotonic()
    with other.slot() as waited:
        assert time.monotonic() - began >= 0.5
    assert waited >= 0.5


def test_a_pause_of_one_token_leaves_the_others_alone(pacer):
    one, other = pacer("one"), pacer("other")
    one.pause(30)
    with other.slot() as waited:
        assert waited < 5


def test_a_pause_too_long_to_sit_out_ends_the_wait_with_its_length_on_every_host(pacer):
    pacer("one").pause(500, whole_app=True)
    with pytest.raises(Throttled) as caught, pacer("other").slot():
        pass
    assert 400 < caught.value.retry_after <= 500


def test_a_pause_that_begins_while_a_start_is_waited_for_holds_for_it(pacer):
    slow, other = pacer("one", rate=2), pacer("other", rate=2)
    for _ in range(2):
        with slow.slot():
            pass
    threading.Timer(0.1, lambda: other.pause(1.0, whole_app=True)).start()
    began = time.monotonic()
    with slow.slot():
        assert time.monotonic() - began >= 1.0


def test_a_stopped_host_waits_no_longer_and_gives_its_place_back(pacer):
    one = pacer("one", rate=0.5)
    with one.slot():
        pass
    threading.Timer(0.2, one.app.stop).start()
    with pytest.raises(Stopped), one.slot():
        pass
    assert one.app.budget.in_flight == 0
    begun = [pacer("other", rate=1000).slot() for _ in range(9)]
    for slot in begun:  # every place is free
        slot.__enter__()
    for slot in begun:
        slot.__exit__(None, None, None)


def test_while_the_database_is_away_no_request_starts_unpaced(pacer, postgres_server):
    one = pacer("one")
    with one.slot():
        pass
    postgres_server.stop()
    try:
        with pytest.raises(StoreError, match="cannot be reached"), one.slot():
            pass
        assert one.app.budget.in_flight == 0
    finally:
        postgres_server.start()
    with one.slot():
        pass
