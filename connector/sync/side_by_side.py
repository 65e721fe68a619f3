"""Many runs at once, so that a few large merchants do not hold up many small ones.

All of them share Clover's limits, in which every token gets its turn; what is shared out here is who may begin. The
smallest merchants begin first, and a run that takes long gives its place to another. First loads begin last and few
at once: nobody knows how large they are, and each may need some 300 MB.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import TypeVar

from connector.config import Company, Connection
from connector.errors import ConnectorError, StoreError
from connector.ledger.bursts import LATEST
from connector.ledger.interface import Store
from connector.logs import get_logger

Pair = tuple[Company, Connection]
Report = TypeVar("Report")
# A run that takes longer gives its place to another.
LONG_AFTER = timedelta(minutes=1)
# So many long ones read beside the others.
MOST_LONG = 4
# First loads at once, and how many long ones beside them: a small one waits for two, and memory holds four.
FIRST_LOADS, MOST_LONG_FIRST_LOADS = 2, 2
# Seconds between two looks at whether one has begun to take long.
LOOK_EVERY = 0.5
log = get_logger(__name__)


def smallest_first(todo: Sequence[Pair], stored: Mapping[str, int]) -> list[Pair]:
    """In the order in which they should begin. stored: see ``stored_orders``; one not in it may be any size."""
    return sorted(todo, key=lambda pair: stored.get(pair[1].id, float("inf")))


def stored_orders(store: Store) -> Mapping[str, int]:
    """Connection id -> how many orders are published, of connections of which a sync has come to its end.

    A first load that was interrupted is still one. Empty when nothing is published, or it cannot be read.
    """
    try:
        states = store.states().values()
    except StoreError:
        return {}
    return {state.connection_id: state.orders for state in states if state.last_success is not None}


def run_side_by_side(
    todo: Sequence[Pair],
    run: Callable[[Pair], Report],
    *,
    side_by_side: int,
    now: Callable[[], datetime],
    publish: Callable[[], object] | None,
    not_published: Callable[[Report, ConnectorError], None],
    first_loads: Collection[str] = (),
) -> list[Report]:
    """Run them all, beginning in the order given; the reports in the order in which they ended.

    first_loads: ids of connections that are loaded for the first time; they should come last in the order.
    publish: makes visible what ended runs have committed; called once for those that end together, in the thread of
    the caller. not_published: notes in the report of a run that it could not be made visible.
    """
    waiting = deque(todo)
    running: dict[Future[Report], tuple[str, datetime]] = {}
    ended: list[Report] = []
    unpublished: list[Report] = []
    since = now()

    def publish_ended() -> None:
        try:
            if publish is not None:
                publish()
        except ConnectorError as error:
            log.error("store.not_published", error=error.message, hint=error.hint)
            for report in unpublished:
                not_published(report, error)

    def may_begin(connection_id: str) -> bool:
        every = [began for _, began in running.values()]
        if connection_id not in first_loads:
            return free_places(every, now(), side_by_side) > 0
        first = [began for one, began in running.values() if one in first_loads]
        free = free_places(first, now(), FIRST_LOADS, most_long=MOST_LONG_FIRST_LOADS)
        return min(free, free_places(every, now(), side_by_side)) > 0

    with ThreadPoolExecutor(max_workers=side_by_side + MOST_LONG, thread_name_prefix="run") as pool:
        while waiting or running:
            while waiting and may_begin(waiting[0][1].id):
                pair = waiting.popleft()
                running[pool.submit(run, pair)] = (pair[1].id, now())
            done, _ = wait(running, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
            if done and not unpublished:
                since = now()
            for one in done:
                del running[one]
                unpublished.append(one.result())
            if unpublished and (not (waiting or running) or now() - since >= LATEST):
                publish_ended()
                ended += unpublished
                unpublished = []
    return ended


def free_places(
    began: Iterable[datetime], now: datetime, side_by_side: int, *, most_long: int = MOST_LONG
) -> int:
    """How many runs may begin beside those that began at these times. most_long: so many beside ``side_by_side``."""
    ages = [now - since for since in began]
    short = sum(age < LONG_AFTER for age in ages)
    return max(0, min(side_by_side - short, side_by_side + most_long - len(ages)))
