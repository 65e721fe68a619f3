"""What a run did and what the store holds now, on one screen. Money is exact."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.output import console, money, program, table
from connector.cli.published import FILE_NAME, open_published
from connector.errors import StoreError

if TYPE_CHECKING:
    from connector.sync.report import Report

NEXT = ('query "SELECT * FROM monthly_sales"', "reconcile", "status")
"""The commands a summary ends with."""

_MONEY = ("gross sales", "discounts", "refunds", "net sales", "tax", "tips")


@dataclass(frozen=True, slots=True)
class Sales:
    """All published orders of one company in one currency; major units, signs as in ``daily_sales``."""

    company: str
    currency: str
    orders: int
    amounts: tuple[Decimal, ...]


_SALES = """
    SELECT coalesce(any_value(c.company_name), s.company_id), s.currency, sum(s.orders)::BIGINT,
           sum(s.gross_sales), sum(s.discounts), sum(s.refunds), sum(s.net_sales), sum(s.tax), sum(s.gratuity)
    FROM daily_sales s
    LEFT JOIN (SELECT DISTINCT company_id, company_name FROM ledger.connections) c USING (company_id)
    GROUP BY s.company_id, s.currency
    ORDER BY 1, 2
"""

_HELD_BACK = """
    SELECT reason, count(*) FROM ledger.held_back
    WHERE resolved_run IS NULL GROUP BY reason ORDER BY 2 DESC, 1
"""

_OPEN_ISSUES = """
    SELECT code || ' (' || severity || ')', count(*) FROM ledger.data_issues
    WHERE resolved_snapshot IS NULL GROUP BY code, severity ORDER BY 2 DESC, 1
"""


def read_sales(store: str) -> list[Sales]:
    """Sums over ``daily_sales``, one row a company and currency; amounts in the order the summary shows."""
    with open_published(store) as published:
        rows = published.execute(_SALES).fetchall()
    return [Sales(company, currency, orders, tuple(amounts)) for company, currency, orders, *amounts in rows]


def read_counts(store: str, sql: str) -> list[tuple[str, int]]:
    """Rows of (name, how many), most first."""
    with open_published(store) as published:
        return published.execute(sql).fetchall()


def print_summary(report: "Report", *, store: str, config_path: Path) -> None:
    """The run's work, the sales in the store, what is held back or did not add up, and what to try next."""
    print_runs(report)
    print_store(store)
    print_next(NEXT, config_path)


def print_runs(report: "Report") -> None:
    """One line a connection: what was read and what became of it; then errors with what to do."""
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
        if run.error:
            click.echo(f"{run.company_name}: {run.error}")
            if run.hint:
                click.echo(f"  Next: {run.hint}")
        for record in run.unreadable:
            click.echo(f"{run.company_name}: could not be read, held back: {record}")


def print_store(store: str) -> None:
    """What the published file holds: sales, held-back records, open issues, and where it is."""
    out = console()
    try:
        sales = read_sales(store)
    except StoreError as error:
        click.echo(error.message)
        return
    out.print(
        table(
            "In the store",
            ("company", "currency", "orders", *_MONEY),
            [
                (one.company, one.currency, f"{one.orders:,}", *(money(a, one.currency) for a in one.amounts))
                for one in sales
            ],
            numbers=frozenset({"orders", *_MONEY}),
        )
    )
    _print_counts("Held back, not published", read_counts(store, _HELD_BACK))
    _print_counts("Did not add up (view data_issues)", read_counts(store, _OPEN_ISSUES))
    click.echo(f"DuckDB file: {Path(store) / FILE_NAME}")


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
    where = "" if config_path == Path("config.yaml") else f" --config {config_path}"
    click.echo("Next:")
    for command in commands:
        click.echo(f"  {program()}{where} {command}")


def _amount(amount: Decimal | None, currency: str) -> Any:
    return "" if amount is None else money(amount, currency)
