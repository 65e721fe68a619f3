"""``connector connections``: every connection, whoever made it, and why one is not read."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import states_now
from connector.cli.terminal.output import console, json_text, table
from connector.cli.terminal.times import ago

if TYPE_CHECKING:
    from connector.cli.check.connections import Listed


@click.command()
@click.option("--not-read", is_flag=True, help="Only those that are not read, or were not the last time.")
@json_option
@pass_invocation
def connections(invocation: Invocation, not_read: bool, as_json: bool) -> int:
    """List every connection with its origin (config, kept, api), status, last sync, and why it is not read.

    \b
    Examples:
      connector connections
      connector connections --not-read
      connector connections --json
    """
    found = listed(invocation)
    shown = [one for one in found if one.why_not is not None] if not_read else found
    if as_json:
        click.echo(json_text({"connections": [_document(one) for one in shown]}))
        return 0
    now = datetime.now(UTC)
    rows = [
        (
            one.company_name,
            one.merchant_id or "",
            one.connection_id,
            one.origin,
            one.status if one.enabled else "disabled",
            "never" if one.last_success is None else f"{ago(one.last_success, now)} ago",
            one.why_not or "",
        )
        for one in shown
    ]
    columns = ("company", "merchant", "connection", "origin", "status", "last sync", "why not")
    words = frozenset({"company", "why not"})
    console().print(table(None, columns, rows, words=words, spare=("connection", "merchant")))
    return 0


def listed(invocation: Invocation) -> "list[Listed]":
    """Every connection with what the published file knows of it."""
    from connector.cli.check.connections import every_connection

    config = invocation.config(secrets_may_be_missing=True, all_or_none=True)
    return every_connection(config, states_now(invocation, config, datetime.now(UTC)))


def _document(one: "Listed") -> dict[str, Any]:
    return {
        "companyId": one.company_id,
        "companyName": one.company_name,
        "connectionId": one.connection_id,
        "merchantId": one.merchant_id,
        "origin": one.origin,
        "status": one.status,
        "enabled": one.enabled,
        "schedule": one.schedule,
        "lastSuccess": one.last_success,
        "whyNot": one.why_not,
    }
