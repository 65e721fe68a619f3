"""What the README, the example and the CI script say is true of the code."""

import importlib
import re
from pathlib import Path

import click
import pytest

from connector.cli.entry import EXIT_CODES, root
from connector.cli.registry import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
LOCK = (ROOT / "requirements.lock").read_text()


def first_screen_commands() -> list[str]:
    """The code blocks above the first heading of the second level."""
    return re.findall(r"```bash\n(.+?)\n```", README.split("\n## ")[0], re.S)


def test_the_first_screen_has_the_two_commands_of_one_line():
    demo, tests = first_screen_commands()
    assert demo.endswith("connector demo")
    assert tests.endswith("pytest")
    assert "\n" not in demo + tests


def test_ci_runs_the_readmes_test_command_to_the_letter():
    _demo, tests = first_screen_commands()
    assert (ROOT / ".ci" / "run").read_text().rstrip().splitlines()[-1] == tests


def test_the_ci_script_can_be_executed():
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name):
    assert f"`connector {name}" in README


def test_every_command_of_the_readme_exists():
    spoken_of = set(re.findall(r"\bconnector ([a-z]+)\b", " ".join(re.findall(r"`+[^`]+`+", README))))
    assert spoken_of - set(COMMANDS) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_teaches(name):
    """Its help says what it does in a sentence and shows an example."""
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.help
    texts = [command.help] + [sub.help or "" for sub in getattr(command, "commands", {}).values()]
    assert any(f"connector {name}" in text for text in texts), "no example"


@pytest.mark.parametrize(("name", "entry"), COMMANDS.items())
def test_every_command_has_a_file_of_its_own_and_a_short_help(name, entry):
    module, attribute, short_help = entry
    assert isinstance(getattr(importlib.import_module(module), attribute), click.Command)
    assert 10 < len(short_help) <= 80
    assert short_help.endswith(".")


def test_readme_and_help_tell_the_same_exit_codes():
    in_readme = set(re.findall(r"^\| (\d) \|", README, re.M))
    in_help = set(re.findall(r"^  (\d) ", EXIT_CODES, re.M))
    assert in_readme == in_help == {"0", "1", "2", "3", "4"}


def test_links_of_the_readme_lead_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in README.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_every_dependency_is_locked():
    locked = {
        line.split("==")[0].strip().lower()
        for line in LOCK.splitlines()
        if "==" in line and line[0] not in " #"
    }
    wanted = re.findall(r'^  "([A-Za-z0-9._-]+)[><=]', (ROOT / "pyproject.toml").read_text(), re.M)
    assert wanted
    assert {name.lower().replace("_", "-") for name in wanted} - locked == set()


def test_the_lock_names_no_index_and_no_place_of_one_machine():
    assert not re.search(r"https?://|file:|--index|--find-links|/home/|/opt/|/tmp/|/root/", LOCK)
