"""What a run is to do: its span of source time, and the plan of each commit, from configuration, mode and store."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connector.clover.lists.streams import STREAMS, Stream
from connector.clover.platform import MerchantProfile
from connector.config import Company, Connection, Sync
from connector.errors import ConfigError
from connector.ledger.stored import Stored
from connector.sync.connect.connecting import merchant_of
from connector.sync.map.batch import Unpaid
from connector.sync.modes import SyncMode
from connector.sync.read.rows_without_id import Unnamed, windows_among, with_an_id
from connector.sync.spans import Position, Span, asked_span, believed, incremental_span
from transforms.model import Merchant


@dataclass(frozen=True, slots=True)
class Plan:
    """What one commit of a run does. pieces: adjoining spans still to be read, oldest first.

    poll: unsettled orders that are due. retry: (kind, id, order id) of records that could not be read or mapped before.
    unnamed: windows that showed rows without an id.
    read_sparse_again: sparse rows are read by id even where the row looks as it did. hints_since: from when the
    platform is asked what was modified, None when everything is read anyway. tells_changes: what each order would
    change is told (dry runs).
    """

    company_id: str
    connection_id: str
    merchant: Merchant
    pieces: tuple[Span, ...]
    run_start: datetime
    unpaid_orders: Unpaid = "exclude"
    streams: tuple[Stream, ...] = field(default_factory=lambda: tuple(STREAMS.values()))
    poll: tuple[str, ...] = ()
    retry: tuple[tuple[str, str, str | None], ...] = ()
    unnamed: tuple[Unnamed, ...] = ()
    read_sparse_again: bool = False
    hints_since: datetime | None = None
    tells_changes: bool = False


def start_of(connection: Connection) -> datetime:
    """Midnight of the start date in the merchant's own time zone, as aware UTC."""
    local = datetime.combine(connection.start_date, time(), tzinfo=ZoneInfo(connection.timezone))
    return local.astimezone(UTC)


def plan_of(
    company: Company,
    connection: Connection,
    mode: SyncMode,
    settings: Sync,
    stored: Stored,
    todo: tuple[Span, ...],
    *,
    run_start: datetime,
    profile: MerchantProfile | None,
) -> Plan:
    """The plan of a commit. todo: pieces still to be read. profile: who the merchant is, where the platform told."""
    ordinary, unusable = mode.kind == "sync", stored.unusable_records()
    sync, cursor = settings, position_of(stored, run_start).cursor
    return Plan(
        company_id=company.id,
        connection_id=connection.id,
        merchant=merchant_of(connection, profile, stored.merchant()),
        pieces=todo,
        run_start=run_start,
        unpaid_orders=sync.unpaid_orders,
        streams=tuple(s for s in STREAMS.values() if mode.stream in (None, s.name)),
        poll=stored.orders_to_poll(run_start) if ordinary else (),
        retry=with_an_id(unusable) if ordinary else (),
        unnamed=windows_among(unusable),
        # A person who asks for a span wants all of it again; nobody has to on a first sync.
        read_sparse_again=cursor is not None and (mode.asks_for_a_span or "nightly" in todo[-1].deep_scans),
        hints_since=cursor if ordinary else None,
        tells_changes=mode.dry_run,
    )


def cursor_of(stored: Stored) -> datetime | None:
    """The lowest high-water mark of the streams, aware UTC; None until every stream has one."""
    stored_cursors = stored.cursors()
    cursors = [stored_cursors.get(stream.name) for stream in STREAMS.values()]
    return min((cursor for cursor in cursors if cursor), default=None) if all(cursors) else None


def position_of(stored: Stored, run_start: datetime) -> Position:
    """How far earlier runs have read, without what a wrong clock has stored."""
    cursor, scans = cursor_of(stored), stored.deep_scans()
    last_success = stored.last_success_began(run_start) if cursor is not None and cursor > run_start else None
    return believed(cursor, scans, run_start=run_start, last_success=last_success)


def span_of(
    connection: Connection, mode: SyncMode, stored: Stored, *, overlap: timedelta, run_start: datetime
) -> Span:
    """The span of a run. Raises ConfigError when a person asked for one that ends before it begins."""
    start = start_of(connection)
    position = position_of(stored, run_start)
    cursor, scans = position.cursor, position.deep_scans
    if mode.full:
        return asked_span(since=None, until=None, cursor=None, start=start, run_start=run_start)
    if mode.asks_for_a_span:
        span = asked_span(since=mode.since, until=mode.until, cursor=cursor, start=start, run_start=run_start)
        if span.since >= span.until:
            raise ConfigError("The span asked for is empty: it ends before it begins.", hint="Check --since.")
        return span
    return incremental_span(
        cursor=cursor, start=start, overlap=overlap, run_start=run_start, last_deep_scans=scans
    )
