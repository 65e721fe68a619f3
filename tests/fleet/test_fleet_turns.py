"""Many schedulers take their turns from one table: no connection twice, none forgotten, a dead host's taken over."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from connector.config import FleetPlace
from connector.control.place import open_control
from connector.control.refreshes import Refresh, ask_for_refresh
from connector.schedule.fleet_turns import TABLES, FleetTurns
from connector.schedule.planner import Job, LastRun
from connector.schedule.turns import BUSY_WAIT

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOURLY = [Job(f"c{number:02d}", "0 * * * *", "UTC") for number in range(6)]


@pytest.fixture
def place(postgres_url, tmp_path):
    return FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "cache")


@pytest.fixture
def host(place):
    made = []

    def make(name, jobs=HOURLY, now=NOON):
        one = FleetTurns(place, machine=name)
        one.set_jobs(jobs, now)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def ids(taken):
    return [one.connection_id for one in taken]


def done(host, taken, now, status="succeeded", kind=None):
    for one in taken:
        host.ended(one.connection_id, LastRun(now, now + timedelta(seconds=5), status, kind))
    host.published(now + timedelta(seconds=5))


def test_two_hosts_share_what_is_due_and_take_nothing_twice(host):
    one, other = host("a"), host("b")
    first = one.take(NOON, most=2, running=())
    second = other.take(NOON, most=9, running=())
    assert ids(first) == ["c00", "c01"]
    assert ids(second) == ["c02", "c03", "c04", "c05"]
    assert {due.reason for due in first + second} == {"first"}
    assert one.take(NOON, most=9, running=()) == []
    done(one, first, NOON)
    assert one.take(NOON + timedelta(minutes=1), most=9, running=()) == []
    assert one.next(NOON, running=()) == NOON + timedelta(hours=1)


def test_who_has_waited_longest_begins_and_before_all_what_somebody_asked_for(host, place):
    one = host("a")
    for number, due in enumerate(one.take(NOON, most=9, running=())):
        done(one, [due], NOON + timedelta(minutes=9 - number))
    with closing(open_control(place)) as control:
        asked = NOON + timedelta(hours=1, minutes=1)
        refresh = Refresh("r1", "company", "c00", None, asked.strftime("%Y-%m-%dT%H:%M:%SZ"))
        ask_for_refresh(control, [refresh], requested_by=None)
    taken = one.take(NOON + timedelta(hours=1, minutes=2), most=9, running=())
    assert ids(taken) == ["c00", "c05", "c04", "c03", "c02", "c01"]
    assert [due.reason for due in taken] == ["requested"] + ["scheduled"] * 5
    done(one, taken, NOON + timedelta(hours=1, minutes=2))
    assert one.take(NOON + timedelta(hours=1, minutes=3), most=9, running=()) == []


def test_a_request_is_answered_without_a_schedule_and_once(host, place):
    one = host("a", [Job("c00", None, "UTC")])
    assert one.take(NOON, most=9, running=()) == []
    with closing(open_control(place)) as control:
        ask_for_refresh(
            control, [Refresh("r1", "company", "c00", None, "2026-03-02T12:00:30Z")], requested_by=None
        )
    later = NOON + timedelta(minutes=1)
    taken = one.take(later, most=9, running=())
    assert [(due.connection_id, due.reason) for due in taken] == [("c00", "requested")]
    done(one, taken, later)
    assert one.take(later + timedelta(minutes=5), most=9, running=()) == []


def test_a_failure_that_may_pass_is_tried_again_and_the_waits_grow_on_whatever_host(host):
    hosts = [host("a", HOURLY[:1]), host("b", HOURLY[:1])]
    now, waits = NOON, []
    for number in range(3):
        (due,) = hosts[number % 2].take(now, most=1, running=())
        done(hosts[number % 2], [due], now, "failed", "clover")
        moment = hosts[0].next(now, running=())
        waits.append(round((moment - now).total_seconds() / 60))
        now = moment + timedelta(minutes=1)
    assert waits == [5, 10, 20]


def test_a_connection_goes_on_where_its_data_is_and_elsewhere_when_that_host_is_busy(host):
    one, other = host("a", HOURLY[:1]), host("b", HOURLY[:1])
    done(one, one.take(NOON, most=1, running=()), NOON)
    due = NOON + timedelta(hours=1)
    assert other.take(due + timedelta(seconds=1), most=1, running=()) == []
    assert ids(other.take(due + timedelta(seconds=6), most=1, running=())) == ["c00"]


def test_what_another_process_holds_is_looked_at_again_in_half_a_minute(host):
    one = host("a", HOURLY[:1])
    one.take(NOON, most=1, running=())
    one.put_off("c00", NOON)
    assert one.take(NOON + BUSY_WAIT - timedelta(seconds=1), most=1, running=()) == []
    assert ids(one.take(NOON + BUSY_WAIT, most=1, running=())) == ["c00"]


def test_what_is_kept_or_disabled_comes_and_goes(host, place):
    one = host("a", HOURLY[:2])
    assert ids(one.take(NOON, most=1, running=())) == ["c00"]
    one.set_jobs(HOURLY[:1] + HOURLY[2:3], NOON)
    assert ids(one.take(NOON, most=9, running=())) == ["c02"]
    one.set_jobs(HOURLY[:3], NOON)
    assert ids(one.take(NOON, most=9, running=())) == ["c01"]
    other = host("b", HOURLY[:1])  # of an older list: it runs nothing it does not know, and loses nothing
    other.take(NOON, most=0, running=())
    with closing(open_control(place, TABLES)) as control:
        rows = control.rows("SELECT connection_id FROM due_runs ORDER BY connection_id")
    assert [row["connection_id"] for row in rows] == ["c00", "c01", "c02"]


def test_many_hosts_at_once_take_each_connection_once(place):
    jobs = [Job(f"c{number:03d}", "0 * * * *", "UTC") for number in range(120)]
    hosts = [FleetTurns(place, machine=f"m{number}") for number in range(4)]
    for one in hosts:
        one.set_jobs(jobs, NOON)
    taken = []

    def work(one):
        for _ in range(40):
            found = one.take(NOON, most=3, running=())
            taken.extend(ids(found))
            done(one, found, NOON)

    threads = [threading.Thread(target=work, args=(one,)) for one in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in hosts:
        one.close()
    assert sorted(taken) == [job.connection_id for job in jobs]


HOST = """
import sys, time
from pathlib import Path
from datetime import UTC, datetime
from connector.config import FleetPlace
from connector.schedule.fleet_turns import FleetTurns
from connector.schedule.planner import Job
turns = FleetTurns(FleetPlace(sys.argv[1], "/b", Path("/c")), machine=sys.argv[2])
turns.set_jobs([Job(f"c{n:02d}", "0 * * * *", "UTC") for n in range(6)], datetime.now(UTC))
print(len(turns.take(datetime.now(UTC), most=3, running=())), flush=True)
time.sleep(600)
"""


def test_a_killed_hosts_connections_are_taken_over_when_its_lease_is_over(host, place, monkeypatch):
    dead = subprocess.Popen(
        [sys.executable, "-c", HOST, place.database_url, "dead"], stdout=subprocess.PIPE, text=True
    )
    assert dead.stdout.readline().strip() == "3"
    now = datetime.now(UTC)
    alive = host("alive", now=now)
    assert len(alive.take(now, most=9, running=())) == 3
    dead.send_signal(signal.SIGKILL)
    dead.wait(timeout=10)
    dead.stdout.close()
    assert alive.take(datetime.now(UTC), most=9, running=()) == []
    with psycopg.connect(place.database_url) as db:  # as if the lease's time had passed
        left = db.execute(
            "SELECT max(lease_until) - clock_timestamp() FROM due_runs WHERE host LIKE 'dead%'"
        ).fetchone()[0]
        db.execute("UPDATE due_runs SET lease_until = lease_until - interval '46 s' WHERE host LIKE 'dead%'")
    assert left < timedelta(seconds=60)
    assert len(alive.take(datetime.now(UTC), most=9, running=())) == 3


def test_a_host_that_lives_keeps_what_it_runs(host, place, monkeypatch):
    monkeypatch.setattr("connector.schedule.fleet_turns.RENEW_EVERY", 0.1)
    one, other = host("a"), host("b")
    assert len(one.take(NOON, most=9, running=())) == 6
    with psycopg.connect(place.database_url) as db:
        db.execute("UPDATE due_runs SET lease_until = clock_timestamp() + interval '1 s'")
    time.sleep(1.2)
    assert other.take(NOON + timedelta(minutes=1), most=9, running=()) == []
