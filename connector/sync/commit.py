"""The two halves of a commit: read what changed at Clover, then map it into files for the store.

Neither touches the store's file: what earlier runs stored is read from the published snapshot.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Event

import orjson

from connector.clover.lists.streams import STREAMS, Stream
from connector.clover.lists.window import Window
from connector.ledger.stored import Stored
from connector.progress import Progress
from connector.sync.link.links import CHARGE, ORDER
from connector.sync.link.notebook import Staging
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
from transforms.document import payment_dates
from transforms.model import Merchant, PreviousVersion

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
    plan: Plan, access: CloverAccess, stored: Stored, staging: Staging, progress: Progress, stop: Event
) -> tuple[Intake, list[Span]]:
    """List the pieces of the span until enough rows changed.

    Returns what came in, and the pieces that are left for the next commit. Raises Stopped soon after ``stop`` is set.
    """
    intake = Intake()
    left = list(plan.pieces)
    while left and intake.changed < _ROWS_A_COMMIT:
        _list_piece(left.pop(0), plan, access, stored, staging, progress, intake, stop)
    return intake, left


def drop_known(plan: Plan, listed: Iterable[Span], stored: Stored, staging: Staging) -> None:
    """Give up what was listed ahead and is known by now: the commit before read it on behalf of its own orders."""
    for piece in listed:
        for kind, hashes in stored.list_hashes_between(piece.since, piece.until).items():
            staging.drop_known(kind, hashes.items(), pointers=not plan.read_sparse_again)


def complete(
    plan: Plan,
    intake: Intake,
    access: CloverAccess,
    stored: Stored,
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
        _list(left, plan, access, stored.list_hashes, staging, progress, intake, Event())
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
        staging, access, stored, plan.pieces[0].since, plan.run_start, progress, witness, intake.asked_again
    ).run()


def _list_piece(
    piece: Span,
    plan: Plan,
    access: CloverAccess,
    stored: Stored,
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
    hashes = stored.list_hashes_between(first, last)
    _list(jobs, plan, access, lambda kind, _ids: hashes.get(kind, {}), staging, progress, intake, stop)
    if hashes:
        for stream in plan.streams:
            _look_for_vanished(stream, piece, stored, staging)


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


def _look_for_vanished(stream: Stream, piece: Span, stored: Stored, staging: Staging) -> None:
    """A record that is stored for this span but was not listed was deleted, or moved: its order is read anew."""
    due = stored.created_between(stream.kind, piece.since, piece.until)
    staging.mark_dirty(
        {order_id for record_id, order_id in due.items() if not staging.was_seen(stream.kind, record_id)},
        "vanished",
    )


def map_piece(
    plan: Plan,
    staging: Staging,
    stored: Stored,
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
    tasks = _tasks(plan, staging, stored, incomplete)
    if processes is not None and staging.count_dirty() >= WORTH_IT_FROM:
        batches: Iterable[MappedBatch] = processes.map(tasks, staging)
    else:
        batches = (map_batch(task, staging.records_of(task.order_ids)) for task in tasks)
    for batch in batches:
        files.write(batch, plan.run_start, stored.open_since(list(batch.open_reasons)))
        for found in batch.side_records:
            side.gather(found.data_type, found.record, found.as_of)
        mapped += len(batch.seen)
        unchanged += batch.unchanged
        on_batch(batch)
        progress.advance(len(batch.seen))
    files.hold_back_broken(intake, staging.failed(), incomplete)
    files.hold_back_unlinked(staging.refunds_without_order(), plan.merchant)
    fill_in(side)
    files.write_rows("record_versions", side.rows(plan.company_id, plan.connection_id, stored.documents))
    files.write_source_records(staging, stored.rows_of(staging.gone()))
    return Mapped(mapped, unchanged)


def _incomplete_orders(staging: Staging) -> dict[str, str]:
    """Orders that miss a record which could not be read: mapping them would show wrong money."""
    return {order_id: detail for _, _, order_id, detail in staging.failed() if order_id is not None}


def _tasks(plan: Plan, staging: Staging, stored: Stored, incomplete: dict[str, str]) -> Iterator[MappingTask]:
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
            _vanished_charges(whole, staging, stored),
            _last_said(gone.intersection(whole), stored),
            staging.links.void_claims(whole),
            frozenset(staging.orders_with_shared_references(whole)),
            _previous(whole, stored),
            plan.run_start,
            plan.unpaid_orders,
        )


def _vanished_charges(order_ids: list[str], staging: Staging, stored: Stored) -> dict[str, list[bytes]]:
    """Order id -> its stored charges that Clover no longer has, marked as voided, as JSON.

    One that was deleted earlier and was read in this run is back.
    """
    vanished: dict[str, list[bytes]] = {}
    for order_id, charge_id, payload, is_deleted in stored.charges_of_orders(order_ids):
        if staging.is_gone(CHARGE, charge_id) or (is_deleted and not staging.holds(CHARGE, charge_id)):
            voided = {**orjson.loads(payload), "voided": True}
            vanished.setdefault(order_id, []).append(orjson.dumps(voided))
    return vanished


def _last_said(order_ids: Collection[str], stored: Stored) -> dict[str, str | None]:
    """Order id -> what Clover last said of an order it has no more, None where it never said anything."""
    return {**dict.fromkeys(order_ids), **stored.order_payloads(order_ids)}


def _previous(order_ids: list[str], stored: Stored) -> dict[str, PreviousVersion]:
    """Order id -> its current version, also one that was deleted."""
    return {
        version.order_id: PreviousVersion(
            version.modified, version.content_hash, payment_dates(version.doc) if version.doc else {}
        )
        for version in stored.current_versions(order_ids)
    }
