"""The two halves of a commit: read what changed at Clover, then map it into files for the store.

Neither touches the store's file: what earlier runs stored is read from the published snapshot.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event

import orjson

from connector.clover.lists.streams import REFUNDS, STREAMS, Stream
from connector.clover.lists.window import Window
from connector.progress import Progress
from connector.sync.link.links import ORDER
from connector.sync.link.notebook import Staging
from connector.sync.link.stored import Known
from connector.sync.map.batch import MappedBatch, MappingTask, Unpaid, map_batch
from connector.sync.map.files import BatchFiles
from connector.sync.map.processes import WORTH_IT_FROM, MappingProcesses
from connector.sync.map.side_records import SideRecords, merchant_records
from connector.sync.read.clover import CloverAccess
from connector.sync.read.completion import Completion
from connector.sync.read.intake import Intake, Seen, take_in
from connector.sync.read.listing import FixedJobs, GrowingJobs, Jobs, ListJob, read_jobs
from connector.sync.read.platform import Witness
from connector.sync.read.refund_feed import RefundFeed
from connector.sync.read.rows_without_id import Unnamed, around, overlaps
from connector.sync.spans import Span
from transforms.model import Merchant

_BATCH = 500
# A first load is committed about every so many rows, so that a crash after hours repeats one part and not all.
_ROWS_A_COMMIT = 60_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What one commit of a run does. pieces: adjoining spans still to be read, oldest first.

    poll: unsettled orders that are due. retry: (kind, id, order id) of records that could not be read or mapped before.
    unnamed: windows that showed rows without an id.
    read_sparse_again: sparse rows are read by id even where the row looks as it did. hints_since: from when the
    platform is asked what was modified, None when everything is read anyway.
    """

    company_id: str
    connection_id: str
    merchant: Merchant
    pieces: tuple[Span, ...]
    run_start: datetime
    unpaid_orders: Unpaid = "exclude"
    streams: tuple[Stream, ...] = STREAMS
    poll: tuple[str, ...] = ()
    retry: tuple[tuple[str, str, str | None], ...] = ()
    unnamed: tuple[Unnamed, ...] = ()
    read_sparse_again: bool = False
    hints_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """How many orders were mapped, and how many of them came out as they are stored."""

    mapped: int
    unchanged: int


class Stopped(Exception):
    """Nobody needs what is being listed any more."""


def list_pieces(
    plan: Plan,
    access: CloverAccess,
    known: Known,
    staging: Staging,
    progress: Progress,
    stop: Event,
    feed: RefundFeed,
) -> tuple[Intake, list[Span]]:
    """List the pieces of the span until enough rows changed; of several pieces first all refunds, into ``feed``.

    Returns what came in, and the pieces that are left for the next commit. Raises Stopped soon after ``stop`` is set.
    """
    intake = Intake()
    left = list(plan.pieces)
    if len(left) > 1 and not feed.is_filled and plan.streams == STREAMS:
        span = Window(left[0].since, left[-1].until)
        jobs, _, total = _jobs_of((REFUNDS,), span, plan, access)
        _list(
            jobs,
            total,
            plan,
            progress,
            intake,
            stop,
            access,
            lambda _stream, rows, at: feed.keep(rows, at.booked_ms),
        )
        feed.is_filled = True
    while left and intake.changed < _ROWS_A_COMMIT:
        piece = left.pop(0)
        # As long as the windows of all streams are: a long quiet time is no reason for many questions.
        longest = access.lengths.shortest(stream.kind for stream in plan.streams)
        while left and left[0].until - piece.since <= longest:
            piece = replace(left[0], since=piece.since)
            left.pop(0)
        _list_piece(piece, plan, access, known, staging, progress, intake, stop, feed, is_last=not left)
    return intake, left


def drop_known(plan: Plan, listed: Iterable[Span], known: Known, staging: Staging) -> None:
    """Give up what was listed ahead and is known by now: the commit before read it on behalf of its own orders."""
    for piece in listed:
        for kind, hashes in known.list_hashes_between(piece.since, piece.until).items():
            staging.drop_known(kind, hashes.items(), pointers=not plan.read_sparse_again)


def complete(
    plan: Plan,
    intake: Intake,
    access: CloverAccess,
    known: Known,
    staging: Staging,
    progress: Progress,
    witness: Witness | None = None,
    *,
    is_last: bool,
) -> None:
    """Complete every order that changed.

    Unsettled orders, records to be tried again and hints of the platform are looked at with the last pieces.
    """
    if is_last:
        left = _windows_left(plan, intake)
        total = sum(_length(job.window) for job in left)

        def take(stream: Stream, rows: list[dict[str, object]], seen_at: Seen) -> None:
            again = plan.read_sparse_again
            take_in(stream, rows, staging, known.list_hashes, intake, seen_at, read_again=again)

        _list(FixedJobs(left), total, plan, progress, intake, Event(), access, take)
        for kind, record_id, order_id in plan.retry:
            intake.asked_again.add((kind, record_id))
            if order_id is not None or kind == ORDER:
                staging.mark_dirty([order_id or record_id], "unreadable before")
            if kind != ORDER and not staging.holds(kind, record_id):
                staging.point_at(kind, [(record_id, "", None, None)])
        staging.mark_dirty(plan.poll, "unsettled")
        if witness is not None and plan.hints_since is not None:
            staging.mark_dirty(
                witness.changed_orders(plan.hints_since, plan.run_start), "modified on the platform"
            )
    Completion(
        staging,
        access,
        known,
        plan.pieces[0].since,
        plan.run_start,
        progress,
        witness,
        intake.asked_again,
        intake.outspoken,
    ).run()


def _list_piece(
    piece: Span,
    plan: Plan,
    access: CloverAccess,
    known: Known,
    staging: Staging,
    progress: Progress,
    intake: Intake,
    stop: Event,
    feed: RefundFeed,
    *,
    is_last: bool,
) -> None:
    """List one piece; what is stored for it and was not listed makes its order dirty."""
    streams = tuple(s for s in plan.streams if not (feed.is_filled and s is REFUNDS))
    jobs, again, total = _jobs_of(streams, Window(piece.since, piece.until), plan, access)
    # A window that is listed again may reach beyond the piece, and its rows are known all the same.
    first = min([piece.since, *(job.window.since for job in again)])
    last = max([piece.until, *(job.window.until for job in again)])
    stored = known.list_hashes_between(first, last)

    def take(stream: Stream, rows: list[dict[str, object]], seen_at: Seen) -> None:
        hashes = stored.get(stream.kind, {})
        take_in(
            stream,
            rows,
            staging,
            lambda _kind, _ids: hashes,
            intake,
            seen_at,
            read_again=plan.read_sparse_again,
        )

    _list(jobs, total, plan, progress, intake, stop, access, take)
    if feed.is_filled:
        for booked_ms, texts in feed.take(piece, staging, is_last=is_last):
            take_in(
                REFUNDS,
                map(orjson.loads, texts),
                staging,
                known.list_hashes,
                intake,
                Seen(plan.run_start, booked_ms),
                read_again=plan.read_sparse_again,
            )
    if stored:
        for stream in plan.streams:
            _look_for_vanished(stream, piece, known, staging)


def _jobs_of(
    streams: tuple[Stream, ...], span: Window, plan: Plan, access: CloverAccess
) -> tuple[GrowingJobs, list[ListJob], int]:
    """The jobs that list a span, those of them that are listed again for a row without an id, and days in all."""
    parts: dict[Stream, list[Window]] = {}
    again: list[ListJob] = []
    for stream in streams:
        windows = [u.window for u in plan.unnamed if u.kind == stream.kind and overlaps(u.window, span)]
        again += [ListJob(stream, window) for window in windows]
        # An empty span is asked for nothing.
        rest = [window for window in around(span, windows) if window.since < window.until]
        parts[stream] = sorted([*rest, *windows], key=lambda window: window.since)
    total = sum(_length(window) for windows in parts.values() for window in windows)
    return GrowingJobs(parts, access.lengths, again), again, total


def _windows_left(plan: Plan, intake: Intake) -> list[ListJob]:
    """Windows with rows without an id that no piece touched: they are behind every span, and listed all the same."""
    streams = {stream.kind: stream for stream in plan.streams}
    left = [u for u in plan.unnamed if u.kind in streams and u not in intake.listed_again]
    return [ListJob(streams[u.kind], u.window) for u in left]


def _length(window: Window) -> int:
    """In days, for whoever watches; adjoining windows sum up."""
    return window.until.toordinal() - window.since.toordinal()


def _list(
    jobs: Jobs,
    days: int,
    plan: Plan,
    progress: Progress,
    intake: Intake,
    stop: Event,
    access: CloverAccess,
    take: Callable[[Stream, list[dict[str, object]], Seen], None],
) -> None:
    """Read all jobs and give the rows of each page to ``take``."""
    open_before = set(plan.unnamed)
    progress.stage("extract", total=days)
    for listed in read_jobs(jobs, access.walk, workers=access.workers):
        if stop.is_set():
            raise Stopped
        stream, page = listed.job.stream, listed.page
        whole = Unnamed(stream.kind, listed.job.window)
        if page is None:
            progress.advance(_length(listed.job.window))
            if whole in open_before:
                intake.listed_again.append(whole)
            continue
        if page.broken:
            intake.unnamed[whole] += len(page.broken)
        take(stream, page.rows, Seen.in_window(listed.job.window.until, plan.run_start))


def _look_for_vanished(stream: Stream, piece: Span, known: Known, staging: Staging) -> None:
    """A record that is stored for this span but was not listed was deleted, or moved: its order is read anew."""
    stored = known.created_between(stream.kind, piece.since, piece.until)
    staging.mark_dirty(
        {order_id for record_id, order_id in stored.items() if not staging.was_seen(stream.kind, record_id)},
        "vanished",
    )


def map_piece(
    plan: Plan,
    staging: Staging,
    known: Known,
    files: BatchFiles,
    progress: Progress,
    *,
    intake: Intake,
    processes: MappingProcesses | None = None,
    on_batch: Callable[[MappedBatch], None] = lambda _batch: None,
    fill_in: Callable[[SideRecords], None] = lambda _side: None,
) -> Mapped:
    """Map every dirty order and write what changed into the batch files.

    processes: map the batches when there are many; here when None. fill_in: adds to the customers, products and
    the like what others know of them.
    """
    progress.stage("map", total=staging.count_dirty())
    mapped = unchanged = 0
    side = SideRecords()
    for data_type, record in merchant_records(plan.merchant):
        side.gather(data_type, record, plan.run_start)
    incomplete = _incomplete_orders(staging)
    tasks = _tasks(plan, staging, known, incomplete)
    if processes is not None and staging.count_dirty() >= WORTH_IT_FROM:
        batches: Iterable[MappedBatch] = processes.map(tasks, staging)
    else:
        batches = (map_batch(task, staging.records_of(task.order_ids)) for task in tasks)
    for batch in batches:
        files.write(batch, plan.run_start, known.open_since(list(batch.open_reasons)))
        for found in batch.side_records:
            side.gather(found.data_type, found.record, found.as_of)
        mapped += len(batch.seen)
        unchanged += batch.unchanged
        on_batch(batch)
        progress.advance(len(batch.seen))
    files.hold_back_broken(intake, staging.failed(), incomplete)
    files.hold_back_unlinked(staging.refunds_without_order(), plan.merchant)
    fill_in(side)
    files.write_rows("record_versions", side.rows(plan.company_id, plan.connection_id, known.documents))
    files.write_source_records(staging, known.gone_records(staging.gone()))
    return Mapped(mapped, unchanged)


def _incomplete_orders(staging: Staging) -> dict[str, str]:
    """Orders that miss a record which could not be read: mapping them would show wrong money."""
    return {order_id: detail for _, _, order_id, detail in staging.failed() if order_id is not None}


def _tasks(plan: Plan, staging: Staging, known: Known, incomplete: dict[str, str]) -> Iterator[MappingTask]:
    after = ""
    gone = {record_id for kind, record_id in staging.gone() if kind == ORDER}
    while ids := staging.dirty_orders(after, _BATCH):
        after = ids[-1]
        whole = [order_id for order_id in ids if order_id not in incomplete]
        yield MappingTask(
            plan.company_id,
            plan.connection_id,
            plan.merchant,
            whole,
            known.vanished_charges(whole, staging.is_gone, staging.holds),
            known.last_said(gone.intersection(whole)),
            staging.links.void_claims(whole),
            frozenset(staging.orders_with_shared_references(whole)),
            known.previous(whole),
            plan.run_start,
            plan.unpaid_orders,
        )
