"""Several processes on one store: nothing is read twice at once, nothing is lost, a killed process holds nothing."""

import json
import signal
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from connector.sandbox import faults
from tests.operations.processes import ended, until

pytestmark = pytest.mark.slow


def slow_down(here):
    """Every answer of the lists takes long; returns how many were asked for since."""
    here.sandbox.clear_log()
    here.sandbox.faults.always(faults.drip(0.1), path="/v1/*")
    return lambda: here.sandbox.requests("/v1/")


def has_open(process, name):
    with suppress(OSError):  # files come and go
        return any(name in str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir())
    return False


def reading(here):
    return (here.store.directory / "locks" / f"connection-{here.connection().id}.holder").exists()


def overlapping(here):
    """Runs of one connection that were under way at the same time."""
    return here.rows(
        "SELECT a.run_id, b.run_id FROM ledger.sync_runs a JOIN ledger.sync_runs b ON a.connection_id = b.connection_id"
        " AND a.run_id < b.run_id AND a.started_at < b.finished_at AND b.started_at < a.finished_at"
        " AND a.status = 'succeeded' AND b.status = 'succeeded'"
    )


def test_the_second_of_two_runs_ends_with_4_and_names_the_holder(today, process):
    here = today()
    slow_down(here)
    first = process(here, "sync")
    until(lambda: reading(here), "the first run begins")
    code, out, _err = ended(process(here, "sync", "--json"))
    assert code == 4
    [run] = json.loads(out)["runs"]
    assert run["error"]["kind"] == "busy"
    assert f"process {first.pid}" in run["error"]["message"]
    here.sandbox.faults.clear()
    assert ended(first)[0] == 0


def test_the_second_of_two_schedulers_ends_with_4_and_names_the_holder(today, process):
    here = today()
    first = process(here, "schedule", "--log-format", "json")
    until(lambda: (here.store.directory / "locks" / "schedule.holder").exists(), "the first scheduler begins")
    code, _out, err = ended(process(here, "schedule"))
    assert code == 4
    assert f"process {first.pid}" in err
    first.send_signal(signal.SIGTERM)
    assert ended(first)[0] == 0


def test_a_manual_sync_beside_a_scheduler_doubles_nothing(today, process):
    here = today(2, schedule="* * * * *")
    here.sell(0)
    here.sell(1)
    scheduler = process(here, "schedule")
    codes = {ended(process(here, "sync"))[0] for _ in range(3)}
    assert codes <= {0, 3, 4}
    scheduler.send_signal(signal.SIGTERM)
    assert ended(scheduler)[0] == 0
    assert here.sync().exit_code == 0
    here.check_books()
    assert overlapping(here) == []


def test_two_schedulers_a_manual_sync_and_the_api_share_a_store(today, process):
    """One scheduler is sent away, so is a sync of what is being read; the API answers all along and sees it all."""
    here = today(3, schedule="* * * * *")
    for number in range(3):
        here.sell(number)
    key = ["keys", "create", "--label", "lender", "--all-companies", "--scope", "read", "--scope", "write"]
    secret = ended(process(here, *key))[1].strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process(here, "serve", "--port", str(port))
    api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {secret}"})
    orders = "/companies/{}/connections/{}/data/commerce-orders"
    company = here.config.companies[0]
    ours = orders.format(company.id, company.connections[0].id)

    slow_down(here)
    first = process(here, "schedule", "--log-format", "json")
    until(lambda: reading(here), "the scheduler begins to read")
    code, _out, err = ended(process(here, "schedule"))
    assert code == 4
    assert f"process {first.pid}" in err
    code, out, _err = ended(process(here, "sync", "--company", company.id, "--json"))
    assert code == 4
    assert f"process {first.pid}" in json.loads(out)["runs"][0]["error"]["message"]
    here.sandbox.faults.clear()

    seen, is_over = [], threading.Event()

    def ask():
        """What a lender sees while all this goes on: whole answers, and orders never become fewer."""
        while not is_over.is_set():
            with suppress(httpx.TransportError):
                answer = api.get(ours)
                seen.append((answer.status_code, answer.json().get("totalResults", 0)))
            is_over.wait(0.02)

    lender = threading.Thread(target=ask)
    lender.start()
    until(lambda: seen and seen[-1] == (200, 1), "the API serves what the scheduler read")
    for number in range(3):
        here.sell(number, at=datetime.now(UTC) - timedelta(seconds=5))
    assert api.post(f"/companies/{company.id}/data/all").status_code < 300
    by_hand = [process(here, "sync") for _ in range(2)]
    assert {ended(one)[0] for one in by_hand} <= {0, 3, 4}
    until(lambda: seen[-1] == (200, 2), "the refresh that the API was asked for is read and served")
    first.send_signal(signal.SIGTERM)
    assert ended(first)[0] == 0
    is_over.set()
    lender.join()
    assert [total for status, total in seen if status == 200] == sorted(t for s, t in seen if s == 200)
    since_first = seen[seen.index((200, 1)) :]
    assert {status for status, _ in since_first} == {200}

    here.clock.start = datetime.now(UTC)
    assert here.sync().exit_code == 0
    here.check_books()
    assert overlapping(here) == []
    twice = "SELECT order_id FROM ledger.order_versions WHERE replaced_by IS NULL GROUP BY ALL HAVING count(*) > 1"
    assert here.rows(twice) == []


def test_a_killed_run_holds_no_lock_and_loses_nothing(today, process):
    here = today()
    here.sell()
    asked = slow_down(here)
    doomed = process(here, "sync")
    until(lambda: reading(here) and asked() > 1, "the run reads")
    doomed.kill()
    doomed.wait()
    here.sandbox.faults.clear()
    assert ended(process(here, "sync"))[0] == 0
    here.check_books()


@pytest.mark.parametrize("arguments", [("sync",), ("sync", "--json"), ("reconcile", "--json")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_manual_run_at_its_next_request(today, process, number, arguments):
    here = today(2)
    here.sell(0)
    here.sell(1)
    assert here.sync().exit_code == 0
    here.sell(0)
    asked = slow_down(here)
    one = process(here, *arguments)
    until(lambda: asked() > 1, "the run reads")
    began = time.monotonic()
    one.send_signal(number)
    code, out, err = ended(one)
    assert (code, time.monotonic() - began < 15) == (128 + number, True), err
    assert "asked to stop" in out + err
    assert "stopping" in err
    here.sandbox.faults.clear()
    stopped = here.rows(
        "SELECT count(*) FROM ledger.sync_runs WHERE status = 'failed' AND error_kind = 'stopped'"
    )
    assert (stopped[0][0] > 0) == (arguments[0] == "sync")
    assert ended(process(here, "sync"))[0] == 0
    here.check_books()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see that the query has begun")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_query_that_takes_too_long_can_be_stopped(today, process, number):
    here = today()
    assert here.sync().exit_code == 0
    one = process(here, "query", "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(1000000) b")
    until(lambda: has_open(one, "/published/"), "the published file is open")
    time.sleep(2)
    one.send_signal(number)
    code, out, err = ended(one)
    assert (code, out) == (128 + number, "")
    assert err == "Error: Stopped. What was published before is as it was.\n"


def test_a_second_ctrl_c_ends_a_run_like_a_crash(today, process):
    here = today()
    here.sell()
    here.sandbox.faults.always(faults.drip(30), path="/v1/*")
    one = process(here, "sync")
    until(lambda: here.sandbox.requests("/v1/") > 0, "the run reads")
    one.send_signal(signal.SIGINT)
    time.sleep(1)
    assert one.poll() is None, "the answer it waits for takes long"
    one.send_signal(signal.SIGINT)
    assert ended(one)[0] == -signal.SIGINT
    here.sandbox.faults.clear()
    assert ended(process(here, "sync"))[0] == 0
    here.check_books()


def test_a_scheduler_asked_to_end_while_it_reads_ends_at_once_and_reads_again_later(today, process):
    here = today()
    here.sell()
    asked = slow_down(here)
    scheduler = process(here, "schedule", "--log-format", "json")
    until(lambda: asked() > 1, "the run reads")
    began = time.monotonic()
    scheduler.send_signal(signal.SIGTERM)
    assert ended(scheduler)[0] == 0
    assert time.monotonic() - began < 15
    here.sandbox.faults.clear()
    kinds = here.rows("SELECT status, error_kind FROM ledger.sync_runs")
    assert kinds == [("failed", "stopped")]
    assert ended(process(here, "schedule", "--once"))[0] == 0
    here.check_books()


def test_a_hangup_reads_the_configuration_again_and_keeps_the_old_one_if_it_is_wrong(
    today, process, tmp_path
):
    here = today(schedule="0 0 1 1 *")
    path = tmp_path / "live.yaml"
    whole = process.config(here, path).read_text()
    scheduler = process(here, "schedule", "--log-format", "json", config=path)
    lines = iter(scheduler.stderr.readline, "")

    def line(event):
        return next(found for text in lines if (found := json.loads(text))["event"] == event)

    line("schedule.begins")
    path.write_text("store: [")
    scheduler.send_signal(signal.SIGHUP)
    assert line("schedule.config_kept")["error"]
    path.write_text(whole)
    scheduler.send_signal(signal.SIGHUP)
    assert line("schedule.config_loaded")["connections"] == 1
    scheduler.send_signal(signal.SIGTERM)
    assert ended(scheduler)[0] == 0


PLACES = (
    "apply.before_commit",
    "apply.after_commit",
    "publish.begins",
    "publish.before_copy",
    "publish.after_copy",
    "publish.before_link",
    "publish.after_link",
)


@pytest.mark.parametrize("place", PLACES)
def test_kill_minus_9_at_every_step_of_loading_and_publishing_is_repaired_by_the_next_sync(
    today, process, place
):
    here = today()
    first = here.sell(at=here.clock.now() - timedelta(hours=20))
    here.sync()
    here.worlds[0].refund(here.clock.now() - timedelta(minutes=30), first)
    here.sell(amount=2500)
    doomed = process(here, "sync", CONNECTOR_FAILPOINT=place)
    code, _out, err = ended(doomed)
    assert code == -signal.SIGKILL, err
    totals = here.rows("SELECT count(*), sum(total_amount) FROM orders")
    assert totals in ([(1, 11)], [(2, 25)]), "a complete earlier or later snapshot"
    here.clock.start = datetime.now(UTC)
    assert here.sync().exit_code == 0
    here.check_books()
    assert here.rows("SELECT count(*) FROM ledger.order_versions WHERE replaced_by IS NULL") == [(2,)]
    assert not list(here.store.directory.glob("*.tmp"))


@pytest.mark.parametrize("command", ["sync", "schedule --once"])
@pytest.mark.parametrize("place", ["apply.after_commit", "publish.before_copy", "publish.before_link"])
def test_kill_minus_9_before_a_burst_of_runs_is_published_loses_none_of_them(today, process, place, command):
    here = today(3, schedule="* * * * *")
    here.clock.start -= timedelta(minutes=3)
    here.sync()
    here.clock.start = datetime.now(UTC)
    for number in range(3):
        here.sell(number)
    doomed = process(here, *command.split(), CONNECTOR_FAILPOINT=place)
    code, _out, err = ended(doomed)
    assert code == -signal.SIGKILL, err
    assert here.rows("SELECT count(*) FROM orders") in ([(0,)], [(3,)])
    here.clock.start = datetime.now(UTC)
    assert here.sync().exit_code == 0
    here.check_books()
    assert here.rows("SELECT count(*) FROM ledger.order_versions") == [(3,)]


def test_every_step_that_has_a_name_is_among_them():
    from pathlib import Path

    import connector.ledger

    source = Path(connector.ledger.__file__).parent
    named = {
        text.split('"')[1]
        for file in source.rglob("*.py")
        for text in file.read_text().splitlines()
        if text.strip().startswith('failpoint("')
    }
    assert {name for name in named if name.startswith(("apply.", "publish."))} == set(PLACES)
