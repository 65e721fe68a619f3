"""What a run did and what the store holds now, on one screen. Money is exact."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.published import open_published
from connector.cli.terminal.output import console, program, table
from connector.errors import StoreError
from connector.ledger.places import door
from schemas.money import exponent, money, to_decimal

if TYPE_CHECKING:
    from connector.sync.report import Report, RunReport

NEXT = ('query "SELECT * FROM monthly_sales"', "reconcile", "status")
"""The commands a summary ends with."""


_HELD_BACK = """
    SELECT reason, count(*) FROM ledger.held_back
    WHERE resolved_run IS NULL GROUP BY reason ORDER BY 2 DESC, 1
"""

_OPEN_ISSUES = """
    SELECT code || ' (' || severity || ')', count(*) FROM ledger.data_issues
    WHERE resolved_snapshot IS NULL GROUP BY code, severity ORDER BY 2 DESC, 1
"""


def read_counts(store: str, sql: str) -> list[tuple[str, int]]:
    """Rows of (name, how many), most first."""
    with open_published(store) as published:
        return published.execute(sql).fetchall()


def print_summary(report: "Report", *, store: str, config_path: Path) -> None:
    """The run's work, the sales in the store, what is held back; last the failure, or what to try next."""
    print_runs(report, config_path)
    print_store(report, store)
    if not print_failures(report, config_path):
        print_next(NEXT, config_path)


def print_runs(report: "Report", config_path: Path) -> None:
    """One line a connection: what was read and what became of it; then what was noticed."""
    rows = [
        (
            run.company_name,
            run.status.replace("_", " "),
            f"{sum(run.rows_read.values()):,}",
            f"{run.orders_inserted:,}",
            f"{run.orders_updated:,}",
            f"{run.orders_unchanged:,}",
            f"{run.requests:,}",
            f"{run.retries:,}",
            f"{run.seconds:,.1f} s",
        )
        for run in report.runs
    ]
    columns = ("company", "run", "rows read", "new", "changed", "unchanged", "requests", "retries", "took")
    console().print(table("This run (orders)", columns, rows, numbers=frozenset(columns[2:])))
    for run in report.runs:
        if run.error and run.status != "failed":  # a failure stands at the end, where it is seen
            _print_failure(run, config_path)
        for warning in run.warnings:
            click.echo(f"{run.company_name}: warning: {warning}")
        for record in run.unreadable:
            click.echo(f"{run.company_name}: could not be read, held back: {record}")
        for held in run.withheld:
            amount = (
                "amount unknown"
                if held.amount is None or held.currency is None
                else f"{money(to_decimal(held.amount, exponent(held.currency)), held.currency)} {held.currency}"
            )
            click.echo(
                f"{run.company_name}: in no figure though money may have moved: {held.reason},"
                f" {held.records:,} record(s), {amount}"
            )
    if any(run.withheld for run in report.runs):
        click.echo('  Next: connector query "SELECT * FROM held_back WHERE resolved_run IS NULL"')


def print_failures(report: "Report", config_path: Path) -> bool:
    """What stopped the runs that failed, with what to type; whether there was any."""
    failed = [run for run in report.runs if run.status == "failed"]
    for run in failed:
        _print_failure(run, config_path)
    return bool(failed)


def _print_failure(run: "RunReport", config_path: Path) -> None:
    """The last line holds a command: that of the hint, else the one that fits the kind of the error."""
    from connector.schedule.advice import next_command

    if run.error:
        click.echo(f"{run.company_name}: {run.error}")
    command = next_command(run.error_kind, company_id=run.company_id)
    then = command.replace("connector", _called(config_path), 1)
    if run.hint and "connector " in run.hint:
        click.echo(f"  Next: {run.hint}")
    elif run.hint:
        click.echo(f"  Next: {run.hint} Then: {then}")
    else:
        click.echo(f"  Next: {then}")


def print_store(report: "Report", store: str) -> None:
    """What the published file holds: sales, held-back records, open issues, and where it is."""
    names = {run.company_id: run.company_name for run in report.runs}
    try:
        held_back, issues = read_counts(store, _HELD_BACK), read_counts(store, _OPEN_ISSUES)
    except StoreError as error:
        click.echo(error.message)
        return
    rows = []
    for one in report.totals:
        amounts = (
            one.gross_sales,
            one.discounts,
            one.returns,
            one.net_sales,
            one.service_charges,
            one.tax,
            one.total_sales,
            one.tips,
        )
        shown = (money(amount, one.currency) for amount in amounts)
        rows.append((names.get(one.company_id, one.company_id), one.currency, f"{one.orders:,}", *shown))
    columns = (
        "company",
        "currency",
        "orders",
        "gross sales",
        "discounts",
        "returns",
        "net sales",
        "service charges",
        "tax",
        "total sales",
        "tips",
    )
    console().print(table("In the store", columns, rows, numbers=frozenset(columns[2:])))
    _print_counts("Held back, not published", held_back)
    _print_counts("Did not add up (view data_issues)", issues)
    click.echo(f"DuckDB file: {door(Path(store))}")


def _print_counts(title: str, counts: Sequence[tuple[str, int]]) -> None:
    if counts:
        click.echo(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in counts))


def print_changes(report: "Report") -> None:
    """What a dry run would change, order by order."""
    rows = [
        (
            run.company_name,
            change.order_id,
            change.currency,
            _amount(change.old_total, change.currency),
            _amount(change.new_total, change.currency),
            _amount(change.old_refund, change.currency),
            _amount(change.new_refund, change.currency),
        )
        for run in report.runs
        for change in run.changes
    ]
    columns = ("company", "order", "currency", "total now", "total then", "refund now", "refund then")
    console().print(table("Would change", columns, rows, numbers=frozenset(columns[3:])))
    held: Counter[str] = sum((Counter(run.held_back) for run in report.runs), Counter())
    _print_counts("Would be held back", sorted(held.items()))
    for run in report.runs:
        if run.error:
            click.echo(f"{run.company_name}: {run.error}")
    click.echo(f"{len(rows):,} orders would change. Nothing was written.")


def print_next(commands: Sequence[str], config_path: Path) -> None:
    """The next commands to try, as they can be typed here."""
    click.echo("Next:")
    for command in commands:
        click.echo(f"  {_called(config_path)} {command}")


def _called(config_path: Path) -> str:
    """The program with the configuration it was given, where that is not the default."""
    where = "" if config_path == Path("config.yaml") else f" --config {config_path}"
    return f"{program()}{where}"


def _amount(amount: Decimal | None, currency: str) -> Any:
    return "" if amount is None else money(amount, currency)
