"""Companies that a client of the API made and deleted again are forgotten, as ``connector forget`` does it.

Those of the configuration, and those that the operator keeps as data, are his to forget.
"""

from contextlib import closing
from datetime import datetime, timedelta

from connector.config import Config
from connector.control import companies, outbox
from connector.control.file import stamp
from connector.control.place import control_is_there, control_place, open_control
from connector.errors import StoreBusy
from connector.ledger.interface import Store
from connector.logs import get_logger
from connector.schedule.forget_company import forget_company

# So long somebody may still have to be told that the company was deleted; then it is forgotten all the same.
TOLD_WITHIN = timedelta(days=1)
log = get_logger(__name__)


def forget_deleted(config: Config, store: Store, *, now: datetime) -> int:
    """Forget one of them, the one deleted first; how many were forgotten. One that is being read waits."""
    place = control_place(config)
    if config.fleet is not None or not control_is_there(place):
        return 0
    with closing(open_control(place, companies.TABLES, outbox.TABLES)) as control:
        row = control.row(
            "SELECT c.company_id FROM companies c WHERE c.deleted IS NOT NULL AND c.origin = 'api' AND (c.deleted < ?"
            " OR NOT EXISTS (SELECT 1 FROM outbox_deliveries d JOIN outbox_events e ON e.event_id = d.event_id"
            " WHERE e.company_id = c.company_id AND d.next_try IS NOT NULL)) ORDER BY c.deleted, c.company_id LIMIT 1",
            (stamp(now - TOLD_WITHIN),),
        )
    if row is None:
        return 0
    company_id = str(row["company_id"])
    try:
        done = forget_company(config, store, company_id, now=now)
    except StoreBusy:
        return 0
    if done.traces:
        log.error("company.forgotten_in_part", traces=len(done.traces), hint="connector forget says where.")
    # Its id is forgotten too.
    log.info("company.forgotten", removed=sum(done.removed.values()))
    return 1
