"""``connector init``: a config.yaml to start from."""

import re
from pathlib import Path

import click

from connector.cli.terminal.output import program
from connector.errors import ConfigError
from connector.files import replace_private

EXAMPLE = "config.example.yaml"


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write it; default here.",
)
@click.option("--force", is_flag=True, help="Overwrite a config.yaml that is there.")
def init(directory: Path, force: bool) -> None:
    """Write a commented config.yaml to start from. An existing one is never overwritten without --force.

    \b
    Examples:
      connector init
      connector init --dir /etc/connector
    """
    text = example_config()
    target = directory / "config.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    if target.exists() and not force:
        raise ConfigError(
            f"{target} exists; nothing was written.",
            hint="Overwrite it with --force, or choose another --dir.",
        )
    replace_private(target, text.encode())
    elsewhere = "" if directory.resolve() == Path.cwd() else f" --config {target}"
    click.echo(f"Wrote {target}.")
    click.echo("Next:")
    click.echo("  1. Fill in merchant_id, name, country, timezone and start_date.")
    click.echo("  2. export CLOVER_TOKEN=…   the merchant's Ecommerce private key")
    click.echo(f"  3. {program()}{elsewhere} check")


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
