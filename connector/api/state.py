"""What every request shares, and what one request gathers on its way for the access log."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import duckdb
from fastapi import Depends
from starlette.requests import Request

from connector.api.answer.errors import ApiError, forbidden, no_company, no_connection
from connector.api.answer.paging import Pins
from connector.api.door import shared
from connector.api.door.limits import FailedAttempts, RefusalPace, RequestQuota
from connector.api.door.shared import SharedPins, SharedQuota
from connector.config import FleetPlace
from connector.control import access_log as api_access_log
from connector.control import companies as api_companies
from connector.control import kept as api_kept
from connector.control import keys as api_keys
from connector.control import links, outbox, pairs
from connector.control import refreshes as api_refreshes
from connector.control import sessions as portal_sessions
from connector.control import webhooks as api_webhooks
from connector.control.access_log import AccessLog
from connector.control.companies import CompanyRow, ConnectionRow
from connector.control.file import ControlFile
from connector.control.keys import ApiKey
from connector.control.place import Place, open_control
from connector.control.remembered import RememberingControl
from connector.ledger.interface import now_utc
from connector.ledger.published import Publication, Published, PublishedFiles
from connector.outbound import Networks

TABLES = (
    *api_kept.NEEDED,
    api_keys.TABLES,
    api_access_log.TABLES,
    api_refreshes.TABLES,
    portal_sessions.TABLES,
    outbox.TABLES,
    api_webhooks.TABLES,
    links.TABLES,
    pairs.TABLES,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """What the operator's configuration says of a connection. hours: between two syncs, None only when asked for."""

    hours: int | None
    since: date


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """``directory``: the store. control: where the control data is, if not there. ``public_url``: how clients
    reach this server, for the links of companies.

    time_limit: seconds one question to the store may take. most_body: bytes.
    most_at_once: requests with a good key in flight. most_at_once_a_key: of one key.
    turns_a_key: how many of those are worked on at a time, of the 40 threads there are. access_log_days: how long it
    is kept who read what. shared: where the workers of one server keep what they have to know together; None for one
    process alone. private_networks: those that webhooks may reach beside the public internet. planned: by connection.
    link_address: the link of a company and connection with which a merchant connects; None without such links.
    """

    directory: Path
    control: Place | None = None
    fleet: FleetPlace | None = None
    public_url: str = "http://127.0.0.1:8080"
    requests_per_minute: int = 60_000
    time_limit: float = 20.0
    most_body: int = 64 * 1024
    most_at_once: int = 256
    most_at_once_a_key: int = 100
    turns_a_key: int = 20
    access_log_days: int = 90
    shared: Path | None = None
    threads: int = 2
    memory_limit: str = "2GB"
    private_networks: Networks = ()
    planned: Mapping[str, Planned] = field(default_factory=dict)
    link_address: Callable[[str, str | None, datetime], str] | None = None
    clock: Callable[[], datetime] = now_utc
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Watchdog:
    """Stops questions to the store that take too long; one thread for all of them."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._running: dict[int, tuple[float, duckdb.DuckDBPyConnection]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="api-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt ``cursor`` when this takes longer than the limit; the caller gets a 400 that says so."""
        token = id(cursor)
        with self._lock:
            self._running[token] = (time.monotonic() + self._limit, cursor)
        try:
            yield
        except duckdb.InterruptException as exc:
            raise ApiError(
                400,
                f"Error processing request - it took longer than {self._limit:g} seconds;"
                " ask for less at once or narrow the query.",
            ) from exc
        finally:
            with self._lock:
                self._running.pop(token, None)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2)

    def _watch(self) -> None:
        while not self._stop.wait(min(0.5, self._limit / 4)):
            now = time.monotonic()
            with self._lock:
                for deadline, cursor in self._running.values():
                    if now > deadline:
                        cursor.interrupt()


class ApiState:
    """The store's two files and the counters of this process."""

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.control = open_control(settings.control or settings.directory, *TABLES)
        if self.is_of_fleet:
            self.control = RememberingControl(self.control)
        self.published = _published(settings)
        self.shared = None if settings.shared is None else ControlFile(settings.shared, *shared.TABLES)
        if self.shared is None:
            self.pins = Pins()
            self.quota = RequestQuota(settings.requests_per_minute, clock=settings.clock)
        else:
            self.pins = SharedPins(self.shared)
            self.quota = SharedQuota(self.shared, settings.requests_per_minute, clock=settings.clock)
        self.failures = FailedAttempts()
        self.refusals = RefusalPace()
        self.access_log = AccessLog(
            self.control, keep=timedelta(days=settings.access_log_days), clock=settings.clock
        )
        self.watchdog = Watchdog(settings.time_limit)

    @property
    def is_of_fleet(self) -> bool:
        """Whether each question to the control data goes over the network."""
        return isinstance(self.settings.control, FleetPlace)

    def close(self) -> None:
        self.access_log.close()
        self.watchdog.close()
        self.published.close()
        self.control.close()
        if self.shared is not None:
            self.shared.close()


def _published(settings: ApiSettings) -> PublishedFiles:
    if settings.fleet is None:
        return Published(settings.directory, threads=settings.threads, memory_limit=settings.memory_limit)
    from connector.fleet.published import FleetPublished

    return FleetPublished(
        settings.fleet, threads=settings.threads, memory_limit=settings.memory_limit, clock=settings.clock
    )


@dataclass(slots=True)
class Call:
    """One request: who asks, and what the access log will say about the answer."""

    state: ApiState
    correlation_id: str
    key: ApiKey | None = None
    company_id: str | None = None
    connection_id: str | None = None
    rows: int | None = None
    snapshot_id: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reader(self) -> ApiKey:
        """The key; only behind the door that asks for one."""
        assert self.key is not None
        return self.key

    def now(self) -> datetime:
        return self.state.settings.clock()

    def require(self, scope: str) -> None:
        """403 unless the key carries the scope; asked before anything is looked up, so it tells nothing."""
        if scope not in self.reader.scopes:
            raise forbidden(scope)

    def company(self, company_id: str) -> CompanyRow:
        """The company, or a 404 that is the same for one that is absent and one that may not be seen."""
        self.company_id = company_id
        row = api_companies.get_company(self.state.control, company_id)
        if row is None or not self.reader.may_see(company_id):
            raise no_company(company_id)
        return row

    def connection(self, company_id: str, connection_id: str) -> ConnectionRow:
        """The connection of a company the key may see, or a 404."""
        self.company(company_id)
        self.connection_id = connection_id
        row = api_companies.get_connection(self.state.control, company_id, connection_id)
        if row is None:
            raise no_connection(connection_id)
        return row

    @contextmanager
    def publication(self, *, watched: bool = True) -> Iterator[Publication]:
        """The newest file with this call's company, watched over. NothingPublishedError before the first sync."""
        with (
            self.state.published.open(self.company_id) as publication,
            self._watched(publication, watched),
        ):
            yield publication

    def _watched(self, publication: Publication, watched: bool) -> AbstractContextManager[None]:
        return self.state.watchdog.over(publication.cursor) if watched else nullcontext()


def call_of(request: Request) -> Call:
    """The call a request belongs to."""
    call = request.scope["call"]
    assert isinstance(call, Call)
    return call


# Dependencies of routes. Coroutines, because a function would go through the thread pool once more for each request.
async def _reader(request: Request) -> Call:
    return _holding(request, "read")


async def _writer(request: Request) -> Call:
    return _holding(request, "write")


async def _lineage_reader(request: Request) -> Call:
    return _holding(request, "lineage")


def _holding(request: Request, scope: str) -> Call:
    call = call_of(request)
    call.require(scope)
    return call


Reads = Annotated[Call, Depends(_reader)]
"""The call of a route, whose key must have the scope: ApiError 403."""
Writes = Annotated[Call, Depends(_writer)]
ReadsLineage = Annotated[Call, Depends(_lineage_reader)]
