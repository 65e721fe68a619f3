"""``connector status``: what was read when, how far, and what comes next; also for monitoring."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli.check.freshness import Freshness, freshness
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import open_published, states_now
from connector.cli.terminal.output import console, json_text, plain, say, table
from connector.cli.terminal.times import Duration, ago
from connector.sync.spans import CLOCK_TOLERANCE

WATCH_SECONDS = 5.0


@click.command()
@click.option(
    "--max-age",
    type=Duration(),
    metavar="DURATION",
    help="Exit 1 when a connection has no success this recent.",
)
@click.option("--streams", is_flag=True, help="Also each list of Clover: rows kept, and how far it was read.")
@click.option("--watch", is_flag=True, help="Show it again every five seconds, until Ctrl-C.")
@json_option
@pass_invocation
def status(
    invocation: Invocation, max_age: timedelta | None, streams: bool, watch: bool, as_json: bool
) -> int:
    """Show one line a merchant, those that need somebody first: last success, orders, what is held back, next run.

    Reads the published file; no Clover token is needed and no sync is disturbed. With --max-age it is a
    health check: exit 1 when any connection of the config has not succeeded for longer than that.

    \b
    Examples:
      connector status
      connector status --watch
      connector status --max-age 2h
      connector status --streams
      connector status --json

    \b
    Exit codes: 0 fresh (or --max-age not given), 1 stale, 2 the config is wrong
    """
    if watch and as_json:
        raise click.UsageError("--json is one document; leave --watch out.")
    while True:
        now = datetime.now(UTC)
        found = _found(invocation, now)
        stale = [] if max_age is None else [one for one in found if one.is_stale(now, max_age)]
        if watch:
            click.clear()
        if as_json:
            click.echo(json_text(_document(found, stale, now)))
        else:
            _print(sorted(found, key=lambda one: _urgency(one, stale)), now, with_streams=streams)
            for one in stale:
                _print_stale(one, now)
        if not watch:
            return 1 if stale else 0
        click.echo(f"{now:%H:%M:%S} UTC, again in {WATCH_SECONDS:.0f} s; Ctrl-C ends it.", err=True)
        try:
            time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return 1 if stale else 0


def _found(invocation: Invocation, now: datetime) -> list[Freshness]:
    from connector.ledger.published import NothingPublishedError

    config = invocation.config(secrets_may_be_missing=True)
    if config.fleet is not None:
        return freshness(config, None, now=now, states=states_now(invocation, config, now))
    with ExitStack() as stack:
        try:
            published = stack.enter_context(open_published(config.store))
        except NothingPublishedError:
            published = None
        return freshness(config, published, now=now)


def _urgency(one: Freshness, stale: list[Freshness]) -> tuple[bool, int, float, str]:
    """Stale ones first, then what failed, then what was never read, then what is partly done; the oldest first."""
    ranks = {"failed": 0, "never synced": 1, "partly done": 2}
    since = 0.0 if one.last_success is None else one.last_success.timestamp()
    return one not in stale, ranks.get(one.status, 3), since, one.company.name


def _print_stale(one: Freshness, now: datetime) -> None:
    since = (
        "has never succeeded"
        if one.last_success is None
        else f"last succeeded {ago(one.last_success, now)} ago"
    )
    click.echo(f"Stale: {one.company.name} (merchant {one.connection.merchant_id}) {since}.", err=True)


def _print(found: list[Freshness], now: datetime, *, with_streams: bool) -> None:
    rows = [
        (
            one.company.name,
            one.connection.merchant_id,
            one.status,
            _ago(one.last_success, now),
            f"{one.orders:,}",
            f"{one.held_back:,}",
            f"{one.open_issues:,}",
            "by hand" if one.next_run is None else f"in {ago(now, one.next_run)}",
        )
        for one in found
    ]
    columns = ("company", "merchant", "last run", "last success", "orders", "held back", "issues", "next run")
    console().print(
        table(
            None,
            columns,
            rows,
            numbers=frozenset(columns[4:7]),
            words=frozenset({"company"}),
            spare=("merchant",),
        )
    )
    if with_streams:
        click.echo()
        _print_streams(found, now)
    for one in found:
        if warning := one.wrong_clock(now):
            say(f"{one.company.name}: warning: {warning}")
        if one.error:
            say(f"{one.company.name}: last error: {one.error}")
        if one.next_command:
            click.echo(f"  next: {one.next_command}")


def _print_streams(found: list[Freshness], now: datetime) -> None:
    rows = [
        (
            one.company.name,
            state.stream,
            f"{state.rows:,}",
            "never" if state.cursor is None else plain(state.cursor.replace(microsecond=0)),
            _lag(state.cursor, now),
        )
        for one in found
        for state in one.streams
    ]
    columns = ("company", "stream", "rows", "read until", "lag")
    words = frozenset({"company"})
    console().print(table(None, columns, rows, numbers=frozenset({"rows"}), words=words))


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
