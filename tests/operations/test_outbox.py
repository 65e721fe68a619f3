"""The outbox of alerts and webhooks: a file of an earlier version goes on where it was; claims; lines; retries."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from connector.control import keys, outbox, webhooks
from connector.control.file import ControlFile
from connector.control.migrations import STEPS
from connector.control.outbox import Event, Retries
from connector.errors import StoreTooNew
from connector.schedule.alert_book import AlertBook
from connector.schedule.delivery import deliver
from tests.operations.old_stores import DIRECTORY

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def old(tmp_path):
    """A directory with a file as the version before the outbox left it: a key, a webhook, an alert that waits."""
    with sqlite3.connect(tmp_path / "control.sqlite") as file:
        file.executescript((DIRECTORY / "control-0.sql").read_text())
    return tmp_path


def open_control(directory):
    return ControlFile(directory, keys.TABLES, outbox.TABLES, webhooks.TABLES)


def test_what_waited_in_an_old_file_is_sent_and_what_was_told_is_not_told_again(old, hook):
    control = open_control(old)
    [key] = keys.list_keys(control)
    assert (key.label, key.companies) == ("lender", frozenset({"company-1"}))
    told, again = reversed(outbox.deliveries_to(control, "hook-1"))
    assert (told.delivered, told.last_status, told.next_try) == ("2026-11-20T12:00:00Z", 200, None)
    assert (again.attempts, again.next_try, again.last_error) == (1, "2026-11-20T13:00:05Z", "answered 500")
    [(due, to)] = webhooks.due_deliveries(control, now=NOON + timedelta(hours=2))
    assert (due, to.webhook_id) == (again, "hook-1")
    run = webhooks.event_id("run", "r1", "connection-1")
    assert not webhooks.note_event(control, run, "read.completed", {}, now=NOON, company_id="company-1")
    control.close()

    book = AlertBook(old)
    assert deliver(book, "https://x.example.com", now=lambda: NOON + timedelta(hours=1), send=hook) == 2
    assert hook.events == ["connection.recovered", "connection.failed"], "in their order, the third not again"
    book.close()


def test_the_steps_are_taken_once(old):
    open_control(old).close()
    before = (old / "control.sqlite").stat().st_size
    open_control(old).close()
    with sqlite3.connect(old / "control.sqlite") as file:
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert file.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    assert not names & {"webhook_events", "webhook_deliveries", "alert_deliveries"}
    assert (old / "control.sqlite").stat().st_size == before


def test_a_step_that_fails_changes_nothing(old, monkeypatch):
    broken = (*STEPS, "CREATE TABLE later (a TEXT); SELECT a FROM nowhere")
    monkeypatch.setattr("connector.control.migrations.STEPS", broken)
    with pytest.raises(Exception, match="nowhere"):
        open_control(old)
    monkeypatch.undo()
    control = open_control(old)
    assert len(outbox.deliveries_to(control, "hook-1")) == 2
    control.close()


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    open_control(tmp_path).close()
    with sqlite3.connect(tmp_path / "control.sqlite") as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="newer version"):
        open_control(tmp_path)


def test_events_of_a_line_wait_for_each_other_and_those_without_do_not(tmp_path):
    control = open_control(tmp_path)
    with control.transaction() as db:
        for name, line in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("x", None), ("y", None)):
            outbox.note(db, Event(name, "e", None, "{}", line), ["t", "other"], now=NOON)

    def due(seconds=0):
        found = outbox.due(control, ["t"], now=NOON + timedelta(seconds=seconds))
        return {one.event_id: one for one in found}

    first = due()
    assert set(first) == {"a1", "b1", "x", "y"}
    retries = Retries((timedelta(seconds=5),), within=timedelta(days=1))
    outbox.record(control, first["a1"], retries, status=500, error="answered 500", now=NOON)
    assert set(due()) == {"b1", "x", "y"}
    outbox.record(control, due(5)["a1"], retries, status=204, error=None, now=NOON)
    assert set(due(5)) == {"a2", "b1", "x", "y"}
    control.close()


@pytest.mark.parametrize(
    ("within", "expected"),
    [(None, [5, 30, None]), (timedelta(seconds=100), [5, 30, 30, 30, None])],
)
def test_how_often_is_tried(within, expected):
    retries = Retries((timedelta(seconds=5), timedelta(seconds=30)), within=within)
    now, waits = NOON, []
    for attempts in range(1, len(expected) + 1):
        again = retries.next_try(attempts=attempts, noted=NOON, now=now)
        waits.append(None if again is None else (again - now).total_seconds())
        now = again or now
        now += timedelta(seconds=5)
    assert waits == expected
