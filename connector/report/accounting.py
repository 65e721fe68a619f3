"""The journal as CSV files that QuickBooks Online and Xero import: one entry a day, a line an account.

Both take a few hundred lines at a time, so what a day moved on an account is one line; ``order`` by order it stays in
the view. A file holds one company and one currency, because neither imports two. The columns and their rules:

QuickBooks Online   "Import journal entries" (quickbooks.intuit.com, help article L4tQBwbs7): Journal No, Journal Date
                    (MM/DD/YYYY), Account Name, Description, Debits, Credits; a sub-account as ``Parent:Sub``; lines of
                    accounts receivable need a Name. At most 1,000 lines a file.
Xero                "Import manual journals" (help.xero.com/ManualJournalsImport): *Narration, *Date (as 30 Jun 2015),
                    Description, *AccountCode, *TaxRate, *Amount (debit positive, credit negative); lines of one
                    narration and date are one journal; at most 300 lines a file. Manual journals may not touch Xero's
                    own accounts receivable, so every account has a code of its own, to be made there or given.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from connector.errors import ConfigError
from connector.ledger import Reader
from connector.report.export import MANIFEST, prepare
from schemas.money import exponent

Package = Literal["quickbooks", "xero"]
JOURNALS = ("journal_entries", "journal_as_booked")
_LINES = {"quickbooks": 1000, "xero": 300}
_HEADERS = {
    "quickbooks": (
        "Journal No", "Journal Date", "Account Name", "Debits", "Credits", "Description", "Name", "Currency",
    ),
    "xero": ("*Narration", "*Date", "Description", "*AccountCode", "*TaxRate", "*Amount"),
}  # fmt: skip
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Ten characters, as Xero allows. Ways of paying get theirs by name.
_CODES = {
    "Accounts receivable": "CLV-AR", "Cash": "CLV-CASH", "Gift cards redeemed": "CLV-GIFT", "Sales": "CLV-SALES",
    "Discounts": "CLV-DISC", "Returns and allowances": "CLV-RETURN", "Service charges": "CLV-SERV",
    "Sales tax payable": "CLV-TAX", "Tips payable": "CLV-TIPS", "Customer overpayments": "CLV-OVER",
    "Gift cards sold": "CLV-ISSUED",
}  # fmt: skip
_CLEARING = "Processor clearing: "
_NO_TAX = "Tax Exempt"
_CUSTOMER = "Clover customers"


@dataclass(frozen=True, slots=True)
class Account:
    """What the package calls one of our accounts. code: a name in QuickBooks, a code in Xero."""

    code: str
    tax_rate: str = _NO_TAX


@dataclass(frozen=True, slots=True)
class JournalWanted:
    """Which journal for which package. first, last: the merchant's days, both in; None for all.

    accounts: our account -> what the package calls it, where that is not the default.
    """

    package: Package
    view: str = "journal_entries"
    company_id: str | None = None
    first: date | None = None
    last: date | None = None
    accounts: Mapping[str, Account] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One file. debits, credits: what its lines come to, equal, major units of the currency."""

    file: str
    company_id: str
    currency: str
    journals: int
    lines: int
    debits: Decimal
    credits: Decimal


@dataclass(frozen=True, slots=True)
class _Line:
    company_id: str
    currency: str
    day: date
    account: str
    balance: Decimal


def read_accounts(path: Path) -> dict[str, Account]:
    """Our account -> the package's, from a CSV file with the columns account, code and, if wanted, tax_rate.

    Raises ConfigError for a file that is not that.
    """
    try:
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", hint="Name a CSV file in UTF-8.") from None
    found = {}
    for number, row in enumerate(rows, start=2):
        account, code = (row.get("account") or "").strip(), (row.get("code") or "").strip()
        if not code or not (account in _CODES or account.startswith(_CLEARING)):
            raise ConfigError(
                f"{path}, line {number}: {account or 'no account'}, code {code or 'missing'}.",
                hint=f"Columns: account,code,tax_rate. Accounts: {', '.join(_CODES)}, {_CLEARING}OnlineCard …",
            )
        found[account] = Account(code, (row.get("tax_rate") or "").strip() or _NO_TAX)
    return found


def export_journal(reader: Reader, directory: Path, wanted: JournalWanted) -> list[JournalFile]:
    """Write the files and a manifest; what an earlier export left in ``directory`` is replaced.

    Raises ConfigError for a directory that holds something else.
    """
    lines = _read(reader, wanted)
    unfinished = prepare(directory, [wanted.view])
    target = directory / wanted.view
    target.mkdir()
    done = []
    for (company_id, currency), theirs in _grouped(lines):
        for number, part in enumerate(_in_files(theirs, _LINES[wanted.package]), start=1):
            name = f"{wanted.package}-{company_id}-{currency}-{number}.csv"
            with (target / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(_HEADERS[wanted.package])
                writer.writerows(_row(line, wanted) for line in part)
            moved = [line.balance for line in part]
            done.append(
                JournalFile(
                    file=f"{wanted.view}/{name}",
                    company_id=company_id,
                    currency=currency,
                    journals=len({line.day for line in part}),
                    lines=len(part),
                    debits=sum((amount for amount in moved if amount > 0), Decimal(0)),
                    credits=-sum((amount for amount in moved if amount < 0), Decimal(0)),
                )
            )
    manifest: dict[str, Any] = {
        "snapshot_id": reader.snapshot_id,
        "epoch": reader.epoch,
        "format": wanted.package,
        "views": [
            {
                "view": wanted.view,
                "file": one.file,
                "rows": one.lines,
                "journals": one.journals,
                "currency": one.currency,
                "debits": str(one.debits),
                "credits": str(one.credits),
            }
            for one in done
        ],
    }
    # The directory is one view's: named once for the next export that clears it up.
    manifest["views"] = manifest["views"] or [{"view": wanted.view, "rows": 0}]
    unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(directory / MANIFEST)
    return done


def _read(reader: Reader, wanted: JournalWanted) -> list[_Line]:
    rows = reader.connection.execute(
        f"""
        SELECT company_id, currency, entry_date, account, sum(debit) - sum(credit) AS balance
        FROM main.{wanted.view}
        WHERE ($company IS NULL OR company_id = $company) AND ($first IS NULL OR entry_date >= $first)
          AND ($last IS NULL OR entry_date <= $last)
        GROUP BY ALL HAVING balance <> 0
        ORDER BY company_id, currency, entry_date, balance < 0, account
        """,  # noqa: S608 - one of our two views
        {"company": wanted.company_id, "first": wanted.first, "last": wanted.last},
    ).fetchall()
    return [_Line(*row) for row in rows]


def _grouped(lines: Sequence[_Line]) -> Iterator[tuple[tuple[str, str], list[_Line]]]:
    found: dict[tuple[str, str], list[_Line]] = {}
    for line in lines:
        found.setdefault((line.company_id, line.currency), []).append(line)
    yield from found.items()


def _in_files(lines: Sequence[_Line], most: int) -> Iterator[list[_Line]]:
    """As many whole days a file as it may hold lines."""
    days: dict[date, list[_Line]] = {}
    for line in lines:
        days.setdefault(line.day, []).append(line)
    part: list[_Line] = []
    for theirs in days.values():
        if part and len(part) + len(theirs) > most:
            yield part
            part = []
        part += theirs
    if part:
        yield part


def _row(line: _Line, wanted: JournalWanted) -> tuple[str, ...]:
    account = wanted.accounts.get(line.account)
    description = f"{line.account}, {line.day.isoformat()}"
    if wanted.package == "xero":
        account = account or Account(_code(line.account))
        day = f"{line.day.day:02d} {_MONTHS[line.day.month - 1]} {line.day.year}"
        narration = f"Clover sales {line.day.isoformat()} {line.currency}"
        return narration, day, description, account.code, account.tax_rate, _text(line.balance, line.currency)
    amount = _text(abs(line.balance), line.currency)
    debit, credit = (amount, "") if line.balance > 0 else ("", amount)
    name = _CUSTOMER if line.account == "Accounts receivable" else ""
    # A colon parts an account from its sub-account.
    called = account.code if account else line.account.replace(": ", ":")
    number = f"{line.day:%Y%m%d}-{line.currency}"
    return number, f"{line.day:%m/%d/%Y}", called, debit, credit, description, name, line.currency


def _code(account: str) -> str:
    return _CODES.get(account) or f"CLV-{account.removeprefix(_CLEARING).upper()[:6]}"


def _text(amount: Decimal, currency: str) -> str:
    return f"{amount:.{exponent(currency)}f}"
