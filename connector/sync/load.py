"""Hands one piece of a run to the store, and publishes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.clover.lists.streams import STREAMS
from connector.config import Company, Connection
from connector.errors import StoreError
from connector.ledger.interface import Store
from connector.ledger.load.batch import Applied, Batch, ConnectionRow, ConnectionStatus, RunRow
from connector.progress import Progress
from connector.sync.commit import Mapped
from connector.sync.report import RunReport
from connector.sync.spans import Span
from transforms.model import Merchant


@dataclass(frozen=True, slots=True)
class Loading:
    """The store as one run of one connection writes to it."""

    store: Store
    company: Company
    connection: Connection
    report: RunReport

    def apply(
        self,
        span: Span,
        mapped: Mapped,
        *,
        cursors: Mapping[str, datetime],
        ceiling: datetime | None = None,
        last: bool,
        progress: Progress,
        merchant: Merchant,
    ) -> Applied:
        """One transaction: rows, cursors, deep scans and the run's row. Then the new state is published.

        The end of a run may be published together with other runs that end now. ceiling: Clover's time where this
        machine's clock is ahead of it; nothing counts as read beyond it.
        """
        files = mapped.files
        applied = self.store.apply(
            Batch(
                run=self._run_row(last),
                connection=self._connection_row("Linked", merchant),
                files=files.finish(),
                cursors={stream: min(at, ceiling or at) for stream, at in cursors.items()},
                deep_scans=dict.fromkeys(
                    span.deep_scans, min(self.report.started_at, ceiling or self.report.started_at)
                ),
                present=ceiling,
                tombstones=files.tombstones,
                released=files.released,
                orders_unchanged=mapped.unchanged,
            )
        )
        progress.stage("publish")
        if last:
            self.store.publish_soon(self.connection.id)
        else:
            self.store.publish()  # the next part has to see this one
        report = self.report
        report.orders_inserted += applied.orders_inserted
        report.orders_updated += applied.orders_updated - applied.orders_deleted
        report.orders_deleted += applied.orders_deleted
        report.orders_unchanged += applied.orders_unchanged
        report.snapshot_id = applied.snapshot_id or report.snapshot_id
        return applied

    def record_failure(self, *, deauthorized: bool, merchant: Merchant) -> None:
        """Keep the failed run for ``status``; a store that cannot even do that has said so already."""
        row = self._connection_row("Deauthorized", merchant) if deauthorized else None
        try:
            self.store.apply(Batch(run=self._run_row(last=True), connection=row))
            self.store.publish_soon(self.connection.id)
        except StoreError:
            return

    def _run_row(self, last: bool) -> RunRow:
        report = self.report
        finished_status = "partly_done" if report.is_partly_done else report.status
        return RunRow(
            run_id=report.run_id,
            company_id=report.company_id,
            connection_id=report.connection_id,
            kind=report.kind,
            started_at=report.started_at,
            finished_at=report.finished_at if last else None,
            status=finished_status if last else "running",
            requests=report.requests,
            retries=report.retries,
            throttled=report.throttled,
            waited_seconds=report.waited_seconds,
            rows_read={stream.name: report.rows_read.get(kind, 0) for kind, stream in STREAMS.items()},
            orders_held_back=sum(report.held_back.values()),
            error_kind=report.error_kind,
            error=report.error,
        )

    def _connection_row(self, status: ConnectionStatus, merchant: Merchant) -> ConnectionRow:
        connection = self.connection
        return ConnectionRow(
            company_id=self.company.id,
            company_name=self.company.name,
            connection_id=connection.id,
            merchant_id=connection.merchant_id,
            environment=connection.environment,
            merchant_name=merchant.merchant_name or None,
            country=merchant.country,
            currency=merchant.currency,
            timezone=connection.timezone,
            status=status,
            first_date=connection.start_date,
            fiscal_year_start=self.company.fiscal_year_start,
        )
