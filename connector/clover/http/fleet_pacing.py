"""The pace of one host of a fleet: its own turns first, then a start and a place that all hosts share.

``AppPacer`` goes on deciding whose turn it is among the threads of this process. What it lets through waits here for
the next start of the token and of the app over all hosts. A pause that Clover asks one host for holds for all of them:
whoever calls again before it is over doubles it.
"""

import os
import secrets
import socket
import threading

from connector.clover.http.pacing import LONGEST_PAUSE, AppPacer, Budget
from connector.control import pace
from connector.control.database import ControlDatabase
from connector.control.place import Place, open_control
from connector.errors import StoreError, Throttled
from connector.logs import get_logger

_LOOK_AGAIN = 0.02  # seconds, while every place is taken
log = get_logger(__name__)


class FleetAppPacer(AppPacer):
    """The app's limit over all hosts. Raises StoreError while PostgreSQL is away: nobody may start unpaced."""

    def __init__(self, place: Place, requests_per_second: float = 45, concurrent_requests: int = 9) -> None:
        super().__init__(requests_per_second, concurrent_requests)
        self._place = place
        self._host = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._shared: ControlDatabase | None = None
        self._opening, self._asking = threading.Lock(), threading.Lock()
        self._held = threading.local()

    def acquire(self, budget: Budget) -> float:
        """Waits for the turn of that token here and among all hosts. Returns the seconds waited."""
        waited = super().acquire(budget)
        try:
            self._held.place, queued = self._take_place()
            try:
                return waited + queued + self._wait_for_start(budget)
            except BaseException:
                self._free_place()
                raise
        except BaseException:
            super().release(budget)
            raise

    def release(self, budget: Budget) -> None:
        self._free_place()
        super().release(budget)

    def pause(self, budget: Budget, seconds: float) -> None:
        """Nobody of that budget starts a request for so many seconds, here or on another host."""
        super().pause(budget, seconds)
        try:
            pace.pause_starts(self._opened(), self._name(budget), seconds)
        except StoreError as error:
            log.warning("pace.pause_not_shared", seconds=round(seconds, 1), error=error.message)

    def change(self, budget: Budget, requests_per_second: float, concurrent_requests: int) -> None:
        """Other limits for a token, or for the app itself, while requests wait and run."""
        super().change(budget, requests_per_second, concurrent_requests)
        self._shared = None  # there may be more places

    def _wait_for_start(self, budget: Budget) -> float:
        waited = 0.0
        while True:
            start = pace.reserve_start(
                self._opened(),
                budget.name,
                app_interval=self.budget.interval,
                token_interval=budget.interval,
            )
            paused = start.paused
            if not paused:
                if not start.wait:
                    return waited
                self.sleep(start.wait)
                waited += start.wait
                # A pause that began while we slept holds for us too.
                paused = pace.paused_for(self._opened(), budget.name)
                if not paused:
                    return waited
            if paused > LONGEST_PAUSE:
                raise Throttled(
                    f"Clover asks to be left alone for {paused:.0f} seconds more.", retry_after=paused
                )
            self.sleep(paused)
            waited += paused

    def _take_place(self) -> tuple[int, float]:
        """One thread of this process asks at a time, so that waiting costs one question in so many milliseconds."""
        waited = 0.0
        with self._asking:
            while True:
                most = self.budget.most_in_flight
                if (place := pace.take_place(self._opened(), self._host, most=most)) is not None:
                    return place, waited
                self.sleep(_LOOK_AGAIN)
                waited += _LOOK_AGAIN

    def _free_place(self) -> None:
        place, self._held.place = getattr(self._held, "place", None), None
        if place is None:
            return
        try:
            pace.free_place(self._opened(), self._host, place)
        except StoreError as error:
            log.warning("pace.place_not_freed", error=error.message)  # it is free again after a minute

    def _name(self, budget: Budget) -> str:
        return pace.APP if budget is self.budget else budget.name

    def _opened(self) -> ControlDatabase:
        with self._opening:
            if self._shared is None:
                self._shared = open_control(self._place, pace.TABLES)
                pace.make_places(self._shared, self.budget.most_in_flight)
            return self._shared
