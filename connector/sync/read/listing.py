"""Reads the three created feeds of one span, several windows at a time, pages flowing through a short queue.

Network threads only fetch; every page is handed to the caller's thread, so whoever stores pages needs no lock
and no more than a few pages are ever held.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from connector.clover.lists.pages import Page
from connector.clover.lists.streams import Stream
from connector.clover.lists.window import Window

_PAGES_IN_HAND = 16


@dataclass(frozen=True, slots=True)
class ListJob:
    """One stream over one window."""

    stream: Stream
    window: Window


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of a job, or its end: ``page`` is None once the window is completely read."""

    job: ListJob
    page: Page | None


def read_jobs(
    jobs: Iterable[ListJob], walk: Callable[[Stream, Window], Iterator[Page]], *, workers: int
) -> Iterator[ListedPage]:
    """Pages of all jobs as they come in; after the last page of a job one item with ``page=None``.

    The first error of any job stops the others at their next page and is raised here.
    """
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
                put(ListedPage(job, page))
            put(ListedPage(job, None))
        except BaseException as error:
            put(error)

    todo = list(jobs)
    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="list") as pool:
        try:
            for job in todo:
                pool.submit(run, job)
            left = len(todo)
            while left:
                item = pages.get()
                if isinstance(item, BaseException):
                    raise item
                left -= item.page is None
                yield item
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
