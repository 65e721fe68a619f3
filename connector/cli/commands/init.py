"""``connector init``: a config.yaml to start from."""

import grp
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from connector.cli.terminal.output import program
from connector.config import Company, Connection
from connector.errors import ConfigError
from connector.files import replace_private

EXAMPLE = "config.example.yaml"
SERVICE = "connector"
"""The account and group of the documented service."""

_ASKED = {
    "name": "The company's name",
    "merchant_id": "Clover's id of the merchant, 13 letters and digits in the address of its dashboard",
    "country": "Country, three letters such as USA",
    "currency": "Currency, three letters such as USD",
    "timezone": "Time zone of the shop, such as America/New_York",
    "start_date": "Nothing older is read than, YYYY-MM-DD",
    "environment": "production or sandbox",
}
"""Keys of config.yaml that are asked for, in the order of the questions."""
_OPTIONAL = frozenset({"currency", "environment"})


def _answers(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each question."""
    for key, question in reversed(_ASKED.items()):
        option = click.option(f"--{key.replace('_', '-')}", key, metavar="TEXT", help=question + ".")
        command = option(command)
    return command


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write it; default here.",
)
@click.option(
    "--group",
    metavar="NAME",
    help=f"A group that may read it, e.g. that of a service; for root by default {SERVICE}, where there is one.",
)
@click.option("--force", is_flag=True, help="Overwrite a config.yaml that is there.")
@_answers
def init(directory: Path, group: str | None, force: bool, **given: str | None) -> None:
    """Write a commented config.yaml to start from. An existing one is never overwritten without --force.

    On a terminal it asks what no option says; an empty answer leaves the example's value to be filled in later.

    \b
    Examples:
      connector init
      connector init --name "Juniper Goods" --merchant-id MHT4QK2Z9WX61 --country USA --currency USD \\
        --timezone America/New_York --start-date 2024-01-01
      sudo connector init --dir /etc/connector      (the service's group may read it)
    """
    target = directory / "config.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    if target.exists() and not force:
        raise ConfigError(
            f"{target} exists; nothing was written.",
            hint="Overwrite it with --force, or choose another --dir.",
        )
    number, name = _reader(group)
    answers = _checked({key: text for key, text in given.items() if text is not None})
    if not answers and sys.stdin.isatty():
        answers = _asked()
    replace_private(target, filled_in(answers).encode())
    if number is not None:
        _let_read(target, number, name)
    elsewhere = "" if directory.resolve() == Path.cwd() else f" --config {target}"
    if name is not None:
        click.echo(f"Wrote {target}, which the group {name} may read.")
    elif os.geteuid() == 0:
        click.echo(
            f"Wrote {target}, which root alone may read. For a service: make its account (deploy/sysusers.d), then:"
            f" chgrp {SERVICE} {target} && chmod 640 {target}"
        )
    else:
        click.echo(f"Wrote {target}, which you alone may read.")
    click.echo("Next:")
    left = [key for key in _ASKED if key not in answers and not (answers and key in _OPTIONAL)]
    click.echo("  1. " + (f"Fill in {', '.join(left)}." if left else "Look it through."))
    click.echo("  2. export CLOVER_TOKEN=…   the merchant's Ecommerce private key")
    click.echo(f"  3. {program()}{elsewhere} check")


def filled_in(answers: Mapping[str, str]) -> str:
    """config.example.yaml with the answers in place of its values. answers: by key, checked."""
    text = example_config()
    for key, answer in answers.items():
        value = answer if re.fullmatch(r"[\w/.:-]+", answer) else "'" + answer.replace("'", "''") + "'"
        text = re.sub(rf"(?m)^(\s*(?:- )?{key}: ).*$", lambda found, v=value: found[1] + v, text, count=1)  # type: ignore[misc]
    # Left out, a location is called after its company, and the currency is that of each order: the example's would lie.
    for key in ("merchant_name", "currency"):
        if answers and key not in answers:
            text = re.sub(rf"(?m)^\s*{key}: .*\n", "", text, count=1)
    return text


def _checked(answers: Mapping[str, str]) -> dict[str, str]:
    """The answers as config.yaml takes them. ConfigError naming the option."""
    checked = {}
    for key, answer in answers.items():
        try:
            checked[key] = _valid(key, answer)
        except ValueError as error:
            raise ConfigError(
                f"--{key.replace('_', '-')}: {error}; nothing was written.", hint="connector init --help"
            ) from None
    return checked


def _asked() -> dict[str, str]:
    """What a person answers; each question until its answer can be used."""
    answers = {}
    click.echo("Each question may be left empty and filled in later.")
    for key, question in _ASKED.items():
        while answer := click.prompt(question, default="", show_default=False).strip():
            try:
                answers[key] = _valid(key, answer)
            except ValueError as error:
                click.echo(f"  {error}")
                continue
            break
    return answers


def _valid(key: str, answer: str) -> str:
    """The answer as config.yaml takes it. Raises ValueError with the reason."""
    section = Company if key == "name" else Connection
    try:
        return str(TypeAdapter(section.model_fields[key].rebuild_annotation()).validate_python(answer))
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _reader(group: str | None) -> tuple[int | None, str | None]:
    """Who beside the owner may read the file: the group asked for, for root that of the service. ConfigError."""
    asked = group or (SERVICE if os.geteuid() == 0 else None)
    if asked is None:
        return None, None
    try:
        return grp.getgrnam(asked).gr_gid, asked
    except KeyError:
        if group is None:
            return None, None
        raise ConfigError(
            f"There is no group {group} on this machine; nothing was written.",
            hint=f"groupadd --system {group}",
        ) from None


def _let_read(path: Path, group: int, name: str | None) -> None:
    try:
        os.chown(path, -1, group)
    except PermissionError:
        raise ConfigError(
            f"{path} was written, and could not be given to the group {name}.",
            hint=f"sudo chgrp {name} {path}",
        ) from None
    path.chmod(0o640)


def example_merchant() -> str:
    """The merchant id that config.example.yaml was written with."""
    found = re.search(r"^\s*merchant_id: (\w+)$", example_config(), re.MULTILINE)
    assert found is not None
    return found[1]


def example_config() -> str:
    """The text of config.example.yaml: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[2]
    for place in (package / "config" / EXAMPLE, package.parent / EXAMPLE):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise ConfigError(f"{EXAMPLE} is missing from this installation.", hint="Install the connector again.")
