"""PostgreSQL away for a while: clear errors without a password, the API serves what it has, all goes on after."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from connector.config import FleetPlace
from connector.control.keys import revoke_key
from connector.control.place import open_control
from connector.errors import StoreError
from connector.schedule.fleet_turns import FleetTurns
from connector.schedule.planner import Job, LastRun
from tests.api.conftest import JUNIPER, NOW, books, published_file, serve  # noqa: F401 - fixtures

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def place(postgres_url, tmp_path):
    return FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "cache", "s3cret-password")


@pytest.fixture
def away(postgres_server, monkeypatch):
    """The server stopped, until ``back`` is called or the test has ended."""

    class Away:
        is_away = False

        def __call__(self):
            postgres_server.stop()
            self.is_away = True

        def back(self):
            if self.is_away:
                postgres_server.start()
                self.is_away = False

    monkeypatch.setattr("connector.control.postgres._WAIT", 1.0)
    one = Away()
    yield one
    one.back()


def test_a_question_says_where_the_database_is_and_no_password(place, away):
    control = open_control(place)
    assert control.row("SELECT 1 AS one")["one"] == 1
    away()
    with pytest.raises(StoreError) as caught:
        control.row("SELECT 1 AS one")
    said = f"{caught.value.message} {caught.value.hint}"
    assert place.host in said
    assert "cannot be reached" in said
    assert "s3cret" not in said
    away.back()
    assert control.row("SELECT 1 AS one")["one"] == 1


def test_a_wrong_name_and_a_database_that_is_not_there_are_told_apart(place, away):
    assert not away.is_away
    for url in (place.database_url + "_missing", place.database_url.replace("connector@", "nobody@")):
        with pytest.raises(StoreError) as caught:
            open_control(FleetPlace(url, place.bucket, place.cache, "s3cret-password")).row("SELECT 1 AS one")
        assert "does not exist" in caught.value.message
        assert "s3cret" not in caught.value.message


def test_a_scheduler_waits_says_so_once_and_goes_on(place, away):
    turns = FleetTurns(place, machine="a")
    jobs = [Job(f"c{number}", "0 * * * *", "UTC") for number in range(3)]
    turns.set_jobs(jobs, NOON)
    taken = turns.take(NOON, most=2, running=())
    assert len(taken) == 2
    away()
    with capture_logs() as logs:
        turns.ended("c0", LastRun(NOON, NOON + timedelta(seconds=5), "succeeded"))
        turns.published(NOON)
        for second in range(2):
            assert turns.take(NOON + timedelta(seconds=second), most=2, running=()) == []
    assert [line["event"] for line in logs].count("schedule.turns_unreachable") == 1
    away.back()
    found = turns.take(NOON + timedelta(seconds=20), most=9, running=())
    assert [one.connection_id for one in found] == ["c2"], "what runs is still ours, what ended is given back"
    turns.ended("c1", LastRun(NOON, NOON + timedelta(seconds=5), "succeeded"))
    turns.published(NOON)
    assert turns.next(NOON, running=()) == NOON + timedelta(hours=1)
    turns.close()


def test_the_api_serves_what_it_has_and_refuses_what_it_does_not_know(books, place, away):  # noqa: F811
    for server in serve(books, control=place):
        reader = server.key("read", companies=[JUNIPER])
        stranger = {"Authorization": "Bearer cck_abcdefghjk_not-a-key-of-anybody"}
        paths = [f"/companies/{JUNIPER}", "/companies", f"/companies/{JUNIPER}/connections"]
        before = [server.client.get(path, headers=reader) for path in paths]
        assert [one.status_code for one in before] == [200] * 3
        away()
        during = [server.client.get(path, headers=reader) for path in paths]
        assert [one.status_code for one in during] == [200] * 3
        assert [one.json() for one in during] == [one.json() for one in before]
        began = time.monotonic()
        for _ in range(20):
            assert server.client.get(paths[0], headers=reader).status_code == 200
        assert time.monotonic() - began < 12, "not every request waits for the database"
        refused = server.client.get(paths[0], headers=stranger)
        assert refused.status_code >= 500
        assert "s3cret" not in refused.text
        away.back()
        time.sleep(2.1)
        with closing(open_control(place)) as elsewhere:
            (row,) = elsewhere.rows("SELECT key_id FROM api_keys")
            revoke_key(elsewhere, row["key_id"], now=NOW)
        assert server.client.get(paths[0], headers=reader).status_code == 401
        server.state.access_log.flush()
        time.sleep(1.5)
        counted = server.state.control.row("SELECT count(*) AS n FROM access_log")
        assert counted["n"] == 3 + 3 + 20, "what was read meanwhile is written when it is back"
