"""``connector init``: a config.yaml to start from."""

import grp
import os
import re
from pathlib import Path

import click

from connector.cli.terminal.output import program
from connector.errors import ConfigError
from connector.files import replace_private

EXAMPLE = "config.example.yaml"
SERVICE = "connector"
"""The account and group of the documented service."""


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
def init(directory: Path, group: str | None, force: bool) -> None:
    """Write a commented config.yaml to start from. An existing one is never overwritten without --force.

    \b
    Examples:
      connector init
      sudo connector init --dir /etc/connector      (the service's group may read it)
    """
    text = example_config()
    target = directory / "config.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    if target.exists() and not force:
        raise ConfigError(
            f"{target} exists; nothing was written.",
            hint="Overwrite it with --force, or choose another --dir.",
        )
    number, name = _reader(group)
    replace_private(target, text.encode())
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
    click.echo("  1. Fill in merchant_id, name, country, timezone and start_date.")
    click.echo("  2. export CLOVER_TOKEN=…   the merchant's Ecommerce private key")
    click.echo(f"  3. {program()}{elsewhere} check")


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
