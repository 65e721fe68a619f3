"""The run's summary: exact sums, reasons, and commands that can be typed as they stand."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connector.cli.terminal.summary import print_changes, print_summary
from connector.sync.report import Change, Report, RunReport, Totals

CONNECTION = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
START = datetime(2026, 11, 20, 4, tzinfo=UTC)


def run_report(**changes):
    report = RunReport("r1", "c1", "Juniper Goods", "n1", "sync", START, START + timedelta(seconds=4.2))
    report.rows_read = {"charges": 5, "orders": 4}
    report.orders_inserted, report.requests = 3, 1234
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_the_summary_tells_work_sales_reasons_file_and_what_next(published, capsys):
    amounts = [
        Decimal(text)
        for text in (
            "1234568.0000",
            "10.0000",
            "4.5000",
            "1234553.5000",
            "7",
            "100",
            "1234660.5",
            "3",
            "1234663.5",
        )
    ]
    report = Report([run_report(connection_id=CONNECTION)], [Totals("c1", "USD", 3, *amounts)])
    print_summary(report, store=str(published / "data"), config_path=Path("config.yaml"))
    out = capsys.readouterr().out
    for fact in (
        "1,234",
        "4.2 s",
        "1,234,568.00",
        "4.50",
        "1,234,660.50",
        "3 orders no longer at Clover = 2 published + 1 held back (open_cart 1)",
        "source_total (warning) 1",
        str(published / "data" / "commerce.duckdb"),
        "connector reconcile",
    ):
        assert fact in out, fact


def test_the_next_commands_name_the_config_where_it_is_not_the_default(published, capsys):
    print_summary(Report([run_report()]), store=str(published / "data"), config_path=Path("demo/config.yaml"))
    out = capsys.readouterr().out
    assert 'connector --config demo/config.yaml query "FROM monthly_sales ORDER BY month"' in out


def test_a_failure_is_told_with_what_to_do(published, capsys):
    failed = run_report(
        status="failed", error="Clover refuses the token.", hint="Make a new one.", exit_code=1
    )
    print_summary(Report([failed]), store=str(published / "data"), config_path=Path("config.yaml"))
    out = capsys.readouterr().out
    assert "Juniper Goods: Clover refuses the token." in out
    assert "Next: Make a new one." in out


@pytest.mark.parametrize(
    "kind", ["config", "authorisation", "clover", "store", "busy", "stopped", "bug", None]
)
@pytest.mark.parametrize("hint", [None, "Nothing is lost.", "Later: connector check"])
def test_the_last_line_of_a_failed_run_holds_a_command(published, capsys, kind, hint):
    failed = run_report(status="failed", error="It failed.", error_kind=kind, hint=hint, exit_code=1)
    print_summary(Report([failed]), store=str(published / "data"), config_path=Path("shop/config.yaml"))
    told = capsys.readouterr().out
    *_, before, last = told.rstrip().splitlines()
    assert "It failed." in before
    assert last.startswith("  Next: ")
    assert re.search(r"connector (check|--config shop/config.yaml (check|sync|status))", last)
    assert "monthly_sales" not in told


def test_a_first_run_that_published_nothing_still_has_a_summary(shop, capsys):
    print_summary(Report([run_report()]), store=str(shop / "data"), config_path=Path("config.yaml"))
    assert "Nothing has been published" in capsys.readouterr().out


def test_a_dry_run_lists_the_orders_that_would_change(capsys):
    change = Change("O1", "USD", None, Decimal("12.5000"), None, Decimal("0.0000"))
    print_changes(Report([run_report(changes=[change], held_back=Counter(open_cart=2))]))
    out = capsys.readouterr().out
    assert "O1" in out
    assert "12.50" in out
    assert "open_cart 2" in out
    assert "1 order would change. Nothing was written." in out
