"""Runs all connections that a call asks for, several side by side, into one report.

A connection that fails does not stop the others.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from connector.control.place import Place, control_place
from connector.control.unlinked import given_up_connections
from connector.errors import StoreError
from connector.ledger.interface import Store, open_store
from connector.progress import Progress, Silent
from connector.sync.connect.connecting import selected_connections
from connector.sync.failure import note_not_published
from connector.sync.modes import SyncMode
from connector.sync.report import Report, RunReport, company_totals
from connector.sync.run import run_connection
from connector.sync.runtime import Runtime
from connector.sync.side_by_side import Pair

log = structlog.get_logger(__name__)


def sync_all(
    runtime: Runtime,
    *,
    company: str | None = None,
    connection: str | None = None,
    mode: SyncMode | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run every selected connection and report. Raises ConfigError when nothing is selected.

    A connection that was unlinked through the read API is left alone.
    """
    mode, progress = mode or SyncMode(), progress or Silent()
    given_up = _given_up(control_place(runtime.config))
    selected = selected_connections(runtime.config, company, connection)
    todo = [pair for pair in selected if pair[1].id not in given_up]
    for _, skipped in selected:
        if skipped.id in given_up:
            log.info("connection.skipped", connection_id=skipped.id, reason="unlinked through the API")

    def run(here: Runtime, pair: Pair) -> RunReport:
        owner, merchant = pair
        shown = progress.of(f"{owner.name} {merchant.merchant_id}")
        return run_connection(here, owner, merchant, mode, shown)

    with _store_of_runs(runtime, mode) as store:
        here = replace(runtime, store=store)
        runs = here.run_many(todo, run, note_not_published, publishes=not mode.dry_run)
        return Report(runs, company_totals(store, [owner.id for owner, _ in todo]))


@contextmanager
def _store_of_runs(runtime: Runtime, mode: SyncMode) -> Iterator[Store]:
    """The store; for a dry run before anything was ever stored, an empty one that is gone afterwards."""
    if not mode.dry_run or runtime.store.is_there():
        yield runtime.store
        return
    with tempfile.TemporaryDirectory(prefix="connector-") as directory:
        yield open_store(directory, clock=runtime.now)


def _given_up(place: Place) -> frozenset[str]:
    """Sales go on being read when the file of the API's keys is broken: every command that needs it says so."""
    try:
        return given_up_connections(place)
    except StoreError as error:
        log.error("control.unreadable", error=error.message, hint=error.hint,
                  effect="connections that were unlinked through the API are read again")  # fmt: skip
        return frozenset()
