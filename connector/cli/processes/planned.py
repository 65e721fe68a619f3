"""What the read API says of a connection's schedule: of the configuration, and of what is kept as data by now."""

import math
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

from connector.api.state import Planned
from connector.config import Config
from connector.control.kept import kept_version, with_kept
from connector.control.place import control_place
from connector.errors import ConnectorError
from connector.schedule.planner import longest_interval

_LOOK_EVERY = 2.0  # seconds


class PlannedConnections(Mapping[str, Planned]):
    """By connection; looks every two seconds whether others are kept now. Safe between threads: replaced whole."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._version: int | None = None
        self._looked_at = float("-inf")
        self._of = _planned(config)

    def __getitem__(self, connection_id: str) -> Planned:
        self._look()
        return self._of[connection_id]

    def __iter__(self) -> Iterator[str]:
        self._look()
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def _look(self) -> None:
        if time.monotonic() - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = time.monotonic()
        place = control_place(self._config)
        try:
            version = kept_version(place)
            if version != self._version:
                self._of, self._version = _planned(with_kept(self._config, place)), version
        except ConnectorError:
            return  # what was known before goes on being said; the API tells of its control data itself


def _planned(config: Config) -> dict[str, Planned]:
    """Codat counts whole hours between syncs: the longest that lie between two of a schedule."""
    return {
        one.id: Planned(
            None if one.schedule is None else math.ceil(longest_interval(one.schedule) / timedelta(hours=1)),
            one.start_date,
        )
        for _, one in config.enabled_pairs()
    }
