"""Refreshes that clients of the API asked for and no run has answered yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connector.control.file import FILE, ControlFile, moment_of
from connector.control.refreshes import TABLES, waiting_refreshes
from connector.errors import StoreError
from connector.logs import get_logger

log = get_logger(__name__)


@dataclass(slots=True)
class RefreshRequests:
    """Looks into ``control.sqlite`` once the API has made it."""

    directory: Path
    _control: ControlFile | None = None

    def waiting(self, last_started: Mapping[str, datetime]) -> dict[str, datetime]:
        """Connection id -> the oldest request that waits, aware UTC. Empty when the file cannot be read."""
        if self._control is None and not (self.directory / FILE).exists():
            return {}
        try:
            if self._control is None:
                self._control = ControlFile(self.directory, TABLES)
            found: dict[str, datetime] = {}
            for request in waiting_refreshes(self._control, dict(last_started)):
                found.setdefault(request.connection_id, moment_of(request.requested))
        except StoreError as error:
            log.warning("schedule.requests_unreadable", error=str(error))
            return {}
        return found

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
