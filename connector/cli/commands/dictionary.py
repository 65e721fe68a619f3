"""``connector dictionary``: what every view and column means."""

import click

from connector.cli.invocation import Invocation, pass_invocation
from connector.cli.selection import nearest
from connector.cli.terminal.output import say
from connector.errors import ConfigError


@click.command()
@click.argument("view", required=False)
@click.option("--dbt", is_flag=True, help="Print a dbt sources.yml instead of Markdown.")
@click.option(
    "--database",
    default="commerce",
    show_default=True,
    metavar="NAME",
    help="With --dbt: the name under which dbt attaches the file.",
)
@pass_invocation
def dictionary(invocation: Invocation, view: str | None, dbt: bool, database: str) -> None:  # noqa: ARG001
    """Print the data dictionary: every view and column with meaning, unit, sign and source.

    With the name of a VIEW: that one, to read here. Needs no config and no store: it describes the views that this
    version publishes.

    \b
    Examples:
      connector dictionary orders
      connector dictionary > dictionary.md
      connector dictionary --dbt > models/sources.yml

    \b
    Exit codes: 0 done, 2 there is no such view
    """
    from connector.report.dictionary import dbt_sources, markdown

    if view is not None:
        if dbt:
            raise click.UsageError("--dbt writes every view; leave VIEW out.")
        _print_view(view)
        return
    click.echo(dbt_sources(database) if dbt else markdown(), nl=False)


def _print_view(name: str) -> None:
    from connector.report.dictionary import views

    found = {view.name: view for view in views()}
    if name not in found:
        raise ConfigError(f"There is no view '{name}'.", hint=nearest(name, list(found)))
    view = found[name]
    say(f"{view.signature}: {view.meaning}")
    if view.grain:
        say(f"One row for each {', '.join(view.grain)}.")
    for column in view.columns:
        click.echo(f"\n{column.name}  {column.type}")
        say(column.meaning, indent="    ")
