"""`connector init`: a start that loads, and never a config overwritten by accident."""

import os
import pty
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from connector.config import load_config

ANSWERS = {
    "name": "Kōya: Tea & 'Things'",
    "merchant-id": "ABC123XYZ0001",
    "country": "JPN",
    "currency": "JPY",
    "timezone": "Asia/Tokyo",
    "start-date": "2025-04-01",
    "environment": "sandbox",
}


def test_what_it_writes_loads_and_is_private(connector, tmp_path):
    code, out, _err = connector("init", "--dir", str(tmp_path / "new"))
    path = tmp_path / "new" / "config.yaml"
    assert code == 0
    assert str(path) in out
    assert load_config(path, {"CLOVER_TOKEN": "t0ken"}).companies[0].name == "Juniper Goods"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_config_is_kept_unless_forced(connector, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    code, _out, err = connector("init", "--dir", str(tmp_path))
    assert (code, path.read_text()) == (2, "mine")
    assert "--force" in err
    assert connector("init", "--dir", str(tmp_path), "--force")[0] == 0
    assert path.read_text() != "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["config.yaml"]


def loaded(path):
    company = load_config(path, {"CLOVER_TOKEN": "t0ken"}).companies[0]
    merchant = company.connections[0]
    return {
        "name": company.name,
        "merchant-id": merchant.merchant_id,
        "country": merchant.country,
        "currency": merchant.currency,
        "timezone": merchant.timezone,
        "start-date": str(merchant.start_date),
        "environment": merchant.environment,
    }


def test_answers_given_as_options_are_filled_in(connector, tmp_path):
    options = [word for key, answer in ANSWERS.items() for word in (f"--{key}", answer)]
    code, out, _err = connector("init", "--dir", str(tmp_path), *options)
    assert code == 0
    assert "Fill in" not in out
    assert loaded(tmp_path / "config.yaml") == ANSWERS
    merchant = load_config(tmp_path / "config.yaml", {"CLOVER_TOKEN": "t"}).companies[0].connections[0]
    assert merchant.merchant_name == ANSWERS["name"], "the example's name is nobody's"


@pytest.mark.parametrize(
    ("option", "answer", "says"),
    [
        ("--country", "US", "USA"),
        ("--timezone", "Eastern", "IANA"),
        ("--start-date", "last year", "date"),
        ("--environment", "test", "production"),
        ("--currency", "usd", "pattern"),
        ("--merchant-id", "two words", "pattern"),
        ("--name", " ", "at least 1"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_and_nothing_is_written(
    connector, tmp_path, option, answer, says
):
    code, _out, err = connector("init", "--dir", str(tmp_path), option, answer)
    assert code == 2
    assert option in err
    assert says in err
    assert not (tmp_path / "config.yaml").exists()


def test_on_a_terminal_it_asks_until_an_answer_can_be_used(tmp_path):
    ours, theirs = pty.openpty()
    answers = dict(ANSWERS, country="JP\nJPN", currency="")
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "init", "--dir", str(tmp_path)],
        cwd=Path(__file__).resolve().parents[2], stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, ("\n".join(answers.values()) + "\n").encode())
    shown = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert process.wait(20) == 0, shown.decode()
    assert "write the three-letter code JPN" in shown.decode()
    assert "Look it through." in shown.decode()
    assert loaded(tmp_path / "config.yaml") == ANSWERS | {"currency": None}
