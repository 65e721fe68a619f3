"""How much a key may ask, and how slowly wrong keys are answered.

Codat answers with ``X-Rate-Limit-Limit``, ``-Remaining`` and ``-Reset`` on each response and with
``Retry-After`` on 429 (docs.codat.io, "Rate limits"). The quota here is requests a minute for each key; a
key may carry its own. A wrong key waits longer each time for its address; a right one never waits.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WINDOW_SECONDS = 60
MOST_FAILURES = 30  # within a minute from one address; more are refused unread
LONGEST_WAIT = 2.0  # seconds; Codat's clients give a request up after five


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of this minute. ``resets``: aware UTC. ``wait``: whole seconds until then."""

    limit: int
    remaining: int
    resets: datetime
    wait: int
    exceeded: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The three headers of Codat; the reset as a date."""
        return [
            (b"x-rate-limit-limit", str(self.limit).encode()),
            (b"x-rate-limit-remaining", str(self.remaining).encode()),
            (b"x-rate-limit-reset", self.resets.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
        ]


class RequestQuota:
    """Counts the requests of each key within the minute of the clock."""

    def __init__(self, per_minute: int, *, clock: Callable[[], datetime]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._window: datetime | None = None
        self._counts: dict[str, int] = {}

    def take(self, key_id: str, own_limit: int | None = None) -> Quota:
        """Count one request and say what is left."""
        now = self._clock().astimezone(UTC)
        window = now.replace(second=0, microsecond=0)
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            used = self._counts[key_id] = self._counts.get(key_id, 0) + 1
        limit = own_limit if own_limit is not None else self._per_minute
        resets = window + timedelta(seconds=WINDOW_SECONDS)
        wait = max(1, int((resets - now).total_seconds() + 0.999))
        return Quota(limit, max(0, limit - used), resets, wait, used > limit)


class FailedAttempts:
    """Counts wrong keys by address and says how long to wait before answering."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most_addresses: int = 10_000) -> None:
        self._clock = clock
        self._most = most_addresses
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, address: str) -> float | None:
        """Seconds to wait before saying no.

        Doubling from a tenth; None when this address has tried too often.
        """
        now = self._clock()
        with self._lock:
            count, since = self._seen.pop(address, (0, now))
            if now - since > WINDOW_SECONDS:
                count, since = 0, now
            count += 1
            self._seen[address] = (count, since)
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)
        if count > MOST_FAILURES:
            return None
        return float(min(LONGEST_WAIT, 0.1 * 2 ** (count - 1)))
