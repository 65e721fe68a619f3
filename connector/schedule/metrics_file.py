"""Figures of the runs as a file in Prometheus' text format, for the textfile collector of its node exporter.

Everything is read from the published file and the store's directory, so that the figures survive restarts and are
the same whoever writes them; only a run that could not be recorded is known to its own process alone.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, write_to_textfile

from connector.config import Config
from connector.errors import StoreError
from connector.ledger.connection_state import ConnectionState, connection_states
from connector.ledger.interface import Store
from connector.sync.report import RunReport

if TYPE_CHECKING:
    import duckdb

# A counter's birth says nothing here, where every figure is read from the store anew, and doubles the series.
disable_created_metrics()  # type: ignore[no-untyped-call]

_WHOSE = ("company_id", "connection_id")
_BY_STREAM = (*_WHOSE, "stream")
STATUSES = ("succeeded", "partly_done", "failed")


def write_textfile(
    path: Path, config: Config, store: Store, *, now: datetime, unrecorded: Iterable[RunReport] = ()
) -> None:
    """Write the file anew, whole or not at all. unrecorded: failed runs that the store could not keep.

    Raises StoreError when it cannot be written.
    """
    registry = CollectorRegistry()
    configured = {connection.id: company.id for company, connection in config.enabled_pairs()}
    _gauge(registry, "connector_written_timestamp_seconds", "When this file was written.").set(
        now.timestamp()
    )
    _gauge(registry, "connector_connections", "Connections of the configuration.").set(len(configured))
    info = _gauge(
        registry,
        "connector_connection_info",
        "Always 1; joins the ids of the other figures to the merchant's and, if allowed, the company's name.",
        *_WHOSE,
        "merchant_id",
        "company_name",
    )
    for company, connection in config.enabled_pairs():
        name = company.name if config.metrics.company_names else ""
        info.labels(company.id, connection.id, connection.merchant_id, name).set(1)
    try:
        if config.fleet is not None:
            _of_states(registry, configured, store.states(at=now))
        else:
            _of_file(registry, store, configured, now)
    except StoreError:
        pass  # nothing published yet: there is nothing to count
    failed = _gauge(
        registry,
        "connector_unrecorded_failure",
        "1 where the newest run failed and the store could not keep its row.",
        *_WHOSE,
        "kind",
    )
    for run in unrecorded:
        failed.labels(run.company_id, run.connection_id, run.error_kind or "bug").set(1)
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o755)
        write_to_textfile(str(path), registry)
        path.chmod(0o644)  # node exporter is another user; there are no sales in it
    except OSError as error:
        raise StoreError(
            f"The metrics cannot be written to {path}: {error.strerror}.",
            hint="Correct metrics.textfile, or the owner of its directory. Syncs go on without it.",
        ) from None


def _of_file(registry: CollectorRegistry, store: Store, configured: dict[str, str], now: datetime) -> None:
    """All figures, from the one file of a store in a directory; a fleet gives those of its summaries."""
    with store.open_reader() as reader:
        _of_states(registry, configured, connection_states(reader.connection, at=now))
        _runs(registry, reader.connection, configured)
        _cursors(registry, reader.connection, configured)
        size = reader.path.stat().st_size
    _gauge(registry, "connector_published_bytes", "Size of the published file.").set(size)


def _runs(
    registry: CollectorRegistry,
    published: "duckdb.DuckDBPyConnection",
    configured: dict[str, str],
) -> None:
    runs = Counter("connector_runs", "Runs by their end.", (*_WHOSE, "status", "kind"), registry=registry)
    for connection_id, status, kind, count in published.execute(
        "SELECT connection_id, status, coalesce(error_kind, ''), count(*) FROM ledger.sync_runs"
        " WHERE finished_at IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        if company := configured.get(connection_id):
            runs.labels(company, connection_id, status, kind).inc(count)
    sums = {
        "requests": "Requests to Clover.",
        "retries": "Requests that were tried again.",
        "throttled": "Answers that said to wait (429).",
        "orders_inserted": "Orders that were new.",
        "orders_updated": "Orders that had changed.",
    }
    counters = {
        name: Counter(f"connector_{name}", text, _WHOSE, registry=registry) for name, text in sums.items()
    }
    waited = Counter("connector_waited_seconds", "Time spent waiting for limits.", _WHOSE, registry=registry)
    for connection_id, seconds, *values in published.execute(
        f"SELECT connection_id, sum(waited_seconds), {', '.join(f'sum({name})' for name in sums)}"  # noqa: S608
        " FROM ledger.sync_runs GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        if company := configured.get(connection_id):
            waited.labels(company, connection_id).inc(float(seconds or 0))
            for counter, value in zip(counters.values(), values, strict=True):
                counter.labels(company, connection_id).inc(int(value or 0))
    last = _gauge(
        registry, "connector_last_run_status", "1 for the status of the newest run.", *_WHOSE, "status"
    )
    took = _gauge(registry, "connector_last_run_seconds", "How long the newest run took.", *_WHOSE)
    for connection_id, status, started, finished in published.execute(
        "SELECT connection_id, status, started_at, finished_at FROM ledger.sync_runs"
        " WHERE kind = 'sync' AND finished_at IS NOT NULL"
        " QUALIFY row_number() OVER (PARTITION BY connection_id ORDER BY started_at DESC, run_id DESC) = 1 ORDER BY 1"
    ).fetchall():
        if company := configured.get(connection_id):
            for one in STATUSES:
                last.labels(company, connection_id, one).set(int(one == status))
            took.labels(company, connection_id).set((finished - started).total_seconds())


def _of_states(
    registry: CollectorRegistry, configured: dict[str, str], states: Mapping[str, ConnectionState]
) -> None:
    success = _gauge(
        registry, "connector_last_success_timestamp_seconds", "End of the newest run that succeeded.", *_WHOSE
    )
    for connection_id, state in states.items():
        if (company := configured.get(connection_id)) and state.last_success is not None:
            success.labels(company, connection_id).set(state.last_success.timestamp())
    for name, text in (
        ("orders", "Current orders."),
        ("held_back", "Records held back."),
        ("open_issues", "Things that did not add up and still do not."),
    ):
        gauge = _gauge(registry, f"connector_{name}", text, *_WHOSE)
        for connection_id, state in states.items():
            if company := configured.get(connection_id):
                gauge.labels(company, connection_id).set(getattr(state, name))


def _cursors(
    registry: CollectorRegistry, published: "duckdb.DuckDBPyConnection", configured: dict[str, str]
) -> None:
    cursor = _gauge(registry, "connector_cursor_timestamp_seconds", "How far a list was read.", *_BY_STREAM)
    for connection_id, stream, at in published.execute(
        'SELECT connection_id, stream, "cursor" FROM ledger.sync_state ORDER BY ALL'
    ).fetchall():
        if company := configured.get(connection_id):
            cursor.labels(company, connection_id, stream).set(_seconds(at))


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=registry)


def _seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()
