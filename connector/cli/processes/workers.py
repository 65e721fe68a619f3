"""Several processes that do the same work on one listening socket, and the one that keeps them running."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from connector.errors import ConnectorError
from connector.logs import get_logger

SOON = 2.0  # seconds; a worker that ends sooner could not begin
MOST_FAILED_STARTS = 5  # one after the other; then the fault is not one that passes
GRACE_SECONDS = 25.0  # after which a worker that was told to stop is ended
log = get_logger(__name__)


class WorkersFailed(ConnectorError):
    """Workers end as soon as they have begun."""

    kind = "system"


def run_workers(number: int, work: Callable[[], None]) -> None:
    """Run ``work`` in ``number`` processes until Ctrl-C or SIGTERM; one that dies is begun anew.

    Call before any thread runs: each process is a fork. Raises WorkersFailed when none can stay up.
    """
    alive, held = os.pipe()  # closed when this process ends, however it ends
    running: dict[int, float] = {}
    failed_starts = 0
    try:
        while True:
            while len(running) < number:
                running[_begin(work, alive, held)] = time.monotonic()
            pid, status = os.wait()
            lived = time.monotonic() - running.pop(pid, 0.0)
            log.warning(
                "worker.ended", pid=pid, exit_code=os.waitstatus_to_exitcode(status), seconds=round(lived)
            )
            failed_starts = failed_starts + 1 if lived < SOON else 0
            if failed_starts >= MOST_FAILED_STARTS:
                raise WorkersFailed(
                    "The workers of connector serve end as soon as they have begun.",
                    hint="See the lines above; connector serve without --workers says more.",
                )
            if failed_starts:
                time.sleep(0.5)
    except KeyboardInterrupt:
        return
    finally:
        _stop(running)
        os.close(alive)
        os.close(held)


def _begin(work: Callable[[], None], alive: int, held: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.close(held)
        threading.Thread(target=_end_with_parent, args=(alive,), name="parent", daemon=True).start()
        work()
        code = 0
    except KeyboardInterrupt:
        code = 0
    except BaseException as error:  # a fork never returns into the caller's code
        log.exception("worker.failed", error=type(error).__name__)
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)  # returns when the last writing end is closed
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(running: dict[int, float]) -> None:
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + GRACE_SECONDS
    while running and time.monotonic() < end:
        for pid in list(running):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del running[pid]
        time.sleep(0.05)
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
