"""Progress on the screen: bars on a terminal, a log line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from connector.log_words import done_text
from connector.logs import get_logger
from connector.progress import STAGES, Progress, Stage

log = get_logger(__name__)

SECONDS_BETWEEN_LINES = 30.0


class Bar:
    """One line on a terminal for one connection; drawn by a ``rich`` display that several may share."""

    def __init__(self, display: RichProgress, label: str = "") -> None:
        self._display = display
        self._label = label
        self._stage: Stage | None = None
        self._total: int | None = None
        self._done = self._rows = 0
        self._task = display.add_task(label, total=None, done="") if label else None

    def of(self, label: str) -> Progress:
        return Bar(self._display, label)

    def stage(self, name: Stage, *, total: int | None = None) -> None:
        # A new bar, because a bar that once had a total cannot lose it.
        if self._task is not None:
            self._display.remove_task(self._task)
        # Lists are read in pieces: their rows are counted over all of them.
        self._stage, self._total, self._done = name, total, 0
        text = f"{self._label}: {STAGES[name]}" if self._label else STAGES[name]
        self._task = self._display.add_task(text, total=total, done="")

    def advance(self, n: int = 1) -> None:
        self._done += n
        self._show(n)

    def rows(self, n: int) -> None:
        self._rows += n
        self._show(0)

    def _show(self, n: int) -> None:
        if self._task is not None and self._stage is not None:
            said = done_text(self._stage, self._done, self._total, self._rows)
            self._display.update(self._task, advance=n, done=said)


class Lines:
    """A log line every half minute, saying how far the stage is; what a run did as a whole is its own line."""

    def __init__(self, label: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._said = clock()
        self._stage: Stage | None = None
        self._total: int | None = None
        self._done = self._rows = 0
        self._lock = threading.Lock()

    def of(self, label: str) -> Progress:
        return Lines(label, self._clock)

    def stage(self, name: Stage, *, total: int | None = None) -> None:
        with self._lock:
            self._stage, self._total, self._done = name, total, 0
        log.debug("stage.started", stage=name, of=self._label, total=total)

    def advance(self, n: int = 1) -> None:
        self._say(done=n)

    def rows(self, n: int) -> None:
        self._say(rows=n)

    def _say(self, *, done: int = 0, rows: int = 0) -> None:
        with self._lock:
            self._done, self._rows = self._done + done, self._rows + rows
            fields = {"stage": self._stage, "done": self._done, "total": self._total, "rows": self._rows}
            now = self._clock()
            if now - self._said < SECONDS_BETWEEN_LINES:
                return
            self._said = now
        log.info("progress", of=self._label, **fields)


@contextmanager
def watching(*, log_format: str | None = None, verbose: bool = False) -> Iterator[Progress]:
    """A Progress that fits where standard error goes. Log lines stay readable above the bars."""
    if not sys.stderr.isatty() or log_format == "json" or verbose:
        yield Lines()
        return
    display = RichProgress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[done]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    )
    with display:
        yield Bar(display)
