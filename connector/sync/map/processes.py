"""Maps batches in several processes: the mapping is pure, and Python runs one thread of it at a time.

Worth its start-up only for large loads; results come back in the order of the tasks, a few in flight at once.
"""

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from connector.ledger.load.batch import NdjsonWriter
from connector.sync.link.notebook import Staging
from connector.sync.map.batch import MappedBatch, MappingTask, map_batch

WORTH_IT_FROM = 3_000  # orders; below, starting the processes costs more than they save


class MappingProcesses:
    """Processes that map; started at the first use and kept for the rest of a run. A context manager."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or min(4, os.cpu_count() or 1)
        self._pool: ProcessPoolExecutor | None = None

    def map(self, tasks: Iterable[MappingTask], staging: Staging) -> Iterator[MappedBatch]:
        """The mapped batches of all tasks, in order. The processes read the records from the notebook themselves."""
        staging.share()
        if self._pool is None:
            # Threads are running (lists, log): forking them could copy a held lock.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                max_workers=self._workers, mp_context=context, initializer=_begin
            )
        waiting: deque[Future[MappedBatch]] = deque()
        for task in tasks:
            waiting.append(self._pool.submit(_map_staged, task, staging.path))
            if len(waiting) > self._workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def __enter__(self) -> "MappingProcesses":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    # Ctrl-C reaches every process of a terminal, and a service's SIGTERM may: the parent decides when these end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Mapping makes many small values and no cycles; looking for cycles all the time costs a tenth of it.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _map_staged(task: MappingTask, notebook: Path) -> MappedBatch:
    """A mapped batch whose lines lie in files beside the notebook: they need not travel between processes."""
    batch = map_batch(task, _open(notebook).records_of(task.order_ids))
    writer = _writer(notebook.parent)
    writer.write_lines("order_versions", batch.lines)
    writer.write_lines("source_records", batch.source_lines)
    writer.flush()
    batch.lines, batch.source_lines, batch.files = [], [], writer.paths()
    return batch


@lru_cache(maxsize=1)
def _writer(directory: Path) -> NdjsonWriter:
    return NdjsonWriter(directory, f"-{os.getpid()}")


@lru_cache(maxsize=1)
def _open(notebook: Path) -> Staging:
    return Staging.reading(notebook)
