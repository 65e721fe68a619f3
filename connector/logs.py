"""Log lines as fields: readable on a terminal, JSON elsewhere, always to standard error, never with a secret.

One line a unit of work (``sync.finished``, ``store.published``), its facts as fields. Which run, company and
connection a line belongs to is bound once with ``bound`` and follows every line inside.
"""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

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
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=28)
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
    handler = logging.StreamHandler(out)
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


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: ``log = get_logger(__name__)``."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Every log line inside carries these fields: ``run_id``, ``company_id``, ``connection_id``."""
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
