"""The files a run hands to the store: one NDJSON file a table, written as the mapping goes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from connector.ledger.load.batch import NdjsonWriter, Table
from connector.ledger.stored import HeldBackRecord
from connector.sync.link.links import REFUND
from connector.sync.link.notebook import KeptRecord, Staging
from connector.sync.map.batch import MappedBatch
from connector.sync.map.source_rows import source_row
from connector.sync.read.intake import Intake
from connector.sync.read.polling import next_poll
from schemas.money import UNKNOWN_CURRENCY
from schemas.times import ledger_text
from transforms.check.withheld import Withheld, is_withheld
from transforms.model import Merchant, Severity
from transforms.order.money import counted_refund

FailedRead = tuple[str, str, str | None, str]


class BatchFiles:
    """NDJSON files in one directory. held_back, issues, unreadable: what was written, for the report."""

    def __init__(self, directory: Path, company_id: str, connection_id: str) -> None:
        self._writer = NdjsonWriter(directory)
        self._others: dict[str, set[Path]] = {}  # written by the processes that map
        self._ids = {"company_id": company_id, "connection_id": connection_id}
        self._seen: set[str] = set()
        self._holding: dict[tuple[str, str], Withheld] = {}
        self.tombstones: list[str] = []
        self.released: list[tuple[str, str]] = []
        self.held_back: Counter[str] = Counter()
        self.unreadable: list[str] = []
        self.issues: Counter[str] = Counter()
        self.unknown_words: Counter[str] = Counter()

    def write_rows(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to the file of a table."""
        self._writer.write(table, rows)

    def write(self, batch: MappedBatch, at: datetime, open_since: Mapping[str, datetime]) -> None:
        """Append everything one mapped batch brings but the side records.

        at: start of the run. open_since: order id -> since when it has been unsettled, where it was before.
        """
        self._writer.write_lines("order_versions", batch.lines)
        self._writer.write_lines("source_records", batch.source_lines)
        for table, path in batch.files.items():
            self._others.setdefault(table, set()).add(path)
        self.write_rows("seen_orders", ({"order_id": order_id} for order_id in batch.seen))
        self._seen.update(batch.seen)
        self.tombstones += batch.tombstones
        for (where, word), orders in batch.unknown_words.items():
            self.unknown_words[f"{where}={word}"] += orders
        self.write_rows("data_issues", self._issue_rows(batch))
        for held in batch.held_back:
            self._hold_back(
                held.record_kind, held.record_id or held.order_id, held.order_id, held.reason, held.detail,
                unreadable=held.unreadable, amount_minor=held.amount_minor, currency=held.currency,
            )  # fmt: skip
        self.write_rows("open_orders", _open_rows(batch, at, open_since))

    def hold_back_broken(
        self, intake: Intake, failed: Iterable[FailedRead], incomplete: Mapping[str, str]
    ) -> None:
        """Append rows that could not be used and records that could not be read; their orders stay as stored."""
        for place, count in sorted(intake.unnamed.items(), key=lambda item: item[0].record_id):
            detail = f"list rows without an id: {count}; this window is listed again until none is left"
            self._hold_back(place.kind, place.record_id, None, "unreadable", detail, unreadable=True)
        for kind, record_id, order_id, detail in failed:
            self._hold_back(kind, record_id, order_id, "unreadable", detail, unreadable=True)
        self._seen.update(incomplete)
        self.write_rows("seen_orders", ({"order_id": order_id} for order_id in incomplete))
        self.released += sorted(intake.asked_again)
        self.released += [(place.kind, place.record_id) for place in intake.listed_again]

    def hold_back_unlinked(self, refunds: Iterable[KeptRecord], merchant: Merchant) -> None:
        """Append refunds that lead to no order, each with its amount: money went back, nobody can say of which sale."""
        for record in refunds:
            row = orjson.loads(record.payload)
            amount = counted_refund(row)
            if amount == 0 and row.get("status") != "pending":
                continue  # voided or failed: no money is missing
            currency = str(row.get("currency") or merchant.currency or UNKNOWN_CURRENCY).upper()
            why = (
                "it names no charge, and no charge shows it"
                if record.charge_id is None
                else f"its charge {record.charge_id} is unknown at Clover"
            )
            detail = f"refund {record.id} leads to no order: {why}; it is asked for again by every sync"
            self._hold_back(
                REFUND, record.id, None, "no_link", detail, unreadable=False, amount_minor=-amount, currency=currency
            )  # fmt: skip
            self.issues["no_link"] += 1
            self.write_rows(
                "data_issues",
                [
                    {
                        **self._ids,
                        "code": "no_link",
                        "severity": Severity.ERROR.value,
                        "detail": detail,
                        "difference_minor": -amount,
                        "currency": currency,
                        "record_kind": REFUND,
                        "record_id": record.id,
                    }
                ],
            )

    def write_source_records(self, staging: Staging, gone: Iterable[Mapping[str, Any]]) -> None:
        """Append the records that belong to no order of the run; those of orders came with their batches.

        gone: stored records that Clover no longer has, as rows to be marked deleted.
        """
        rest = (
            source_row(self._ids, record, orjson.loads(record.payload))
            for record in staging.records_without_order()
        )
        self.write_rows("source_records", rest)
        self.write_rows("source_records", ({**self._ids, **row, "is_deleted": True} for row in gone))

    def withheld(self, before: Iterable[HeldBackRecord]) -> list[Withheld]:
        """Everything that will be held back though money may have moved. before: what is held back in the store."""
        released = set(self.released)
        holding = {
            (kind, record_id): Withheld(reason, currency, amount)
            for kind, record_id, order_id, reason, amount, currency in before
            if order_id not in self._seen and (kind, record_id) not in released
        } | self._holding
        return [held for held in holding.values() if is_withheld(held.reason, held.amount)]

    def finish(self) -> dict[str, list[Path]]:
        """Close every file; table name -> paths."""
        own = self._writer.close()
        return {
            table: [*([own[table]] if table in own else []), *sorted(self._others.get(table, ()))]
            for table in {**own, **self._others}
        }

    def _issue_rows(self, batch: MappedBatch) -> Iterator[dict[str, Any]]:
        for issue, currency in batch.issues:
            self.issues[str(issue.code)] += 1
            yield {
                **self._ids,
                "order_id": issue.order_id,
                "code": issue.code,
                "severity": issue.severity.value,
                "detail": issue.detail,
                "difference_minor": issue.difference_minor,
                "currency": currency,
                "record_kind": issue.record_kind,
                "record_id": issue.record_id,
            }

    def _hold_back(
        self,
        kind: str,
        record_id: str,
        order_id: str | None,
        reason: str,
        detail: str,
        *,
        unreadable: bool,
        amount_minor: int | None = None,
        currency: str | None = None,
    ) -> None:
        self.held_back[str(reason)] += 1
        self._holding[kind, record_id] = Withheld(str(reason), currency, amount_minor)
        if unreadable:
            self.unreadable.append(f"{kind} {record_id}: {detail}")
        row = {
            **self._ids,
            "record_kind": kind,
            "record_id": record_id,
            "order_id": order_id,
            "reason": reason,
            "detail": detail,
            "amount_minor": amount_minor,
            "currency": currency,
        }
        self.write_rows("held_back", [row])


def _open_rows(
    batch: MappedBatch, at: datetime, open_since: Mapping[str, datetime]
) -> Iterator[dict[str, Any]]:
    for order_id, (reason, changed) in sorted(batch.open_reasons.items()):
        # What a first sync finds unsettled since long is not young because it was found today.
        since = open_since.get(order_id, min(changed, at))
        yield {
            "order_id": order_id,
            "reason": reason,
            "first_seen": ledger_text(since),
            "polled_at": ledger_text(at),
            "next_poll": ledger_text(next_poll(since, at, reason)),
        }
