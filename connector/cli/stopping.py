"""Ctrl-C and SIGTERM end a command that reads in good order: no new request, what was loaded kept, the reason told."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread
from types import FrameType

from connector.logs import get_logger

log = get_logger(__name__)


class Asked:
    """The signal that asked to stop, if one did."""

    def __init__(self) -> None:
        self.number: int | None = None

    def exit_code(self, otherwise: int) -> int:
        """What a shell expects of a command that a signal ended before its work was done: 130 or 143."""
        return 128 + self.number if self.number is not None and otherwise != 0 else otherwise


@contextmanager
def stopping(stop: Callable[[], object]) -> Iterator[Asked]:
    """Inside, the first Ctrl-C or SIGTERM calls ``stop``; the second ends the process at once, as a crash would."""
    asked, heard = Asked(), Event()
    if current_thread() is not main_thread():
        yield asked  # signals are for the main thread alone
        return

    def hear(number: int, _frame: FrameType | None) -> None:
        asked.number = asked.number or number
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        # Not here: ``stop`` takes a lock that the interrupted thread may hold.
        heard.set()

    def watch() -> None:
        heard.wait()
        if asked.number is not None:
            stop()
            log.warning(
                "stopping", hint="What was loaded is kept. The same signal again ends the process at once."
            )

    before = {
        number: signal.signal(number, hear) or signal.SIG_DFL
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup, or a shell's background
    }
    watcher = Thread(target=watch, name="stopping", daemon=True)
    watcher.start()
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        heard.set()
        watcher.join()
