"""The scheduler: runs what is due, once, side by side, and survives whatever a run or the config does."""

import threading
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from connector.control.file import ControlFile
from connector.control.refreshes import TABLES, Refresh, ask_for_refresh
from connector.errors import ConfigError, StoreError
from connector.ledger import locks
from connector.ledger import store as duck_store
from connector.sandbox import faults
from connector.schedule.loop import Asked, run_until_stopped
from connector.schedule.scheduler import Scheduler
from tests.operations.soak import OnTheSpot

ALERTS = {"webhook_url": "https://hooks.example.com/x"}


def on_the_spot(work, *, name):
    work()


@pytest.fixture
def scheduler(hook):
    """Make the scheduler of a town: runs happen inside ``step``."""
    made = []

    def make(town, *, begin=on_the_spot, load=None, real=False):
        one = Scheduler(
            town.config,
            town.store,
            load=load or (lambda: town.config),
            now=town.clock.now,
            pace=town.pace(real),
            begin=begin,
            send=hook,
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def run_count(town):
    return town.rows("SELECT count(*) FROM ledger.sync_runs")[0][0]


def settle(scheduler):
    """Steps until nothing more is due now; how many runs that took."""
    total = 0
    while begun := scheduler.step():
        total += begun
    return total


def test_every_connection_runs_once_an_hour_and_no_more(town, scheduler):
    here = town(3)
    one = scheduler(here)
    assert settle(one) == 3, "never read before"
    for _ in range(12):
        here.clock.advance(minutes=5)
        settle(one)
    assert run_count(here) == 6
    assert one.next_due() == here.clock.start + timedelta(hours=2)


def test_what_was_sold_is_published_by_the_next_run(town, scheduler):
    here = town(2)
    one = scheduler(here)
    settle(one)
    here.sell(0)
    here.clock.advance(hours=1)
    settle(one)
    here.check_books()


def test_after_downtime_each_connection_catches_up_once(town, scheduler):
    here = town(2)
    settle(scheduler(here))
    here.clock.advance(days=3, minutes=7)
    restarted = scheduler(here)
    assert settle(restarted) == 2
    assert settle(restarted) == 0
    here.clock.advance(minutes=52)
    assert settle(restarted) == 0
    here.clock.advance(minutes=1)
    assert settle(restarted) == 2


def test_a_connection_that_still_runs_is_not_begun_again(town, scheduler):
    here = town(1)
    waiting = []
    one = scheduler(here, begin=lambda work, name: waiting.append(work))
    assert one.step() == 1
    here.clock.advance(hours=5)
    assert one.step() == 0
    waiting.pop()()
    assert one.step() == 0
    here.clock.advance(hours=1)
    assert one.step() == 1


def test_a_refresh_asked_for_through_the_api_is_begun_by_the_next_step(town, scheduler):
    here = town(2, schedule="0 4 * * *")
    one = scheduler(here)
    settle(one)
    control = ControlFile(here.store.directory, TABLES)
    here.clock.advance(minutes=1)
    connection = here.connection(1)
    asked = Refresh(
        "r1",
        here.config.companies[1].id,
        connection.id,
        None,
        here.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    ask_for_refresh(control, [asked], requested_by=None)
    control.close()
    here.clock.advance(seconds=2)
    with capture_logs() as lines:
        assert settle(one) == 1
    [begun] = [line for line in lines if line["event"] == "schedule.run_begins"]
    assert (begun["reason"], begun["connection_id"]) == ("requested", connection.id)
    assert settle(one) == 0


def test_a_connection_without_a_schedule_runs_only_when_asked(town, scheduler):
    assert settle(scheduler(town(1, schedule=None))) == 0


def test_a_failure_is_tried_again_before_the_next_tick_and_told_once(town, scheduler, hook):
    here = town(1, schedule="0 4 * * *", alerts=ALERTS)
    one = scheduler(here)
    settle(one)
    here.sandbox.faults.always(faults.error(503), path="/v1/*")
    here.clock.advance(days=1)
    for _ in range(10):
        settle(one)
        here.clock.advance(minutes=5)
    here.sandbox.faults.clear()
    for _ in range(12):
        settle(one)
        here.clock.advance(minutes=5)
    one.step()
    one.close()
    assert hook.events == ["connection.failed", "connection.recovered"]
    statuses = [
        row[0] for row in here.rows("SELECT status FROM ledger.sync_runs ORDER BY started_at, run_id")
    ]
    assert statuses[0] == statuses[-1] == "succeeded"
    assert set(statuses[1:-1]) == {"failed"}
    assert 3 <= len(statuses[1:-1]) <= 5, "rarer and rarer"


def test_one_company_that_fails_stops_no_other(town, scheduler):
    here = town(3)
    here.sell(0)
    here.sell(2)
    here.sandbox.access.revoke(here.worlds[1])
    one = scheduler(here)
    settle(one)
    found = dict(here.rows("SELECT connection_id, status FROM ledger.sync_runs"))
    assert [found[here.connection(n).id] for n in range(3)] == ["succeeded", "failed", "succeeded"]
    here.clock.advance(minutes=30)
    assert settle(one) == 0, "a token that is refused waits for a person, or the next tick"


def test_a_fault_of_ours_is_recorded_told_and_stops_nothing(town, scheduler, hook, monkeypatch):
    here = town(2, alerts=ALERTS)
    one = scheduler(here)
    whole = here.store.begin_run
    broken = []

    def begin_run(run_id):
        if not broken:
            broken.append(run_id)
            raise ZeroDivisionError("boom")
        return whole(run_id)

    monkeypatch.setattr(type(here.store), "begin_run", lambda _self, run_id: begin_run(run_id))
    settle(one)
    one.close()
    kinds = sorted(row[0] or "" for row in here.rows("SELECT error_kind FROM ledger.sync_runs"))
    assert kinds == ["", "bug"]
    assert hook.events == ["connection.failed"]
    assert hook.bodies[0]["next"].endswith("--verbose")


def test_a_failure_that_a_killed_process_committed_is_told_before_it_passes(
    town, scheduler, hook, monkeypatch
):
    here = town(1, alerts=ALERTS | {"stale_after_hours": 24})
    settle(scheduler(here))
    here.sandbox.faults.always(faults.error(401), path="/v1/*")
    here.clock.advance(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr(type(here.store), "publish", lambda _store: None)
        here.sync()
    here.sandbox.faults.clear()
    here.clock.advance(minutes=30)
    one = scheduler(here)
    settle(one)
    here.clock.advance(minutes=30)
    settle(one)
    one.close()
    assert hook.events == ["connection.failed", "connection.recovered"]


def test_a_connection_another_process_reads_is_left_alone_and_looked_at_again(town, scheduler):
    here = town(1)
    one = scheduler(here)
    with here.store.run_lock(here.connection().id):
        assert one.step() == 1
        assert one.step() == 0, "not again at once"
        here.clock.advance(seconds=31)
        assert one.step() == 1
        one.step()
    here.clock.advance(seconds=31)
    assert settle(one) == 1
    assert run_count(here) == 1


def test_the_other_process_has_read_it_so_nothing_is_left_to_do(town, scheduler):
    here = town(1)
    one = scheduler(here)
    settle(one)
    here.clock.advance(hours=1)
    with here.store.run_lock(here.connection().id):
        one.step()
    here.sync()
    here.clock.advance(seconds=31)
    assert settle(one) == 0


def test_a_reload_takes_the_new_configuration_also_its_limits(town, scheduler):
    here, later = town(1), town(2, name="store")
    limits = later.config.limits.model_copy(update={"app_requests_per_second": 7.0})
    fresh = later.config.model_copy(update={"limits": limits})
    one = scheduler(here, load=lambda: fresh)
    settle(one)
    assert run_count(here) == 1
    one.reload_asked = True
    assert one.step() == 1, "the new connection"
    assert one.config is fresh
    assert one.pace.config is fresh
    assert settle(one) == 0
    assert run_count(here) == 2


def test_a_wrong_configuration_is_refused_and_the_old_one_kept(town, scheduler):
    here = town(1)

    def load():
        raise ConfigError("config.yaml, line 3: store is not a setting.", hint="Correct it.")

    one = scheduler(here, load=load)
    one.reload_asked = True
    with capture_logs() as lines:
        one.step()
    assert [line["error"] for line in lines if line["event"] == "schedule.config_kept"]
    assert one.config is here.config


def test_another_store_needs_a_restart(town, scheduler):
    here, elsewhere = town(1), town(1, name="elsewhere")
    one = scheduler(here, load=lambda: elsewhere.config)
    one.reload_asked = True
    one.step()
    assert one.config is here.config


def test_runs_that_end_together_are_published_once(town, scheduler, monkeypatch):
    here = town(5)
    published = []
    publish = duck_store.publish_log
    monkeypatch.setattr(
        duck_store,
        "publish_log",
        lambda directory, commit, place: published.append(commit) or publish(directory, commit, place),
    )
    one = scheduler(here)
    assert settle(one) == 5
    assert len(published) == 2, "the empty store, and all five"
    assert run_count(here) == 5


def test_what_has_ended_is_published_within_seconds_although_others_still_run(town, scheduler):
    here = town(2)
    here.sell(0)
    waiting = []
    one = scheduler(here, begin=lambda work, name: waiting.append(work))
    assert one.step() == 2
    for work in waiting[:1]:
        work()
    one.step()
    here.clock.advance(seconds=6)
    one.step()
    assert run_count(here) == 1
    waiting[1]()
    one.step()
    assert run_count(here) == 2


def test_runs_that_cannot_be_published_are_told_to_have_failed_and_tried_again(
    town, scheduler, hook, monkeypatch
):
    here = town(2, alerts=ALERTS)
    one = scheduler(here)
    one.aside = OnTheSpot()
    settle(one)
    here.sell(0)
    here.clock.advance(hours=1)
    with monkeypatch.context() as patch:

        def is_full(*_):
            raise StoreError("No space left on the disk.", hint="Free some.")

        patch.setattr(duck_store, "publish_log", is_full)
        settle(one)
        here.clock.advance(minutes=1)
        settle(one)
    assert hook.events == ["connection.failed"] * 2
    assert {body["error"]["kind"] for body in hook.bodies} == {"store"}
    here.clock.advance(minutes=5)
    assert settle(one) == 2, "a failure that may pass is tried again"
    here.clock.advance(minutes=2)
    settle(one)
    one.close()
    assert hook.events == ["connection.failed"] * 2 + ["connection.recovered"] * 2
    here.check_books()


def test_while_another_process_loads_the_scheduler_goes_on_and_publishes_later(town, scheduler, monkeypatch):
    monkeypatch.setattr("connector.schedule.scheduler.PUBLISH_WAIT", 0)
    here = town(1)
    one = scheduler(here)
    assert one.step() == 1
    with locks.held(here.store.directory, "store", what="The store", since=here.clock.now(), wait=0):
        assert one.step() == 0
    assert run_count(here) == 0
    one.step()
    assert run_count(here) == 1


def test_at_most_so_many_run_side_by_side(town, scheduler):
    here = town(5, scheduler={"side_by_side": 2, "jitter_seconds": 0})
    waiting = []
    one = scheduler(here, begin=lambda work, name: waiting.append(work))
    assert one.step() == 2
    assert one.step() == 0
    here.clock.advance(minutes=11)
    assert one.step() == 2, "two that take long keep nobody waiting"
    for work in waiting:
        work()
    assert one.step() == 1


def test_stopping_ends_reading_runs_and_they_begin_again_after_the_next_start(town, scheduler):
    """A run in the middle of reading ends at its next request; it is recorded, and begun again."""
    here = town(1)
    here.sell(0)
    reached = threading.Event()
    here.sandbox.faults.before_each(lambda _request: reached.set())
    here.sandbox.faults.always(faults.drip(0.2), path="/v1/*")

    def begin(work, name):
        threading.Thread(target=work, daemon=True).start()

    one = scheduler(here, begin=begin, real=True)
    asked = Asked()

    def wait(_seconds):
        assert reached.wait(10)
        asked.stop = True
        threading.Event().wait(0.02)

    assert run_until_stopped(one, asked, wait=wait)
    [(status, kind)] = here.rows("SELECT status, error_kind FROM ledger.sync_runs")
    assert (status, kind) == ("failed", "stopped")
    here.sandbox.faults.clear()
    here.clock.advance(seconds=5)
    assert settle(scheduler(here)) == 1
    here.check_books()


def test_what_does_not_end_within_its_grace_is_abandoned(town, scheduler):
    here = town(1, scheduler={"grace_seconds": 3, "jitter_seconds": 0})
    one = scheduler(here, begin=lambda work, name: None)
    asked, seconds = Asked(), [0.0]

    def wait(duration):
        asked.stop = True
        seconds[0] += duration

    assert not run_until_stopped(one, asked, wait=wait, clock=lambda: seconds[0])
    assert 3 <= seconds[0] < 6


def test_a_step_that_breaks_does_not_end_the_scheduler(town, scheduler, monkeypatch):
    here = town(1)
    one = scheduler(here)
    asked, steps = Asked(), []

    def step(self):
        steps.append(1)
        raise OSError("no space left on device")

    monkeypatch.setattr(Scheduler, "step", step)

    def wait(_seconds):
        asked.stop = len(steps) == 3

    assert run_until_stopped(one, asked, wait=wait)
    assert len(steps) == 3


def test_once_ends_when_nothing_is_left_to_do(town, scheduler):
    here = town(3)
    assert run_until_stopped(scheduler(here), Asked(), once=True, wait=lambda _s: None)
    assert run_count(here) == 3


def test_the_store_has_one_scheduler(town):
    """Exit code 4 with the holder's pid; see also the processes under test."""
    import os

    from connector.errors import StoreBusy

    here = town(1)
    held = {"what": "The store's scheduler", "since": here.clock.now(), "wait": 0}
    with (
        locks.held(here.store.directory, "schedule", **held),
        pytest.raises(StoreBusy, match=f"process {os.getpid()}") as refused,
        locks.held(here.store.directory, "schedule", **held),
    ):
        pass
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("hours", [5, 24 * 400])
def test_a_clock_that_is_set_back_does_not_silence_the_scheduler(town, scheduler, hours):
    """The runs of this process, and what the store knows, are dated after now: the next tick is run all the same."""
    town = town()
    one = scheduler(town)
    assert settle(one) == len(town.worlds)
    town.clock.advance(hours=hours)
    settle(one)
    before = run_count(town)
    town.clock.start -= timedelta(hours=hours)  # the time of day; what seconds are counted by goes on
    town.clock.advance(minutes=10)
    settle(one)
    for _ in range(3):
        town.clock.advance(hours=1)
        assert settle(one) == len(town.worlds)
    assert run_count(town) <= before + 4 * len(town.worlds)


def test_a_process_that_starts_after_the_clock_was_set_back_runs_what_is_due(town, scheduler):
    town = town()
    settle(scheduler(town))
    town.clock.start -= timedelta(hours=3)
    fresh = scheduler(town)
    assert settle(fresh) == len(town.worlds)
    assert settle(fresh) == 0


def test_a_connection_that_was_busy_before_the_clock_was_set_back_is_tried_again(town, scheduler):
    town = town()
    one = scheduler(town)
    settle(one)
    town.clock.advance(hours=1)
    lock = town.store.run_lock(town.connection().id)
    with lock:
        one.step()
    town.clock.start -= timedelta(hours=5)
    assert one.step() > 0
