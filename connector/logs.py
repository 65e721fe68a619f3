"""Log lines as fields: words on a terminal, JSON elsewhere, always to standard error, never with a secret.

One line a unit of work (``sync.finished``, ``store.published``), its facts as fields. Which run, company and
connection a line belongs to is bound once with ``bound`` and follows every line inside.
"""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

from connector.log_words import in_words
from connector.redaction import redact, redact_value, trace

LogFormat = Literal["console", "json"]

# Other people's loggers that say something for each request; only --verbose shows those lines.
_CHATTY = ("httpx", "uvicorn.access", "asyncio", "urllib3", "filelock")
# Prints every header of every answer, whatever stands in it; nobody is shown that.
_TOO_CHATTY = ("httpcore",)


def configure_logging(
    log_format: LogFormat | None = None, *, verbose: bool = False, stream: TextIO | None = None
) -> None:
    """Set logging up for the process. May be called again; the last call counts.

    log_format: None takes console on a terminal and json elsewhere. verbose: debug lines too.
    """
    out = stream if stream is not None else sys.stderr
    chosen = log_format or ("console" if out.isatty() else "json")
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(lambda failure: trace(failure[1])),
        redacted,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if chosen == "json"
        else in_words(colors=out.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out) if stream is not None else _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _interpolated, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
    for name in _TOO_CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    warnings.simplefilter("default" if verbose else "ignore", DeprecationWarning)
    threading.excepthook = _thread_failed


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now: while bars are drawn, that is above them."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override] # a place that is looked up, not kept
        return sys.stderr


class Repeats(logging.Filter):
    """Lets some warnings and errors of one event and place through in a minute, then counts what it leaves out.

    For a server: a fault that every request meets (a full disk, no descriptor left) must not fill the log's disk too.
    """

    def __init__(self, *, most: int = 5, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._most, self._seconds, self._clock = most, seconds, clock
        self._seen: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        said = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        # Only the first line: the others of asyncio's name objects by their address.
        where = record.msg.get("where") if isinstance(record.msg, dict) else None
        event = (record.name, str(said).partition("\n")[0][:100], str(where))
        now = self._clock()
        with self._lock:
            since, times = self._seen.get(event, (now, 0))
            left_out = 0
            if now - since >= self._seconds:
                since, times, left_out = now, 0, max(0, times - self._most)
            if event not in self._seen and len(self._seen) >= 1000:
                self._seen.clear()
            self._seen[event] = (since, times + 1)
        if left_out and isinstance(record.msg, dict):
            record.msg = {**record.msg, "left_out": left_out}
        elif left_out:
            record.msg = f"{record.msg} ({left_out} like it left out)"
        return times < self._most


def bound_repeats() -> None:
    """From now on what is said again and again is said some times a minute, with a count of what was left out."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: ``log = get_logger(__name__)``."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Every log line inside carries these fields: ``run_id``, ``company``, ``company_id``, ``connection_id``."""
    with structlog.contextvars.bound_contextvars(**{k: v for k, v in fields.items() if v is not None}):
        yield


def redacted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that takes secrets out of a log line: message, fields and tracebacks alike."""
    return {
        key: value if key.startswith("_") else redact_value(value, key=key) for key, value in event.items()
    }


def _interpolated(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # A library's line may carry its arguments apart from its text; they meet only in the record.
    event["event"] = redact(str(event.get("event", "")))
    return event


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_type is not SystemExit:
        error = failure.exc_value
        get_logger(__name__).error("thread.failed", error=failure.exc_type.__name__, exc_info=error)
