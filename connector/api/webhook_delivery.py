"""Sends events: signed by Standard Webhooks, tried again for two days, given up after five days of failure.

What there is to tell is read from the published file: each finished run is told once (``read.completed``),
each change of a connection's status too. So a sync calls nothing, and any number of processes may look.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook as Signer

from connector import outbound
from connector.api.answer.companies import company_view, states_of_all
from connector.api.reads.runs import Run, orders_deleted, reads_of
from connector.api.routes.companies import reference
from connector.api.routes.status import READ_TYPES
from connector.api.state import ApiState, Call
from connector.control import companies as api_companies
from connector.control import outbox
from connector.control import webhooks as api_webhooks
from connector.control.companies import CompanyRow
from connector.control.keys import ApiKey
from connector.control.outbox import Delivery
from connector.control.webhooks import Webhook, event_id, note_event
from connector.errors import ConnectorError
from connector.ledger.connection_state import ConnectionState, link_status
from connector.ledger.published import NothingPublishedError, Publication
from connector.logs import get_logger
from schemas.platform import Company, Connection, ConnectionStatus, DataType
from schemas.wire import members

ANSWER_WITHIN = 15.0  # seconds, docs.codat.io "Webhooks"
_OPERATOR = ApiKey("-", "operator", None, frozenset(), "")
log = get_logger(__name__)


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks over the raw body. ``timestamp``: Unix seconds."""
    signature = Signer(secret).sign(message_id, datetime.fromtimestamp(timestamp, UTC), body.decode())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
        "content-type": "application/json",
    }


def notice(state: ApiState, company_ids: Collection[str] = ()) -> int:
    """Note what the published files tell that was not told yet; how many events were new.

    company_ids: only of these companies; of all where none is named.
    """
    call = Call(state, "dispatcher", key=_OPERATOR)
    states, told = states_of_all(call), 0
    for company in api_companies.list_companies(state.control):
        if company_ids and company.company_id not in company_ids:
            continue
        call.company_id = company.company_id
        try:
            with call.publication() as publication:
                told += _notice_company(call, company, publication, states)
        except NothingPublishedError:
            continue
    return told


def _notice_company(
    call: Call, company: CompanyRow, publication: Publication, states: Mapping[str, ConnectionState]
) -> int:
    state, told = call.state, 0
    connections = api_companies.list_connections(state.control, company.company_id)
    view = company_view(call, company, connections, states)
    about: dict[str, object] = {"referenceCompany": reference(view)}
    shown = {connection.id: connection for connection in view.data_connections}
    runs = [r for r in reads_of(publication, company.company_id, most=50) if r.connection_id in shown]
    deleted = orders_deleted(publication, company.company_id)
    for run in reversed(runs):
        if run.finished_at is not None:
            told += _tell_run(state, view, shown[run.connection_id], run, deleted.get(run.run_id, 0))
    for row in connections:
        known = states.get(row.connection_id)
        if known is None or known.last_run is None:
            continue
        status = link_status(row.status, known)
        if status is ConnectionStatus.PENDING_AUTH:
            continue
        told += api_webhooks.note_status_event(
            state.control,
            row.connection_id,
            status is ConnectionStatus.LINKED,
            {**about, "connection": members(shown[row.connection_id])},
            now=state.settings.clock(),
            company_id=company.company_id,
            tags=view.tags,
        )
    return told


def _tell_run(state: ApiState, company: Company, connection: Connection, run: Run, deleted: int) -> int:
    about: dict[str, object] = {"referenceCompany": reference(company)}
    initial = event_id("initial", run.connection_id)

    def note(identity: str, event_type: str, payload: dict[str, object]) -> int:
        return note_event(
            state.control,
            identity,
            event_type,
            {**about, **payload},
            now=state.settings.clock(),
            company_id=run.company_id,
            tags=company.tags,
        )

    if run.status == "failed":
        failed = event_id("failed", run.run_id, run.connection_id)
        return note(failed, "connection.failed", {"connection": members(connection)})
    read: dict[str, object] = {
        "dataTypes": [
            {
                "connectionId": run.connection_id,
                "dataType": data_type,
                "recordsModified": bool(run.changed),
                "status": "Complete",
                "issues": [],
                # Ours: no query over modifiedDate shows what is gone.
                **({"recordsDeleted": deleted} if data_type is DataType.ORDERS else {}),
            }
            for data_type in READ_TYPES
        ],
    }
    told = note(event_id("run", run.run_id, run.connection_id), "read.completed", read)
    return told and told + note(initial, "read.completed.initial", read)


def deliver(state: ApiState, client: httpx.Client) -> int:
    """Send what is due; how many deliveries were tried."""
    now = state.settings.clock()
    tried = 0
    for delivery, hook in api_webhooks.due_deliveries(state.control, now=now):
        if outbox.claim(state.control, delivery, now=now):
            sent = send(client, hook, delivery, timestamp=int(now.timestamp()))
            api_webhooks.record_attempt(
                state.control, delivery, status=sent.status, error=sent.error, now=state.settings.clock()
            )
            tried += 1
    return tried


def send(client: httpx.Client, hook: Webhook, delivery: Delivery, *, timestamp: int) -> outbound.Attempt:
    """One attempt. timestamp: Unix seconds."""
    body = delivery.body.encode()
    headers = signed_headers(hook.secret, delivery.event_id, timestamp, body)
    return outbound.attempt(lambda: outbound.post(client, hook.url, body, headers, seconds=ANSWER_WITHIN))


class Dispatcher:
    """Looks for news and sends, every few seconds, in a thread of the server."""

    def __init__(self, state: ApiState, *, every: float = 2.0, client: httpx.Client | None = None) -> None:
        self._state = state
        self._every = every
        self._client = client or outbound.outbound_client(state.settings.private_networks)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._newest = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=ANSWER_WITHIN + 2)
        self._client.close()

    def once(self) -> None:
        """One look: read the file only when it is another than last time, then send what is due."""
        self._guarded(self._notice_if_new)
        self._guarded(lambda: deliver(self._state, self._client))

    def _notice_if_new(self) -> int:
        if not self._state.published.exists:
            return 0
        newest, companies = self._state.published.changed(self._newest)
        told = notice(self._state, companies) if newest != self._newest else 0
        self._newest = newest
        return told

    def _guarded(self, work: Callable[[], int]) -> None:
        try:
            work()
        except (ConnectorError, OSError) as exc:
            log.warning("webhooks.failed", error=str(exc))

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.once()
