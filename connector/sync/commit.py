"""The two halves of a commit: read what changed at Clover, then map it into files for the store.

Neither touches the store's file: what earlier runs stored is read from the published snapshot.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from connector.clover.lists.streams import STREAMS, Stream
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
from connector.sync.read.intake import Intake, KnownHashes, Seen, take_in
from connector.sync.read.listing import ListJob, read_jobs
from connector.sync.read.platform import Witness
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
    window_days: int
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
    plan: Plan, access: CloverAccess, known: Known, staging: Staging, progress: Progress, stop: Event
) -> tuple[Intake, list[Span]]:
    """List the pieces of the span until enough rows changed.

    Returns what came in, and the pieces that are left for the next commit. Raises Stopped soon after ``stop`` is set.
    """
    intake = Intake()
    left = list(plan.pieces)
    while left and intake.changed < _ROWS_A_COMMIT:
        _list_piece(left.pop(0), plan, access, known, staging, progress, intake, stop)
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
        _list(left, plan, access, known.list_hashes, staging, progress, intake, Event())
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
        staging, access, known, plan.pieces[0].since, plan.run_start, progress, witness, intake.asked_again
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
) -> None:
    """List one piece; what is stored for it and was not listed makes its order dirty."""
    span = Window(piece.since, piece.until)
    jobs = []
    for stream in plan.streams:
        again = [u.window for u in plan.unnamed if u.kind == stream.kind and overlaps(u.window, span)]
        parts = [part for rest in around(span, again) for part in rest.split(plan.window_days)]
        jobs += [ListJob(stream, window) for window in parts + again]
    jobs.sort(key=lambda job: job.window.since)
    # A window that is listed again may reach beyond the piece, and its rows are known all the same.
    first = min([piece.since, *(job.window.since for job in jobs)])
    last = max([piece.until, *(job.window.until for job in jobs)])
    stored = known.list_hashes_between(first, last)
    _list(jobs, plan, access, lambda kind, _ids: stored.get(kind, {}), staging, progress, intake, stop)
    if stored:
        for stream in plan.streams:
            _look_for_vanished(stream, piece, known, staging)


def _windows_left(plan: Plan, intake: Intake) -> list[ListJob]:
    """Windows with rows without an id that no piece touched: they are behind every span, and listed all the same."""
    streams = {stream.kind: stream for stream in plan.streams}
    left = [u for u in plan.unnamed if u.kind in streams and u not in intake.listed_again]
    return [ListJob(streams[u.kind], u.window) for u in left]


def _list(
    jobs: list[ListJob],
    plan: Plan,
    access: CloverAccess,
    hashes: KnownHashes,
    staging: Staging,
    progress: Progress,
    intake: Intake,
    stop: Event,
) -> None:
    open_before = set(plan.unnamed)
    progress.stage("extract", total=len(jobs))
    for listed in read_jobs(jobs, access.walk, workers=access.workers):
        if stop.is_set():
            raise Stopped
        stream, page = listed.job.stream, listed.page
        whole = Unnamed(stream.kind, listed.job.window)
        if page is None:
            progress.advance()
            if whole in open_before:
                intake.listed_again.append(whole)
            continue
        if page.broken:
            intake.unnamed[whole] += len(page.broken)
        seen_at = Seen.in_window(listed.job.window.until, plan.run_start)
        take_in(stream, page.rows, staging, hashes, intake, seen_at, read_again=plan.read_sparse_again)


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
