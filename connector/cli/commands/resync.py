"""``connector resync``: read a span or one stream again."""

from datetime import datetime

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.processes.running import check_span, run_sync
from connector.cli.selection import selection_options
from connector.cli.terminal.times import Moment
from connector.clover.lists.streams import STREAMS


@click.command()
@selection_options
@click.option("--since", type=Moment(), metavar="TIME", help="From here on; default start_date.")
@click.option("--until", type=Moment(), metavar="TIME", help="Before this; default now.")
@click.option(
    "--stream",
    type=click.Choice([stream.name for stream in STREAMS.values()]),
    help="Only this list of Clover.",
)
@click.option("--dry-run", is_flag=True, help="Say which orders would change, and change nothing.")
@json_option
@pass_invocation
def resync(
    invocation: Invocation,
    company: str | None,
    connection: str | None,
    since: datetime | None,
    until: datetime | None,
    stream: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Read a span of time, or one stream, again. The stored cursor does not move.

    For when Clover's data was corrected, or reconcile found a difference. Orders that did not change make no
    new version.

    \b
    Examples:
      connector resync --since 2024-03-01 --until 2024-03-08
      connector resync --stream refunds --since 90d

    \b
    Exit codes: 0 done, 1 failed, 2 config or call wrong, 3 partly done, 4 another run holds the lock
    """
    from connector.sync.modes import SyncMode

    check_span(since, until)
    mode = SyncMode(
        kind="resync", full=since is None, since=since, until=until, stream=stream, dry_run=dry_run
    )
    return run_sync(invocation, mode, company=company, connection=connection, as_json=as_json)
