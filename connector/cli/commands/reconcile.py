"""``connector reconcile``: does the store say what Clover says."""

from datetime import datetime

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.processes.running import check_span, reading
from connector.cli.selection import selected, selection_options
from connector.cli.terminal.output import json_text
from connector.cli.terminal.reconciliation import print_reconciliation
from connector.cli.terminal.times import Moment


@click.command()
@selection_options
@click.option("--since", type=Moment(), metavar="TIME", help="From here on; default start_date.")
@click.option("--until", type=Moment(), metavar="TIME", help="Before this; default now.")
@json_option
@pass_invocation
def reconcile(
    invocation: Invocation,
    company: str | None,
    connection: str | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> int:
    """Read Clover's lists again and compare them with the store and its published orders, to the minor unit.

    Per day, stream and currency: records as stored, then the money captured and refunded as published. A difference
    with a reason (not yet read, changed since) is explained; a cent without one, or one that is held back for
    another reason than being unpaid, makes the exit code 3. Orders are not changed; the result is kept.

    \b
    Examples:
      connector reconcile
      connector reconcile --since 30d --json

    \b
    Exit codes: 0 agrees or is explained, 1 failed, 2 config or call wrong, 3 something is unexplained
    """
    from connector.sync.reconcile.run import reconcile_all
    from connector.sync.runtime import Runtime

    check_span(since, until)
    config = invocation.config()
    company_id, connection_id = selected(config, company, connection)
    store = invocation.store(config)
    with reading(invocation, config) as (progress, pace):
        report = reconcile_all(
            Runtime(config, store, pace),
            company=company_id,
            connection=connection_id,
            since=since,
            until=until,
            progress=progress,
        )
    if as_json:
        click.echo(json_text(report.as_json()))
    else:
        print_reconciliation(report)
    return invocation.interruption.exit_code(report.exit_code)
