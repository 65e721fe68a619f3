"""``connector sync``: one incremental sync."""

from datetime import datetime

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.processes.running import check_span, run_sync
from connector.cli.selection import selection_options
from connector.cli.terminal.times import Moment


@click.command()
@selection_options
@click.option("--full", is_flag=True, help="Read everything since start_date again.")
@click.option("--since", type=Moment(), metavar="TIME", help="Read what was created from here on.")
@click.option("--until", type=Moment(), metavar="TIME", help="Read what was created before this.")
@click.option("--dry-run", is_flag=True, help="Say which orders would change, and change nothing.")
@click.option(
    "--patient",
    is_flag=True,
    help="Wait for Clover as the scheduler does; for timers. By default 15 seconds without a first answer end it.",
)
@json_option
@pass_invocation
def sync(
    invocation: Invocation,
    company: str | None,
    connection: str | None,
    full: bool,
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    patient: bool,
    as_json: bool,
) -> int:
    """Read what is new or changed at Clover, map it, and publish a new snapshot.

    Each connection is read from its cursor (less sync.overlap_hours) to now; a refund of an old charge brings
    its order in again. All of a connection is written or nothing of it. Running it twice changes nothing the
    second time. TIME is 2024-01-31, 2024-01-31T12:00Z or 7d (seven days ago).

    \b
    Examples:
      connector sync
      connector sync --company "Juniper Goods" --dry-run
      connector sync --since 2024-01-01 --until 2024-02-01
      connector sync --full --json
      connector sync --patient --log-format json      (from cron, a timer, an orchestrator)

    \b
    Exit codes: 0 done, 1 failed, 2 config or call wrong, 3 partly done, 4 another run holds the lock
    """
    from connector.sync.modes import SyncMode

    check_span(since, until)
    if full and (since or until):
        raise click.UsageError("--full reads everything; leave --since and --until out.")
    mode = SyncMode(kind="sync", full=full, since=since, until=until, dry_run=dry_run)
    return run_sync(
        invocation, mode, company=company, connection=connection, as_json=as_json, patient=patient
    )
