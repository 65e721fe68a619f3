"""Ctrl-C and SIGTERM: a command that reads ends in good order, any other cleans up after itself and ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class Interruption:
    """The signal that asked to stop, if one did."""

    def __init__(self) -> None:
        self.number: int | None = None

    def listen(self) -> None:
        """From now on a signal interrupts the main thread, as Ctrl-C does in Python."""
        _set(self._interrupt)

    def exit_code(self, otherwise: int) -> int:
        """What a shell expects of a command that a signal ended before its work was done: 130 or 143."""
        return 128 + self.number if self.number is not None and otherwise != 0 else otherwise

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        raise KeyboardInterrupt


@contextmanager
def stopping(
    interruption: Interruption, stop: Callable[[], object], *, hint: str | None = None
) -> Iterator[None]:
    """Inside, the first Ctrl-C or SIGTERM calls ``stop``; the second ends the process at once, as a crash would.

    hint: what to tell a person then.
    """
    if current_thread() is not main_thread():
        yield  # signals are for the main thread alone
        return
    heard = Event()

    def hear(number: int, _frame: FrameType | None) -> None:
        interruption.number = number
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        # Not here: ``stop`` takes a lock that the interrupted thread may hold.
        heard.set()

    def watch() -> None:
        heard.wait()
        if interruption.number is not None:
            stop()
            if hint is not None:
                from connector.logs import get_logger

                get_logger(__name__).warning("stopping", hint=hint)

    before = _set(hear)
    watcher = Thread(target=watch, name="stopping", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        heard.set()
        watcher.join()


def _set(handler: Handler) -> dict[int, Handler | int]:
    """Handle Ctrl-C and SIGTERM, unless they are ignored (nohup, a shell's background). What handled them before."""
    return {
        number: signal.signal(number, handler) or signal.SIG_DFL
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
