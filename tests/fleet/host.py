"""One sync host of a fleet, as a process that dies where it is told to: ``python host.py CONFIG CACHE NOW COMPANIES``.

KILL_AT names a failpoint, KILL_AFTER at which time it is passed there. ROGUE=1 takes no lock of the fleet.
"""

import os
import signal
import sys
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from connector.config import load_config
from connector.fleet import cache, company, pointers
from connector.fleet.store import FleetStore
from connector.ledger import publish
from connector.progress import Silent
from connector.sync.modes import SyncMode
from connector.sync.run import run_connection
from connector.sync.runtime import Runtime

PLACES = (
    "fleet.fetched",
    "fleet.applied",
    "publish.before_copy",
    "fleet.uploaded",
    "fleet.before_swap",
    "fleet.after_swap",
)


def dies_at(place: str, after: int) -> None:
    left = [after]

    def failpoint(name: str) -> None:
        if name != place:
            return
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for module in (cache, company, publish):
        module.failpoint = failpoint


def main(config_path: str, cache_path: str, now: str, companies: str) -> None:
    if place := os.environ.get("KILL_AT"):
        dies_at(place, int(os.environ["KILL_AFTER"]))
    if os.environ.get("ROGUE"):
        pointers.Pointers.locked = lambda self, name, what: nullcontext()
    config = load_config(Path(config_path)).model_copy(update={"cache": Path(cache_path)})
    at = datetime.fromisoformat(now)
    store = FleetStore(config.fleet, clock=lambda: at)
    runtime = Runtime.of(config, store, now=lambda: at)
    for number in companies.split(","):
        owner = config.companies[int(number)]
        report = run_connection(runtime, owner, owner.connections[0], SyncMode(), Silent())
        print("run", number, report.status, report.error_kind, report.error, flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
