"""``connector status``: what was read when, how far, and what comes next; also for monitoring."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli.check.freshness import Freshness, freshness
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import open_published
from connector.cli.terminal.output import console, json_text, plain, table
from connector.cli.terminal.times import Duration, ago
from connector.sync.spans import CLOCK_TOLERANCE


@click.command()
@click.option(
    "--max-age",
    type=Duration(),
    metavar="DURATION",
    help="Exit 1 when a connection has no success this recent.",
)
@json_option
@pass_invocation
def status(invocation: Invocation, max_age: timedelta | None, as_json: bool) -> int:
    """Show per company and stream the last success, the cursor, rows, lag, the last error and the next run.

    Reads the published file; no Clover token is needed and no sync is disturbed. With --max-age it is a
    health check: exit 1 when any connection of the config has not succeeded for longer than that.

    \b
    Examples:
      connector status
      connector status --max-age 2h
      connector status --json

    \b
    Exit codes: 0 fresh (or --max-age not given), 1 stale, 2 the config is wrong
    """
    config = invocation.config(secrets_may_be_missing=True)
    now = datetime.now(UTC)
    from connector.ledger.published import NothingPublishedError

    with ExitStack() as stack:
        try:
            published = stack.enter_context(open_published(config.store))
        except NothingPublishedError:
            published = None
        found = freshness(config, published, now=now)
    stale = [] if max_age is None else [one for one in found if one.is_stale(now, max_age)]
    if as_json:
        click.echo(json_text(_document(found, stale, now)))
    else:
        _print(found, now)
        for one in stale:
            since = (
                "has never succeeded"
                if one.last_success is None
                else f"last succeeded {ago(one.last_success, now)} ago"
            )
            click.echo(
                f"Stale: {one.company.name} (merchant {one.connection.merchant_id}) {since}.", err=True
            )
    return 1 if stale else 0


def _print(found: list[Freshness], now: datetime) -> None:
    out = console()
    rows = []
    for one in found:
        for number, state in enumerate(one.streams):
            first = number == 0
            rows.append(
                (
                    one.company.name if first else "",
                    one.connection.merchant_id if first else "",
                    one.status if first else "",
                    _ago(one.last_success, now) if first else "",
                    state.stream,
                    f"{state.rows:,}",
                    "never read" if state.cursor is None else plain(state.cursor.replace(microsecond=0)),
                    _lag(state.cursor, now),
                    (plain(one.next_run) or "by hand") if first else "",
                )
            )
    columns = (
        "company",
        "merchant",
        "last run",
        "last success",
        "stream",
        "rows",
        "cursor",
        "lag",
        "next run",
    )
    out.print(table(None, columns, rows, numbers=frozenset({"rows"})))
    for one in found:
        facts = [f"{one.orders:,} orders"]
        facts += [f"{one.held_back:,} held back"] if one.held_back else []
        facts += [f"{one.open_issues:,} open issues"] if one.open_issues else []
        click.echo(f"{one.company.name}: {', '.join(facts)}.")
        if warning := one.wrong_clock(now):
            click.echo(f"  warning: {warning}")
        if one.error:
            click.echo(f"  last error: {one.error}")
        if one.next_command:
            click.echo(f"  next: {one.next_command}")


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{ago(moment, now)} ago"


def _lag(cursor: datetime | None, now: datetime) -> str:
    if cursor is None:
        return ""
    return "in the future" if cursor - now > CLOCK_TOLERANCE else ago(cursor, now)


def _document(found: list[Freshness], stale: list[Freshness], now: datetime) -> dict[str, Any]:
    return {
        "now": now.replace(microsecond=0),
        "stale": bool(stale),
        "connections": [
            {
                "companyId": one.company.id,
                "companyName": one.company.name,
                "connectionId": one.connection.id,
                "merchantId": one.connection.merchant_id,
                "stale": one in stale,
                "lastSuccess": one.last_success,
                "lastRun": one.last_run,
                "nextRun": one.next_run,
                "nextCommand": one.next_command,
                "orders": one.orders,
                "heldBack": one.held_back,
                "warning": one.wrong_clock(now),
                "openIssues": one.open_issues,
                "streams": [
                    {
                        "stream": state.stream,
                        "rows": state.rows,
                        "cursor": state.cursor,
                        "lagSeconds": None
                        if state.cursor is None
                        else int((now - state.cursor).total_seconds()),
                    }
                    for state in one.streams
                ],
            }
            for one in found
        ],
    }
