"""An operator is told once that something is wrong and once that it is over, also over restarts and full disks."""

import sqlite3
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from connector.schedule.alert_book import AlertBook
from connector.schedule.alerts import Known, decide, stale_after
from connector.schedule.delivery import deliver

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def known(status="succeeded", **more):
    return Known(
        **{
            "company_id": "company-1",
            "connection_id": "connection-1",
            "merchant_id": "MHT4QK2Z9WX61",
            "status": status,
            "watched_since": NOON,
            "stale_after": timedelta(hours=2),
            "last_success": NOON,
        }
        | more
    )


FAILED = known("failed", error_kind="clover", error="Clover did not answer.", run_id="r1")


@pytest.fixture
def book(tmp_path):
    opened = AlertBook(tmp_path)
    yield opened
    opened.close()


def send(book, hook, at=NOON):
    return deliver(book, "https://hooks.example.com/secret-path", now=lambda: at, send=hook)


def test_a_failure_is_told_once_and_so_is_its_end(book, hook):
    for minute, state in enumerate([FAILED, FAILED, known(), known(), FAILED]):
        book.note(state, NOON + timedelta(minutes=minute))
        send(book, hook, NOON + timedelta(minutes=minute))
    assert hook.events == ["connection.failed", "connection.recovered", "connection.failed"]


def test_staleness_is_told_once_and_so_is_its_end(book, hook):
    for hours in (1, 3, 4):
        book.note(known(), NOON + timedelta(hours=hours))
    book.note(known(last_success=NOON + timedelta(hours=5)), NOON + timedelta(hours=5))
    send(book, hook, NOON + timedelta(hours=5))
    assert hook.events == ["connection.stale", "connection.recovered"]


def test_failing_and_stale_end_in_one_message(book, hook):
    book.note(FAILED, NOON + timedelta(hours=3))
    book.note(known(last_success=NOON + timedelta(hours=4)), NOON + timedelta(hours=4))
    send(book, hook, NOON + timedelta(hours=4))
    assert sorted(hook.events) == ["connection.failed", "connection.recovered", "connection.stale"]
    assert hook.bodies[-1]["ended"] == ["failing", "stale"]


def test_a_connection_that_never_succeeded_grows_stale_from_when_it_was_first_watched():
    never = known(None, last_success=None)
    assert decide(never, frozenset(), NOON + timedelta(hours=1)) == []
    assert [a.event for a in decide(never, frozenset(), NOON + timedelta(hours=3))] == ["connection.stale"]


@pytest.mark.parametrize("kind", ["busy", "stopped"])
def test_a_busy_or_stopped_run_is_no_failure_and_no_recovery(kind):
    run = known("failed", error_kind=kind)
    assert decide(run, frozenset(), NOON) == []
    assert decide(run, frozenset({"failing"}), NOON) == []


def test_a_run_that_is_partly_done_is_told(book, hook):
    book.note(known("partly_done"), NOON)
    send(book, hook)
    assert hook.events == ["connection.failed"]
    assert hook.bodies[0]["status"] == "partly_done"


def test_a_restart_neither_tells_twice_nor_forgets(tmp_path, hook):
    first = AlertBook(tmp_path)
    first.note(FAILED, NOON)
    first.close()
    second = AlertBook(tmp_path)
    assert second.note(FAILED, NOON + timedelta(minutes=5)) == []
    assert send(second, hook, NOON + timedelta(minutes=5)) == 1
    second.close()
    assert hook.events == ["connection.failed"]


def test_an_endpoint_that_fails_is_tried_again_later_with_the_same_id(book, hook):
    hook.answers = [500, httpx.ConnectError("refused"), 204]
    book.note(FAILED, NOON)
    assert send(book, hook, NOON) == 0
    assert send(book, hook, NOON + timedelta(seconds=4)) == 0, "not before its time"
    assert send(book, hook, NOON + timedelta(seconds=5)) == 0
    assert send(book, hook, NOON + timedelta(seconds=40)) == 1
    assert send(book, hook, NOON + timedelta(days=1)) == 0
    assert len(hook.bodies) == 3
    assert len({body["id"] for body in hook.bodies}) == 1


def test_alerts_of_a_connection_arrive_in_their_order(book, hook):
    """The end of a failure waits behind its beginning; other connections do not."""
    hook.answers = [500]
    book.note(FAILED, NOON)
    send(book, hook)
    book.note(known(), NOON + timedelta(seconds=1))
    book.note(known("failed", connection_id="connection-2"), NOON + timedelta(seconds=1))
    assert send(book, hook, NOON + timedelta(seconds=1)) == 1
    assert hook.bodies[-1]["connectionId"] == "connection-2"
    assert send(book, hook, NOON + timedelta(seconds=10)) == 2
    assert hook.events[2:] == ["connection.failed", "connection.recovered"]


def test_an_endpoint_that_never_answers_is_given_up_after_a_day(book, hook):
    hook.answers = [500] * 1000
    book.note(FAILED, NOON)
    for minutes in range(0, 3000, 10):
        send(book, hook, NOON + timedelta(minutes=minutes))
    assert 40 < len(hook.bodies) < 60


def test_two_processes_send_an_alert_once(tmp_path, hook):
    one, two = AlertBook(tmp_path), AlertBook(tmp_path)
    one.note(FAILED, NOON)
    [waiting] = two.waiting(NOON)
    assert one.claim(waiting, NOON)
    assert not two.claim(waiting, NOON)
    assert two.note(FAILED, NOON) == []
    one.close()
    two.close()


def test_the_body_holds_ids_and_the_error_in_words_and_no_secret(book, hook):
    told = known(
        "failed",
        error_kind="clover",
        error="Clover refused clv_abcdef123456 of ines.moreau@example.com.",
        last_success=None,
    )
    book.note(told, NOON)
    send(book, hook)
    [body] = hook.bodies
    assert body.pop("id").startswith("alert_")
    text = body.pop("text")
    assert "company-1" in text
    assert body == {
        "event": "connection.failed",
        "at": "2026-11-20T12:00:00Z",
        "companyId": "company-1",
        "connectionId": "connection-1",
        "merchantId": "MHT4QK2Z9WX61",
        "status": "failed",
        "error": {"kind": "clover", "message": "Clover refused [hidden] of [hidden].", "hint": None},
        "next": "connector sync --company company-1",
    }
    assert "example.com" not in text


def test_the_address_of_the_endpoint_is_not_logged(book, hook):
    hook.answers = [500]
    book.note(FAILED, NOON)
    with capture_logs() as lines:
        send(book, hook)
    assert [line["host"] for line in lines] == ["hooks.example.com"]
    assert "secret-path" not in str(lines)


def test_a_file_that_cannot_be_written_does_not_silence_the_alert(book, hook, monkeypatch):
    """The disk is full: the failure it causes is told all the same, once; later episodes are kept again."""
    from connector.control.file import ControlFile

    whole = ControlFile.transaction

    def full(_control):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ControlFile, "transaction", full)
    assert book.watched_since([("company-1", "connection-1")], NOON) == {"connection-1": NOON}
    book.note(FAILED, NOON)
    book.note(FAILED, NOON + timedelta(minutes=1))
    assert send(book, hook, NOON + timedelta(minutes=1)) == 1
    monkeypatch.setattr(ControlFile, "transaction", whole)
    book.note(FAILED, NOON + timedelta(minutes=2))
    book.note(known(), NOON + timedelta(minutes=3))
    book.note(known(), NOON + timedelta(minutes=4))
    send(book, hook, NOON + timedelta(minutes=4))
    assert hook.events == ["connection.failed", "connection.recovered"]


def test_how_long_is_too_long_follows_the_schedule_unless_it_is_said():
    assert stale_after(None, None) is None
    assert stale_after(None, 6) is None
    assert stale_after("*/5 * * * *", None) == timedelta(hours=1)
    assert stale_after("0 */6 * * *", None) == timedelta(hours=12)
    assert stale_after("0 9 * * 1-5", None) == timedelta(days=6), "a weekend is no failure"
    assert stale_after("*/5 * * * *", 0.5) == timedelta(minutes=30)
