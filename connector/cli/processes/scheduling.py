"""A scheduler inside a process that does something else: a thread of its own, ended in good order."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from connector.cli.invocation import Invocation


@contextmanager
def scheduling(invocation: Invocation) -> Iterator[None]:
    """What ``connector schedule`` does, while this lasts. Raises StoreBusy where another scheduler holds the store."""
    from connector.ledger import locks
    from connector.ledger.interface import now_utc
    from connector.schedule.loop import Asked, run_until_stopped
    from connector.schedule.scheduler import Scheduler
    from connector.sync.connect.connecting import Pace

    load = partial(invocation.config, all_or_none=True)
    config = load()
    store = invocation.store(config)
    asked = Asked()
    with locks.held(store.directory, "schedule", what="The store's scheduler", since=now_utc(), wait=0):
        scheduler = Scheduler(config, store, load=load, now=now_utc, pace=Pace(config))
        thread = threading.Thread(
            target=run_until_stopped, args=(scheduler, asked), name="scheduler", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            asked.stop = True
            thread.join(timeout=config.scheduler.grace_seconds + 5)
            scheduler.close()
