"""What a run reports of itself: changes, requests, failures in words, and its line in the log."""

import sqlite3

import duckdb
import structlog

from connector.clover.http.client import CloverClient
from connector.errors import ConnectorError, StoreBusy, StoreDamaged, StoreError, StoreMoved, StoreTooNew
from connector.ledger.database import damage_in
from connector.ledger.interface import Store
from connector.ledger.stored import Stored
from connector.sync.map.batch import MappedBatch
from connector.sync.report import Change, RunReport

log = structlog.get_logger(__name__)

MOVED = "moved"
"""The kind of error of a run that another host of a fleet overtook."""


def changes_of(batch: MappedBatch, stored: Stored) -> list[Change]:
    """What a batch would change, with old and new totals in major units."""
    before = stored.totals([change[0] for change in batch.changes] + batch.tombstones)
    changes = []
    for order_id, currency, amount, refund in batch.changes:
        old = before.get(order_id)
        changes.append(Change(order_id, currency, old and old[1], amount, old and old[2], refund))
    deleted = {order_id: before[order_id] for order_id in batch.tombstones if order_id in before}
    return changes + [
        Change(order_id, old[0], old[1], None, old[2], None) for order_id, old in deleted.items()
    ]


def explained(error: Exception) -> ConnectorError:
    """The error itself when it was raised on purpose; a bug as one that says where to look, without quoting data."""
    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, duckdb.Error) and (why := damage_in(error)) is not None:
        return StoreDamaged(f"A file of the store is damaged: {why}.", hint="connector check")
    if isinstance(error, OSError | sqlite3.Error):
        # Clover's side never raises these: the run's own notes could not be written or read.
        return StoreError(
            f"The notes of the run could not be kept: {error}. Nothing of this step was stored.",
            hint="Free disk space or correct the owner of the store, then run it again; connector check says more.",
        )
    log.exception("run.bug", error_type=type(error).__name__)
    return ConnectorError(
        # A long load is committed part by part, so there may be parts of this very run that stay.
        f"An unexpected {type(error).__name__} stopped the run. Nothing of this step was written; what was "
        "committed before it is kept and unharmed.",
        hint="Run it again with --verbose, for example connector sync --verbose, and report the traceback.",
    )


def mended(store: Store, error: ConnectorError) -> ConnectorError:
    """After an error of the store: make anew what is damaged, and say what was done and what to type.

    DuckDB does not always say that a file is damaged, when a checkpoint fails for one; so the files are read.
    """
    if not isinstance(error, StoreError) or isinstance(error, StoreBusy | StoreTooNew):
        return error
    try:
        done = store.mend()
    except StoreDamaged as worse:
        return worse
    except StoreError:
        return error
    return StoreDamaged(" ".join(done), hint="connector sync") if done else error


def note_failure(report: RunReport, error: ConnectorError) -> None:
    """Record in the report what stopped the run."""
    report.status, report.exit_code = "failed", error.exit_code
    report.error_kind, report.error = error.kind, error.message
    report.hint = error.hint or "What was loaded before is kept; the next sync starts from the same place."
    if isinstance(error, StoreBusy):
        report.error_kind = MOVED if isinstance(error, StoreMoved) else "busy"


def note_not_published(report: RunReport, error: ConnectorError) -> None:
    """A run whose commit could not be made visible has failed, whatever it loaded."""
    if report.status != "failed":
        note_failure(report, error)


def count_requests(report: RunReport, clients: list[CloverClient]) -> None:
    """Put what the clients have cost so far into the report."""
    meters = [client.meter for client in clients]
    report.requests = sum(meter.requests for meter in meters)
    report.retries = sum(meter.retries for meter in meters)
    report.throttled = sum(meter.throttled for meter in meters)
    report.waited_seconds = sum(meter.waited_seconds for meter in meters)


def log_line(report: RunReport) -> None:
    """The one line that every run leaves in the log: ``connection.synced``, or ``connection.failed``."""
    if report.unknown_words:
        log.warning("clover.unknown_words", words=dict(sorted(report.unknown_words.items())))
    for warning in report.warnings:
        log.warning("connection.warning", text=warning)
    fields = {
        "status": report.status,
        "orders": report.orders_mapped,
        "inserted": report.orders_inserted,
        "updated": report.orders_updated,
        "held_back": sum(report.held_back.values()),
        "requests": report.requests,
        "retries": report.retries,
        "seconds": round(report.seconds, 2),
    }
    if report.status == "failed":
        log.error(
            "connection.failed", **fields, error_kind=report.error_kind, error=report.error, hint=report.hint
        )
    else:
        log.info("connection.synced", **fields)
