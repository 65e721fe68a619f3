"""``connector check``: is everything in place for a sync."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import click

from connector.cli.check.alerts import examine_alerts
from connector.cli.check.clover import (
    Finding,
    examine_clock,
    examine_connection,
    examine_ids,
    examine_store,
)
from connector.cli.check.linking import examine_link
from connector.cli.check.plausible import examine_plausible
from connector.cli.check.store import examine_operations
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import states_now
from connector.cli.terminal.output import json_text
from connector.config import Config


@click.command()
@json_option
@pass_invocation
def check(invocation: Invocation, as_json: bool) -> int:
    """Check config, store, disk, clock, and the token and permissions of each connection.

    Every line says ok or what to do. Reads a single record of each list at Clover and writes nothing.

    \b
    Examples:
      connector check
      connector check --json

    \b
    Exit codes: 0 ready (warnings included), 1 something must be done first, 2 the config is wrong
    """
    config = invocation.config()
    found = []
    for finding in _examine(invocation, config):
        found.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        click.echo(json_text({"ready": _is_ready(found), "findings": [_document(one) for one in found]}))
    elif not _is_ready(found):
        click.echo(f"{sum(one.verdict == 'failed' for one in found)} to do before a sync can work.")
    else:
        click.echo("Ready. Next: connector sync")
    return 0 if _is_ready(found) else 1


def _examine(invocation: Invocation, config: Config) -> Iterator[Finding]:
    from connector.cli.check.platform import examine_platform
    from connector.cli.processes.reaching import host_date, platform_client, probing_client

    yield Finding("config", "ok", f"{invocation.config_path}, {sum(1 for _ in config.pairs())} connection(s)")
    yield from examine_ids(config)
    yield from examine_plausible(config, invocation.config_path, now=datetime.now(UTC))
    if config.fleet is None:
        yield from examine_store(config.store)
        yield from examine_operations(config, now=datetime.now(UTC))
    else:
        yield from _examine_fleet(invocation, config)
    yield from examine_alerts(config)
    first = next((connection for _, connection in config.enabled_pairs()), None)
    yield from examine_link(config)
    if first is None and config.link is not None:
        yield Finding("companies", "ok", "none yet; merchants connect themselves")
        return
    if first is None:
        yield Finding("companies", "failed", "there is none to read", "connector companies add --help")
        return
    yield examine_clock(lambda: host_date(first), lambda: datetime.now(UTC))
    for company, connection in config.enabled_pairs():
        yield from examine_connection(company, connection, lambda one: probing_client(config, one))
        yield from examine_platform(company, connection, lambda one: platform_client(config, one))


def _examine_fleet(invocation: Invocation, config: Config) -> Iterator[Finding]:
    from connector.cli.check.fleet import examine_fleet

    now = datetime.now(UTC)
    yield from examine_fleet(config, lambda: states_now(invocation, config, now), now=now)


def _print(finding: Finding) -> None:
    colour = {"ok": "green", "warning": "yellow", "failed": "red"}[finding.verdict]
    click.echo(f"{click.style(f'{finding.verdict:8}', fg=colour)}{finding.subject}: {finding.text}")
    if finding.todo:
        click.echo(f"{'':8}  do: {finding.todo}")


def _document(finding: Finding) -> dict[str, str | None]:
    return {
        "subject": finding.subject,
        "verdict": finding.verdict,
        "text": finding.text,
        "todo": finding.todo,
    }


def _is_ready(found: Iterable[Finding]) -> bool:
    return all(one.verdict != "failed" for one in found)
