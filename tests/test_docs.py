"""What the README, the developers' page, the example and the CI script say is true of the code."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from connector.cli.entry import EXIT_CODES, root
from connector.cli.registry import COMMANDS
from connector.ledger import open_store

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
    spoken_of = set(
        re.findall(r"\bconnector ([a-z]+(?:-[a-z]+)*)\b", " ".join(re.findall(r"`+[^`]+`+", README)))
    )
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


DEVELOPERS = (ROOT / "docs" / "developers.md").read_text()


def test_links_of_the_developers_page_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", DEVELOPERS):
        assert (ROOT / "docs" / target).exists(), target
    assert "docs/developers.md" in README.split("\n## Development")[1]


def test_every_place_the_developers_page_names_is_there():
    places = set(re.findall(r"`((?:connector|transforms|schemas|tests|\.ci)(?:/[\w./-]+)?)`", DEVELOPERS))
    assert len(places) > 40
    assert {place for place in places if not (ROOT / place).exists()} == set()


def test_every_step_of_the_picture_is_a_room():
    (picture,) = re.findall(r"```text\n(.+?)```", DEVELOPERS, re.S)
    rooms = set(re.findall(r"\b[a-z]+/[a-z/_]+\b", picture))
    assert len(rooms) >= 15
    homes = ("", "connector", "connector/sync")
    lost = {
        room
        for room in rooms
        if not any((ROOT / home / room).is_dir() or (ROOT / home / f"{room}.py").is_file() for home in homes)
    }
    assert lost == set()


def test_the_layers_of_the_developers_page_are_those_that_are_checked():
    (page,) = re.findall(r"```layers\n(.+?)\n```", DEVELOPERS, re.S)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert page.splitlines() == contracts[0]["layers"]


def bash_of_the_developers_page() -> list[str]:
    return "\n".join(re.findall(r"```bash\n(.+?)\n```", DEVELOPERS, re.S)).splitlines()


@pytest.mark.parametrize("line", [line for line in bash_of_the_developers_page() if "pytest" in line])
def test_the_doors_to_the_tests_open(line):
    program, *paths = line.split()
    assert program == ".venv/bin/pytest"
    assert all((ROOT / path).exists() for path in paths)


@pytest.mark.parametrize("line", [line for line in bash_of_the_developers_page() if "pytest" not in line])
def test_a_command_of_the_developers_page_is_understood(line):
    """Up to the point where it would begin: every option and sub-command exists."""
    program, name, *arguments = shlex.split(line)
    assert program == "connector"
    command = root.get_command(click.Context(root), name)
    assert command is not None
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        command = command.get_command(click.Context(command), arguments.pop(0))
        assert command is not None, line
    command.make_context(name, arguments)


@pytest.mark.parametrize("sql", re.findall(r"```sql\n(.+?)\n```", DEVELOPERS, re.S))
def test_a_question_of_the_developers_page_can_be_asked(sql, tmp_path):
    store = open_store(tmp_path)
    store.repair()
    with store.open_reader() as reader:
        assert reader.connection.execute(sql).fetchall() == []
