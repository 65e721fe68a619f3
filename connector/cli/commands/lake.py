"""``connector lake``: the views of all companies of a fleet in one DuckLake."""

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import json_text


@click.command()
@click.option("--to", required=True, metavar="URL", help="ducklake:postgres:postgresql://… or ducklake:FILE.")
@click.option("--data-path", required=True, metavar="PLACE", help="Where its Parquet files go.")
@click.option(
    "--compact", is_flag=True, help="Instead: merge small files, and remove those of no later state."
)
@json_option
@pass_invocation
def lake(invocation: Invocation, to: str, data_path: str, compact: bool, as_json: bool) -> int:
    """Bring a DuckLake up to what every company of the fleet has published, for SQL over all of them.

    The lake's views have the names and columns of a company's file. Rows are only added, and a company's newest state
    is taken over in one transaction: a follower that is killed goes on with its next call. Companies that were
    forgotten are removed with their files. One follower at a time. DuckDB has the extensions for this up to 1.5.5:
    install the connector into an environment of its own with duckdb==1.5.5 and duckdb-extension-ducklake, -postgres
    and -httpfs of that version.

    \b
    Examples:
      connector lake --to "ducklake:postgres:postgresql://connector@db/lake" --data-path s3://merchants-lake/
      connector lake --to ducklake:lake.ducklake --data-path ./lake --compact

    \b
    Exit codes: 0 done, 1 the lake or the fleet is away, 2 no fleet, or DuckDB without the extensions
    """
    from connector.errors import ConfigError
    from connector.ledger.interface import now_utc

    config = invocation.config(secrets_may_be_missing=True)
    if config.fleet is None:
        raise ConfigError(
            "The configuration names a store on one disk, whose commerce.duckdb holds all companies already.",
            hint='connector query "SELECT * FROM orders"',
        )
    from connector.fleet.lake import compact as compact_lake
    from connector.fleet.lake import follow
    from connector.fleet.store import FleetStore

    if compact:
        compact_lake(to, data_path, room=config.fleet.cache)
        return 0
    fleet, done = FleetStore(config.fleet, clock=now_utc), []
    for one in follow(fleet, to, data_path, room=config.fleet.cache):
        done.append(
            {"company": one.company_id, "generation": one.generation, "added": one.added, "gone": one.gone}
        )
        if not as_json:
            click.echo(
                f"{one.company_id}: state {one.generation}, {one.added:,} rows added, {one.gone:,} gone"
            )
    fleet.close()
    if as_json:
        click.echo(json_text({"companies": done}))
    return 0
