"""`connector check` on a store that has been running: every line says ok, or what to do."""

import json
import os
from collections import namedtuple
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from connector.cli.check import store as doctor
from connector.cli.check.store import (
    examine_access_log,
    examine_growth,
    examine_locks,
    examine_operations,
    examine_room,
    examine_time_zones,
    examine_version,
)
from connector.config import Config
from connector.control import access_log as api_access_log
from connector.control.file import ControlFile
from connector.ledger import locks

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch):
    def set_free(size):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: Usage(1 << 40, 0, size))

    return set_free


def by_subject(found):
    return {one.subject: one for one in found}


def test_a_store_in_order_has_only_lines_that_say_so(town):
    here = town(2)
    here.sync()
    found = list(examine_operations(here.config, now=here.clock.now() + timedelta(minutes=5)))
    assert {one.verdict for one in found} == {"ok"}
    assert {"version", "room", "growth", "time zones", "Company 0 MERCHANT00000"} <= set(by_subject(found))


def test_whatever_is_not_in_order_says_what_to_do(town, free):
    here = town(2)
    here.sync()
    here.sandbox.access.revoke(here.worlds[0])
    here.clock.advance(hours=1)
    here.sync()
    free(1)
    found = [
        one
        for one in examine_operations(here.config, now=here.clock.now() + timedelta(days=900))
        if one.verdict != "ok"
    ]
    assert {one.subject for one in found} >= {"room", "Company 0 MERCHANT00000", "Company 1 MERCHANT00001"}
    assert all(one.todo for one in found)
    assert by_subject(found)["Company 0 MERCHANT00000"].todo == "connector check"
    assert by_subject(found)["Company 1 MERCHANT00001"].todo.startswith("connector sync --company")


def test_a_store_that_was_never_written_is_no_failure(tmp_path, town):
    here = town(1)
    assert [one.verdict for one in examine_operations(here.config, now=NOW)] == ["ok"]


def test_a_lock_is_named_with_its_holder_and_age_and_a_dead_holder_is_not(tmp_path):
    with locks.held(tmp_path, "connection-c", what="Connection c", since=NOW - timedelta(minutes=5), wait=0):
        [found] = examine_locks(tmp_path, now=NOW)
        assert (found.verdict, found.text) == ("ok", f"connection-c is held by process {os.getpid()} for 5m")
        [found] = examine_locks(tmp_path, now=NOW + timedelta(hours=7))
        assert found.verdict == "warning"
        assert f"kill {os.getpid()}" in found.todo
    assert list(examine_locks(tmp_path, now=NOW)) == []
    (tmp_path / "locks" / "connection-c.holder").write_text(
        json.dumps({"pid": 2**22 + 1, "since": NOW.isoformat()})
    )
    (tmp_path / "locks" / "connection-d.holder").write_text("{")
    assert list(examine_locks(tmp_path, now=NOW)) == []


def test_looking_at_a_lock_does_not_take_it(tmp_path):
    with locks.held(tmp_path, "connection-c", what="Connection c", since=NOW, wait=0):
        list(examine_locks(tmp_path, now=NOW))
        assert locks.is_held(tmp_path, "connection-c")


def test_room_for_a_publish_is_measured_by_the_writers_file(tmp_path, free):
    (tmp_path / "work.duckdb").write_bytes(b"x" * (3 << 20))
    free(2 << 20)
    assert (examine_room(tmp_path).verdict, examine_room(tmp_path).todo[:8]) == ("failed", "Free 1.0")
    free(4 << 20)
    assert examine_room(tmp_path).verdict == "ok"


def test_growth_that_fills_the_disk_within_a_month_is_told(tmp_path, free):
    raw = tmp_path / "raw" / "c"
    raw.mkdir(parents=True)
    (raw / "a.jsonl.gz").write_bytes(b"x" * 7000)
    os.utime(raw / "a.jsonl.gz", (NOW.timestamp(), NOW.timestamp()))
    free(1000 * 31)
    assert examine_growth(tmp_path, now=NOW).verdict == "ok"
    free(1000 * 10)
    found = examine_growth(tmp_path, now=NOW)
    assert "full in 10 days" in found.text
    assert "raw_retention_days" in found.todo
    assert examine_growth(tmp_path, now=NOW + timedelta(days=8)).verdict == "ok", "it has not grown lately"


def test_a_store_of_a_newer_version_asks_for_an_upgrade():
    with duckdb.connect() as opened:
        opened.execute("CREATE SCHEMA ledger; CREATE TABLE ledger.migrations AS SELECT 999 AS version")
        found = examine_version(opened)
        assert found.verdict == "failed"
        assert "pip install --upgrade" in found.todo
        opened.execute("UPDATE ledger.migrations SET version = 0")
        assert "the next sync brings it" in examine_version(opened).text


def test_old_rules_of_time_zones_are_told(town):
    here: Config = town(1).config
    assert (
        examine_time_zones(here, now=datetime(2035, 1, 1, tzinfo=UTC)).todo == "pip install --upgrade tzdata"
    )


def test_the_size_of_the_access_log_is_said_and_what_to_do_when_it_is_large(tmp_path, monkeypatch):
    assert list(examine_access_log(tmp_path, keep_days=90, now=NOW)) == []
    control = ControlFile(tmp_path, api_access_log.TABLES)
    log = api_access_log.AccessLog(control, clock=lambda: NOW)
    log.add(
        api_access_log.Access(
            "2026-11-19T04:00:00Z", "c", "k", "GET", "/companies", None, None, None, 1, 1, 200, 1.0, "a"
        )
    )
    for _ in range(1234):
        log.refused(NOW, None, 401)
    log.close()
    [fine] = examine_access_log(tmp_path, keep_days=90, now=NOW)
    assert fine.verdict == "ok"
    assert fine.text.startswith(
        "1 requests since 2026-11-19T04:00:00Z (kept 90 days), 1,234 refused at the door"
    )
    monkeypatch.setattr(doctor, "LARGE_LOG", 1000)
    [large] = examine_access_log(tmp_path, keep_days=90, now=NOW)
    assert large.verdict == "warning"
    assert "api.access_log_days" in (large.todo or "")
    control.close()
    (tmp_path / "control.sqlite").write_bytes(b"no database at all" * 100)
    [broken] = examine_access_log(tmp_path, keep_days=90, now=NOW)
    assert (broken.verdict, bool(broken.todo)) == ("warning", True)
