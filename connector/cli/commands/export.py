"""``connector export``: views as files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import console, json_text, table

if TYPE_CHECKING:
    from connector.report.export import Format


@click.command()
@click.option(
    "--to",
    "directory",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the files go; what an earlier export left there is replaced.",
)
@click.option("--format", "kind", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@click.option("--view", "views", multiple=True, metavar="NAME", help="Only this view; may be given again.")
@click.option("--company", metavar="ID", help="Only rows of this company, by id or name.")
@click.option(
    "--since-snapshot",
    type=click.IntRange(0),
    metavar="N",
    help="Only rows that changed after this snapshot.",
)
@click.option("--excel", is_flag=True, help="CSV that Excel opens right: UTF-8 mark, no formulas.")
@json_option
@pass_invocation
def export(
    invocation: Invocation,
    directory: Path,
    kind: "Format",
    views: tuple[str, ...],
    company: str | None,
    since_snapshot: int | None,
    excel: bool,
    as_json: bool,
) -> None:
    """Write views of the published file as Parquet or CSV, one directory a view, with a manifest.

    With --since-snapshot only views whose rows belong to a snapshot are written. Replace every order that is in
    order_versions of such an export, with its lines and payments; is_deleted marks orders that are gone.

    \b
    Examples:
      connector export --to ./export
      connector export --to ./export --view orders --view payments
      connector export --to ./sheets --format csv --excel --view monthly_sales
      connector export --to ./changes --since-snapshot 41

    \b
    Exit codes: 0 done, 1 nothing published yet, 2 no such view, company or snapshot
    """
    if excel and kind != "csv":
        raise click.UsageError("--excel goes with --format csv.")
    from connector.cli.selection import selected
    from connector.report.export import Wanted
    from connector.report.export import export as write_files

    config = invocation.config(secrets_may_be_missing=True)
    company_id, _ = selected(config, company, None)
    wanted = Wanted(kind, views, company_id, since_snapshot, excel)
    with invocation.store(config).open_reader() as reader:
        done = write_files(reader, directory, wanted)
        snapshot_id = reader.snapshot_id
    if as_json:
        files = [{"view": one.view, "file": one.file, "rows": one.rows} for one in done]
        click.echo(json_text({"directory": str(directory), "snapshot_id": snapshot_id, "files": files}))
        return
    out = console()
    rows = ([one.view, f"{one.rows:,}", one.file] for one in done)
    out.print(table(None, ["view", "rows", "file"], rows, numbers=frozenset({"rows"})))
    out.print(f"Snapshot {snapshot_id}, in {directory}; manifest.json has the sums.", style="dim")
