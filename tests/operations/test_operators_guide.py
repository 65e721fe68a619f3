"""What the operators' guide says is true of the code."""

import re
from pathlib import Path

from connector.cli.registry import COMMANDS
from connector.config import setting_paths

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "operators.md").read_text()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert (ROOT / "docs" / target).exists(), target


def test_every_command_exists():
    spoken_of = set(re.findall(r"`connector ([a-z]+)", GUIDE))
    assert {"schedule", "backup", "restore", "forget", "runs"} <= spoken_of
    assert spoken_of <= set(COMMANDS)


def test_every_setting_exists():
    known = {place for _, place in setting_paths()}
    spoken_of = set(re.findall(r"`((?:scheduler|alerts|metrics)\.[a-z_]+)`", GUIDE))
    assert len(spoken_of) >= 5
    assert spoken_of <= known


def test_every_figure_of_the_rules_is_written():
    source = (ROOT / "connector" / "schedule" / "metrics_file.py").read_text()
    for name in re.findall(r"connector_[a-z_]+", GUIDE):
        assert f'"{name}"' in source, name


def test_every_kind_of_error_is_in_the_table():
    from connector import errors

    kinds = {
        one.kind
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.ConnectorError)
    }
    listed = set(re.findall(r"^\| `([a-z_]+)` \| \d", GUIDE, re.M))
    assert kinds - {"partly_done"} | {"busy"} == listed
