"""Where a call begins and ends: options, failures in words, exit codes."""

import errno
import json

import click
import pytest

from connector.cli import registry as commands
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.errors import (
    CloverUnavailable,
    ConfigError,
    ConnectorError,
    PartlyDone,
    StoreBusy,
    StoreError,
)


@pytest.fixture
def command(monkeypatch):
    """Puts a command `probe` with this body into the table."""

    def put(body):
        @click.command()
        @json_option
        @pass_invocation
        def probe(invocation: Invocation, as_json: bool):
            return body(invocation)

        monkeypatch.setitem(commands.COMMANDS, "probe", (__name__, "PROBE", "A probe."))
        monkeypatch.setitem(globals(), "PROBE", probe)

    return put


def raising(error):
    def body(_invocation):
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectorError("x"), 1),
        (CloverUnavailable("x"), 1),
        (StoreError("x"), 1),
        (ConfigError("x"), 2),
        (PartlyDone("x"), 3),
        (StoreBusy("x", pid=7), 4),
        (OSError(errno.ENOSPC, "No space left on device", "/data"), 1),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("boom"), 1),
    ],
)
def test_each_failure_has_its_exit_code_and_no_traceback(command, connector, error, code):
    command(raising(error))
    exit_code, out, err = connector("probe")
    assert exit_code == code
    assert out == ""
    assert "Traceback" not in err
    assert err.lstrip().startswith("Error: ")


def test_the_hint_is_the_next_thing_to_do(command, connector):
    command(raising(ConfigError("The file is wrong.", hint="Change line 3.")))
    assert connector("probe")[2] == "Error: The file is wrong.\nNext:  Change line 3.\n"


@pytest.mark.parametrize("arguments", [("--verbose", "probe"), ("probe", "--verbose")])
def test_verbose_shows_the_traceback(command, connector, arguments):
    command(raising(ZeroDivisionError("boom")))
    assert "Traceback" in connector(*arguments)[2]


def test_a_secret_in_an_error_is_hidden(command, connector):
    command(raising(RuntimeError("Authorization: Bearer abc12345xyz for ines@example.com")))
    for arguments in (("probe",), ("probe", "--verbose"), ("probe", "--json")):
        _code, out, err = connector(*arguments)
        assert "abc12345xyz" not in out + err
        assert "ines@" not in out + err


def test_json_tells_the_failure_as_one_document(command, connector):
    command(raising(StoreBusy("Another run is writing.", hint="Wait.")))
    code, out, err = connector("probe", "--json")
    assert (code, json.loads(out)) == (
        4,
        {"error": {"kind": "store", "message": "Another run is writing.", "hint": "Wait."}},
    )
    assert "Another run" in err


def test_a_full_disk_says_what_to_do(command, connector):
    command(raising(OSError(errno.ENOSPC, "No space left on device", "/data/x")))
    err = connector("probe")[2]
    assert "No space left on device (/data/x)" in err
    assert "Free some space" in err


def test_a_command_returns_its_own_exit_code(command, connector):
    command(lambda _invocation: 3)
    assert connector("probe")[0] == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "a.yaml", "--log-format", "json", "probe"),
        ("probe", "--config", "a.yaml", "--log-format", "json"),
    ],
)
def test_global_options_stand_before_or_after_the_command(command, connector, arguments):
    seen = []
    command(lambda invocation: seen.append((str(invocation.config_path), invocation.log_format)))
    assert connector(*arguments)[0] == 0
    assert seen == [("a.yaml", "json")]


@pytest.mark.parametrize("arguments", [("runs", "show", "r1"), ("keys", "list"), ("webhooks", "list")])
def test_global_options_stand_after_a_command_below_a_command_too(connector, published, arguments):
    (published / "other.yaml").write_text((published / "config.yaml").read_text())
    (published / "config.yaml").unlink()
    assert connector(*arguments)[0] == 2
    assert connector(*arguments, "--config", "other.yaml", "--log-format", "json", "--verbose")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("syncc",), "Did you mean sync?"),
        (("stats",), "Did you mean status?"),
        (("zzzzzz",), "connector --help lists them."),
        (("runs", "shw"), "Did you mean 'show'?"),
        (("sync", "--compny", "x"), "--company"),
        (("dictionary", "mont_sales"), "Did you mean monthly_sales?"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(connector, shop, arguments, meant):
    code, out, err = connector(*arguments)
    assert (code, out) == (2, "")
    assert meant in err


def test_the_config_may_come_from_the_environment_and_the_option_wins(command, connector, monkeypatch):
    seen = []
    command(lambda invocation: seen.append(str(invocation.config_path)))
    connector("probe")
    monkeypatch.setenv("CONNECTOR_CONFIG", "env.yaml")
    connector("probe")
    connector("--config", "given.yaml", "probe")
    connector("probe", "--config", "given.yaml")
    assert seen == ["config.yaml", "env.yaml", "given.yaml", "given.yaml"]


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("query",), ("sync", "--since", "yesterday"), ("--wrong",)]
)
def test_a_wrong_call_is_exit_code_2(connector, shop, arguments):
    code, out, err = connector(*arguments)
    assert code == 2
    assert out == ""
    assert "Error: " in err


def test_the_help_lists_every_command_and_the_exit_codes(connector):
    code, out, _err = connector("--help")
    assert code == 0
    for name in commands.COMMANDS:
        assert f"\n  {name}" in out
    assert "4  another run holds the lock" in out


def test_the_version_is_told(connector):
    code, out, _err = connector("--version")
    assert code == 0
    assert out.startswith("connector")
