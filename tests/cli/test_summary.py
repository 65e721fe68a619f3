"""The run's summary: exact sums, reasons, and commands that can be typed as they stand."""

import re
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import duckdb
import pytest

from connector.cli.terminal.summary import print_changes, print_store, print_summary
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


RECORDS = {
    # record id: (kind at Clover or None, still there, published, why held back)
    "O1": ("order", True, True, None),
    "O2": ("order", True, False, "open_cart"),
    "O3": ("order", True, False, None),
    "O4": ("order", False, True, None),
    "O5": ("order", True, True, "unreadable"),
    "O6": ("order", True, False, "failed"),
    "O7": ("order", True, False, "failed"),
    "O8": ("order", False, False, "deleted"),
    "C1": ("charge", True, True, None),
    "C2": ("charge", True, False, "pending"),
    "C3": ("charge", True, None, None),  # belongs to an order, and is none of its own
}


@pytest.fixture
def held_in_store(published):
    """Puts these records into the store, and a refund that leads to no order."""

    def put(names):
        with closing(duckdb.connect(str(published / "data" / "commerce.duckdb"))) as opened:
            for table in ("source_records", "order_versions", "held_back"):
                opened.execute(f"DELETE FROM ledger.{table}")
            for name in names:
                kind, is_there, is_published, held = RECORDS[name]
                whose = "'c1' AS company_id, 'n1' AS connection_id, 1 AS snapshot_id"
                opened.execute(
                    f"INSERT INTO ledger.source_records BY NAME SELECT {whose}, ? AS kind, ? AS record_id,"
                    " 'h' AS content_hash, ? AS is_deleted",
                    [kind, name, not is_there],
                )
                if is_published:
                    opened.execute(
                        f"INSERT INTO ledger.order_versions BY NAME SELECT {whose}, ? AS order_id, 'h' AS content_hash,"
                        " TIMESTAMP '2026-11-20' AS source_modified_date, false AS is_deleted",
                        [name],
                    )
                for record_kind, reason in (("order", held), ("refund", "no_link")):
                    if reason:
                        opened.execute(
                            "INSERT INTO ledger.held_back BY NAME SELECT 'c1' AS company_id, 'n1' AS connection_id,"
                            " ? AS record_kind, ? AS record_id, ? AS reason, 'r1' AS first_seen_run,"
                            " 'r1' AS last_seen_run",
                            [record_kind, name, reason],
                        )
        return str(published / "data")

    return put


def test_counts_that_differ_are_explained_where_they_stand(held_in_store, capsys):
    print_store(Report([run_report()]), held_in_store(RECORDS))
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Juniper Goods: ")]
    assert told == [
        "Juniper Goods: 6 orders at Clover + 2 charges without order + 2 orders no longer at Clover"
        " = 4 published + 5 held back (failed 2, deleted 1, open_cart 1, pending 1) + 1 not mapped yet"
    ]


@pytest.mark.parametrize("seed", range(12))
def test_the_two_sides_come_to_the_same_whatever_is_in_the_store(held_in_store, capsys, seed):
    """And to the orders at Clover, the published and the held-back ones as they are counted by themselves."""
    names = Random(seed).sample(sorted(RECORDS), 1 + seed % 9)
    if names == ["C3"]:
        names.append("O1")
    print_store(Report([run_report()]), held_in_store(names))
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("Juniper Goods: "))
    left, right = (
        sum(int(number) for number in re.findall(r"(?:^|\+ |: )(\d+) ", side)) for side in line.split(" =")
    )
    assert left == int(re.search(r"= (\d+)", line)[1]) + right
    found = [RECORDS[name] for name in names]
    assert f": {sum(kind == 'order' and there for kind, there, _, _ in found)} order" in line
    assert f"= {sum(bool(published) for _, _, published, _ in found)} published" in line
    held = sum(bool(why) and not published for _, _, published, why in found)
    assert (f"+ {held} held back" in line) == bool(held)
