"""Runs all connections that a call asks for, several side by side, into one report.

A connection that fails does not stop the others.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import structlog

from connector.config import Company, Config, Connection
from connector.control.unlinked import given_up_connections
from connector.errors import StoreError
from connector.ledger.bursts import Gathering
from connector.ledger.interface import Store, open_store
from connector.progress import Progress, Silent
from connector.sync.connect.connecting import Pace, selected_connections
from connector.sync.modes import SyncMode
from connector.sync.report import Report, RunReport
from connector.sync.run import Runtime, run_connection
from connector.sync.side_by_side import run_side_by_side, smallest_first, stored_orders
from connector.sync.totals import company_totals

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """The clock of real runs."""
    return datetime.now(UTC)


def sync_all(
    config: Config,
    store: Store,
    *,
    company: str | None = None,
    connection: str | None = None,
    mode: SyncMode | None = None,
    progress: Progress | None = None,
    now: Callable[[], datetime] = utc_now,
    pace: Pace | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Report:
    """Run every selected connection and report. Raises ConfigError when nothing is selected.

    A connection that was unlinked through the read API is left alone.
    """
    mode, progress = mode or SyncMode(), progress or Silent()
    given_up = _given_up(store.directory)
    selected = selected_connections(config, company, connection)
    todo = [pair for pair in selected if pair[1].id not in given_up]
    for _, skipped in selected:
        if skipped.id in given_up:
            log.info("connection.skipped", connection_id=skipped.id, reason="unlinked through the API")
    with _store_of_runs(store, mode, now) as kept:
        # One run publishes by itself, and says so in its row if it cannot.
        shared = Gathering(kept) if len(todo) > 1 else kept
        runtime = Runtime(config, shared, pace or Pace(config), now, transport)

        def run(pair: tuple[Company, Connection]) -> RunReport:
            owner, merchant = pair
            return run_connection(
                runtime, owner, merchant, mode, progress.of(f"{owner.name} {merchant.merchant_id}")
            )

        stored = stored_orders(kept) if len(todo) > 1 else {}
        runs = run_side_by_side(
            smallest_first(todo, stored),
            run,
            side_by_side=config.scheduler.side_by_side,
            now=now,
            publish=shared.publish if len(todo) > 1 and not mode.dry_run else _nothing_to_publish,
            first_loads={merchant.id for _, merchant in todo} - stored.keys(),
        )
        place = {merchant.id: number for number, (_, merchant) in enumerate(todo)}
        runs.sort(key=lambda report: place[report.connection_id])
        return Report(runs, company_totals(kept, [owner.id for owner, _ in todo]))


@contextmanager
def _store_of_runs(store: Store, mode: SyncMode, now: Callable[[], datetime]) -> Iterator[Store]:
    """The store; for a dry run before anything was ever stored, an empty one that is gone afterwards."""
    if not mode.dry_run or store.is_there():
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="connector-") as directory:
        yield open_store(directory, clock=now)


def _nothing_to_publish() -> None:
    """A dry run commits nothing, and a single run publishes by itself."""


def _given_up(directory: Path) -> frozenset[str]:
    """Sales go on being read when the file of the API's keys is broken: every command that needs it says so."""
    try:
        return given_up_connections(directory)
    except StoreError as error:
        log.error("control.unreadable", error=error.message, hint=error.hint,
                  effect="connections that were unlinked through the API are read again")  # fmt: skip
        return frozenset()
