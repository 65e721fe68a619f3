"""What follows every run, whoever began it: figures, spans, alerts, and old raw payloads deleted.

Nothing here can fail a run: what goes wrong is logged.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from connector.clover.archive import delete_older_than
from connector.config import Company, Config, Connection
from connector.control.place import control_place
from connector.errors import ConnectorError
from connector.ledger.interface import Store
from connector.logs import get_logger
from connector.schedule.alert_book import AlertBook
from connector.schedule.alerts import Known, stale_after
from connector.schedule.delivery import Post, deliver, post
from connector.schedule.forget_deleted import forget_deleted
from connector.schedule.history import Past, past_of
from connector.schedule.metrics_file import write_textfile
from connector.schedule.tracing import trace_runs
from connector.sync.report import RunReport

log = get_logger(__name__)


def after_runs(
    config: Config,
    store: Store,
    reports: Sequence[RunReport],
    *,
    now: Callable[[], datetime],
    earlier: Sequence[RunReport] = (),
    book: AlertBook | None = None,
    send: Post | None = post,
) -> None:
    """Write figures, make spans, note and send alerts, delete old payloads, forget what was deleted through the API.

    earlier: failed runs of this process that were told before; the store may not know of them, and they are not over.
    book: that of a process that stays; else one is opened and closed. send: None leaves sending to the caller.
    """
    past = past_of(config, store, now())
    newer = {run.connection_id for run in reports}
    every = [run for run in earlier if run.connection_id not in newer] + list(reports)
    with_book = book or AlertBook(control_place(config))
    try:
        _quietly("tracing", lambda: trace_runs(reports))
        _quietly("metrics", lambda: write_metrics(config, store, every, past, now=now()))
        _quietly("alerts", lambda: note_alerts(config, with_book, every, past, now=now()))
        url = config.alerts.webhook_url
        if url is not None and send is not None:
            _quietly(
                "alerts",
                lambda: deliver(with_book, url, now=now, send=send, networks=config.private_networks),
            )
        _quietly("retention", lambda: delete_old_payloads(config, store, now=now()))
        _quietly("forgetting", lambda: forget_deleted(config, store, now=now()))
    finally:
        if book is None:
            with_book.close()


def write_metrics(
    config: Config, store: Store, reports: Sequence[RunReport], past: Mapping[str, Past], *, now: datetime
) -> None:
    """The textfile, if the configuration asks for one."""
    if config.metrics.textfile is not None:
        write_textfile(config.metrics.textfile, config, store, now=now, unrecorded=unrecorded(reports, past))


def unrecorded(reports: Sequence[RunReport], past: Mapping[str, Past]) -> list[RunReport]:
    """Failed runs that the published file does not know: the store could not even keep their rows."""

    def is_known(run: RunReport) -> bool:
        one = past.get(run.connection_id)
        return one is not None and one.last is not None and one.last.started_at >= run.started_at

    return [r for r in reports if r.status == "failed" and r.error_kind != "busy" and not is_known(r)]


def note_alerts(
    config: Config, book: AlertBook, reports: Sequence[RunReport], past: Mapping[str, Past], *, now: datetime
) -> None:
    """Look at every connection of the configuration, run just now or not; staleness needs no run."""
    if config.alerts.webhook_url is None:
        return
    newest = {run.connection_id: run for run in reports if run.kind == "sync"}
    pairs = list(config.enabled_pairs())
    since = book.watched_since(((company.id, connection.id) for company, connection in pairs), now)
    every = (
        _known(config, company, connection, newest.get(connection.id), past, since[connection.id])
        for company, connection in pairs
    )
    for known in book.worth_noting(every, now):
        book.note(known, now)


def delete_old_payloads(config: Config, store: Store, *, now: datetime) -> int:
    """Delete raw payloads older than the configuration keeps them. Returns how many files."""
    if config.raw_retention_days is None:
        return 0
    before = now - timedelta(days=config.raw_retention_days)
    deleted = sum(
        delete_older_than(own.directory / "raw", connection.id, before)
        + own.delete_raw(connection.id, before)
        for own, connection in ((store.store_of(company.id), each) for company, each in config.pairs())
    )
    if deleted:
        log.info("raw.deleted", files=deleted, older_than_days=config.raw_retention_days)
    return deleted


def _known(
    config: Config,
    company: Company,
    connection: Connection,
    run: RunReport | None,
    past: Mapping[str, Past],
    watched_since: datetime,
) -> Known:
    """The newest run, from this process or from the store.

    What another process did, or this one before it was killed, is told as well.
    """
    one = past.get(connection.id, Past())
    last, last_success = one.last, one.last_success
    if run is not None and run.status != "failed" and run.finished_at is not None:
        last_success = max(run.finished_at, last_success or run.finished_at)
    is_of_this_process = run is not None and (last is None or run.started_at >= last.started_at)
    told = run if is_of_this_process else None
    kept = None if is_of_this_process else last
    return Known(
        company_id=company.id,
        connection_id=connection.id,
        merchant_id=connection.merchant_id,
        status=told.status if told else kept.status if kept else None,
        watched_since=watched_since,
        stale_after=stale_after(connection.schedule, config.alerts.stale_after_hours),
        last_success=last_success,
        run_id=told.run_id if told else one.run_id,
        error_kind=told.error_kind if told else kept.error_kind if kept else None,
        error=told.error if told else one.error,
        hint=told.hint if told else None,
    )


def _quietly(what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except ConnectorError as error:
        log.error("aftermath.failed", what=what, error=error.message, hint=error.hint)
    except Exception as error:
        log.error("aftermath.failed", what=what, error=str(error), exc_info=error)
