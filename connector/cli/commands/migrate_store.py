"""``connector migrate-store``: from one disk into a fleet, and back."""

from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import json_text


@click.command("migrate-store")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--back", is_flag=True, help="Make a store in DIRECTORY of everything that the fleet holds.")
@json_option
@pass_invocation
def migrate_store(invocation: Invocation, directory: Path, back: bool, as_json: bool) -> int:
    """Move every company of the store in DIRECTORY into the fleet that the configuration names, or back with --back.

    All versions of all orders move, with the loads, runs and findings they came from, and what Clover sent. Each
    company is read back from the bucket and compared: rows and hashes of every table, counts and sums. What is left
    stays as it is. A move that was interrupted goes on when it is run again. API keys, webhooks and OAuth pairs do not
    move: make keys anew, and run connector authorize for merchants that were connected by consent. Stop the scheduler
    of the store that is left first, so that nothing is loaded there meanwhile.

    \b
    Examples:
      connector migrate-store ./data
      connector migrate-store --back ./data-again

    \b
    Exit codes: 0 both sides are the same, 1 a company is not, 2 the configuration names no fleet
    """
    from connector.errors import ConfigError
    from connector.ledger.interface import now_utc

    config = invocation.config(secrets_may_be_missing=True)
    if config.fleet is None:
        raise ConfigError(
            "The configuration names a store on one disk; migrate-store needs the fleet's.",
            hint="Write store: postgresql://… and bucket: … first; connector init --force shows how.",
        )
    from connector.fleet.move import to_directory, to_fleet
    from connector.fleet.store import FleetStore

    fleet, at = FleetStore(config.fleet, clock=now_utc), datetime.now(UTC)
    moved = []
    for one in to_directory(fleet, directory, at=at) if back else to_fleet(directory, fleet, at=at):
        moved.append(one)
        if not as_json:
            was = "was there, and is the same" if one.was_there else "moved and compared"
            click.echo(f"{one.company_id}: {one.held.orders:,} orders, {one.payloads:,} payloads, {was}")
    fleet.close()
    if as_json:
        click.echo(
            json_text(
                {
                    "companies": [
                        {
                            "company": one.company_id,
                            "orders": one.held.orders,
                            "payloads": one.payloads,
                            "sums": one.held.sums,
                            "wasThere": one.was_there,
                        }
                        for one in moved
                    ]
                }
            )
        )
    elif not moved:
        click.echo("There is no company to move.")
    return 0
