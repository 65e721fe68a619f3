"""Progress on the screen: bars on a terminal, a quiet log line a stage elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from connector.logs import get_logger
from connector.progress import STAGES, Progress, Stage
from connector.redaction import redact

log = get_logger(__name__)


class Bar:
    """One line on a terminal for one connection; drawn by a ``rich`` display that several may share."""

    def __init__(self, display: RichProgress, label: str = "") -> None:
        self._display = display
        self._label = label
        self._task = display.add_task(label, total=None) if label else None

    def of(self, label: str) -> Progress:
        return Bar(self._display, label)

    def stage(self, name: Stage, *, total: int | None = None) -> None:
        # A new bar, because a bar that once had a total cannot lose it.
        if self._task is not None:
            self._display.remove_task(self._task)
        text = f"{self._label}: {STAGES[name]}" if self._label else STAGES[name]
        self._task = self._display.add_task(text, total=total)

    def advance(self, n: int = 1) -> None:
        if self._task is not None:
            self._display.advance(self._task, n)

    def note(self, text: str) -> None:
        prefix = f"{self._label}: " if self._label else ""
        self._display.console.print(redact(prefix + text), style="dim", highlight=False, markup=False)


class Lines:
    """One log line when a stage is left, with how many records it did."""

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._stage: Stage | None = None
        self._done = 0
        self._lock = threading.Lock()

    def of(self, label: str) -> Progress:
        return Lines(label)

    def stage(self, name: Stage, *, total: int | None = None) -> None:
        self.close()
        with self._lock:
            self._stage, self._done = name, 0
        log.debug("stage.started", stage=name, of=self._label, total=total)

    def advance(self, n: int = 1) -> None:
        with self._lock:
            self._done += n

    def note(self, text: str) -> None:
        log.info("note", of=self._label, text=text)

    def close(self) -> None:
        """Say what the stage that was open has done; once."""
        with self._lock:
            stage, done, self._stage = self._stage, self._done, None
        if stage is not None:
            log.info("stage.finished", stage=stage, of=self._label, records=done)


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
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    )
    with display:
        yield Bar(display)
