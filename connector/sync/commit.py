"""One commit of a run: list what is new at Clover, complete the orders it touches, map them into files.

A short run is one commit, a long first load is many. Each has a notebook of its own and ends in one transaction.
None touches the store's file: what earlier commits stored is read from the published file.
"""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import orjson

from connector.clover.http.client import CloverClient
from connector.clover.lists.streams import REFUNDS, STREAMS, Stream
from connector.clover.lists.window import Window
from connector.clover.platform import MerchantProfile
from connector.ledger.stored import Stored
from connector.progress import Progress
from connector.sync.failure import changes_of
from connector.sync.link.links import CHARGE, ORDER
from connector.sync.link.notebook import PLATFORM, Staging
from connector.sync.map.batch import MappedBatch, MappingTask, map_batch
from connector.sync.map.files import BatchFiles
from connector.sync.map.processes import WORTH_IT_FROM, MappingProcesses
from connector.sync.map.side_records import SideRecords, merchant_records
from connector.sync.plan import Plan
from connector.sync.read.archive import stage_archive
from connector.sync.read.beside_orders import CUSTOMERS, fill_in_customers, gather_streams
from connector.sync.read.clover import CloverAccess
from connector.sync.read.completion import Completion
from connector.sync.read.intake import Intake, KnownHashes, Seen
from connector.sync.read.listing import FixedJobs, GrowingJobs, Jobs, ListJob, read_jobs
from connector.sync.read.platform import Witness
from connector.sync.read.refund_feed import RefundFeed
from connector.sync.read.rows_without_id import Unnamed, around, overlaps
from connector.sync.report import Change
from connector.sync.spans import Span
from transforms.check.withheld import Withheld
from transforms.document import payment_dates
from transforms.model import PreviousVersion

_BATCH = 500
# A long load is committed in parts, so that a crash after hours repeats one part and not all. The first has about so
# many rows, every other one as many as all before it: every part is published, which copies all that is stored, and so
# the copies of a load come to a few times its size however long it is. At Clover's 1,600 rows a second the largest
# part takes five minutes.
_ROWS_A_COMMIT = 60_000
_MOST_ROWS_A_COMMIT = 480_000
_Rows = Iterable[dict[str, object]]
_Take = Callable[[Stream, _Rows, Seen], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One merchant's Clover for a run. stop: set when whatever reads ahead need not go on.

    refunds: those of the whole span, where it is long. parts: how many rows each part listed so far brought.
    """

    access: CloverAccess
    witness: Witness | None
    profile: MerchantProfile | None
    refunds: RefundFeed
    stop: Event = field(default_factory=Event)
    parts: list[int] = field(default_factory=list)

    @property
    def clients(self) -> list[CloverClient]:
        return [self.access.client] + ([self.witness.client] if self.witness else [])


@dataclass(slots=True)
class Mapped:
    """What a commit brings. orders: how many were mapped; unchanged: how many of them came out as they are stored.

    changes: of each order, where the plan asks for them. withheld: all that is held back once this is loaded.
    """

    files: BatchFiles
    orders: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)


class Stopped(Exception):
    """Nobody needs what is being listed any more."""


@dataclass(slots=True)
class Commit:
    """One part of a run: ``list_rows`` or ``list_archive``, ``complete``, ``map_orders``, in this order.

    A context manager that closes its notebook.

    source: None where nothing is asked of Clover. work: an empty directory for its files. left: pieces of the plan
    that are left for the commits after it. gift_cards: orders of which the platform says that gift cards were sold.
    """

    plan: Plan
    stored: Stored
    source: Source | None
    progress: Progress
    work: Path
    notebook: Staging
    intake: Intake = field(default_factory=Intake)
    left: list[Span] = field(default_factory=list)
    gift_cards: set[str] = field(default_factory=set)

    @classmethod
    def begin(
        cls, plan: Plan, stored: Stored, source: Source | None, progress: Progress, directory: Path
    ) -> "Commit":
        """A commit with an empty notebook in a directory of its own."""
        work = Path(tempfile.mkdtemp(dir=directory))
        return cls(plan, stored, source, progress, work, Staging(work / "staging.sqlite"))

    def __enter__(self) -> "Commit":
        return self

    def __exit__(self, *_: object) -> None:
        self.notebook.close()

    @property
    def is_last(self) -> bool:
        """Whether no part of the run follows."""
        return not self.left

    @property
    def done(self) -> Span:
        """The newest piece that was listed."""
        return self.plan.pieces[len(self.plan.pieces) - len(self.left) - 1]

    def list_rows(self) -> None:
        """List pieces of the plan until enough rows changed; of several pieces first all refunds.

        Raises Stopped soon after the source's ``stop`` is set.
        """
        source, plan = self._source(), self.plan
        self.left = list(plan.pieces)
        if len(self.left) > 1 and not source.refunds.is_filled and len(plan.streams) == len(STREAMS):
            span = Window(self.left[0].since, self.left[-1].until)
            jobs, windows, _ = self._jobs_of((REFUNDS,), span)
            self._read(jobs, windows, lambda _stream, rows, seen: source.refunds.keep(rows, seen.booked_ms))
            source.refunds.is_filled = True
        enough = min(max(_ROWS_A_COMMIT, sum(source.parts)), max(_ROWS_A_COMMIT, _MOST_ROWS_A_COMMIT))
        while self.left and self.intake.changed < enough:
            piece = self.left.pop(0)
            # As long as the windows of all streams are: a long quiet time is no reason for many questions.
            longest = source.access.lengths.shortest(stream.kind for stream in plan.streams)
            while self.left and self.left[0].until - piece.since <= longest:
                piece = replace(self.left.pop(0), since=piece.since)
            self._list_piece(piece)
        source.parts.append(self.intake.changed)

    def list_archive(self, raw_directory: Path) -> None:
        """Take everything that earlier runs kept of Clover's answers, instead of asking."""
        self.intake = stage_archive(raw_directory, self.stored, self.notebook, self.progress)

    def go_on(self, plan: Plan, stored: Stored, progress: Progress) -> None:
        """What was listed ahead goes on, now that the commit before it is stored.

        What is known by now is given up: the commit before read it on behalf of its own orders.
        """
        self.plan, self.stored, self.progress = plan, stored, progress
        for piece in plan.pieces[: len(plan.pieces) - len(self.left)]:
            for kind, hashes in stored.list_hashes_between(piece.since, piece.until).items():
                self.notebook.drop_known(kind, hashes.items(), pointers=not plan.read_sparse_again)

    def complete(self) -> None:
        """Complete every order that changed.

        Unsettled orders, records to be tried again and hints of the platform are looked at with the last pieces.
        """
        source, plan = self._source(), self.plan
        if self.is_last:
            jobs = self._windows_left()
            windows = [job.window for job in jobs]
            self._read(FixedJobs(jobs), windows, self._into_notebook(self.stored.list_hashes))
            self._mark_what_is_due(source.witness)
        if source.witness is not None:
            self._find_gift_cards(source.witness)
        Completion(
            self.notebook,
            source.access,
            self.stored,
            plan.pieces[0].since,
            plan.run_start,
            self.progress,
            source.witness,
            self.intake.asked_again,
            self.intake.outspoken,
            self.gift_cards,
        ).run()

    def map_orders(self, processes: MappingProcesses) -> Mapped:
        """Map every dirty order and write what changed into files. processes: map the batches when there are many."""
        plan, stored, notebook = self.plan, self.stored, self.notebook
        self.progress.stage("map", total=notebook.count_dirty())
        mapped = Mapped(BatchFiles(self.work, plan.company_id, plan.connection_id))
        files, side = mapped.files, SideRecords()
        for data_type, record in merchant_records(plan.merchant):
            side.gather(data_type, record, plan.run_start)
        # Orders that miss a record which could not be read: mapping them would show wrong money.
        incomplete = {order_id: why for _, _, order_id, why in notebook.failed() if order_id is not None}
        for batch in self._batches(incomplete, processes):
            files.write(batch, plan.run_start, stored.open_since(list(batch.open_reasons)))
            for beside in batch.side_records:
                side.gather(beside.data_type, beside.record, beside.as_of)
            mapped.orders += len(batch.seen)
            mapped.unchanged += batch.unchanged
            if plan.tells_changes:
                mapped.changes += changes_of(batch, stored)
            self.progress.advance(len(batch.seen))
        files.hold_back_broken(self.intake, notebook.failed(), incomplete)
        files.hold_back_unlinked(notebook.refunds_without_order(), plan.merchant)
        gather_streams(notebook, stored, side, plan.run_start)
        self._fill_in(side)
        files.write_rows("record_versions", side.rows(plan.company_id, plan.connection_id, stored.documents))
        files.write_source_records(notebook, stored.rows_of(notebook.gone()))
        mapped.withheld = files.withheld(stored.held_back())
        return mapped

    def _source(self) -> Source:
        assert self.source is not None, "a commit without a source asks nothing of Clover"
        return self.source

    def _list_piece(self, piece: Span) -> None:
        """List one piece; what is stored for it and was not listed makes its order dirty."""
        refunds, plan = self._source().refunds, self.plan
        streams = tuple(s for s in plan.streams if not (refunds.is_filled and s is REFUNDS))
        jobs, windows, again = self._jobs_of(streams, Window(piece.since, piece.until))
        # A window that is listed again may reach beyond the piece, and its rows are known all the same.
        first = min([piece.since, *(job.window.since for job in again)])
        last = max([piece.until, *(job.window.until for job in again)])
        hashes = self.stored.list_hashes_between(first, last)
        self._read(jobs, windows, self._into_notebook(lambda kind, _ids: hashes.get(kind, {})))
        if refunds.is_filled:
            take = self._into_notebook(self.stored.list_hashes)
            for booked_ms, texts in refunds.take(piece, self.notebook, is_last=self.is_last):
                take(REFUNDS, map(orjson.loads, texts), Seen(plan.run_start, booked_ms))
        if hashes:
            for stream in plan.streams:
                self._look_for_vanished(stream, piece)

    def _jobs_of(
        self, streams: tuple[Stream, ...], span: Window
    ) -> tuple[GrowingJobs, list[Window], list[ListJob]]:
        """The jobs that list a span, all its windows, and those that are listed again for a row without an id."""
        parts: dict[Stream, list[Window]] = {}
        again: list[ListJob] = []
        for stream in streams:
            windows = [
                u.window for u in self.plan.unnamed if u.kind == stream.kind and overlaps(u.window, span)
            ]
            again += [ListJob(stream, window) for window in windows]
            # An empty span is asked for nothing.
            rest = [window for window in around(span, windows) if window.since < window.until]
            parts[stream] = sorted([*rest, *windows], key=lambda window: window.since)
        jobs = GrowingJobs(parts, self._source().access.lengths, again)
        return jobs, [window for windows in parts.values() for window in windows], again

    def _read(self, jobs: Jobs, windows: Iterable[Window], take: _Take) -> None:
        """Read all jobs, which lie in the windows, and give the rows of each page to ``take``."""
        source, intake = self._source(), self.intake
        open_before = set(self.plan.unnamed)
        self.progress.stage("extract", total=sum(window.days for window in windows))
        for listed in read_jobs(jobs, source.access.walk, workers=source.access.workers):
            if source.stop.is_set():
                raise Stopped
            stream, window, page = listed.job.stream, listed.job.window, listed.page
            whole = Unnamed(stream.kind, window)
            if page is None:
                self.progress.advance(window.days)
                if whole in open_before:
                    intake.listed_again.append(whole)
                continue
            self.progress.rows(len(page.rows))
            if page.broken:
                intake.unnamed[whole] += len(page.broken)
            take(stream, page.rows, Seen.in_window(window.until, self.plan.run_start))

    def _into_notebook(self, known: KnownHashes) -> _Take:
        """Takes rows into the notebook. known: (kind, ids) -> list hashes as stored."""

        def take(stream: Stream, rows: _Rows, seen_at: Seen) -> None:
            again = self.plan.read_sparse_again
            self.intake.take_in(stream, rows, self.notebook, known, seen_at, read_again=again)

        return take

    def _look_for_vanished(self, stream: Stream, piece: Span) -> None:
        """A record that is stored for this span but was not listed was deleted, or moved: its order is read anew.

        One beside the orders is read by its id.
        """
        stored = self.stored.created_between(stream.kind, piece.since, piece.until)
        seen = self.notebook.was_seen
        vanished = {i: order_id for i, order_id in stored.items() if not seen(stream.kind, i)}
        self.notebook.mark_dirty({order_id for order_id in vanished.values() if order_id}, "vanished")
        if stream.beside is not None:
            self.notebook.point_at(stream.kind, [(record_id, "", None, None) for record_id in vanished])

    def _windows_left(self) -> list[ListJob]:
        """Windows with rows without an id that no piece touched: behind every span, and listed all the same."""
        streams = {stream.kind: stream for stream in self.plan.streams}
        left = [u for u in self.plan.unnamed if u.kind in streams and u not in self.intake.listed_again]
        return [ListJob(streams[u.kind], u.window) for u in left]

    def _mark_what_is_due(self, witness: Witness | None) -> None:
        notebook, plan = self.notebook, self.plan
        for kind, record_id, order_id in plan.retry:
            self.intake.asked_again.add((kind, record_id))
            if order_id is not None or kind == ORDER:
                notebook.mark_dirty([order_id or record_id], "unreadable before")
            if kind != ORDER and not notebook.holds(kind, record_id):
                notebook.point_at(kind, [(record_id, "", None, None)])
        notebook.mark_dirty(plan.poll, "unsettled")
        if witness is not None and plan.hints_since is not None:
            changed = witness.changed_orders(plan.hints_since, plan.run_start)
            notebook.mark_dirty(changed, "modified on the platform")
            self.gift_cards |= {order_id for order_id, may_sell in changed.items() if may_sell}

    def _find_gift_cards(self, witness: Witness) -> None:
        """Ask the platform which orders of this commit sold gift cards; those never asked about are mapped anew."""
        pieces = self.plan.pieces[: len(self.plan.pieces) - len(self.left)]
        found = witness.gift_card_orders(Window(pieces[0].since, pieces[-1].until))
        self.gift_cards |= found
        known = {home.id for home in self.stored.homes(PLATFORM, sorted(found))}
        self.notebook.mark_dirty(self.stored.published_among(found - known), "sold a gift card")

    def _batches(self, incomplete: Collection[str], processes: MappingProcesses) -> Iterable[MappedBatch]:
        tasks = self._tasks(incomplete)
        if self.notebook.count_dirty() >= WORTH_IT_FROM:
            return processes.map(tasks, self.notebook)
        return (map_batch(task, self.notebook.records_of(task.order_ids)) for task in tasks)

    def _tasks(self, incomplete: Collection[str]) -> Iterator[MappingTask]:
        plan, notebook, after = self.plan, self.notebook, ""
        gone = {record_id for kind, record_id in notebook.gone() if kind == ORDER}
        while ids := notebook.dirty_orders(after, _BATCH):
            after = ids[-1]
            whole = [order_id for order_id in ids if order_id not in incomplete]
            yield MappingTask(
                company_id=plan.company_id,
                connection_id=plan.connection_id,
                merchant=plan.merchant,
                order_ids=whole,
                vanished=self._vanished_charges(whole),
                deleted=self._last_said(gone.intersection(whole)),
                void_claims=notebook.links.void_claims(whole),
                shared=frozenset(notebook.orders_with_shared_references(whole)),
                previous=self._previous(whole),
                run_start=plan.run_start,
                unpaid_orders=plan.unpaid_orders,
            )

    def _vanished_charges(self, order_ids: list[str]) -> dict[str, list[bytes]]:
        """Order id -> its stored charges that Clover no longer has, marked as voided, as JSON.

        One that was deleted earlier and was read in this run is back.
        """
        notebook = self.notebook
        vanished: dict[str, list[bytes]] = {}
        for order_id, charge_id, payload, is_deleted in self.stored.charges_of_orders(order_ids):
            if notebook.is_gone(CHARGE, charge_id) or (is_deleted and not notebook.holds(CHARGE, charge_id)):
                voided = {**orjson.loads(payload), "voided": True}
                vanished.setdefault(order_id, []).append(orjson.dumps(voided))
        return vanished

    def _last_said(self, order_ids: Collection[str]) -> dict[str, str | None]:
        """Order id -> what Clover last said of an order it has no more, None where it never said anything."""
        return {**dict.fromkeys(order_ids), **self.stored.order_payloads(order_ids)}

    def _previous(self, order_ids: list[str]) -> dict[str, PreviousVersion]:
        """Order id -> its current version, also one that was deleted."""
        return {
            version.order_id: PreviousVersion(
                version.modified, version.content_hash, payment_dates(version.doc) if version.doc else {}
            )
            for version in self.stored.current_versions(order_ids)
        }

    def _fill_in(self, side: SideRecords) -> None:
        """Add what the platform knows of customers; once a night of all that are stored."""
        if self.source is not None and self.source.witness is not None:
            is_nightly = self.is_last and "nightly" in self.plan.pieces[-1].deep_scans
            stored = (lambda: self.stored.record_ids(CUSTOMERS)) if is_nightly else None
            fill_in_customers(self.source.witness, side, self.plan.run_start, stored=stored)
