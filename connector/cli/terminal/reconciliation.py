"""A reconciliation on one screen: sums a stream and currency, the days that differ, and why."""

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from connector.cli.terminal.output import console, say, say_next, table
from schemas.money import money

if TYPE_CHECKING:
    from connector.sync.reconcile.comparison import Line
    from connector.sync.reconcile.report import ConnectionReconciliation, ReconcileReport

MOST_RECORDS = 20
"""Records named one by one; --json names all."""


def print_reconciliation(report: "ReconcileReport") -> None:
    """Every connection: both sides summed, then what differs, then the verdict in a sentence."""
    rows = [row for found in report.connections for row in _sums(found)]
    columns = (
        "company",
        "stream",
        "currency",
        "at Clover",
        "amount",
        "in the store",
        "amount ",
        "unexplained",
    )
    numbers, words = frozenset(columns[3:]), frozenset({"company"})
    spare = ("company",) if len(report.connections) == 1 else ()
    console().print(
        table("Clover against the store", columns, rows, numbers=numbers, words=words, spare=spare)
    )
    for found in report.connections:
        _print_verdict(found)


def _sums(found: "ConnectionReconciliation") -> list[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in found.lines:
        groups[line.stream, line.currency].append(line)
    return [
        (
            found.company_name,
            stream,
            currency,
            f"{sum(line.clover_count for line in lines):,}",
            money(sum((line.clover_amount for line in lines), Decimal()), currency),
            f"{sum(line.stored_count for line in lines):,}",
            money(sum((line.stored_amount for line in lines), Decimal()), currency),
            money(sum((line.unexplained for line in lines), Decimal()), currency),
        )
        for (stream, currency), lines in sorted(groups.items())
    ]


def _print_verdict(found: "ConnectionReconciliation") -> None:
    name = found.company_name
    if found.error:
        say(f"{name}: {found.error}")
        if found.hint:
            say_next(found.hint)
        return
    reasons: Counter[str] = Counter()
    for line in found.lines:
        reasons.update(line.reasons)
    explained = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    if found.agrees:
        say(f"{name}: agrees to the minor unit." + (f" Explained: {explained}." if explained else ""))
        return
    days = [line for line in found.lines if not line.agrees]
    say(f"{name}: does not agree on {len(days):,} line(s). Records: {explained}.")
    for line in days[:MOST_RECORDS]:
        amount = money(line.unexplained, line.currency)
        click.echo(
            f"  {line.day} {line.stream}: {amount} {line.currency} in {line.unexplained_records:,} record(s)"
        )
    for record in found.differences[:MOST_RECORDS]:
        amount = money(record.amount, record.currency)
        detail = f" ({record.detail})" if record.detail else ""
        click.echo(
            f"  {record.stream} {record.record_id}: {amount} {record.currency}, {record.reason}{detail}"
        )
    say_next(*_what_heals(found, reasons))


def _what_heals(found: "ConnectionReconciliation", reasons: Counter[str]) -> tuple[str, ...]:
    """Missing: read it again. Published wrong: map it again. Held back: look at the reason, mend it, read all again."""
    whose = f"--connection {found.connection_id}"
    if reasons["missing"] or reasons["changed_since"]:
        days = [line.day for line in found.lines if not line.agrees]
        since, until = min(days) - timedelta(days=1), max(days) + timedelta(days=2)
        return f"connector resync {whose} --since {since} --until {until}", f"connector reconcile {whose}"
    if reasons["uncounted"]:
        return f"connector rebuild {whose}", f"connector reconcile {whose}"
    see = 'connector query "SELECT * FROM held_back WHERE resolved_run IS NULL"'
    return see, "correct at Clover what it names.", f"connector sync --full {whose}"
