"""``connector alerts``: whether those who should be told of failures are."""

from urllib.parse import urlsplit

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import json_text
from connector.errors import ConfigError


@click.group()
def alerts() -> None:
    """Who is told when a sync fails, grows stale or works again (alerts.webhook_url)."""


@alerts.command()
@json_option
@pass_invocation
def test(invocation: Invocation, as_json: bool) -> int:
    """Send a test alert to alerts.webhook_url, and say what it answers.

    It is sent once, is marked as a test, and changes nothing in what is told later.

    \b
    Example:
      connector alerts test

    \b
    Exit codes: 0 taken, 1 not taken, 2 the config has no alerts.webhook_url
    """
    from connector import outbound
    from connector.ledger.interface import now_utc
    from connector.schedule.alerts import trial_body
    from connector.schedule.delivery import post
    from schemas.wire import encode

    config = invocation.config(secrets_may_be_missing=True)
    url = config.alerts.webhook_url
    if url is None:
        raise ConfigError(
            "The configuration has no alerts.webhook_url, so nobody is told.",
            hint="alerts: {webhook_url: https://…}; then: connector alerts test",
        )
    body = trial_body(
        [(company.id, one.id, one.merchant_id) for company, one in config.pairs()], now=now_utc()
    )
    tried = outbound.attempt(lambda: post(url, encode(body).decode(), config.private_networks))
    host = urlsplit(url).hostname
    if as_json:
        click.echo(
            json_text(
                {"host": host, "status": tried.status, "taken": tried.error is None, "error": tried.error}
            )
        )
    elif tried.error is None:
        click.echo(f"{host} took the test alert ({tried.status}). See that it arrived where people look.")
    else:
        click.echo(f"{host} did not take the test alert: {tried.error}.", err=True)
        click.echo(
            "Next:  correct alerts.webhook_url (or private_networks), then: connector alerts test", err=True
        )
    return 0 if tried.error is None else 1
