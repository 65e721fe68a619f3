"""Forgetting a company in the control file: its rows, what was read of it, what was told of it."""

import json
from collections.abc import Mapping

from connector.control.companies import count_change
from connector.control.database import ControlDatabase
from connector.control.outbox import forget_events

_OF_A_COMPANY = (
    "refresh_requests", "access_log", "link_visits", "kept_connections", "kept_companies", "connections", "companies",
)  # fmt: skip


def forget_in_control(control: ControlDatabase, company_id: str) -> Mapping[str, int]:
    """Remove every trace of a company; table -> rows removed or changed. Keys and webhooks lose it from their list.

    A key or webhook made for this company alone stays, and may see nothing.
    """
    removed: dict[str, int] = {}
    with control.transaction() as db:
        connections = "SELECT connection_id FROM connections WHERE company_id = ?"
        removed["connection_told"] = db.execute(
            f"DELETE FROM connection_told WHERE connection_id IN ({connections})",  # noqa: S608
            (company_id,),
        ).rowcount
        removed["link_claims"] = db.execute(
            f"DELETE FROM link_claims WHERE connection_id IN ({connections})",  # noqa: S608
            (company_id,),
        ).rowcount
        removed |= forget_events(db, company_id)
        for table in _OF_A_COMPANY:
            removed[table] = db.execute(
                f"DELETE FROM {table} WHERE company_id = ?",  # noqa: S608
                (company_id,),
            ).rowcount
        count_change(db)
        for table, key in (("api_keys", "key_id"), ("webhooks", "webhook_id")):
            rows = db.execute(f"SELECT {key}, companies FROM {table} WHERE companies IS NOT NULL").fetchall()  # noqa: S608
            named = [row for row in rows if company_id in json.loads(row["companies"])]
            for row in named:
                kept = [other for other in json.loads(row["companies"]) if other != company_id]
                db.execute(
                    f"UPDATE {table} SET companies = ? WHERE {key} = ?",  # noqa: S608
                    (json.dumps(kept), row[key]),
                )
            removed[table] = len(named)
    control.erase_deleted()
    return removed
