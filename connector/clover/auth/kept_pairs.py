"""OAuth pairs as encrypted rows of the control data: of merchants kept as data, and of every merchant of a fleet.

Clover's refresh tokens work once. So a pair is renewed under a lock that all who could renew it share: the processes of
one machine by a file, the hosts of a fleet by the row in PostgreSQL.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from connector.clover.auth.credentials import LOCK_SECONDS, Seal, refresh_lock
from connector.control.database import ControlDatabase
from connector.control.pairs import locked_row, open_pairs, read_pair, write_pair
from connector.control.place import Place, control_is_there
from connector.errors import StoreBusy, StoreError


class KeptPairs:
    """A ``PairStore`` on the control data. keys: Fernet keys, newest first, the same on every host."""

    def __init__(self, place: Place, keys: Sequence[str]) -> None:
        self._place = place
        self._seal = Seal(keys)
        self._opened: ControlDatabase | None = None

    @property
    def save_again_seconds(self) -> float:
        """How long a new pair that could not be kept is tried again: a database may be away for a moment."""
        return 0.0 if isinstance(self._place, Path) else 60.0

    def load(self, connection_id: str) -> dict[str, object] | None:
        """What is kept of a connection, or None. Raises ConfigError when the key does not open it."""
        if self._opened is None and not control_is_there(self._place):
            return None
        sealed = read_pair(self._control(), connection_id)
        return None if sealed is None else self._seal.opened(sealed.encode(), connection_id)

    def save(self, connection_id: str, values: Mapping[str, object]) -> None:
        """Keep the values so that they survive a loss of power. Raises StoreError when they cannot be written."""
        try:
            write_pair(self._control(), connection_id, self._seal.closed(values).decode())
        except StoreError as error:
            raise StoreError(
                f"The OAuth tokens of connection {connection_id} cannot be stored: {error.message}",
                hint=error.hint,
            ) from None

    @contextmanager
    def lock(self, connection_id: str) -> Iterator[None]:
        """Keeps other processes, of other hosts too, from refreshing the same connection at the same time."""
        if isinstance(self._place, Path):
            with refresh_lock(self._place / "credentials", connection_id):
                yield
            return
        try:
            with locked_row(self._control(), connection_id, seconds=int(LOCK_SECONDS)):
                yield
        except StoreBusy:
            raise StoreBusy(
                f"Another host is renewing the token of connection {connection_id} already.",
                hint="Wait for it or end it, then sync again.",
            ) from None

    def _control(self) -> ControlDatabase:
        if self._opened is None:
            self._opened = open_pairs(self._place)
        return self._opened
