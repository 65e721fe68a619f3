"""Reads that clients asked for: kept until a run of that connection begins after the asking.

The scheduler, or the next sync, asks for ``waiting_refreshes`` and runs those connections. Nothing has to be
crossed off: a request counts as answered once a run of its connection has started later than it was made.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.control.database import ControlDatabase
from connector.control.file import stamp

TABLES = """
CREATE TABLE IF NOT EXISTS refresh_requests (
  request_id TEXT PRIMARY KEY, company_id TEXT NOT NULL, connection_id TEXT NOT NULL, data_type TEXT,
  requested TEXT NOT NULL, requested_by TEXT) STRICT;
CREATE INDEX IF NOT EXISTS refresh_requests_connection ON refresh_requests (connection_id, requested);
CREATE INDEX IF NOT EXISTS refresh_requests_requested ON refresh_requests (requested);
"""


@dataclass(frozen=True, slots=True)
class Refresh:
    """``data_type`` None asks for all of them. ``requested``: instant as text."""

    request_id: str
    company_id: str
    connection_id: str
    data_type: str | None
    requested: str


def ask_for_refresh(
    control: ControlDatabase, refreshes: Iterable[Refresh], *, requested_by: str | None
) -> None:
    """Note them down, all or none."""
    control.write_many(
        "INSERT INTO refresh_requests VALUES (?, ?, ?, ?, ?, ?)",
        [
            (r.request_id, r.company_id, r.connection_id, r.data_type, r.requested, requested_by)
            for r in refreshes
        ],
    )


def refreshes_of(control: ControlDatabase, company_id: str) -> list[Refresh]:
    """What was asked for of one company, newest first."""
    rows = control.rows(
        "SELECT request_id, company_id, connection_id, data_type, requested FROM refresh_requests"
        " WHERE company_id = ? ORDER BY requested DESC, request_id LIMIT 1000",
        (company_id,),
    )
    return [Refresh(*tuple(row)) for row in rows]


def waiting_refreshes(
    control: ControlDatabase, last_started: Mapping[str, datetime], *, since: str = ""
) -> list[Refresh]:
    """The requests no run has answered yet; ``last_started``: when each connection's newest run began.

    since: only those made then or later, as text.
    """
    rows = control.rows(
        "SELECT request_id, company_id, connection_id, data_type, requested FROM refresh_requests"
        " WHERE requested >= ? ORDER BY requested, request_id",
        (since,),
    )
    asked = (Refresh(*tuple(row)) for row in rows)
    return [one for one in asked if not is_answered(one, last_started)]


def is_answered(refresh: Refresh, last_started: Mapping[str, datetime]) -> bool:
    """Whether a run of its connection has begun later than it was asked for."""
    started = last_started.get(refresh.connection_id)
    return started is not None and stamp(started) >= refresh.requested
