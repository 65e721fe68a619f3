"""`connector check` on configurations that can be read and cannot be right: one row a mistake."""

import os
from datetime import UTC, date, datetime

import pytest
import yaml

from connector.cli.check import plausible
from connector.cli.check.plausible import examine_plausible, examine_readers
from connector.cli.commands.init import example_config, example_merchant
from connector.config import load_config
from connector.errors import ConfigError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def connection(**changes):
    made = {
        "merchant_id": "K4V8N2Q6R1TBE",
        "country": "USA",
        "timezone": "America/New_York",
        "start_date": "2024-01-01",
        "token": "${CLOVER_TOKEN}",
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def found(tmp_path, document):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"store": str(tmp_path / "data")} | document, sort_keys=False))
    path.chmod(0o600)
    config = load_config(path, {"CLOVER_TOKEN": "a-token", "OTHER": "other-token"})
    return list(examine_plausible(config, path, now=NOW))


def complaints(tmp_path, *connections, **sections):
    document = {"companies": [{"name": f"C{n}", "connections": [one]} for n, one in enumerate(connections)]}
    return [one for one in found(tmp_path, document | sections) if one.verdict != "ok"]


def test_a_configuration_that_can_be_right_has_no_complaint(tmp_path):
    assert complaints(tmp_path, connection()) == []
    day_after = connection(start_date="2026-11-21", timezone="Pacific/Auckland")
    assert complaints(tmp_path, day_after) == [], "it is tomorrow there already"


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({"merchant_id": example_merchant()}, "failed", "that of config.example.yaml"),
        ({"merchant_id": "my-shop"}, "warning", "none as Clover makes them"),
        ({"start_date": "2026-11-21"}, "failed", "start_date 2026-11-21 is in the future"),
        ({"start_date": "2062-01-01"}, "failed", "in the future"),
        ({"start_date": "1999-12-31"}, "warning", "before Clover sold anything"),
        ({"country": "DEU"}, "warning", "USA and CAN only"),
        ({"base_url": "http://clover-proxy.example.com"}, "warning", "without encryption"),
        ({"base_url": "https://scl.clover.com/v1"}, "failed", "has the path /v1"),
        ({"base_url": "https://scl-sandbox.dev.clover.com"}, "failed", "Clover's host for sandbox"),
        ({"base_url": "https://api.clover.com"}, "failed", "platform API"),
        ({"token": "a1b2c3d4-written-here"}, "warning", "token stands in the file itself"),
        ({"token": "${CLOVER_TOKEN:-fallback-token}"}, "warning", "token stands in the file itself"),
        (
            {"token": None, "oauth": {"client_id": "APP", "client_secret": "written-here"}},
            "warning",
            "client_secret stands in the file itself",
        ),
    ],
)
def test_what_cannot_be_right_of_a_connection(tmp_path, changes, verdict, says):
    [one] = complaints(tmp_path, connection(**changes))
    assert (one.verdict, says in one.text) == (verdict, True), one
    assert one.todo
    assert "written-here" not in one.text + one.todo


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"api": {"host": "0.0.0.0"}}, "speaks no TLS"),
        ({"metrics": {"textfile": "/tmp/connector.txt"}}, "reads *.prom only"),
        ({"metrics": {"textfile": "/etc/hostname/connector.prom"}}, "cannot be written"),
        ({"limits": {"requests_per_second": 40}}, "Clover allows 16"),
        ({"limits": {"app_concurrent_requests": 11}}, "Clover allows 10"),
        ({"sync": {"overlap_hours": 0}}, "overlap_hours is 0"),
    ],
)
def test_what_cannot_be_right_of_the_rest(tmp_path, sections, says):
    assert [says in one.text for one in complaints(tmp_path, connection(), **sections)] == [True]


def test_a_schedule_that_is_always_stale(tmp_path):
    [one] = complaints(tmp_path, connection(schedule="0 3 * * *"), alerts={"stale_after_hours": 6})
    assert "stale after 6 h" in one.text
    assert complaints(tmp_path, connection(schedule="0 3 * * *"), alerts={"stale_after_hours": 30}) == []


def test_a_merchant_that_is_read_twice_and_a_token_of_two_merchants(tmp_path):
    [twice] = complaints(tmp_path, connection(), connection(id="another-id", token="${OTHER}"))
    assert (twice.verdict, "count twice" in twice.text) == ("failed", True)
    [shared] = complaints(tmp_path, connection(), connection(merchant_id="K4V8N2Q6R1TBF"))
    assert (shared.verdict, "token is that of C0 K4V8N2Q6R1TBE" in shared.text) == ("failed", True)
    both = (connection(), connection(merchant_id="K4V8N2Q6R1TBF", token="${OTHER}"))
    assert complaints(tmp_path, *both) == []


def test_the_example_as_init_writes_it_is_found_out(tmp_path):
    (tmp_path / "config.yaml").write_text(example_config())
    config = load_config(tmp_path / "config.yaml", {"CLOVER_TOKEN": "a-token"})
    text = [
        one.text
        for one in examine_plausible(config, tmp_path / "config.yaml", now=NOW)
        if one.verdict == "failed"
    ]
    assert text == ["merchant_id is that of config.example.yaml, which is nobody's"]
    assert config.companies[0].connections[0].start_date < date(2026, 1, 1)


@pytest.mark.parametrize(
    "store",
    [
        "s3://bucket/store",
        "s3:/bucket",
        "gs://b/x",
        "https://example.com/x",
        "mysql://h/db",
        "file:///x",
    ],
)
def test_a_store_that_is_an_address_is_refused_and_makes_no_directory(
    tmp_path, connector, monkeypatch, store
):
    monkeypatch.chdir(tmp_path)
    document = {"store": store, "companies": [{"name": "A", "connections": [connection(token="x-token")]}]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    for command in (["check"], ["sync"], ["status"], ["keys", "list"], ["backup"]):
        code, _out, err = connector(*command)
        assert code == 2, command
        assert f"line 3: store: '{store}' is an address" in err or f"store: '{store}' is an address" in err
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_home_that_nobody_expands_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="without ~"):
        found(tmp_path, {"store": "~/data", "companies": [{"name": "A", "connections": [connection()]}]})


@pytest.mark.parametrize(
    ("mode", "above", "verdict", "says"),
    [
        (0o700, 0o755, "ok", "analysts with other accounts cannot"),
        (0o750, 0o755, "ok", "can open the published file"),
        (0o755, 0o755, "ok", "every user can open"),
        (0o750, 0o700, "warning", "on the way to it does not"),
        (0o755, 0o700, "warning", "on the way to it does not"),
        (0o740, 0o755, "warning", "by half"),
        (0o744, 0o755, "warning", "by half"),
        (0o710, 0o755, "warning", "by half"),
    ],
)
def test_whether_those_who_are_meant_to_can_open_the_file(tmp_path, mode, above, verdict, says):
    place = tmp_path / "home"
    store = place / "store"
    store.mkdir(parents=True)
    for one in tmp_path.parents:
        if one.stat().st_mode & 0o005 != 0o005 and os.access(one, os.W_OK) and str(one).startswith("/tmp/"):
            one.chmod(0o755)
    tmp_path.chmod(0o755)
    place.chmod(above)
    store.chmod(mode)
    [one] = examine_readers(store)
    assert (one.verdict, says in one.text) == (verdict, True), one
    assert verdict == "ok" or "chmod" in one.todo
    assert mode != 0o700 or "publish_to" in one.todo


def test_payloads_that_others_can_read_and_a_network_disk(tmp_path, monkeypatch):
    store = tmp_path / "store"
    (store / "raw").mkdir(parents=True)
    store.chmod(0o755)
    (store / "raw").chmod(0o755)
    assert any("word by word" in one.text for one in examine_readers(store)) or any(
        "on the way" in one.text for one in examine_readers(store)
    )
    monkeypatch.setattr(plausible, "_file_system", lambda _path: "nfs4")
    [one] = complaints(tmp_path, connection(), store=str(tmp_path / "elsewhere"))
    assert (one.verdict, "is on nfs4" in one.text) == ("failed", True)


def test_check_says_it_and_ends_with_1(tmp_path, connector, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOVER_TOKEN", "a-token")
    document = {
        "store": "./data",
        "companies": [
            {"name": "A", "connections": [connection(base_url="http://127.0.0.1:1", start_date="2099-01-01")]}
        ],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    code, out, _err = connector("check")
    assert code == 1
    assert "start_date 2099-01-01 is in the future" in out
