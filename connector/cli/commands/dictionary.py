"""``connector dictionary``: what every view and column means."""

import click

from connector.cli.invocation import Invocation, pass_invocation


@click.command()
@click.option("--dbt", is_flag=True, help="Print a dbt sources.yml instead of Markdown.")
@click.option(
    "--database",
    default="commerce",
    show_default=True,
    metavar="NAME",
    help="With --dbt: the name under which dbt attaches the file.",
)
@pass_invocation
def dictionary(invocation: Invocation, dbt: bool, database: str) -> None:  # noqa: ARG001
    """Print the data dictionary: every view and column with meaning, unit, sign and source.

    Needs no config and no store: it describes the views that this version publishes.

    \b
    Examples:
      connector dictionary > dictionary.md
      connector dictionary --dbt > models/sources.yml

    \b
    Exit codes: 0 done
    """
    from connector.report.dictionary import dbt_sources, markdown

    click.echo(dbt_sources(database) if dbt else markdown(), nl=False)
