"""``connector backup``: the store in one checked file."""

from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import json_text


@click.command()
@click.argument("target", type=click.Path(path_type=Path), required=False)
@json_option
@pass_invocation
def backup(invocation: Invocation, target: Path | None, as_json: bool) -> int:
    """Write the store into TARGET, a file or a directory (default: the current one), and check what was written.

    Kept are the newest published file, the raw payloads, API keys and requests, and the encrypted OAuth pairs.
    Syncs go on meanwhile. The key that opens the OAuth pairs (CONNECTOR_KEY or key_file) is not in the backup: keep
    it elsewhere. A backup holds sales and customers; guard it as you guard the store.

    \b
    Examples:
      connector backup
      connector backup /backups/store-monday.tar
    """
    from connector.ledger.keep.backup import make_backup

    config = invocation.config(secrets_may_be_missing=True)
    at = datetime.now(UTC)
    target = target or Path()
    if target.is_dir():
        target = target / f"connector-{at:%Y%m%dT%H%M%SZ}.tar"
    manifest = make_backup(config.store_directory, target, at=at)
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
                }
            )
        )
        return 0
    click.echo(
        f"{target}: {len(manifest.files)} files, {manifest.size / 2**20:,.1f} MiB, read back and compared."
    )
    for currency, (orders, amount, refund) in manifest.figures.sums.items():
        click.echo(f"  {currency}: {int(orders):,} orders, total {amount}, refunds {refund}")
    click.echo(f"Try it: connector restore {target} --to /some/empty/directory")
    return 0
