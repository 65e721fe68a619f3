"""``connector webhooks``: the endpoints that are told of events, their deliveries, and a test."""

import uuid
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click

from connector.cli.commands.serve import open_control
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import console, fields, json_text, table
from connector.errors import ConfigError


@click.group()
def webhooks() -> None:
    """Webhook endpoints: add, list, remove; what was delivered; send a test event."""


@webhooks.command()
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, metavar="TYPE", help="An event type; repeat for more; default all."
)
@click.option(
    "--company", "companies", multiple=True, metavar="ID", help="Only these companies; default all."
)
@json_option
@pass_invocation
def add(
    invocation: Invocation, url: str, events: tuple[str, ...], companies: tuple[str, ...], as_json: bool
) -> int:
    """Add an endpoint. Its signing secret is shown once.

    \b
    Example:
      connector webhooks add https://lender.example.com/codat --event read.completed
    """
    from pydantic import ValidationError

    from connector.api.routes.webhooks import WebhookBody, new_secret
    from connector.control import webhooks as api_webhooks
    from connector.control.file import stamp
    from connector.outbound import refusal

    try:
        body = WebhookBody(url=url, event_types=list(events))
    except ValidationError as exc:
        raise ConfigError("; ".join(str(error["msg"]) for error in exc.errors())) from exc
    config = invocation.config(secrets_may_be_missing=True)
    if why := refusal(urlsplit(body.url).hostname or "", config.private_networks):
        raise ConfigError(f"{url}: {why}")
    control = open_control(config)
    hook = api_webhooks.Webhook(
        webhook_id=str(uuid.uuid4()),
        url=body.url,
        event_types=tuple(body.event_types),
        company_tags=(),
        companies=frozenset(companies) if companies else None,
        secret=new_secret(),
        disabled=False,
        created=stamp(datetime.now(UTC)),
    )
    api_webhooks.create_webhook(control, hook, key_id=None)
    if as_json:
        click.echo(json_text({"id": hook.webhook_id, "url": hook.url, "secret": hook.secret}))
        return 0
    click.echo(f"{hook.webhook_id}  {hook.url}\nSigning secret, not shown again: {hook.secret}")
    return 0


@webhooks.command("list")
@json_option
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> int:
    """Show every endpoint and how its last delivery went."""
    from connector.control import outbox
    from connector.control import webhooks as api_webhooks

    control = open_control(invocation.config(secrets_may_be_missing=True))
    rows = []
    for hook in api_webhooks.list_webhooks(control):
        last = next(iter(outbox.deliveries_to(control, hook.webhook_id, most=1)), None)
        rows.append(
            {
                "id": hook.webhook_id,
                "url": hook.url,
                "events": list(hook.event_types) or ["all"],
                "companies": None if hook.companies is None else sorted(hook.companies),
                "state": "disabled" if hook.disabled else "failing" if hook.failing_since else "good",
                "last": None if last is None else (last.delivered or last.last_error or "waiting"),
            }
        )
    if as_json:
        click.echo(json_text(rows))
        return 0
    shown = [
        (str(r["id"]), str(r["url"]), ", ".join(r["events"] or []), str(r["state"]), str(r["last"] or ""))
        for r in rows
    ]
    console().print(table(None, ("Id", "Address", "Events", "State", "Last delivery"), shown))
    return 0


@webhooks.command()
@click.argument("webhook_id")
@pass_invocation
def remove(invocation: Invocation, webhook_id: str) -> int:
    """Remove an endpoint and what was still to be sent to it."""
    from connector.control import webhooks as api_webhooks

    control = open_control(invocation.config(secrets_may_be_missing=True))
    if webhook_id not in {hook.webhook_id for hook in api_webhooks.list_webhooks(control)}:
        raise ConfigError(f"There is no webhook {webhook_id}.", hint="connector webhooks list")
    api_webhooks.delete_webhook(control, webhook_id)
    click.echo(f"Webhook {webhook_id} is removed.")
    return 0


@webhooks.command()
@click.argument("webhook_id")
@json_option
@pass_invocation
def deliveries(invocation: Invocation, webhook_id: str, as_json: bool) -> int:
    """Show the newest hundred deliveries of an endpoint."""

    from connector.control import outbox

    control = open_control(invocation.config(secrets_may_be_missing=True))
    found = outbox.deliveries_to(control, webhook_id)
    if as_json:
        click.echo(
            json_text(
                [{("webhookId" if k == "target" else k): v for k, v in fields(one).items()} for one in found]
            )
        )
        return 0
    rows = [
        (d.noted, d.event_type, str(d.attempts), d.delivered or "", d.last_error or "", d.next_try or "")
        for d in found
    ]
    names = ("At", "Event", "Tries", "Delivered", "Error", "Next try")
    console().print(table(None, names, rows, numbers=frozenset({"Tries"})))
    return 0


@webhooks.command()
@click.argument("webhook_id")
@pass_invocation
def test(invocation: Invocation, webhook_id: str) -> int:
    """Send a signed test event now and say what the endpoint answered; exit 1 when it did not take it."""
    from connector.api.webhook_delivery import send
    from connector.control import outbox
    from connector.control import webhooks as api_webhooks
    from connector.outbound import outbound_client

    config = invocation.config(secrets_may_be_missing=True)
    control = open_control(config)
    hooks = {hook.webhook_id: hook for hook in api_webhooks.list_webhooks(control)}
    if webhook_id not in hooks:
        raise ConfigError(f"There is no webhook {webhook_id}.", hint="connector webhooks list")
    now = datetime.now(UTC)
    identity = api_webhooks.event_id("test", str(uuid.uuid4()))
    payload = {"message": "A test from connector webhooks test."}
    api_webhooks.note_event(control, identity, "test", payload, now=now, only=[webhook_id])
    delivery = next(d for d in outbox.deliveries_to(control, webhook_id) if d.event_id == identity)
    outbox.claim(control, delivery, now=now)  # so that no server sends it too
    with outbound_client(config.private_networks) as client:
        tried = send(client, hooks[webhook_id], delivery, timestamp=int(now.timestamp()))
    api_webhooks.record_test(control, delivery, status=tried.status, error=tried.error, now=datetime.now(UTC))
    click.echo(f"{hooks[webhook_id].url}: {tried.error or f'answered {tried.status}'}")
    return 0 if tried.error is None else 1
