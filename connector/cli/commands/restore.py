"""``connector restore``: a store from a backup."""

from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import json_text


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--to",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the store will be; default the config's `store`. Must be missing or empty.",
)
@json_option
@pass_invocation
def restore(invocation: Invocation, source: Path, directory: Path | None, as_json: bool) -> int:
    """Make a store from the backup SOURCE: every hash, count and sum is compared before anything is in place.

    Nothing is ever written over. A backup of an older version is brought up to this one; one of a newer version is
    refused.

    \b
    Examples:
      connector restore connector-20261120T040000Z.tar
      connector restore store-monday.tar --to ./data-restored
    """
    from connector.ledger.keep.restore import restore_backup

    where = directory or invocation.config(secrets_may_be_missing=True).store_directory
    manifest = restore_backup(source, where.absolute(), clock=lambda: datetime.now(UTC))
    if as_json:
        click.echo(
            json_text(
                {
                    "store": where,
                    "madeAt": manifest.made_at,
                    "commit": manifest.figures.commit,
                    "sums": manifest.figures.sums,
                }
            )
        )
        return 0
    click.echo(f"{where}: restored as it was at {manifest.made_at}; hashes, counts and sums agree.")
    click.echo("Next: connector check && connector sync")
    return 0
