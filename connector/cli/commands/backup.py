"""``connector backup``: the store in one checked file."""

from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import bytes_text, json_text
from connector.errors import ConfigError


@click.command()
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Afterwards remove all but the newest N backups of this store from the directory.",
)
@json_option
@pass_invocation
def backup(invocation: Invocation, target: Path | None, keep: int | None, as_json: bool) -> int:
    """Write the store into TARGET, a file or a directory (default: the current one), and check what was written.

    Kept are the newest published file, the raw payloads, API keys and requests, and the encrypted OAuth pairs.
    Syncs go on meanwhile. The key that opens the OAuth pairs (CONNECTOR_KEY or key_file) is not in the backup: keep
    it elsewhere. A backup holds sales and customers; guard it as you guard the store.

    \b
    Examples:
      connector backup
      connector backup /backups/store-monday.tar
      connector backup /backups --keep 14
    """
    from connector.ledger.keep.backup import default_name, make_backup, remove_older

    config = invocation.config(secrets_may_be_missing=True)
    if config.fleet is not None:
        raise ConfigError(
            "A backup is of a store on one disk; a fleet is kept in its bucket and its database.",
            hint="Back those up with their own means, or connector migrate-store --back DIR, and back DIR up.",
        )
    at = datetime.now(UTC)
    target = target or Path()
    if target.is_dir():
        target = target / default_name(at)
    elif keep is not None:
        raise click.UsageError("--keep counts the backups in a directory; name the directory.")
    manifest = make_backup(config.store_directory, target, at=at)
    removed = [] if keep is None else remove_older(target, config.store_directory, keep=keep)
    if as_json:
        click.echo(
            json_text(
                {
                    "backup": target,
                    "madeAt": at,
                    "bytes": manifest.size,
                    "files": len(manifest.files),
                    "commit": manifest.figures.commit,
                    "schema": manifest.figures.schema,
                    "sums": manifest.figures.sums,
                    "removed": removed,
                }
            )
        )
        return 0
    click.echo(f"{target}: {len(manifest.files)} files, {bytes_text(manifest.size)}, read back and compared.")
    for currency, (orders, amount, refund) in manifest.figures.sums.items():
        click.echo(f"  {currency}: {int(orders):,} orders, total {amount}, refunds {refund}")
    for path in removed:
        click.echo(f"Removed: {path}")
    click.echo(f"Try it: connector restore {target} --to /some/empty/directory")
    return 0
