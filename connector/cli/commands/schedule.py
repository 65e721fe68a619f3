"""``connector schedule``: syncs by themselves, in the foreground, until stopped."""

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from connector.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from connector.config import Config


@click.command()
@click.option("--once", is_flag=True, help="Run what is due now, then end; for cron and timers.")
@pass_invocation
def schedule(invocation: Invocation, once: bool) -> int:
    """Sync each connection on its cron expression (`schedule` in the config), in the connection's time zone.

    Many connections run side by side and share Clover's limits fairly; one connection never runs twice at once.
    Ticks missed while nothing ran are caught up once. Refreshes that clients of the API ask for begin within
    seconds. SIGHUP reads the config again and keeps the old one if the new is wrong; SIGTERM lets runs finish what
    they are writing, for up to scheduler.grace_seconds, and what was not finished is read again after the next
    start. One scheduler a store.

    \b
    Examples:
      connector schedule
      connector schedule --once --log-format json
      pkill -HUP -f 'connector schedule'      (under systemd: systemctl reload connector)

    \b
    Exit codes: 0 stopped as asked, 2 the config is wrong, 4 another scheduler holds the store
    """
    from connector.ledger import locks
    from connector.ledger.interface import now_utc
    from connector.schedule.loop import Asked, run_until_stopped
    from connector.schedule.scheduler import Scheduler
    from connector.sync.connect.connecting import Pace

    config = invocation.config(all_or_none=True)
    store = invocation.store(config)
    asked = Asked()
    with locks.held(store.directory, "schedule", what="The store's scheduler", since=now_utc(), wait=0):
        asked.listen()
        scheduler = Scheduler(
            config, store, load=partial(invocation.config, all_or_none=True), now=now_utc, pace=Pace(config)
        )
        _say_begin(config)
        has_ended = run_until_stopped(scheduler, asked, once=once)
        scheduler.close()
    if not has_ended:
        # Threads still wait for Clover. They have written nothing that the next run does not repair.
        sys.stderr.flush()
        os._exit(0)
    return 0


def _say_begin(config: "Config") -> None:
    from connector.logs import get_logger

    pairs = list(config.enabled_pairs())
    by_hand = [one.merchant_id for _, one in pairs if one.schedule is None]
    log = get_logger(__name__)
    log.info("schedule.begins", connections=len(pairs), without_schedule=len(by_hand))
