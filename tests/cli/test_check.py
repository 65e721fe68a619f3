"""`connector check`: every line says ok or what to do."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from connector.cli.check.clover import (
    examine_clock,
    examine_connection,
    examine_ids,
    examine_store,
)
from connector.cli.processes import reaching
from connector.config import load_config
from connector.errors import CloverUnavailable, Deauthorized, PermissionMissing

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)


class FakeClient:
    """Answers every list, or raises what ``failures`` says for its path."""

    def __init__(self, failures=None):
        self.failures = failures or {}
        self.asked = []

    def get_json(self, path, params, *, permission):
        self.asked.append((path, dict(params), permission))
        if path in self.failures:
            raise self.failures[path]
        return {"data": []}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def config(shop):
    return load_config(shop / "config.yaml", {})


def examined(config, client):
    company, connection = next(config.pairs())
    return list(examine_connection(company, connection, lambda _connection: client))


def test_each_stream_is_read_once_and_cheaply(config):
    client = FakeClient()
    assert [one.verdict for one in examined(config, client)] == ["ok", "ok", "ok"]
    assert [path for path, _, _ in client.asked] == ["/v1/charges", "/v1/orders", "/v1/refunds"]
    assert {params["limit"] for _, params, _ in client.asked} == {1}


def test_a_missing_permission_is_named_and_the_other_streams_are_still_tried(config):
    client = FakeClient({"/v1/charges": PermissionMissing("no", permission="Read payments")})
    first, *others = examined(config, client)
    assert (first.verdict, first.text) == ("failed", "the permission 'Read payments' is missing")
    assert first.todo
    assert [one.verdict for one in others] == ["ok", "ok"]


@pytest.mark.parametrize(
    "error", [Deauthorized("refused", hint="Connect again."), CloverUnavailable("gone", hint="Try later.")]
)
def test_a_refused_token_or_an_absent_clover_ends_the_connections_check(config, error):
    [finding] = examined(config, FakeClient({"/v1/charges": error}))
    assert (finding.verdict, finding.todo) == ("failed", error.hint)


@pytest.mark.parametrize(
    ("ahead", "verdict"), [(0, "ok"), (60, "ok"), (-90, "ok"), (600, "failed"), (-86400, "failed")]
)
def test_the_clock_is_compared_with_clovers(ahead, verdict):
    finding = examine_clock(lambda: format_datetime(NOW), lambda: NOW + timedelta(seconds=ahead))
    assert finding.verdict == verdict
    assert bool(finding.todo) == (verdict == "failed")


@pytest.mark.parametrize("header", [None, "nonsense"])
def test_an_unknown_time_is_no_failure(header):
    assert examine_clock(lambda: header, lambda: NOW).verdict == "warning"


def test_made_ids_are_shown_and_odd_ones_warned_about(tmp_path, config):
    assert {one.verdict for one in examine_ids(config)} == {"ok"}
    odd = config.model_copy(update={"companies": [config.companies[0].model_copy(update={"id": "acme"})]})
    assert next(iter(examine_ids(odd))).verdict == "warning"


def test_a_store_is_ok_before_and_after_the_first_publish(published):
    (published / "data").chmod(0o700)
    published_one = list(examine_store(str(published / "data")))
    assert published_one[0].verdict == "ok"
    assert str(published / "data" / "commerce.duckdb") in published_one[0].text
    assert next(iter(examine_store(str(published / "not" / "yet")))).verdict == "ok"


def test_a_store_open_to_everybody_is_warned_about(tmp_path):
    directory = tmp_path / "open"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    assert any("chmod o-rwx" in (one.todo or "") for one in examine_store(str(directory)))


@pytest.fixture
def apart(shop, tmp_path):
    """The finding about the directory that analysts are let into, with the config's lines given."""
    from connector.cli.check.store import examine_place

    tmp_path.chmod(0o755)

    def examine(*lines):
        text = (shop / "config.yaml").read_text()
        (shop / "config.yaml").write_text("\n".join([f"publish_to: {tmp_path / 'analysts'}", *lines, text]))
        [finding] = examine_place(load_config(shop / "config.yaml", {}))
        (shop / "config.yaml").write_text(text)
        return finding

    return examine


def test_where_analysts_are_let_in_is_said_before_and_after_it_is_there(apart, tmp_path):
    assert "will be made" in apart().text
    (tmp_path / "analysts").mkdir(mode=0o700)
    assert apart("publish_mode: 0400").verdict == "ok"
    assert apart("publish_group: nobody-here").verdict == "failed"
    shut = apart()
    assert shut.verdict == "warning"
    assert str(tmp_path / "analysts") in shut.text
    assert "chmod g+rx" in (shut.todo or "")


def test_a_store_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    [finding] = examine_store(str(tmp_path / "file" / "data"))
    assert finding.verdict == "failed"
    assert finding.todo


def test_the_command_says_ready_or_what_to_do(connector, shop, monkeypatch):
    monkeypatch.setattr(reaching, "host_date", lambda _connection: None)
    monkeypatch.setattr(reaching, "probing_client", lambda _config, _connection: FakeClient())
    code, out, _err = connector("check")
    assert code == 0
    assert "Ready. Next: connector sync" in out
    monkeypatch.setattr(
        reaching,
        "probing_client",
        lambda _config, _connection: FakeClient({"/v1/orders": Deauthorized("refused")}),
    )
    code, out, _err = connector("check", "--json")
    assert code == 1
    assert json.loads(out)["ready"] is False
