"""`connector export --format quickbooks|xero`: what these import, balanced, and the journal to the cent."""

import csv
import json
import re
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal

import pytest

from connector.cli.entry import run
from connector.errors import ConfigError
from connector.report.accounting import Account, JournalWanted, export_journal, read_accounts

QUICKBOOKS = [
    "Journal No",
    "Journal Date",
    "Account Name",
    "Debits",
    "Credits",
    "Description",
    "Name",
    "Currency",
]
XERO = ["*Narration", "*Date", "Description", "*AccountCode", "*TaxRate", "*Amount"]


@pytest.fixture
def written(ledger_store, tmp_path):
    """Call export_journal: (its files, their rows by file, the manifest)."""

    def call(package, **options):
        directory = tmp_path / "books"
        with ledger_store.open_reader() as reader:
            done = export_journal(reader, directory, JournalWanted(package, **options))
        rows = {}
        for one in done:
            with (directory / one.file).open(encoding="utf-8", newline="") as file:
                reader_ = csv.DictReader(file)
                rows[one.file] = list(reader_)
                assert reader_.fieldnames == (QUICKBOOKS if package == "quickbooks" else XERO)
        return done, rows, json.loads((directory / "manifest.json").read_text())

    return call


@pytest.mark.parametrize("view", ["journal_entries", "journal_as_booked"])
@pytest.mark.parametrize("package", ["quickbooks", "xero"])
def test_what_is_imported_is_the_journal_by_day_and_account(written, sales, package, view):
    done, rows, manifest = written(package, view=view)
    found = defaultdict(Decimal)
    for one in done:
        for row in rows[one.file]:
            if package == "quickbooks":
                day = datetime.strptime(row["Journal Date"], "%m/%d/%Y").date()  # noqa: DTZ007
                balance = Decimal(row["Debits"] or 0) - Decimal(row["Credits"] or 0)
                assert (row["Debits"] == "") != (row["Credits"] == "")
                assert Decimal(row["Debits"] or row["Credits"]) > 0
                assert len(row["Journal No"]) <= 21
                assert row["Currency"] == one.currency
                assert bool(row["Name"]) == (row["Account Name"] == "Accounts receivable")
            else:
                day = datetime.strptime(row["*Date"], "%d %b %Y").date()  # noqa: DTZ007
                balance = Decimal(row["*Amount"])
                assert re.fullmatch(r"[A-Z-]{1,10}", row["*AccountCode"])
                assert row["*TaxRate"] == "Tax Exempt"
            account, text = row["Description"].rsplit(", ", 1)
            assert text == day.isoformat()
            found[one.company_id, one.currency, day, account] += balance
    wanted = sales.execute(
        f"SELECT company_id, currency, entry_date, account, sum(debit) - sum(credit) AS b FROM {view}"
        " GROUP BY ALL HAVING b <> 0"
    ).fetchall()
    assert {row[:4]: row[4] for row in wanted} == found
    assert {
        (entry["file"], entry["rows"], entry["debits"], entry["credits"]) for entry in manifest["views"]
    } == {(one.file, one.lines, str(one.debits), str(one.credits)) for one in done}


@pytest.mark.parametrize(("package", "most"), [("quickbooks", 1000), ("xero", 300)])
def test_every_journal_balances_is_whole_in_one_file_and_no_file_is_too_long(
    written, monkeypatch, package, most
):
    monkeypatch.setattr("connector.report.accounting._LINES", {package: 25})
    done, rows, _ = written(package)
    seen = {}
    for one in done:
        assert one.debits == one.credits > 0
        assert len(rows[one.file]) == one.lines <= 25 < most
        journals = defaultdict(Decimal)
        for row in rows[one.file]:
            key = row.get("Journal No") or (row["*Narration"], row["*Date"])
            journals[key] += (
                Decimal(row["*Amount"])
                if package == "xero"
                else Decimal(row["Debits"] or 0) - Decimal(row["Credits"] or 0)
            )
        assert set(journals.values()) == {Decimal(0)}
        assert len(journals) == one.journals
        for key in journals:
            assert seen.setdefault((one.company_id, one.currency, key), one.file) == one.file
    assert len(done) > len({(one.company_id, one.currency) for one in done})


def test_amounts_have_the_decimals_of_their_currency(written):
    _, rows, _ = written("quickbooks")
    for file, found in rows.items():
        places = 0 if "-JPY-" in file else 2
        for row in found:
            text = row["Debits"] or row["Credits"]
            assert len(text.partition(".")[2]) == places, (file, text)
    assert any("-JPY-" in file for file in rows)


def test_days_and_accounts_can_be_chosen(written, tmp_path, ledgers):
    file = tmp_path / "accounts.csv"
    file.write_text("account,code,tax_rate\nSales,200,Tax on Sales\nProcessor clearing: OnlineCard,610,\n")
    accounts = read_accounts(file)
    assert accounts == {
        "Sales": Account("200", "Tax on Sales"),
        "Processor clearing: OnlineCard": Account("610"),
    }
    done, rows, _ = written(
        "xero", company_id=ledgers["juniper"].company_id, first=date(2026, 10, 2), last=date(2026, 10, 3),
        accounts=accounts,
    )  # fmt: skip
    (one,) = done
    assert {row["*Date"] for row in rows[one.file]} == {"02 Oct 2026", "03 Oct 2026"}
    by_account = {
        row["Description"]: (row["*AccountCode"], row["*TaxRate"], row["*Amount"]) for row in rows[one.file]
    }
    # JG02 is two mugs of 12.00 with 1.92 tax, paid by card on its day.
    assert by_account["Sales, 2026-10-02"] == ("200", "Tax on Sales", "-24.00")
    assert by_account["Processor clearing: OnlineCard, 2026-10-02"] == ("610", "Tax Exempt", "25.92")
    assert by_account["Sales tax payable, 2026-10-02"] == ("CLV-TAX", "Tax Exempt", "-1.92")


@pytest.mark.parametrize(
    ("text", "said"),
    [("account,code\nSale,200\n", "line 2: Sale, code 200"), ("account,code\nSales,\n", "code missing")],
)
def test_a_list_of_accounts_that_cannot_be_is_refused(tmp_path, text, said):
    (tmp_path / "accounts.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_accounts(tmp_path / "accounts.csv")


def test_the_command_writes_them_and_says_what_goes_with_what(demo, tmp_path, capsys):
    asked = ["--config", str(demo / "demo/config.yaml"), "export", "--to", str(tmp_path / "books"), "--json"]
    for package in ("quickbooks", "xero"):  # the second in place of the first
        assert run([*asked, "--view", "journal_as_booked", "--format", package]) == 0
        told = json.loads(capsys.readouterr().out)
        files = sorted(
            str(path.relative_to(tmp_path / "books")) for path in (tmp_path / "books").rglob("*.csv")
        )
        assert files == sorted(one["file"] for one in told["files"])
        assert files[0].startswith(f"journal_as_booked/{package}-")
    for wrong in (
        ["--format", "xero", "--view", "orders"],
        ["--format", "xero", "--since-snapshot", "1"],
        ["--format", "csv", "--first-day", "2026-10-01"],
    ):
        assert run([*asked, *wrong]) == 2
