"""What ``sync``, ``resync`` and ``rebuild`` share: run, print the summary, leave with the exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from connector.cli.invocation import Invocation
from connector.cli.selection import selected
from connector.cli.terminal.output import json_text
from connector.cli.terminal.progress import watching
from connector.cli.terminal.stopping import stopping
from connector.cli.terminal.summary import print_changes, print_summary

if TYPE_CHECKING:
    from connector.config import Config
    from connector.progress import Progress
    from connector.sync.connect.connecting import Pace
    from connector.sync.modes import SyncMode


def run_sync(
    invocation: Invocation,
    mode: "SyncMode",
    *,
    company: str | None,
    connection: str | None,
    as_json: bool,
    patient: bool = False,
) -> int:
    """Run what was asked for and say what it did. Returns the exit code; 130 or 143 when a signal cut it short.

    patient: nobody waits, so a Clover that does not answer at all is waited for as the scheduler does.
    """
    from connector.ledger.interface import now_utc
    from connector.schedule.after_runs import after_runs
    from connector.sync.many import sync_all
    from connector.sync.runtime import Runtime

    config = invocation.config(secrets_may_be_missing=mode.kind == "rebuild")
    company_id, connection_id = selected(config, company, connection)
    store = invocation.store(config)
    with reading(invocation, config, patient=patient) as (progress, pace):
        runtime = Runtime(config, store, pace)
        report = sync_all(runtime, company=company_id, connection=connection_id, mode=mode, progress=progress)
    if as_json:
        click.echo(json_text(report.as_json()))
    elif mode.dry_run:
        print_changes(report)
    else:
        print_summary(report, store=config.store, config_path=invocation.config_path)
    if not mode.dry_run:
        after_runs(config, store, report.runs, now=now_utc)
    return invocation.interruption.exit_code(report.exit_code)


@contextmanager
def reading(
    invocation: Invocation, config: "Config", *, patient: bool = False
) -> Iterator[tuple["Progress", "Pace"]]:
    """Progress to show and limits to keep, for a command that reads; a signal ends it at its next request."""
    from connector.sync.connect.connecting import Pace

    pace = Pace(config, is_watched=not patient)
    hint = "What was loaded is kept. The same signal again ends the process at once."
    with (
        watching(log_format=invocation.log_format, verbose=invocation.verbose) as progress,
        stopping(invocation.interruption, pace.app.stop, hint=hint),
    ):
        yield progress, pace


def check_span(since: object, until: object) -> None:
    """Refuse a span that ends before it begins."""
    from datetime import datetime

    if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
        raise click.UsageError("--since must be before --until.")
