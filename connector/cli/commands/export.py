"""``connector export``: views as files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import reader_of
from connector.cli.terminal.output import console, fields, json_text, say, table
from connector.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from connector.report.accounting import JournalWanted, Package
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
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv", "quickbooks", "xero"]),
    default="parquet",
    show_default=True,
    help="quickbooks, xero: the journal in CSV that these import, one entry a day.",
)
@click.option("--view", "views", multiple=True, metavar="NAME", help="Only this view; may be given again.")
@click.option("--company", metavar="ID", help="Only rows of this company, by id or name.")
@click.option(
    "--since-snapshot",
    type=click.IntRange(0),
    metavar="N",
    help="Only what changed after this snapshot, with the SQL that merges it into a copy.",
)
@click.option(
    "--epoch", metavar="ID", help="The epoch of that snapshot; refused when a restore began another."
)
@click.option("--excel", is_flag=True, help="CSV that Excel opens right: UTF-8 mark, no formulas.")
@click.option("--first-day", type=click.DateTime(["%Y-%m-%d"]), help="Of the journal: no earlier days.")
@click.option("--last-day", type=click.DateTime(["%Y-%m-%d"]), help="Of the journal: no later days.")
@click.option(
    "--accounts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="CSV with account,code,tax_rate: what the journal's accounts are called where it is imported.",
)
@json_option
@pass_invocation
def export(
    invocation: Invocation,
    directory: Path,
    kind: "Format | Package",
    views: tuple[str, ...],
    company: str | None,
    since_snapshot: int | None,
    epoch: str | None,
    excel: bool,
    first_day: "datetime | None",
    last_day: "datetime | None",
    accounts: Path | None,
    as_json: bool,
) -> None:
    """Write views of the published file as Parquet or CSV, one directory a view, with a manifest.

    With --since-snapshot a copy is kept that is the same as the views: for each view the rows that changed, and the
    statement that takes them over (also in the manifest). What is gone is in the view changes, which always comes
    along.
    Views whose rows belong to no snapshot, such as monthly_sales, are exported whole.

    With --format quickbooks or xero the view journal_entries, or journal_as_booked, as files to import there: one entry
    a day, one file a company and currency, as many files as their limits ask for. Days before --last-day that are
    restated later are in journal_entries again, corrected; in journal_as_booked a day that is over stays as it was.

    \b
    Examples:
      connector export --to ./export
      connector export --to ./export --view orders --view payments
      connector export --to ./sheets --format csv --excel --view monthly_sales
      connector export --to ./changes --since-snapshot 41 --epoch 0b8f6f7e-0c7b-4b1e-9d59-6a1f6a4f7c11
      connector export --to ./books --format quickbooks --first-day 2026-10-01 --last-day 2026-10-31

    \b
    Exit codes: 0 done, 1 nothing published yet, 2 no such view, company or snapshot
    """
    if excel and kind != "csv":
        raise click.UsageError("--excel goes with --format csv.")
    from connector.cli.selection import selected

    config = invocation.config(secrets_may_be_missing=True)
    company_id, _ = selected(config, company, None)
    if kind == "quickbooks" or kind == "xero":
        if since_snapshot is not None:
            raise click.UsageError("--since-snapshot goes with --format parquet or csv; see --first-day.")
        journal = _journal_wanted(kind, views, company_id, first_day, last_day, accounts)
        _journal(invocation, directory, journal, as_json=as_json)
        return
    if first_day or last_day or accounts:
        raise click.UsageError("--first-day, --last-day and --accounts go with --format quickbooks or xero.")
    from connector.report.export import Wanted
    from connector.report.export import export as write_files

    wanted = Wanted(kind, views, company_id, since_snapshot, excel)
    with reader_of(invocation, config, company_id) as reader:
        if epoch is not None and epoch != reader.epoch:
            raise ConfigError(
                f"Snapshots of epoch {epoch} are gone: the store was restored and numbers them anew, in epoch"
                f" {reader.epoch}.",
                hint="Export everything again, and keep its snapshot and epoch.",
            )
        done = write_files(reader, directory, wanted)
        snapshot_id, of_epoch = reader.snapshot_id, reader.epoch
    if as_json:
        files = [
            {"view": one.view, "file": one.file, "rows": one.rows}
            | ({} if one.merge is None else {"merge": one.merge})
            for one in done
        ]
        about = {"directory": str(directory), "snapshotId": snapshot_id, "epoch": of_epoch}
        click.echo(json_text(about | {"files": files}))
        return
    out = console()
    rows = ([one.view, f"{one.rows:,}", one.file] for one in done)
    out.print(table(None, ["view", "rows", "file"], rows, numbers=frozenset({"rows"})))
    say(f"Snapshot {snapshot_id} of epoch {of_epoch}, in {directory}; manifest.json has the sums.")
    merges = [one.merge for one in done if one.merge is not None]
    if merges:
        click.echo("\nMerged into a copy of each view by:\n")
        click.echo("\n".join(merges))


def _journal_wanted(
    package: "Package",
    views: tuple[str, ...],
    company_id: str | None,
    first_day: "datetime | None",
    last_day: "datetime | None",
    accounts: Path | None,
) -> "JournalWanted":
    from connector.report.accounting import JOURNALS, JournalWanted, read_accounts

    if len(views) > 1 or any(view not in JOURNALS for view in views):
        raise click.UsageError(f"--format {package} writes one of {' and '.join(JOURNALS)}.")
    return JournalWanted(
        package=package,
        view=views[0] if views else JOURNALS[0],
        company_id=company_id,
        first=first_day.date() if first_day else None,
        last=last_day.date() if last_day else None,
        accounts=read_accounts(accounts) if accounts else {},
    )


def _journal(invocation: Invocation, directory: Path, wanted: "JournalWanted", *, as_json: bool) -> None:
    from connector.report.accounting import export_journal

    config = invocation.config(secrets_may_be_missing=True)
    with reader_of(invocation, config, wanted.company_id) as reader:
        done = export_journal(reader, directory, wanted)
        snapshot_id = reader.snapshot_id
    if as_json:
        click.echo(
            json_text(
                {
                    "directory": str(directory),
                    "snapshotId": snapshot_id,
                    "files": [fields(one) for one in done],
                }
            )
        )
        return
    out = console()
    rows = (
        [
            one.file,
            one.currency,
            f"{one.journals:,}",
            f"{one.lines:,}",
            f"{one.debits:,f}",
            f"{one.credits:,f}",
        ]
        for one in done
    )
    names = ["file", "currency", "journals", "lines", "debits", "credits"]
    out.print(table(None, names, rows, numbers=frozenset(names[2:])))
    out.print(f"Snapshot {snapshot_id}, in {directory}.", style="dim")
