"""``connector rebuild``: map again from the kept raw payloads."""

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.processes.running import run_sync
from connector.cli.selection import selection_options


@click.command()
@selection_options
@click.option("--dry-run", is_flag=True, help="Say which orders would change, and change nothing.")
@json_option
@pass_invocation
def rebuild(
    invocation: Invocation, company: str | None, connection: str | None, dry_run: bool, as_json: bool
) -> int:
    """Map every order again from the kept raw payloads, without calling Clover.

    For when the mapping changed with a new version of the connector. Orders that come out the same make no
    new version; the history stays. No Clover token is needed.

    \b
    Examples:
      connector rebuild --dry-run
      connector rebuild --company "Juniper Goods"

    \b
    Exit codes: 0 done, 1 failed, 2 config or call wrong, 3 partly done, 4 another run holds the lock
    """
    from connector.sync.modes import SyncMode

    mode = SyncMode(kind="rebuild", dry_run=dry_run)
    return run_sync(invocation, mode, company=company, connection=connection, as_json=as_json)
