"""After a run: figures for Prometheus, spans for OpenTelemetry, alerts, old payloads deleted."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from connector.sandbox import faults
from connector.schedule.after_runs import after_runs
from connector.schedule.tracing import trace_runs

HOOK = {"webhook_url": "https://hooks.example.com/x"}


def figures(path):
    """(name, frozenset of labels) -> value, as Prometheus reads the file."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def after(town, report, hook=None, at=None):
    after_runs(town.config, town.store, report.runs, now=lambda: at or town.clock.now(), send=hook)


@pytest.fixture
def watched(town, tmp_path):
    return town(2, metrics={"textfile": tmp_path / "metrics" / "connector.prom"}, alerts=HOOK)


def test_the_textfile_tells_what_the_store_knows(watched, hook):
    town = watched
    town.sell(0)
    town.sell(0)
    after(town, town.sync(), hook)
    found = figures(town.config.metrics.textfile)
    company, connection = town.config.companies[0].id, town.connection(0).id
    whose = {("company_id", company), ("connection_id", connection)}
    assert found[("connector_orders", frozenset(whose))] == 2
    assert found[("connector_connections", frozenset())] == 2
    assert found[("connector_runs_total", frozenset(whose | {("status", "succeeded"), ("kind", "")}))] == 1
    assert found[("connector_last_run_status", frozenset(whose | {("status", "succeeded")}))] == 1
    succeeded = found[("connector_last_success_timestamp_seconds", frozenset(whose))]
    [(ended,)] = town.rows("SELECT finished_at FROM ledger.sync_runs WHERE connection_id = ?", connection)
    assert succeeded == ended.replace(tzinfo=UTC).timestamp()
    assert found[("connector_requests_total", frozenset(whose))] > 0
    assert found[("connector_published_bytes", frozenset())] > 0
    streams = {
        dict(labels)["stream"] for name, labels in found if name == "connector_cursor_timestamp_seconds"
    }
    assert streams == {"charges", "orders", "refunds"}


def test_figures_of_a_forgotten_connection_are_not_told(watched, hook):
    town = watched
    town.sell(0)
    report = town.sync()
    only = town.config.model_copy(update={"companies": town.config.companies[1:]})
    after_runs(only, town.store, report.runs, now=town.clock.now, send=hook)
    assert town.connection(0).id not in only.metrics.textfile.read_text()


def test_before_anything_was_published_the_figures_say_so(watched):
    after_runs(watched.config, watched.store, [], now=watched.clock.now, send=None)
    found = figures(watched.config.metrics.textfile)
    assert found[("connector_connections", frozenset())] == 2
    assert not [name for name, _ in found if name == "connector_runs_total"]


def test_a_textfile_that_cannot_be_written_fails_no_run(town, tmp_path):
    (tmp_path / "file").write_text("")
    here = town(1, metrics={"textfile": tmp_path / "file" / "connector.prom"})
    report = here.sync()
    with capture_logs() as lines:
        after(here, report)
    [line] = [line for line in lines if line["event"] == "aftermath.failed"]
    assert "metrics cannot be written" in line["error"]


def test_alerts_follow_the_runs(watched, hook):
    town = watched
    town.sandbox.faults.always(faults.error(401), path="/v1/*")
    for _ in range(2):
        after(town, town.sync(), hook)
        town.clock.advance(hours=1)
    assert hook.events == ["connection.failed"] * 2, "one for each connection"
    assert {body["error"]["kind"] for body in hook.bodies} == {"authorisation"}
    assert {body["next"] for body in hook.bodies} == {"connector check"}
    town.sandbox.faults.clear()
    after(town, town.sync(), hook)
    assert hook.events[2:] == ["connection.recovered"] * 2


def test_staleness_is_noticed_although_nothing_runs(watched, hook):
    town = watched
    after(town, town.sync(), hook)
    after_runs(town.config, town.store, [], now=lambda: town.clock.now() + timedelta(hours=3), send=hook)
    assert hook.events == ["connection.stale"] * 2


def test_without_an_address_no_alert_is_kept(town, hook):
    here = town(1)
    here.sandbox.faults.always(faults.error(401), path="/v1/*")
    after(here, here.sync(), hook)
    assert hook.events == []
    assert not (here.store.directory / "control.sqlite").exists()


def test_raw_payloads_are_kept_as_long_as_the_configuration_says(town):
    here = town(1, raw_retention_days=30)
    raw = here.store.directory / "raw"
    here.sell(0)
    after(here, here.sync())
    first = set(raw.rglob("*.gz"))
    assert first
    # The archive notes when an answer arrived by this machine's clock, not by the clock of the test.
    real = datetime.now(UTC)
    after(here, here.sync(), at=real + timedelta(days=29))
    assert first < set(raw.rglob("*.gz"))
    after(here, here.sync(), at=real + timedelta(days=31))
    assert not set(raw.rglob("*.gz"))


def test_each_run_is_a_span(town):
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="only with the SDK of OpenTelemetry")
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    api.set_tracer_provider(provider)
    here = town(1)
    here.sell(0)
    report = here.sync()
    here.sandbox.faults.always(faults.error(401), path="/v1/*")
    here.clock.advance(hours=1)
    trace_runs(report.runs + here.sync().runs)
    good, bad = exporter.get_finished_spans()
    assert good.name == "connector.sync"
    assert good.attributes["connector.orders_inserted"] == 1
    assert good.attributes["connector.connection_id"] == here.connection(0).id
    assert good.start_time == int(report.runs[0].started_at.timestamp() * 1e9)
    assert bad.status.status_code.name == "ERROR"
    assert bad.attributes["error.type"] == "authorisation"


def test_without_opentelemetry_there_are_no_spans_and_no_error(town, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    here = town(1)
    trace_runs(here.sync().runs)
