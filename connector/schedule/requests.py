"""Refreshes that clients of the API asked for and no run has answered yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connector.control.database import ControlDatabase
from connector.control.file import moment_of, stamp
from connector.control.place import Place, control_is_there, open_control
from connector.control.refreshes import TABLES, Refresh, is_answered, waiting_refreshes
from connector.errors import StoreError
from connector.logs import get_logger
from connector.schedule.planner import LastRun

log = get_logger(__name__)


# A request may be written a little after the moment it is dated, by another process or host.
_LATE = timedelta(minutes=10)


@dataclass(slots=True)
class RefreshRequests:
    """Looks into the control data once the API has made it, each time only at what has come since."""

    place: Place
    _control: ControlDatabase | None = None
    _open: dict[str, Refresh] = field(default_factory=dict)
    _since: str = ""

    def waiting(self, last: Mapping[str, LastRun]) -> dict[str, datetime]:
        """Connection id -> the oldest request that waits, aware UTC. Empty when it cannot be read."""
        if self._control is None and not control_is_there(self.place):
            return {}
        started = {one: run.started_at for one, run in last.items()}
        try:
            if self._control is None:
                self._control = open_control(self.place, TABLES)
            asked = waiting_refreshes(self._control, started, since=self._since)
        except StoreError as error:
            log.warning("schedule.requests_unreadable", error=str(error))
            return {}
        waiting = {one.request_id: one for one in (*self._open.values(), *asked)}
        self._open = {key: one for key, one in waiting.items() if not is_answered(one, started)}
        if asked:
            self._since = max(self._since, stamp(moment_of(asked[-1].requested) - _LATE))
        found: dict[str, datetime] = {}
        for one in self._open.values():
            moment = moment_of(one.requested)
            found[one.connection_id] = min(moment, found.get(one.connection_id, moment))
        return found

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
