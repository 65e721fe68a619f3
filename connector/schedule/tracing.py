"""Spans for OpenTelemetry, where its API package is installed; otherwise nothing.

One span a run, made when it has ended. Where spans go is the business of the SDK that the operator configures,
for example with ``opentelemetry-instrument connector schedule``.
"""

import importlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from connector.sync.report import RunReport


def trace_runs(reports: Iterable[RunReport]) -> None:
    """A span for each run that has ended: ids, counts, status; never a name or an amount."""
    api = _api()
    if api is None:
        return
    tracer = api.get_tracer("connector")
    for run in reports:
        if run.finished_at is None:
            continue
        span = tracer.start_span(f"connector.{run.kind}", start_time=_nanoseconds(run.started_at))
        for name, value in _attributes(run).items():
            span.set_attribute(name, value)
        if run.status == "failed":
            span.set_status(api.Status(api.StatusCode.ERROR, run.error_kind or "bug"))
        span.end(end_time=_nanoseconds(run.finished_at))


def _attributes(run: RunReport) -> dict[str, str | int | float]:
    found: dict[str, str | int | float | None] = {
        "connector.run_id": run.run_id,
        "connector.company_id": run.company_id,
        "connector.connection_id": run.connection_id,
        "connector.status": run.status,
        "connector.requests": run.requests,
        "connector.retries": run.retries,
        "connector.waited_seconds": run.waited_seconds,
        "connector.orders_inserted": run.orders_inserted,
        "connector.orders_updated": run.orders_updated,
        "connector.snapshot_id": run.snapshot_id,
        "error.type": run.error_kind,
        **{f"connector.rows_read.{kind}": rows for kind, rows in run.rows_read.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _api() -> Any:
    try:
        return importlib.import_module("opentelemetry.trace")
    except ImportError:
        return None


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
