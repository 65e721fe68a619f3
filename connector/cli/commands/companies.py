"""``connector companies``: merchants kept as data instead of in config.yaml, one or thousands."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.commands.connections import listed
from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import console, json_text, table
from connector.cli.terminal.times import ago
from connector.errors import ConfigError

if TYPE_CHECKING:
    from connector.cli.check.connections import Listed
    from connector.config import Company, Config

_SETTINGS = {
    "name": "The company's name.",
    "merchant-id": "Clover's id of the merchant.",
    "credential": "Where its token is: env:NAME, file:/path, or kept for one who connects through a link.",
    "timezone": "The merchant's own, e.g. America/New_York.",
    "country": "ISO 3166 alpha-3; XXX if unknown.",
    "start-date": "Nothing older is read, e.g. 2024-01-01.",
    "schedule": "A cron expression; left out, only `connector sync` reads it.",
    "environment": "production or sandbox; default production.",
    "region": "na, eu or la; default na.",
    "currency": "ISO 4217; left out, taken from each order.",
    "company-id": "The company it belongs to, or a new one's id; made when left out.",
    "connection-id": "Made when left out.",
    "merchant-name": "The company's name when left out.",
    "base-url": "Overrides the environment's host.",
    "platform": "auto or off; default off.",
}
_NEEDED = frozenset({"name", "merchant-id", "credential", "timezone", "country", "start-date"})


@click.group()
def companies() -> None:
    """Companies kept as data: for more than a few, and for those that come and go. The file's are listed too.

    What is kept means the same as in config.yaml, and every command sees it from its next call on; `connector
    schedule` and `connector serve` without a restart.
    """


@companies.command("list")
@json_option
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> int:
    """Show every company with its origin, connections and last sync."""
    found = [
        list(group)
        for _, group in groupby(listed(invocation), key=lambda one: (one.company_name, one.company_id))
    ]
    if as_json:
        click.echo(json_text({"companies": [_document(group) for group in found]}))
        return 0
    now = datetime.now(UTC)
    rows = [
        (
            group[0].company_name,
            group[0].company_id,
            group[0].origin,
            f"{len(group):,}",
            f"{sum(one.enabled for one in group):,}",
            "never" if (last := _last(group)) is None else f"{ago(last, now)} ago",
        )
        for group in found
    ]
    columns = ("company", "id", "origin", "connections", "enabled", "last sync")
    numbers = frozenset({"connections", "enabled"})
    console().print(table(None, columns, rows, numbers=numbers, words=frozenset({"company"})))
    return 0


@companies.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_invocation
def import_(invocation: Invocation, file: Path, as_json: bool) -> int:
    """Keep the companies of a CSV or JSON file, one connection a row: all of them, or none when a row is wrong.

    Columns are the settings of a connection in config.yaml, with name, company_id and connection_id, and credential
    (env:NAME, file:/path, kept) instead of a token. A connection that is kept already gets the settings of its row.

    \b
    Example:
      connector companies import merchants.csv
      (name,merchant_id,timezone,country,start_date,schedule,credential in its first line)

    \b
    Exit codes: 0 kept, 2 a row is wrong
    """
    from connector.config.companies_file import read_companies_file

    return _keep(invocation, read_companies_file(file), as_json)


def _setting_options(command: Any) -> Any:
    for name, about in reversed(_SETTINGS.items()):
        command = click.option(f"--{name}", metavar="TEXT", required=name in _NEEDED, help=about)(command)
    return command


@companies.command()
@_setting_options
@json_option
@pass_invocation
def add(invocation: Invocation, /, as_json: bool, **settings: str | None) -> int:
    """Keep one connection, of a new company or of one that is kept already (--company-id).

    \b
    Example:
      connector companies add --name "Juniper Goods" --merchant-id MHT4QK2Z9WX61 --country USA \\
        --timezone America/New_York --start-date 2024-01-01 --schedule "*/30 * * * *" --credential env:JUNIPER_TOKEN
    """
    from connector.config.companies_file import checked_company

    return _keep(invocation, [checked_company(settings)], as_json)


@companies.command()
@click.argument("company")
@click.option("--connection", metavar="ID", help="Only this connection of it.")
@pass_invocation
def disable(invocation: Invocation, company: str, connection: str | None) -> int:
    """Read a company, by id or name, no more; what was read stays, and is served."""
    return _enable(invocation, company, connection, enabled=False)


@companies.command()
@click.argument("company")
@click.option("--connection", metavar="ID", help="Only this connection of it.")
@pass_invocation
def enable(invocation: Invocation, company: str, connection: str | None) -> int:
    """Read a company again that was disabled; its next run reads what it missed."""
    return _enable(invocation, company, connection, enabled=True)


def _keep(invocation: Invocation, wanted: "Sequence[Company]", as_json: bool) -> int:
    from contextlib import closing

    from connector.control.kept import NEEDED, keep_companies, refuse_doubles
    from connector.control.place import control_place, open_control

    config = invocation.config(secrets_may_be_missing=True, all_or_none=True)
    refuse_doubles([one for one in config.companies if not one.is_kept], wanted)
    with closing(open_control(control_place(config), *NEEDED)) as control:
        kept = keep_companies(control, wanted, now=datetime.now(UTC))
    if as_json:
        click.echo(
            json_text(
                {
                    "added": kept.added,
                    "changed": kept.changed,
                    "unchanged": kept.unchanged,
                    "companyIds": [one.id for one in wanted],
                }
            )
        )
        return 0
    click.echo(
        f"{kept.added:,} connection(s) added, {kept.changed:,} changed, {kept.unchanged:,} as they were."
        " Next: connector connections"
    )
    return 0


def _enable(invocation: Invocation, company: str, connection: str | None, *, enabled: bool) -> int:
    from contextlib import closing

    from connector.cli.selection import selected
    from connector.control.kept import NEEDED, enable_connections
    from connector.control.place import control_place, open_control

    config = invocation.config(secrets_may_be_missing=True, all_or_none=True)
    company_id, connection_id = selected(config, company, connection)
    ids = _kept_ids(config, company_id, connection_id)
    with closing(open_control(control_place(config), *NEEDED)) as control:
        changed = enable_connections(control, ids, enabled=enabled, now=datetime.now(UTC))
    said = "enabled" if enabled else "disabled"
    click.echo(f"{changed:,} connection(s) {said}, {len(ids) - changed:,} were so before.")
    return 0


def _kept_ids(config: "Config", company_id: str | None, connection_id: str | None) -> list[str]:
    pairs = [
        (owner, one)
        for owner, one in config.pairs()
        if owner.id == company_id and connection_id in (None, one.id)
    ]
    if any(not owner.is_kept for owner, _ in pairs):
        raise ConfigError(
            f"Company {company_id} stands in the configuration, and is switched there.",
            hint="Write enabled: false (or true) at its connections in config.yaml.",
        )
    return [one.id for _, one in pairs]


def _last(group: "Sequence[Listed]") -> datetime | None:
    return max((one.last_success for one in group if one.last_success is not None), default=None)


def _document(group: "Sequence[Listed]") -> dict[str, Any]:
    return {
        "companyId": group[0].company_id,
        "companyName": group[0].company_name,
        "origin": group[0].origin,
        "connections": len(group),
        "enabled": sum(one.enabled for one in group),
        "lastSuccess": _last(group),
    }
