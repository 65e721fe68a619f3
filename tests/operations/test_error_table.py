"""Every kind of failure, from its cause to what an operator sees: exit code, words, status, log line, figure."""

import json
from dataclasses import dataclass

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from connector import errors
from connector.cli.entry import run
from connector.clover.http.pacing import AppPacer
from connector.errors import ConnectorError, Stopped, StoreError
from connector.ledger.store import DuckStore
from connector.sandbox import faults
from tests.operations.town import write_config


@dataclass(frozen=True)
class Case:
    """kind: in log, status and figure. says: part of the message. status: the run's; None: not kept as a run.

    unrecorded: the store could not keep the run, so the figure of that is set.
    """

    error: type
    arrange: object
    exit_code: int
    kind: str | None
    says: str
    status: str | None = "failed"
    unrecorded: bool = False


def always(fault):
    return lambda here, _patch: here.sandbox.faults.always(fault, path="/v1/*")


def revoked(here, _patch):
    here.sandbox.access.revoke(here.worlds[0])


def without_refunds(here, _patch):
    here.sandbox.access.grant("token-of-merchant-0", here.worlds[0], denied=["refunds"])


def raising(error):
    def arrange(_here, patch):
        def begin_run(_self, _run_id):
            raise error

        patch.setattr(DuckStore, "begin_run", begin_run)

    return arrange


def stopped(_here, patch):
    def acquire(_self, _budget):
        raise Stopped("The connector was asked to stop.", hint="connector sync")

    patch.setattr(AppPacer, "acquire", acquire)


def newer(here, _patch):
    here.sync()
    with duckdb.connect(str(here.store.directory / "work.duckdb")) as work:
        work.execute("INSERT INTO ledger.migrations VALUES (999, 'later', now()::TIMESTAMP)")


def damaged(here, _patch):
    here.sync()
    work = here.store.directory / "work.duckdb"
    data = bytearray(work.read_bytes())
    data[12_288:] = bytes(byte ^ 1 for byte in data[12_288:])
    work.write_bytes(bytes(data))


def unreadable(here, _patch):
    here.sell(0)
    here.sandbox.faults.always(faults.poison("amount"), path="/v1/charges")


CASES = [
    Case(errors.Throttled, always(faults.error(429, retry_after=900)), 1, "clover", "too many requests"),
    Case(errors.CloverUnavailable, always(faults.error(503)), 1, "clover", "Gave up after"),
    Case(errors.Deauthorized, revoked, 1, "authorisation", "refuses the merchant's token"),
    Case(
        errors.PermissionMissing, without_refunds, 1, "authorisation", "(403): the app lacks the permission"
    ),
    Case(errors.PagingStuck, always(faults.stuck()), 1, "clover", ""),
    Case(
        errors.StoreError,
        raising(StoreError("The disk is full.", hint="Free some.")),
        1,
        "store",
        "disk is full",
    ),
    Case(errors.StoreTooNew, newer, 1, "store", "newer version", status=None, unrecorded=True),
    Case(errors.StoreDamaged, damaged, 1, "store", "It is set aside as", status=None, unrecorded=True),
    Case(errors.Stopped, stopped, 1, "stopped", "asked to stop"),
    Case(errors.PartlyDone, unreadable, 3, None, "", status="partly_done"),
    Case(errors.ConnectorError, raising(ZeroDivisionError("boom")), 1, "bug", "ZeroDivisionError"),
    Case(errors.StoreError, raising(OSError(28, "No space left on device")), 1, "store", "No space left"),
]


@pytest.fixture
def call(town, tmp_path, capsys, monkeypatch):
    """A merchant and the command line, with waits between attempts that take no time."""
    here = town(1)
    monkeypatch.setattr(AppPacer, "sleep", lambda _self, _seconds: None)
    textfile = tmp_path / "connector.prom"
    config = write_config(here, tmp_path / "config.yaml", metrics={"textfile": str(textfile)})

    def connector(*arguments):
        code = run(["--config", str(config), "--log-format", "json", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    connector.town, connector.textfile, connector.said = here, textfile, capsys.readouterr
    return connector


def figures(path):
    return {
        (sample.name, sample.labels.get("status"), sample.labels.get("kind")): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.error.__name__}-{case.kind}-{case.says[:12]}"
)
def test_a_failure_is_seen_everywhere(call, monkeypatch, case):
    case.arrange(call.town, monkeypatch)
    call.said()  # what was logged on the way
    code, out, err = call("sync", "--json")
    monkeypatch.undo()
    assert code == case.exit_code

    [told] = json.loads(out)["runs"]
    assert told["status"] == (case.status or "failed")
    if case.kind is not None:
        assert told["error"]["kind"] == case.kind
        assert case.says in told["error"]["message"]
        assert told["error"]["hint"] or case.kind == "clover", "what to do next"

    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    ends = {"connection.synced", "connection.failed"}
    [line] = [line for line in lines if line["event"] in ends]
    assert line["event"] == ("connection.failed" if line["status"] == "failed" else "connection.synced")
    assert (line["status"], line.get("error_kind")) == (case.status or "failed", case.kind)
    assert line["level"] == ("error" if case.kind else "info")
    assert line["connection_id"] == call.town.connection().id

    found = figures(call.textfile)
    if case.unrecorded:
        assert found["connector_unrecorded_failure", None, case.kind] == 1
    else:
        assert found["connector_runs_total", case.status, case.kind or ""] == 1
        assert found["connector_last_run_status", case.status, None] == 1

    _code, out, _err = call("status", "--json")
    [shown] = json.loads(out)["connections"]
    if not case.unrecorded:
        assert shown["lastRun"]["status"] == case.status
        assert (shown["lastRun"]["error"] or {}).get("kind") == case.kind
        assert bool(shown["nextCommand"]) == (case.status == "failed")


@pytest.mark.parametrize("command", ["sync", "reconcile"])
def test_whatever_a_command_logs_of_a_merchant_names_the_company(call, command):
    here = call.town
    here.sync()
    call.said()
    here.sandbox.faults.first(faults.error(503), path="/v1/charges")
    code, _out, err = call(command)
    assert code == 0
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    waits = [line for line in lines if line["event"].startswith("clover.")]
    assert waits, "Clover had to be asked again"
    for line in waits:
        assert (line["company"], line["connection_id"]) == ("Company 0", here.connection().id)
        assert line["run_id"]


def test_a_lock_somebody_else_holds_is_exit_code_4_and_no_run(call):
    here = call.town
    with here.store.run_lock(here.connection().id):
        code, out, err = call("sync", "--json")
    assert code == 4
    [told] = json.loads(out)["runs"]
    assert told["error"]["kind"] == "busy"
    assert "is locked by process" in told["error"]["message"]
    assert '"error_kind": "busy"' in err
    assert not [name for name, _, _ in figures(call.textfile) if name == "connector_unrecorded_failure"]


def test_a_wrong_configuration_is_exit_code_2_before_anything_is_begun(call, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text() + "storre: x\n")
    code, out, err = call("sync", "--json")
    assert code == 2
    told = json.loads(out)["error"]
    assert told["kind"] == "config"
    assert "storre is not a setting" in told["message"]
    assert "did you mean store" in told["message"].lower()
    assert "connection.synced" not in err
    assert "connection.failed" not in err
    assert not call.town.store.directory.exists()


def test_some_companies_that_fail_are_exit_code_3_and_the_others_are_done(town, tmp_path, capsys):
    here = town(3)
    here.sell(0)
    here.sell(2)
    here.sandbox.access.revoke(here.worlds[1])
    textfile = tmp_path / "connector.prom"
    config = write_config(here, tmp_path / "config.yaml", metrics={"textfile": str(textfile)})
    code = run(["--config", str(config), "--log-format", "json", "sync", "--json"])
    out, err = capsys.readouterr()
    assert code == 3
    told = json.loads(out)
    assert told["exitCode"] == 3
    assert [one["status"] for one in told["runs"]] == ["succeeded", "failed", "succeeded"]
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    named = {"connection.synced", "connection.failed"}
    ends = sorted((line["event"], line["status"]) for line in lines if line["event"] in named)
    assert ends == [("connection.failed", "failed"), *[("connection.synced", "succeeded")] * 2]
    assert figures(textfile)["connector_runs_total", "failed", "authorisation"] == 1
    assert here.rows("SELECT count(*) FROM orders") == [(2,)]


def test_runs_that_are_committed_and_cannot_be_published_have_failed(town, tmp_path, capsys, monkeypatch):
    """Several end together and are published at once: each is told to have failed, and the next sync heals it."""
    here = town(2)
    here.sell(0)
    here.sync()
    here.sell(1)
    here.clock.advance(minutes=1)
    capsys.readouterr()  # what the first run logged
    textfile = tmp_path / "connector.prom"
    config = write_config(here, tmp_path / "config.yaml", metrics={"textfile": str(textfile)})

    def is_full(*_):
        raise StoreError("Could not copy work.duckdb for publishing: no space left.", hint="Free disk space.")

    with monkeypatch.context() as patch:
        patch.setattr("connector.ledger.store.publish_log", is_full)
        code = run(["--config", str(config), "--log-format", "json", "sync", "--json"])
    out, err = capsys.readouterr()
    assert code == 1
    for one in json.loads(out)["runs"]:
        assert (one["status"], one["error"]["kind"], one["error"]["hint"]) == (
            "failed",
            "store",
            "Free disk space.",
        )
    [line] = [json.loads(line) for line in err.splitlines() if "store.not_published" in line]
    assert "no space left" in line["error"]
    found = figures(textfile)
    assert found["connector_unrecorded_failure", None, "store"] == 1
    assert here.rows("SELECT count(*) FROM orders") == [(1,)], "what was published before is whole"
    assert here.sync().exit_code == 0
    here.check_books()


def test_every_error_class_has_its_case():
    def all_of(kind):
        return {kind}.union(*(all_of(one) for one in kind.__subclasses__()))

    ours = {one for one in all_of(ConnectorError) if one.__module__ == "connector.errors"}
    # Tests above; test_ownership; tests/fleet/test_company_store.
    elsewhere = {errors.StoreBusy, errors.ConfigError, errors.StoreNotOurs, errors.StoreMoved}
    assert ours - {errors.CloverError} == {case.error for case in CASES} | elsewhere
