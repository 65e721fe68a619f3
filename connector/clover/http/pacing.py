"""Keeps requests inside Clover's limits: starts per second and requests in flight, per token and per app.

Limits as published (docs.clover.com, API usage and rate limits): 16/s and 5 in flight per token, 50/s and 10
in flight per app over all its merchants. The app's limit is shared fairly: tokens that wait take turns,
however many threads each has waiting. Works between the threads of one process;
``connector.clover.http.fleet_pacing`` adds the other hosts of a fleet.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connector.errors import ConfigError, Stopped, Throttled

# A pause longer than this is not sat out inside a run; the run ends and the next one asks again.
LONGEST_PAUSE = 120.0

Wait = Callable[[threading.Condition, float | None], object]


def _wait(condition: threading.Condition, seconds: float | None) -> None:
    condition.wait(seconds)


class Budget:
    """Starts per second and requests in flight of one token or one app. Not thread-safe by itself.

    No second, wherever it is laid, holds more than ``requests_per_second`` starts; and starts are spread over
    it, because a burst that the network squeezes together would break Clover's limit although it kept ours. name: of
    the token, where other hosts use it too.
    """

    def __init__(self, requests_per_second: float, concurrent_requests: int, name: str = "") -> None:
        if requests_per_second <= 0 or concurrent_requests < 1:
            raise ConfigError(
                "limits must allow at least one request.", hint="Correct limits in the configuration."
            )
        self.name = name
        self._starts: deque[float] = deque()
        self._due = float("-inf")
        self.in_flight = 0
        self.paused_until = float("-inf")
        self.change(requests_per_second, concurrent_requests)

    def change(self, requests_per_second: float, concurrent_requests: int) -> None:
        """Other limits from now on; what was started already counts under the new ones."""
        self.interval = 1 / requests_per_second
        self._starts = deque(self._starts, maxlen=max(1, int(requests_per_second)))
        self._period = (self._starts.maxlen or 1) / requests_per_second
        self.most_in_flight = concurrent_requests

    @property
    def is_full(self) -> bool:
        return self.in_flight >= self.most_in_flight

    def ready_at(self) -> float:
        """When the next request may start, as far as time decides it."""
        earliest = max(self.paused_until, self._due)
        if len(self._starts) == self._starts.maxlen:
            earliest = max(earliest, self._starts[0] + self._period)
        return earliest

    def start(self, now: float) -> None:
        # Threads wake a little late; that does not move the starts after this one.
        planned = self._due if now - self._due <= self.interval / 2 else now
        self._due = planned + self.interval
        self._starts.append(now)
        self.in_flight += 1

    def pause(self, until: float) -> None:
        self.paused_until = max(self.paused_until, until)


@dataclass(eq=False, slots=True)
class Ticket:
    """A request that waits for its turn. ``wake`` lets its owner look at the clock again."""

    budget: Budget
    wake: Callable[[], None] = lambda: None


class Turns:
    """Decides who starts next; knows neither threads nor the clock. Not thread-safe by itself.

    Within a token first come, first served; between tokens each in its turn.
    """

    def __init__(self, app: Budget) -> None:
        self.app = app
        self._waiting: dict[Budget, deque[Ticket]] = {}  # the token whose turn comes first stands first

    def join(self, ticket: Ticket) -> None:
        self._waiting.setdefault(ticket.budget, deque()).append(ticket)

    def next(self, now: float) -> tuple[Ticket | None, float]:
        """Whose turn is next and when it may start; None while only the end of a request can free a place."""
        best: tuple[Ticket | None, float] = (None, float("inf"))
        if self.app.is_full:
            return best
        app_ready = max(self.app.ready_at(), now)
        for budget, queue in self._waiting.items():
            if not budget.is_full:
                ready = max(app_ready, budget.ready_at())
                if ready < best[1]:
                    best = (queue[0], ready)
        return best

    def start(self, ticket: Ticket, now: float) -> None:
        self.app.start(now)
        ticket.budget.start(now)

    def leave(self, ticket: Ticket) -> None:
        """Takes a ticket out; its token goes behind all others that wait."""
        queue = self._waiting.pop(ticket.budget)
        queue.remove(ticket)
        if queue:
            self._waiting[ticket.budget] = queue

    def end(self, budget: Budget) -> None:
        self.app.in_flight -= 1
        budget.in_flight -= 1

    def wake_all(self) -> None:
        for queue in self._waiting.values():
            for ticket in queue:
                ticket.wake()


class AppPacer:
    """The app's limit, shared by the pacers of all its tokens.

    clock: seconds, never going back. wait: waits on a condition for some seconds or until notified; a test
    may pass one that moves its own clock.
    """

    def __init__(
        self,
        requests_per_second: float = 45,
        concurrent_requests: int = 9,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait = _wait,
    ) -> None:
        self.budget = Budget(requests_per_second, concurrent_requests)
        self._turns = Turns(self.budget)
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._is_stopped = False
        self._sleepers: list[threading.Condition] = []

    def acquire(self, budget: Budget) -> float:
        """Waits for the turn of that token and counts its request as started. Returns the seconds waited."""
        with self._lock:
            asked = self._clock()
            condition = threading.Condition(self._lock)
            ticket = Ticket(budget, condition.notify)
            self._turns.join(ticket)
            try:
                while True:
                    now = self._clock()
                    self._refuse_when_stopped()
                    self._refuse_long_pause(budget, now)
                    turn, ready = self._turns.next(now)
                    if turn is ticket and ready <= now:
                        self._turns.start(ticket, now)
                        return now - asked
                    if turn is ticket:
                        self._wait(condition, ready - now)
                    else:
                        # The thread whose turn it is watches the clock for everybody.
                        if turn is not None:
                            turn.wake()
                        self._wait(condition, None)
            finally:
                self._turns.leave(ticket)
                self._wake_next()

    def release(self, budget: Budget) -> None:
        with self._lock:
            self._turns.end(budget)
            self._wake_next()

    def pause(self, budget: Budget, seconds: float) -> None:
        """Nobody of that budget starts a request for so many seconds."""
        with self._lock:
            budget.pause(self._clock() + seconds)
            self._turns.wake_all()  # turns may have changed, and a long pause ends the waiting

    def change(self, budget: Budget, requests_per_second: float, concurrent_requests: int) -> None:
        """Other limits for a token, or for the app itself, while requests wait and run."""
        with self._lock:
            budget.change(requests_per_second, concurrent_requests)
            self._turns.wake_all()

    def stop(self) -> None:
        """No request starts any more: whoever waits for a turn, or asks for one later, gets Stopped."""
        with self._lock:
            self._is_stopped = True
            self._turns.wake_all()
            for sleeper in self._sleepers:
                sleeper.notify()

    def sleep(self, seconds: float) -> None:
        """Waits between two attempts; ends early with Stopped."""
        with self._lock:
            condition = threading.Condition(self._lock)
            self._sleepers.append(condition)
            until = self._clock() + seconds
            try:
                self._refuse_when_stopped()
                while (left := until - self._clock()) > 0:
                    self._wait(condition, left)
                    self._refuse_when_stopped()
            finally:
                self._sleepers.remove(condition)

    def _refuse_when_stopped(self) -> None:
        if self._is_stopped:
            raise Stopped(
                "The connector was asked to stop. What was loaded before is kept; the rest is read next time.",
                hint="It begins again by itself when the scheduler starts, or with: connector sync",
            )

    def _wake_next(self) -> None:
        turn, _ = self._turns.next(self._clock())
        if turn is not None:
            turn.wake()

    def _refuse_long_pause(self, budget: Budget, now: float) -> None:
        left = max(self.budget.paused_until, budget.paused_until) - now
        if left > LONGEST_PAUSE:
            raise Throttled(f"Clover asks to be left alone for {left:.0f} seconds more.", retry_after=left)


class Pacer:
    """One token's share of an app's limit. Shared by every thread that uses the token."""

    def __init__(
        self,
        requests_per_second: float = 15,
        concurrent_requests: int = 5,
        *,
        app: AppPacer | None = None,
        name: str = "",
    ) -> None:
        self.budget = Budget(requests_per_second, concurrent_requests, name)
        self.app = app or AppPacer()

    @contextmanager
    def slot(self) -> Iterator[float]:
        """Waits until a request may start, and holds its place until the block ends. Gives seconds waited.

        Raises Throttled when Clover has asked for a pause that is too long to sit out.
        """
        waited = self.app.acquire(self.budget)
        try:
            yield waited
        finally:
            self.app.release(self.budget)

    def pause(self, seconds: float, *, whole_app: bool = False) -> None:
        """Clover asked to wait: nobody on this token (or in the whole app) starts a request for that long."""
        self.app.pause(self.app.budget if whole_app else self.budget, seconds)
