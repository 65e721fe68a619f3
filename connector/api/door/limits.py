"""How much a key may ask, how many requests are worked on at once, and how slowly wrong keys are answered.

Codat answers with ``X-Rate-Limit-Limit``, ``-Remaining`` and ``-Reset`` on each response and with
``Retry-After`` on 429 (docs.codat.io, "Rate limits"). The quota here is requests a minute for each key; a
key may carry its own. A wrong key waits longer each time for its address; a right one never waits for it.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connector.api.answer.errors import busy
from schemas.times import second_text

WINDOW_SECONDS = 60
MOST_FAILURES = 30  # within a minute from one address; more are refused unread
LONGEST_WAIT = 2.0  # seconds; Codat's clients give a request up after five
REFUSALS_A_SECOND = 200  # a twentieth of a processor


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
            (b"x-rate-limit-reset", second_text(self.resets).encode()),
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
        used = self._used(window, key_id)
        limit = own_limit if own_limit is not None else self._per_minute
        resets = window + timedelta(seconds=WINDOW_SECONDS)
        wait = max(1, int((resets - now).total_seconds() + 0.999))
        return Quota(limit, max(0, limit - used), resets, wait, used > limit)

    def _used(self, window: datetime, key_id: str) -> int:
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            self._counts[key_id] = self._counts.get(key_id, 0) + 1
            return self._counts[key_id]


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


class RefusalPace:
    """Spreads refusals over time: what is refused takes a bounded part of the server, however often it is asked.

    A refusal that waits takes no place of a request with a good key. How many wait is bounded by the connections.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = 0.0

    def take(self) -> float:
        """Seconds to wait before saying no; a second's worth may go at once."""
        now = self._clock()
        turn = max(self._next, now - 1.0)
        self._next = turn + 1 / REFUSALS_A_SECOND
        return max(0.0, turn - now)


@dataclass(slots=True)
class _Asking:
    turns: asyncio.Semaphore
    requests: int = 0


class AtOnce:
    """Bounds the requests in flight: of all keys, of each key, and how many of a key are worked on at a time.

    The rest of a key's requests wait for one of its own to end, so that one key never holds every thread.
    """

    def __init__(self, most: int, most_a_key: int, turns_a_key: int) -> None:
        self._most, self._most_a_key, self._turns = most, most_a_key, turns_a_key
        self._requests = 0
        self._keys: dict[str, _Asking] = {}

    @asynccontextmanager
    async def request(self, key_id: str) -> AsyncIterator[None]:
        """One request of a key, while it lasts. Raises ApiError 429 when there are too many."""
        asking = self._keys.get(key_id)
        if self._requests >= self._most or (asking and asking.requests >= self._most_a_key):
            raise busy(1, "Too many requests at once")
        if asking is None:
            asking = self._keys[key_id] = _Asking(asyncio.Semaphore(self._turns))
        asking.requests += 1
        self._requests += 1
        try:
            async with asking.turns:
                # A turn of the loop for everybody else: some answers are made without waiting for anything, and many
                # who ask for them would be served before anybody else is looked at.
                await asyncio.sleep(0)
                yield
        finally:
            self._requests -= 1
            asking.requests -= 1
            if not asking.requests:
                del self._keys[key_id]
