"""Clover's rate limits (docs.clover.com, API usage and rate limits), with penalties that grow.

Per token 16 new requests a second and 5 in flight, per app 50 and 10. Concurrency refusals carry
``retry-after``; calling again before it is over doubles the wait. Rate refusals carry only the limit's name.
"""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from threading import Lock

from connector.sandbox.answers import Answer, refusal


class RateLimits:
    """One app's limits over all of its tokens. ``refused`` counts by header, ``early`` ignored penalties."""

    def __init__(
        self,
        *,
        token_per_second: int = 16,
        token_in_flight: int = 5,
        app_per_second: int = 50,
        app_in_flight: int = 10,
        penalty_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.early = 0
        self.peak_in_flight = 0
        self._caps = {"": (app_per_second, app_in_flight)}
        self._token_caps = (token_per_second, token_in_flight)
        self._penalty_seconds = penalty_seconds
        self._clock = clock
        self._lock = Lock()
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._in_flight: Counter[str] = Counter()
        self._blocked: dict[str, tuple[float, float]] = {}

    def admit(self, token: str) -> Answer | None:
        """None when the request may go on, then :meth:`release` is due; else the 429."""
        with self._lock:
            now = self._clock()
            for key in ("", token):
                if key in self._blocked:
                    until, wait = self._blocked[key]
                    if now < until:
                        self.early += 1
                        return self._refuse(key, now, wait * 2)
                    del self._blocked[key]
            for key in ("", token):
                rate, in_flight = self._caps.get(key, self._token_caps)
                recent = self._recent[key]
                while recent and recent[0] <= now - 1:
                    recent.popleft()
                if self._in_flight[key] >= in_flight:
                    return self._refuse(key, now, self._penalty_seconds)
                if len(recent) >= rate:
                    name = "X-RateLimit-tokenLimit" if key else "X-RateLimit-crossTokenLimit"
                    self.refused[name] += 1
                    return refusal(429, headers=((name, str(rate)),))
            for key in ("", token):
                self._recent[key].append(now)
                self._in_flight[key] += 1
            self.peak_in_flight = max(self.peak_in_flight, self._in_flight[""])
            return None

    def release(self, token: str) -> None:
        """The answer of an admitted request is out."""
        with self._lock:
            for key in ("", token):
                self._in_flight[key] -= 1

    def _refuse(self, key: str, now: float, wait: float) -> Answer:
        wait = min(wait, 60.0)
        self._blocked[key] = (now + wait, wait)
        name = "X-RateLimit-tokenConcurrentLimit" if key else "X-RateLimit-crossTokenConcurrentLimit"
        cap = self._caps.get(key, self._token_caps)[1]
        self.refused[name] += 1
        return refusal(429, headers=((name, str(cap)), ("retry-after", str(math.ceil(wait)))))
