"""Maps batches in several processes: the mapping is pure, and Python runs one thread of it at a time.

Worth its start-up only for large loads; results come back in the order of the tasks, a few in flight at once.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from connector.sync.mapping import MappedBatch, MappingTask, map_batch

WORTH_IT_FROM = 3_000  # orders; below, starting the processes costs more than they save


def map_in_processes(tasks: Iterable[MappingTask], *, workers: int | None = None) -> Iterator[MappedBatch]:
    """The mapped batches of all tasks, in order."""
    workers = workers or min(4, os.cpu_count() or 1)
    # Threads are running (lists, log): forking them could copy a held lock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        waiting: deque[Future[MappedBatch]] = deque()
        for task in tasks:
            waiting.append(pool.submit(map_batch, task))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
