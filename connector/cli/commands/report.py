"""``connector report``: a statement of one company on one page, that a person can mail, print and file."""

import re
import unicodedata
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import click

from connector.cli.invocation import Invocation, json_option, pass_invocation
from connector.cli.published import reader_of
from connector.cli.terminal.output import json_text
from connector.cli.terminal.times import Moment
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
@click.option(
    "--told",
    metavar="WHEN",
    help="Also what changed since the figures were told: a snapshot, or a time such as 2026-03-31T12:00Z.",
)
@json_option
@pass_invocation
def report(
    invocation: Invocation, directory: Path, company: str | None, told: str | None, as_json: bool
) -> None:
    """Write one HTML page a company: sales, refunds, customers, products, freshness, issues, reconciliation.

    Each page is one file that needs no network and no script: open it, mail it, print it to a PDF.

    \b
    Examples:
      connector report
      connector report --company "Juniper Goods" --to ~/mail
      connector report --told 2026-03-31

    \b
    Exit codes: 0 done, 1 nothing published yet, 2 no such company or snapshot
    """
    from connector.cli.selection import selected
    from connector.report.figure_reads import companies, read_figures
    from connector.report.page import page

    config = invocation.config(secrets_may_be_missing=True)
    company_id, _ = selected(config, company, None)
    written: list[dict[str, str]] = []
    with reader_of(invocation, config, company_id) as reader:
        since = None if told is None else reader.as_of(int(told) if told.isdigit() else _moment(told))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # the pages are somebody's books
        for one in [company_id] if company_id else companies(reader.connection):
            figures = read_figures(reader.connection, one, snapshot_id=reader.snapshot_id, told=since)
            path = directory / file_name(figures.company, one)
            replace_private(path, page(figures, at=datetime.now(UTC)).encode())
            written.append({"companyId": one, "company": figures.company, "file": path.name})
    if as_json:
        click.echo(json_text({"directory": str(directory), "pages": written}))
        return
    for entry in written:
        click.echo(f"{entry['company']}: {directory / entry['file']}")


def _moment(text: str) -> datetime:
    moment: datetime = Moment().convert(text, None, None)
    return moment


def file_name(company: str, company_id: str) -> str:
    """``juniper-goods-1f2e3d4c.html``: the name in its own letters, and a part made of the id.

    It depends on nothing else, so it stays what it is when another company is added.
    """
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", company).casefold()).strip("-")
    return f"{words[:60].rstrip('-') or 'company'}-{blake2b(company_id.encode(), digest_size=4).hexdigest()}.html"
