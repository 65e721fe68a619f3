"""What a run did and what the store holds now, on one screen. Money is exact."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.published import open_published
from connector.cli.terminal.output import command_text, console, program, say, say_next, table
from connector.config.fleet import is_database
from connector.errors import StoreError
from connector.ledger.places import door
from schemas.money import exponent, money, to_decimal

if TYPE_CHECKING:
    import duckdb

    from connector.sync.report import Report, RunReport, Totals

NEXT = ('query "FROM monthly_sales ORDER BY month"', "reconcile", "status")
"""The commands a summary ends with."""


_HELD_BACK = """
    SELECT record_kind || ' ' || reason, count(*) FROM ledger.held_back
    WHERE resolved_run IS NULL AND record_kind <> 'order' GROUP BY ALL ORDER BY 2 DESC, 1
"""
"""Records held back that are no orders; those are in the account of the orders."""

_ACCOUNT = """
    WITH published AS (
      SELECT connection_id, order_id FROM ledger.order_versions WHERE replaced_by IS NULL AND NOT is_deleted
    ), held AS (
      SELECT connection_id, record_id AS order_id, any_value(reason) AS reason FROM ledger.held_back
      WHERE resolved_run IS NULL AND record_kind = 'order' GROUP BY ALL
    ), known AS (
      SELECT connection_id, order_id, NULL AS reason, true AS is_published FROM published
      UNION ALL
      SELECT connection_id, order_id, reason, false FROM held ANTI JOIN published USING (connection_id, order_id)
    ), records AS (
      SELECT connection_id, kind, record_id AS order_id FROM ledger.source_records
      WHERE replaced_by IS NULL AND NOT is_deleted AND kind IN ('order', 'charge')
    ), every AS (
      SELECT connection_id, order_id, reason, is_published,
        o.order_id IS NOT NULL AS is_order, c.order_id IS NOT NULL AS is_charge
      FROM known
      FULL JOIN (FROM records WHERE kind = 'order') o USING (connection_id, order_id)
      LEFT JOIN (FROM records WHERE kind = 'charge') c USING (connection_id, order_id)
    )
    SELECT connection_id, count(*) FILTER (is_order), count(*) FILTER (NOT is_order AND is_charge),
      count(*) FILTER (NOT is_order AND NOT is_charge), count(*) FILTER (is_published),
      count(*) FILTER (is_published IS NULL), histogram(reason) FILTER (is_published = false)
    FROM every GROUP BY 1
"""
"""Each order of Clover, and each charge that is an order of its own, once: where it is now."""

_OPEN_ISSUES = """
    SELECT code || ' (' || severity || ')', count(*) FROM ledger.data_issues
    WHERE resolved_snapshot IS NULL GROUP BY code, severity ORDER BY 2 DESC, 1
"""


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
    console().print(
        table(
            "This run (orders)",
            columns,
            rows,
            numbers=frozenset(columns[2:]),
            words=frozenset({"company"}),
            spare=("retries", "requests", "unchanged"),
        )
    )
    for run in report.runs:
        if run.error and run.status != "failed":  # a failure stands at the end, where it is seen
            _print_failure(run, config_path)
        for warning in run.warnings:
            say(f"{run.company_name}: warning: {warning}")
        for record in run.unreadable:
            say(f"{run.company_name}: could not be read, held back: {record}")
        for held in run.withheld:
            amount = (
                "amount unknown"
                if held.amount is None or held.currency is None
                else f"{money(to_decimal(held.amount, exponent(held.currency)), held.currency)} {held.currency}"
            )
            say(
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
        say(f"{run.company_name}: {run.error}")
    command = next_command(run.error_kind, company_id=run.company_id)
    then = command.replace("connector", _called(config_path), 1)
    if run.hint and "connector " in run.hint:
        say_next(run.hint)
    elif run.hint:
        say_next(run.hint, then)
    else:
        say_next(then)


def print_store(report: "Report", store: str) -> None:
    """What the published file holds: sales, where each order is, open issues, and the file itself."""
    try:
        # A fleet has a file a company; of all of them there are the totals.
        with nullcontext() if is_database(store) else open_published(store) as published:
            _print_totals(report)
            if published is not None:
                _print_records(report, published)
                click.echo(f"DuckDB file: {door(Path(store))}")
    except StoreError as error:
        click.echo(error.message)


def _print_records(report: "Report", published: "duckdb.DuckDBPyConnection") -> None:
    accounts = {row[0]: _account(*row[1:]) for row in published.execute(_ACCOUNT).fetchall()}
    for connection_id, name in {run.connection_id: run.company_name for run in report.runs}.items():
        if connection_id in accounts:
            say(f"{name}: {accounts[connection_id]}")
    _print_counts("Held back besides", published.execute(_HELD_BACK).fetchall())
    _print_counts("Did not add up (view data_issues)", published.execute(_OPEN_ISSUES).fetchall())


def _print_totals(report: "Report") -> None:
    names = {run.company_id: run.company_name for run in report.runs}
    rows = [
        (names.get(one.company_id, one.company_id), one.currency, *_figures([one])) for one in report.totals
    ]
    by_currency: dict[str, list[Totals]] = defaultdict(list)
    for one in report.totals:
        by_currency[one.currency].append(one)
    foot = [("together", code, *_figures(some)) for code, some in by_currency.items() if len(some) > 1]
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
    numbers, words = frozenset(columns[2:]), frozenset({"company"})
    click.echo()
    console().print(table("In the store", columns, rows, numbers=numbers, words=words, foot=foot))


def _figures(some: "Sequence[Totals]") -> list[str]:
    """Orders and amounts of companies in one currency, added up."""
    amounts = (
        "gross_sales", "discounts", "returns", "net_sales", "service_charges", "tax", "total_sales", "tips"
    )  # fmt: skip
    sums = (sum((getattr(one, name) for one in some), Decimal()) for name in amounts)
    return [f"{sum(one.orders for one in some):,}", *(money(amount, some[0].currency) for amount in sums)]


def _account(
    orders: int, charges: int, gone: int, published: int, unmapped: int, held: dict[str, int] | None
) -> str:
    """Why the counts differ: ``498 orders at Clover + 1 charge without order = 488 published + 11 held back``."""
    had = [_count(orders, "order", "at Clover")]
    had += [_count(charges, "charge", "without order")] if charges else []
    had += [_count(gone, "order", "no longer at Clover")] if gone else []
    has = [f"{published:,} published"]
    if held:
        reasons = sorted(held.items(), key=lambda one: (-one[1], one[0]))
        why = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
        has.append(f"{sum(held.values()):,} held back ({why})")
    has += [f"{unmapped:,} not mapped yet"] if unmapped else []
    return f"{' + '.join(had)} = {' + '.join(has)}"


def _count(number: int, thing: str, what: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'} {what}"


def _print_counts(title: str, counts: Sequence[tuple[str, int]]) -> None:
    if counts:
        say(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in counts))


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
    words = frozenset({"company"})
    console().print(table("Would change", columns, rows, numbers=frozenset(columns[3:]), words=words))
    held: Counter[str] = sum((Counter(run.held_back) for run in report.runs), Counter())
    _print_counts("Would be held back", sorted(held.items()))
    for run in report.runs:
        if run.error:
            say(f"{run.company_name}: {run.error}")
    click.echo(f"{_count(len(rows), 'order', 'would change')}. Nothing was written.")


def print_next(commands: Sequence[str], config_path: Path) -> None:
    """The next commands to try, as they can be typed here."""
    click.echo("\nNext:")
    for command in commands:
        click.echo(command_text(f"  {_called(config_path)} {command}"))


def _called(config_path: Path) -> str:
    """The program with the configuration it was given, where that is not the default."""
    where = "" if config_path == Path("config.yaml") else f" --config {config_path}"
    return f"{program()}{where}"


def _amount(amount: Decimal | None, currency: str) -> Any:
    return "" if amount is None else money(amount, currency)
