"""Reads the three created feeds of one span, several windows at a time, pages flowing through a short queue.

Network threads only fetch; every page is handed to the caller's thread, so whoever stores pages needs no lock
and no more than a few pages are ever held.

How long the windows are is learned from what they show: a window with few pages makes later ones twice as
long, one with many half as long. A long history of a small shop then costs few requests, and a busy one is
still read in several windows at a time. A row without a time of its own is dated by its window, so windows that show
such rows stay as short as the first.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from connector.clover.lists.pages import LARGEST_PAGE
from connector.clover.lists.rows import Page, created_ms
from connector.clover.lists.streams import Stream
from connector.clover.lists.window import LONGEST_WINDOW_DAYS, Window

_PAGES_IN_HAND = 16
_LONGEST = timedelta(days=LONGEST_WINDOW_DAYS)
_SHORTEST = timedelta(hours=1)
# A window ends in half a page and often one more question: with fewer pages than this it is a good part of the cost.
_FEW_ROWS = 5 * LARGEST_PAGE
_MANY_ROWS = 20 * LARGEST_PAGE
# So many windows of a stream are read at a time. Each one's length follows from those before these, and so from the
# rows alone: two runs over the same rows ask the same questions, whichever answer comes first.
_AT_A_TIME = 2


@dataclass(frozen=True, slots=True)
class ListJob:
    """One stream over one window."""

    stream: Stream
    window: Window


@dataclass(slots=True)
class WindowLengths:
    """How long the next window of a stream is, learned over the length of a run. first: to begin with."""

    first: timedelta
    by_kind: dict[str, timedelta] = field(default_factory=dict)

    def of(self, kind: str) -> timedelta:
        return self.by_kind.get(kind, min(self.first, _LONGEST))

    def learn(self, kind: str, window: Window, rows: int | None) -> None:
        """A window showed so many rows, or rows without a time (None). One that a span cut short teaches nothing."""
        length, now = window.until - window.since, self.of(kind)
        if rows is None:
            now = min(now, self.first)
        elif rows < _FEW_ROWS:
            now = min(_LONGEST, max(now, 2 * length))
        elif rows > _MANY_ROWS:
            now = max(_SHORTEST, min(now, length / 2))
        self.by_kind[kind] = now

    def shortest(self, kinds: Iterable[str]) -> timedelta:
        """Of the next windows of these streams."""
        return min(map(self.of, kinds), default=self.first)


class Jobs(Protocol):
    """What is still to be listed."""

    def due(self) -> ListJob | None:
        """The next job, None while none can begin before another has ended."""

    def is_too_long(self, job: ListJob, page: Page) -> bool:
        """Whether the page shows that the job must be read in shorter windows; what it showed is then left out."""

    def ended(self, job: ListJob, rows: int | None) -> None:
        """A job was read to its end and showed so many rows; None: it is to be read in shorter windows."""


class FixedJobs:
    """Jobs that were decided beforehand."""

    def __init__(self, jobs: Iterable[ListJob]) -> None:
        self._jobs = iter(jobs)

    def due(self) -> ListJob | None:
        return next(self._jobs, None)

    def is_too_long(self, job: ListJob, page: Page) -> bool:  # noqa: ARG002 - the Protocol's parameters
        return False

    def ended(self, job: ListJob, rows: int | None) -> None:
        pass


class GrowingJobs:
    """Windows of the length that fits, oldest first.

    parts: per stream the spans to list, oldest first. whole: windows among them that are not cut.
    """

    def __init__(
        self,
        parts: Mapping[Stream, Iterable[Window]],
        lengths: WindowLengths,
        whole: Iterable[ListJob] = (),
    ) -> None:
        self._todo = {stream: deque(windows) for stream, windows in parts.items()}
        self._whole = set(whole)
        self._lengths = lengths
        self._given: dict[Stream, deque[ListJob]] = {stream: deque() for stream in parts}
        self._rows: dict[ListJob, int | None] = {}
        self._undated: set[ListJob] = set()
        self._shorter: deque[ListJob] = deque()

    def due(self) -> ListJob | None:
        if self._shorter:
            return self._shorter.popleft()
        waiting = sorted(
            (todo[0].since, number, stream)
            for number, (stream, todo) in enumerate(self._todo.items())
            if todo and self._is_free(stream)
        )
        return self._next(waiting[0][2]) if waiting else None

    def is_too_long(self, job: ListJob, page: Page) -> bool:
        if all(created_ms(row) is not None for row in page.rows):
            return False
        self._undated.add(job)
        return job not in self._whole and job.window.until - job.window.since > self._lengths.first

    def ended(self, job: ListJob, rows: int | None) -> None:
        if job not in self._given[job.stream]:
            return  # a part of one that was too long
        if rows is None:
            days = self._lengths.first / timedelta(days=1)
            self._shorter += [ListJob(job.stream, window) for window in job.window.split(days)]
        self._rows[job] = None if job in self._undated else rows
        if not self._todo[job.stream]:
            while self._given[job.stream] and self._given[job.stream][0] in self._rows:
                self._learn(job.stream)

    def _is_free(self, stream: Stream) -> bool:
        given = self._given[stream]
        return len(given) < _AT_A_TIME or given[0] in self._rows

    def _next(self, stream: Stream) -> ListJob:
        given, todo = self._given[stream], self._todo[stream]
        if len(given) == _AT_A_TIME:
            self._learn(stream)
        window = todo.popleft()
        end = window.since + self._lengths.of(stream.kind)
        if end < window.until and ListJob(stream, window) not in self._whole:
            todo.appendleft(Window(end, window.until))
            window = Window(window.since, end)
        job = ListJob(stream, window)
        given.append(job)
        return job

    def _learn(self, stream: Stream) -> None:
        job = self._given[stream].popleft()
        self._lengths.learn(stream.kind, job.window, self._rows.pop(job))


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of a job, or its end: ``page`` is None once the window is completely read."""

    job: ListJob
    page: Page | None


def read_jobs(
    jobs: Jobs | Iterable[ListJob], walk: Callable[[Stream, Window], Iterator[Page]], *, workers: int
) -> Iterator[ListedPage]:
    """Pages of all jobs as they come in; after the last page of a job one item with ``page=None``.

    A job that turns out to be too long is read in parts instead, without an end of its own. The first error of any
    job stops the others at their next page and is raised here.
    """
    source: Jobs = FixedJobs(jobs) if isinstance(jobs, Iterable) else jobs
    workers = max(1, workers)
    pages: queue.Queue[ListedPage | BaseException] = queue.Queue(maxsize=_PAGES_IN_HAND)
    stop = threading.Event()

    def put(item: ListedPage | BaseException) -> None:
        while not stop.is_set():
            try:
                pages.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def run(job: ListJob) -> None:
        if stop.is_set():
            return
        try:
            for page in walk(job.stream, job.window):
                if stop.is_set():
                    return
                if job in given_up:
                    break
                put(ListedPage(job, page))
            put(ListedPage(job, None))
        except BaseException as error:
            put(error)

    rows: dict[ListJob, int] = {}  # of the jobs that are being read
    given_up: set[ListJob] = set()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="list") as pool:
        try:
            while True:
                while len(rows) < workers and (job := source.due()) is not None:
                    rows[job] = 0
                    pool.submit(copy_context().run, run, job)  # its log lines name the run
                if not rows:
                    return
                item = pages.get()
                if isinstance(item, BaseException):
                    raise item
                if (
                    item.job not in given_up
                    and item.page is not None
                    and source.is_too_long(item.job, item.page)
                ):
                    given_up.add(item.job)
                if item.job in given_up:
                    if item.page is None:
                        rows.pop(item.job)
                        given_up.remove(item.job)
                        source.ended(item.job, None)
                    continue
                if item.page is None:
                    source.ended(item.job, rows.pop(item.job))
                else:
                    rows[item.job] += len(item.page.rows) + len(item.page.broken)
                yield item
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
