"""Keeps a scheduler stepping until it is told to end, and ends it in good order.

Signals only set a mark, which the loop looks at every second: a handler that did more could meet a lock held by the
very thread it interrupts.
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from connector.logs import get_logger
from connector.schedule.scheduler import Scheduler

POLL_SECONDS = 1.0
log = get_logger(__name__)


@dataclass(slots=True)
class Asked:
    """What signals have asked for since they were last looked at."""

    stop: bool = False
    reload: bool = False

    def listen(self) -> None:
        """SIGTERM and SIGINT stop, SIGHUP reads the configuration again. Only in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._reload)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload = True


def run_until_stopped(
    scheduler: Scheduler,
    asked: Asked,
    *,
    once: bool = False,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Step until asked to stop; then give runs their grace. Whether every run came to its end.

    once: end when nothing is due and nothing runs. wait, clock: seconds.
    """
    while not asked.stop:
        if asked.reload:
            asked.reload, scheduler.reload_asked = False, True
        begun = _step(scheduler)
        if once and not begun and not scheduler.running:
            break
        wait(POLL_SECONDS if not once else POLL_SECONDS / 10)
    scheduler.stop()
    until = clock() + scheduler.config.scheduler.grace_seconds
    while scheduler.running and clock() < until:
        _step(scheduler)
        if scheduler.running:
            wait(POLL_SECONDS / 10)
    if scheduler.running:
        log.warning("schedule.abandoned", connections=len(scheduler.running))
    return not scheduler.running


def _step(scheduler: Scheduler) -> int:
    try:
        return scheduler.step()
    except Exception as error:
        # A scheduler that dies of one bad minute would leave every merchant unread.
        log.error("schedule.step_failed", error=str(error), exc_info=error)
        return 0
