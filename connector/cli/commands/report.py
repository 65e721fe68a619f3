"""``connector report``: one page a company, with charts, that a person can mail."""

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.terminal.output import json_text
from connector.files import replace_private


@click.command()
@click.option(
    "--to",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports"),
    show_default=True,
    metavar="DIR",
    help="Where the pages go.",
)
@click.option("--company", metavar="ID", help="Only this company, by id or name.")
@json_option
@pass_invocation
def report(invocation: Invocation, directory: Path, company: str | None, as_json: bool) -> None:
    """Write one HTML page a company: sales, refunds, customers, products, freshness, issues, reconciliation.

    Each page is one file of about 5 MB that needs no network: open it, mail it, print it.

    \b
    Examples:
      connector report
      connector report --company "Juniper Goods" --to ~/mail

    \b
    Exit codes: 0 done, 1 nothing published yet, 2 the configuration has no such company
    """
    from connector.cli.selection import selected
    from connector.report.figures import companies, read_figures
    from connector.report.page import page

    config = invocation.config(secrets_may_be_missing=True)
    company_id, _ = selected(config, company, None)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # the pages are somebody's books
    written: list[dict[str, str]] = []
    with invocation.store(config).open_reader() as reader:
        for one in [company_id] if company_id else companies(reader.connection):
            figures = read_figures(reader.connection, one, snapshot_id=reader.snapshot_id)
            path = directory / file_name(figures.company, taken={entry["file"] for entry in written})
            replace_private(path, page(figures, at=datetime.now(UTC)).encode())
            written.append({"company_id": one, "company": figures.company, "file": path.name})
    if as_json:
        click.echo(json_text({"directory": str(directory), "pages": written}))
        return
    for entry in written:
        click.echo(f"{entry['company']}: {directory / entry['file']}")


def file_name(company: str, *, taken: set[str]) -> str:
    """``juniper-goods.html``; a second company of that name gets a number."""
    name = re.sub(r"[^a-z0-9]+", "-", company.casefold()).strip("-") or "company"
    number = 1
    while (found := f"{name}.html" if number == 1 else f"{name}-{number}.html") in taken:
        number += 1
    return found
