"""`connector status`: what was read when, and whether that is recent enough."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from connector.cli.check.freshness import freshness
from connector.cli.check.store import examine_age
from connector.config import load_config

NOW = datetime(2026, 11, 20, 6, 10, tzinfo=UTC)


def test_a_connection_tells_success_cursor_rows_and_next_run(published):
    config = load_config(published / "config.yaml", {})
    with closing(duckdb.connect(str(published / "data" / "commerce.duckdb"), read_only=True)) as opened:
        one, other = freshness(config, opened, now=NOW)
    assert one.last_success == datetime(2026, 11, 20, 4, 1, tzinfo=UTC)
    assert (one.status, one.error) == ("failed", "Clover did not answer.")
    half_past = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
    assert half_past <= one.next_run < half_past + timedelta(minutes=1), "with the connection's own delay"
    assert one.next_command == f"connector sync --company {one.company.id}"
    charges, orders, *_others = one.streams
    assert (charges.rows, charges.cursor) == (1, datetime(2026, 11, 20, 3, 55, tzinfo=UTC))
    assert (orders.rows, orders.cursor) == (0, None)
    assert (one.orders, one.held_back, one.open_issues) == (2, 1, 1)
    assert one.is_stale(NOW, timedelta(hours=2))
    assert not one.is_stale(NOW, timedelta(hours=3))
    assert (other.status, other.last_success, other.next_run) == ("never synced", None, None)
    assert other.is_stale(NOW, timedelta(days=1000))


def test_max_age_makes_it_a_health_check(connector, published):
    assert connector("status")[0] == 0
    code, _out, err = connector("status", "--max-age", "1h")
    assert code == 1
    assert "Stale: Kite Wholesale (merchant MHT4QK2Z9WX62) has never succeeded." in err


def test_it_is_one_line_a_merchant_worst_first(connector, published, monkeypatch):
    """A failing one before one that was never synced; stale ones before both."""
    lines = connector("status")[1].splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == ["Juniper Goods", "Kite Wholesale"]
    assert "failed" in lines[2]
    assert "never synced" in lines[3]
    with closing(duckdb.connect(str(published / "data" / "commerce.duckdb"))) as opened:
        opened.execute("UPDATE ledger.sync_runs SET status = 'succeeded'")
    first = connector("status")[1].splitlines()[2]
    assert first.startswith("Kite Wholesale"), "never synced is worse than good"


def test_the_streams_are_shown_when_asked_for(connector, published):
    out = connector("status", "--streams")[1]
    charges = next(line.split() for line in out.splitlines() if "charges" in line)
    assert charges[2:5] == ["charges", "1", "2026-11-20T03:55:00Z"]
    assert "read until" not in connector("status")[1]


def test_watching_shows_it_again_until_ctrl_c(connector, published, monkeypatch):
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("connector.cli.commands.status.time.sleep", sleep)
    code, out, _err = connector("status", "--watch")
    assert (code, out.count("Kite Wholesale"), waited) == (0, 3, [5.0, 5.0, 5.0])
    assert connector("status", "--watch", "--json")[0] == 2


def test_json_is_one_document_with_every_connection(connector, published):
    code, out, _err = connector("status", "--json", "--max-age", "1h")
    document = json.loads(out)
    assert code == 1
    assert document["stale"] is True
    assert [one["merchantId"] for one in document["connections"]] == ["MHT4QK2Z9WX63", "MHT4QK2Z9WX62"]
    assert document["connections"][0]["lastRun"]["error"] == {
        "kind": "clover",
        "message": "Clover did not answer.",
    }
    assert document["connections"][0]["streams"][0]["cursor"] == "2026-11-20T03:55:00Z"


def test_before_the_first_sync_everything_is_never(connector, shop):
    code, out, _err = connector("status")
    assert code == 0
    assert "never synced" in out
    assert connector("status", "--max-age", "1d")[0] == 1


class TestWrongClock:
    """Something in the store is dated after now: it is said, and the lag is not 0."""

    @pytest.fixture
    def ahead(self, published):
        with closing(duckdb.connect(str(published / "data" / "commerce.duckdb"))) as opened:
            opened.execute("UPDATE ledger.sync_state SET \"cursor\" = TIMESTAMP '2227-11-20 04:00:00'")
            opened.execute(
                "INSERT INTO ledger.sync_runs BY NAME SELECT * REPLACE ('r9' AS run_id,"
                " TIMESTAMP '2227-11-20 04:00:00' AS started_at, TIMESTAMP '2227-11-20 04:01:00' AS finished_at)"
                " FROM ledger.sync_runs WHERE run_id = 'r1'"
            )
        return published

    def test_the_last_success_is_the_last_that_can_be(self, ahead):
        config = load_config(ahead / "config.yaml", {})
        with closing(duckdb.connect(str(ahead / "data" / "commerce.duckdb"), read_only=True)) as opened:
            one, other = freshness(config, opened, now=NOW)
        assert one.last_success == datetime(2026, 11, 20, 4, 1, tzinfo=UTC)
        assert "2227-11-20 04:00:00 UTC, which is in the future" in one.wrong_clock(NOW)
        assert other.wrong_clock(NOW) is None

    def test_status_and_check_say_it(self, ahead, connector):
        code, out, _ = connector("status")
        assert code == 0
        assert "in the future" in out
        assert "warning: something is dated 2227-11-20" in out
        document = json.loads(connector("status", "--json")[1])
        assert "in the future" in document["connections"][0]["warning"]
        config = load_config(ahead / "config.yaml", {})
        with closing(duckdb.connect(str(ahead / "data" / "commerce.duckdb"), read_only=True)) as opened:
            found = [one for one in examine_age(config, opened, now=NOW) if "in the future" in one.text]
        assert [(one.verdict, "NTP" in one.todo) for one in found] == [("warning", True)]
