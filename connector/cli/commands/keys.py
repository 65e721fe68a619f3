"""``connector keys``: the API's keys and what was read with them."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from connector.cli.commands.serve import open_control
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import console, fields, json_text, table
from connector.cli.terminal.times import Duration, Moment
from connector.errors import ConfigError

if TYPE_CHECKING:
    from connector.control.keys import ApiKey


@click.group()
def keys() -> None:
    """API keys: each for one lender, for some companies or all, to read or also to write; and who read what."""


@keys.command()
@click.option("--label", required=True, help="Whose key it is; shown in lists and the audit.")
@click.option(
    "--company", "companies", multiple=True, metavar="ID", help="A company it may see; repeat for more."
)
@click.option("--all-companies", is_flag=True, help="It may see every company, also later ones.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "lineage"]),
    default=("read",),
    show_default=True,
    help="What it may do; repeat for more. lineage: Clover's own records behind an order.",
)
@click.option(
    "--expires-in", type=Duration(), metavar="DURATION", help="For how long, e.g. 90d; default for ever."
)
@click.option(
    "--requests-per-minute", type=click.IntRange(1), help="Its own quota; default that of the server."
)
@json_option
@pass_invocation
def create(
    invocation: Invocation,
    label: str,
    companies: tuple[str, ...],
    all_companies: bool,
    scopes: tuple[str, ...],
    expires_in: timedelta | None,
    requests_per_minute: int | None,
    as_json: bool,
) -> int:
    """Make a key. It is shown once; only its hash is kept.

    \b
    Examples:
      connector keys create --label "First Lender" --company 8a210b68-6988-11ed-a1eb-0242ac120002
      connector keys create --label ops --all-companies --scope read --scope write --expires-in 90d
    """
    from connector.control import companies as api_companies
    from connector.control import keys as api_keys

    if all_companies == bool(companies):
        raise ConfigError(
            "A key needs the companies it may see.",
            hint="Add --company ID (once for each), or --all-companies.",
        )
    config = invocation.config(secrets_may_be_missing=True)
    control = open_control(config)
    known = {company.company_id: company.name for company in api_companies.list_companies(control)}
    ids = [_company_id(company, known) for company in companies]
    now = datetime.now(UTC)
    key, secret = api_keys.create_key(
        control,
        label,
        now=now,
        companies=None if all_companies else ids,
        scopes=scopes,
        expires=None if expires_in is None else now + expires_in,
        requests_per_minute=requests_per_minute,
    )
    if as_json:
        click.echo(json_text({**_document(key, now), "key": secret}))
        return 0
    click.echo(secret)
    click.echo(
        f"Key {key.key_id} for {label}. It is not shown again.\n"
        f'Try: curl -u "{secret}:" http://{config.api.host}:{config.api.port}/companies',
        err=True,
    )
    return 0


@keys.command("list")
@json_option
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> int:
    """Show every key there is or was; never the key itself."""
    from connector.control import keys as api_keys

    now = datetime.now(UTC)
    found = api_keys.list_keys(open_control(invocation.config(secrets_may_be_missing=True)))
    if as_json:
        click.echo(json_text([_document(key, now) for key in found]))
        return 0
    rows = [
        (
            key.key_id,
            key.label,
            "all" if key.companies is None else ", ".join(sorted(key.companies)),
            ", ".join(sorted(key.scopes)),
            key.created,
            key.expires or "never",
            _state(key, now),
        )
        for key in found
    ]
    console().print(table(None, ("Key", "Label", "Companies", "Scopes", "Created", "Expires", "State"), rows))
    return 0


@keys.command()
@click.argument("key_id")
@pass_invocation
def revoke(invocation: Invocation, key_id: str) -> int:
    """Refuse a key from its next request on."""
    from connector.control import keys as api_keys

    control = open_control(invocation.config(secrets_may_be_missing=True))
    if not api_keys.revoke_key(control, key_id, now=datetime.now(UTC)):
        raise ConfigError(f"There is no key {key_id} that could be revoked.", hint="connector keys list")
    click.echo(f"Key {key_id} is revoked.")
    return 0


@keys.command()
@click.option("--key", "key_id", metavar="KEY_ID", help="Only what this key read.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only from then on, e.g. 7d or 2026-01-31.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many, newest first."
)
@json_option
@pass_invocation
def audit(
    invocation: Invocation, key_id: str | None, since: datetime | None, limit: int, as_json: bool
) -> int:
    """Show who read what: each request that was let in, with key, company, route, query, rows, snapshot and status.

    What was refused at the door (no good key, too many requests) is counted by day below it.
    """

    from connector.control.access_log import read_access_log, read_refused
    from connector.control.file import stamp

    control = open_control(invocation.config(secrets_may_be_missing=True))
    found = read_access_log(control, key_id=key_id, since=None if since is None else stamp(since), most=limit)
    if as_json:
        click.echo(json_text([fields(access) for access in found]))
        return 0
    rows = [
        (
            access.at,
            access.key_id or "-",
            str(access.status),
            access.method,
            access.route,
            access.company_id or "",
            access.query or "",
            "" if access.rows is None else f"{access.rows:,}",
            "" if access.snapshot_id is None else str(access.snapshot_id),
        )
        for access in found
    ]
    names = ("At", "Key", "Status", "Method", "Route", "Company", "Query", "Rows", "Snapshot")
    console().print(table(None, names, rows, numbers=frozenset({"Rows", "Snapshot"})))
    refused = [
        (one.day, one.key_id or "-", str(one.status), f"{one.requests:,}")
        for one in read_refused(control, key_id=key_id, since=None if since is None else stamp(since))
    ]
    if refused:
        columns = ("Day", "Key", "Status", "Refused")
        console().print(table(None, columns, refused, numbers=frozenset({"Refused"})))
    return 0


def _company_id(text: str, known: dict[str, str]) -> str:
    """The company an id or a name stands for. Raises ConfigError when there is none, or more than one."""
    found = [i for i, name in known.items() if text == i] or [i for i, name in known.items() if text == name]
    if len(found) == 1:
        return found[0]
    some = ", ".join(f"{i} ({name})" for i, name in list(known.items())[:10])
    raise ConfigError(
        f"There {'are several companies' if found else 'is no company'} {text}.", hint=f"Known: {some}"
    )


def _state(key: "ApiKey", now: datetime) -> str:
    return "revoked" if key.revoked else "good" if key.is_good(now) else "expired"


def _document(key: "ApiKey", now: datetime) -> dict[str, Any]:
    return {
        "keyId": key.key_id,
        "label": key.label,
        "companies": None if key.companies is None else sorted(key.companies),
        "scopes": sorted(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "requestsPerMinute": key.requests_per_minute,
        "state": _state(key, now),
    }
