"""What a run did, in numbers an operator can trust: one report a connection, one for the whole call."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from connector.errors import StoreError
from connector.ledger.interface import Store
from schemas.money import exponent, to_decimal
from schemas.times import second_text
from transforms.check.withheld import Withheld

_TOTALS = """
SELECT company_id, currency, sum(orders)::BIGINT AS orders, sum(gross_sales), sum(discounts), sum("returns"),
  sum(net_sales), sum(service_charges), sum(tax), sum(total_sales), sum(tips),
  sum(amount_collected), sum(gift_cards_sold)
FROM monthly_sales WHERE list_contains($companies, company_id) GROUP BY company_id, currency ORDER BY ALL
"""
Status = Literal["succeeded", "partly_done", "failed"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of one company in one currency, major units, as the view ``monthly_sales`` defines them."""

    company_id: str
    currency: str
    orders: int
    gross_sales: Decimal
    discounts: Decimal
    returns: Decimal
    net_sales: Decimal
    service_charges: Decimal
    tax: Decimal
    total_sales: Decimal
    tips: Decimal
    amount_collected: Decimal
    gift_cards_sold: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Change:
    """One order of a dry run: what would be stored. Totals in major units, None where there was none before."""

    order_id: str
    currency: str
    old_total: Decimal | None
    new_total: Decimal | None
    old_refund: Decimal | None
    new_refund: Decimal | None


@dataclass(slots=True)
class RunReport:
    """One connection, start to end. held_back and issues count orders by reason and by code.

    withheld: money held back for another reason than being unpaid, now or earlier, by reason and currency.
    warnings: what did not stop the run and should be looked at, such as a wrong clock.
    unknown_words: Clover's words that the mapping does not know (mapped to Unknown), and in how many orders.
    """

    run_id: str
    company_id: str
    company_name: str
    connection_id: str
    kind: str
    started_at: datetime
    finished_at: datetime | None = None
    status: Status = "succeeded"
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    waited_seconds: float = 0.0
    rows_read: dict[str, int] = field(default_factory=dict)
    orders_mapped: int = 0
    orders_inserted: int = 0
    orders_updated: int = 0
    orders_unchanged: int = 0
    orders_deleted: int = 0
    held_back: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    issues: Counter[str] = field(default_factory=Counter)
    unknown_words: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    snapshot_id: int | None = None
    error_kind: str | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0

    @property
    def seconds(self) -> float:
        """Wall time, 0 while running."""
        return 0.0 if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()

    def warn(self, text: str) -> None:
        """Note a warning, once a run."""
        if text not in self.warnings:
            self.warnings.append(text)

    @property
    def is_partly_done(self) -> bool:
        """Whether money may be missing in the figures though the run came to its end."""
        return self.status != "failed" and bool(self.unreadable or self.withheld)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON-ready values; times ISO 8601 UTC, money as exact decimal strings."""
        return {
            "runId": self.run_id,
            "companyId": self.company_id,
            "companyName": self.company_name,
            "connectionId": self.connection_id,
            "kind": self.kind,
            "status": self.status,
            "startedAt": second_text(self.started_at),
            "finishedAt": second_text(self.finished_at) if self.finished_at else None,
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "waitedSeconds": round(self.waited_seconds, 3),
            "rowsRead": dict(self.rows_read),
            "orders": {
                "mapped": self.orders_mapped,
                "inserted": self.orders_inserted,
                "updated": self.orders_updated,
                "unchanged": self.orders_unchanged,
                "deleted": self.orders_deleted,
            },
            "heldBack": dict(sorted(self.held_back.items())),
            "warnings": list(self.warnings),
            "unreadable": list(self.unreadable),
            "withheld": [_withheld_json(held) for held in self.withheld],
            "issues": dict(sorted(self.issues.items())),
            "unknownWords": dict(sorted(self.unknown_words.items())),
            "changes": [_change_json(change) for change in self.changes],
            "snapshotId": self.snapshot_id,
            "error": None
            if self.error is None
            else {"kind": self.error_kind, "message": self.error, "hint": self.hint},
        }


@dataclass(slots=True)
class Report:
    """All connections of one call."""

    runs: list[RunReport]
    totals: list[Totals] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done; the error's own code when everything failed alike; 3 when only part of it did."""
        if all(run.status == "succeeded" for run in self.runs):
            return 0
        codes = {run.exit_code for run in self.runs}
        return codes.pop() if len(codes) == 1 else 3

    def as_json(self) -> dict[str, Any]:
        """One JSON document for scripts."""
        return {
            "exitCode": self.exit_code,
            "runs": [run.as_json() for run in self.runs],
            "totals": [_totals_json(totals) for totals in self.totals],
        }


def summed(withheld: Iterable[Withheld]) -> list[Withheld]:
    """By reason and currency; the amount is None where it is of any record."""
    found: dict[tuple[str, str | None], Withheld] = {}
    for held in withheld:
        key = (held.reason, held.currency)
        before = found.get(key, Withheld(held.reason, held.currency, 0, 0))
        amount = None if before.amount is None or held.amount is None else before.amount + held.amount
        found[key] = Withheld(held.reason, held.currency, amount, before.records + held.records)
    return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1] or ""))]


def _withheld_json(held: Withheld) -> Mapping[str, Any]:
    return {
        "reason": held.reason,
        "currency": held.currency,
        "records": held.records,
        "amount": None
        if held.amount is None
        else str(to_decimal(held.amount, exponent(held.currency or "XXX"))),
    }


def _change_json(change: Change) -> Mapping[str, Any]:
    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else str(amount)

    return {
        "orderId": change.order_id,
        "currency": change.currency,
        "oldTotalAmount": text(change.old_total),
        "newTotalAmount": text(change.new_total),
        "oldTotalRefund": text(change.old_refund),
        "newTotalRefund": text(change.new_refund),
    }


def _totals_json(totals: Totals) -> Mapping[str, Any]:
    return {
        "companyId": totals.company_id,
        "currency": totals.currency,
        "orders": totals.orders,
        "grossSales": str(totals.gross_sales),
        "discounts": str(totals.discounts),
        "returns": str(totals.returns),
        "netSales": str(totals.net_sales),
        "serviceCharges": str(totals.service_charges),
        "tax": str(totals.tax),
        "totalSales": str(totals.total_sales),
        "tips": str(totals.tips),
        "giftCardsSold": str(totals.gift_cards_sold),
        "amountCollected": str(totals.amount_collected),
    }


def company_totals(store: Store, company_ids: Iterable[str]) -> list[Totals]:
    """From the published views: one row a company and currency; empty while nothing was ever published."""
    by_store: dict[int, tuple[Store, list[str]]] = {}
    for company_id in sorted(set(company_ids)):
        own = store.store_of(company_id)
        by_store.setdefault(id(own), (own, []))[1].append(company_id)
    return [totals for own, ids in by_store.values() for totals in _totals(own, ids)]


def _totals(store: Store, company_ids: list[str]) -> list[Totals]:
    try:
        with store.open_reader() as reader:
            rows = reader.connection.execute(_TOTALS, {"companies": company_ids}).fetchall()
    except StoreError:
        return []
    return [Totals(*row) for row in rows]
