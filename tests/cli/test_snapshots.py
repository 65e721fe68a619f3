"""What the main commands print at 80 and 120 columns, kept as text in ``snapshots`` to be read by eye.

After a change that is meant: `UPDATE_SNAPSHOTS=1 pytest -n 0 tests/cli/test_snapshots.py`, then read the difference.
"""

import os
import re
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import connector.cli.commands.runs
import connector.cli.commands.status
from connector.cli.entry import run
from connector.cli.terminal.reconciliation import print_reconciliation
from connector.cli.terminal.summary import print_changes, print_summary
from connector.sync.reconcile.comparison import Difference, Line, Reason
from connector.sync.reconcile.report import ConnectionReconciliation, ReconcileReport
from connector.sync.report import Change, Report, RunReport, Totals
from transforms.check.withheld import Withheld

KEPT = Path(__file__).with_name("snapshots")
NOW = datetime(2026, 11, 20, 6, 10, tzinfo=UTC)
CONNECTION = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
EPOCH = "0b8f6f7e-0c7b-4b1e-9d59-6a1f6a4f7c11"
DAY = date(2026, 11, 18)


class Frozen(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


@pytest.fixture(params=[80, 120])
def kept(request, monkeypatch, capsys):
    """Compares what was printed with the snapshot of this name and width."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    for module in (connector.cli.commands.runs, connector.cli.commands.status):
        monkeypatch.setattr(module, "datetime", Frozen)

    def compare(name):
        # The one thing that no seed decides.
        shown = re.sub(r"epoch [0-9a-f-]{36}", f"epoch {EPOCH}", capsys.readouterr().out)
        lines = shown.splitlines()
        assert max(map(len, lines)) <= request.param, "a line is wider than the terminal"
        file = KEPT / f"{name}-{request.param}.txt"
        text = "\n".join(line.rstrip() for line in lines) + "\n"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            file.write_text(text)
        assert text == file.read_text(), f"differs from {file.name}; how to renew it is said above"

    return compare


@pytest.fixture(scope="module")
def demo_store(tmp_path_factory):
    """A demo that was synced once: the same shop on every machine."""
    place = tmp_path_factory.mktemp("snapshots")
    assert (
        run(["--log-format", "json", "demo", "--orders", "120", "--dir", str(place / "demo"), "--json"]) == 0
    )
    return place


@pytest.fixture
def in_demo(demo_store, monkeypatch, capsys):
    monkeypatch.chdir(demo_store)
    monkeypatch.setenv("CONNECTOR_CONFIG", "demo/config.yaml")
    capsys.readouterr()


def shop_run(name="Juniper Goods", connection_id=CONNECTION, **changes):
    began = datetime(2026, 11, 20, 6, tzinfo=UTC)
    made = RunReport(
        "r1", name.split()[0].lower(), name, connection_id, "sync", began, began + timedelta(seconds=4.2)
    )
    made.rows_read, made.orders_inserted, made.orders_unchanged = {"charges": 1520, "orders": 1498}, 1488, 3
    made.requests, made.retries = 1234, 2
    for field, value in changes.items():
        setattr(made, field, value)
    return made


def totals(company, currency, *amounts):
    return Totals(company.split()[0].lower(), currency, 1488, *map(Decimal, amounts), Decimal(0))


SALES = (
    "1234568.2700",
    "1130.1400",
    "2249.1",
    "1231189.0300",
    "1804.49",
    "4055.7400",
    "1237049.26",
    "1831.33",
)


def test_demo(kept, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunReport, "seconds", 4.2)
    monkeypatch.setattr(
        "connector.cli.terminal.summary.door", lambda store: Path("/srv/demo/data/commerce.duckdb")
    )
    assert run(["--log-format", "json", "demo", "--orders", "120"]) == 0
    kept("demo")


def test_sync(published, kept):
    """Two good ones, with sums at the foot, one of them with money held back; one failed."""
    withheld = [Withheld("no_link", "USD", -12345, 3)]
    runs = [
        shop_run(status="partly_done", withheld=withheld, warnings=["the clock is 7 min behind Clover's"]),
        shop_run("Marigold & Daughters Hardware Supplies", "n2"),
        shop_run("Kite Wholesale", "n3", status="failed", error_kind="clover", orders_inserted=0,
                 error="Clover did not answer: https://scl-sandbox.dev.clover.com, connection refused.",
                 hint="Nothing is lost; the next sync starts from the same place."),
    ]  # fmt: skip
    sums = [
        totals("Juniper Goods", "USD", *SALES),
        totals("Marigold & Daughters Hardware Supplies", "USD", *SALES),
        totals(
            "Marigold & Daughters Hardware Supplies",
            "JPY",
            "50000",
            "0",
            "0",
            "50000",
            "0",
            "500",
            "50500",
            "0",
        ),
    ]
    print_summary(Report(runs, sums), store="data", config_path=Path("config.yaml"))
    kept("sync")


def test_sync_dry_run(kept):
    changes = [
        Change("M9S346Q3D25VT", "USD", None, Decimal("1234.5000"), None, Decimal("0.0000")),
        Change("027PGCEE35EMA", "JPY", Decimal(500), Decimal(450), Decimal(0), Decimal(50)),
    ]
    print_changes(Report([shop_run(changes=changes, held_back=Counter(open_cart=2))]))
    kept("sync-dry-run")


def test_reconcile(kept):
    span = (datetime(2026, 11, 1, tzinfo=UTC), NOW)
    lines = [
        Line(DAY, "charges", "USD", 1520, 123456827, 1519, 123451827, 0, 5000, 1, {"missing": 1}),
        Line(DAY, "refunds", "JPY", 2, 500, 2, 500, 0, 0, 0, {}),
    ]
    missing = Difference("charges", "charge", "M9S346Q3D25VT", DAY, "USD", 5000, Reason.MISSING)
    good = Line(DAY, "orders", "USD", 12, 99900, 12, 99900, 0, 0, 0, {"held_back": 1})
    found = [
        ConnectionReconciliation("r1", "c1", "Juniper Goods", CONNECTION, *span, NOW, None, lines, [missing]),
        ConnectionReconciliation("r2", "c2", "Kite Wholesale", "n2", *span, NOW, None, [good], []),
    ]
    print_reconciliation(ReconcileReport(found))
    kept("reconcile")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("status", ("status",)),
        ("status-streams", ("status", "--streams")),
        ("runs", ("runs",)),
        ("runs-show", ("runs", "show", "r2")),
    ],
)
def test_of_the_store(published, kept, name, arguments):
    assert run(arguments) == 0
    kept(name)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (
            "query",
            (
                "query",
                "SELECT month, currency, orders, net_sales, tax, tips FROM monthly_sales ORDER BY month",
            ),
        ),
        (
            "query-wide",
            (
                "query",
                "SELECT company_id, month, currency, orders, gross_sales, discounts, returns, net_sales, "
                "service_charges, tax, total_sales, tips, overpayments, gift_cards_sold, amount_collected, receivable, "
                "refunded_orders, new_customers, returning_customers FROM monthly_sales ORDER BY month",
            ),
        ),
        (
            "query-orders",
            (
                "query",
                "SELECT company_id, order_id, currency, created_date, customer_name, total_amount, total_tax_amount, "
                "total_discount, total_gratuity, paid_amount FROM orders ORDER BY total_amount DESC LIMIT 2",
            ),
        ),
        ("dictionary", ("dictionary", "payments")),
        ("export", ("export", "--to", "export", "--view", "orders", "--view", "payments", "--format", "csv")),
    ],
)
def test_of_the_demo(in_demo, kept, name, arguments):
    assert run(arguments) == 0
    shutil.rmtree("export", ignore_errors=True)
    kept(name)


def test_no_snapshot_is_left_of_a_command_that_is_gone():
    names = {file.name.rpartition("-")[0] for file in KEPT.iterdir()}
    asked = set(re.findall(r'"([a-z-]+)"', Path(__file__).read_text()))
    assert names <= asked
    assert {file.name for file in KEPT.iterdir()} == {
        f"{name}-{width}.txt" for name in names for width in (80, 120)
    }
