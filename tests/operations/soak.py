"""A town that lives through days of shop events while its scheduler runs, with faults, kills and restarts.

Time is simulated: the clock moves when the soak says so, and waits between attempts move it too. A killed process ends
in the middle of reading, just before or after a load was committed, or before what a burst of runs has committed is
published; nothing that it knew survives but the store.
At the end faults stop, and every merchant must agree with its books.

The tests run it small, ``benchmarks/soak.py`` in any size.
"""

import json
from collections import Counter
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from random import Random

import httpx

from connector.sandbox import faults
from connector.schedule.scheduler import Scheduler

STALE_AFTER = timedelta(hours=2)  # twice the hour between two ticks
STEP = timedelta(minutes=10)


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class OnTheSpot(Executor):
    """Does its work at once, so that a soak is the same every time."""

    def submit(self, work, /, *arguments, **named):
        done = Future()
        done.set_result(work(*arguments, **named))
        return done


class Wire(httpx.BaseTransport):
    """The network, until the process is killed while it waits for an answer."""

    def __init__(self):
        self.whole = httpx.HTTPTransport()
        self.left = None

    def handle_request(self, request):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        return self.whole.handle_request(request)

    def close(self):
        """Shared by every run: it stays open."""


@dataclass
class Endpoint:
    """Where alerts go; now and then it is out of order. taken: alerts that arrived, in order."""

    random: Random
    taken: list = field(default_factory=list)
    refused: int = 0

    def __call__(self, _url, text, _networks):
        if self.random.random() < 0.2:
            self.refused += 1
            return 503
        self.taken.append(json.loads(text))
        return 200


@dataclass
class Soak:
    """One soak of a town. chance_of_*: per step of ten minutes."""

    town: object
    seed: int = 1
    sales_a_day: float = 12
    chance_of_fault: float = 0.08
    chance_of_kill: float = 0.1
    chance_of_outage: float = 0.03
    kills: int = 0
    runs: int = 0
    outages: int = 0

    def __post_init__(self):
        self.random = Random(f"soak-{self.seed}")
        self.endpoint = Endpoint(Random(f"endpoint-{self.seed}"))
        self.wire = Wire()
        self.revoked = {}
        self._apply, self._publish = self.town.store.apply, self.town.store.publish
        self.scheduler = self._start()

    def live(self, days, each_day=lambda _day: None):
        """Let so many days pass; then mend everything, let what is planned happen, and let the last runs catch up."""
        town = self.town
        for step in range(int(days * 144)):
            if step and step % 144 == 0:
                each_day(step // 144)
            self._next(STEP)
            for number in range(len(town.worlds)):
                self._sell(number)
            self._trouble()
            self._work()
        town.sandbox.faults.clear()
        self._spare()
        for number in list(self.revoked):
            self._authorise_again(number)
        self._next(timedelta(days=3))
        for _ in range(14):
            self._work()
            self._next(STEP)
        self.scheduler.close()

    def check(self):
        """Books and alerts. Returns how many alerts of each kind were told."""
        self.town.check_books()
        return self._check_alerts()

    def _next(self, duration):
        clock = self.town.clock
        # Waits between attempts have moved it a little beyond the last step.
        whole = STEP.total_seconds()
        clock.seconds = clock.seconds // whole * whole + duration.total_seconds()
        for world in self.town.worlds:
            world.advance(int(clock.now().timestamp() * 1000))

    def _start(self):
        town = self.town
        return Scheduler(
            town.config,
            town.store,
            load=lambda: town.config,
            now=town.clock.now,
            pace=town.pace(),
            begin=self._run_here,
            send=self.endpoint,
            transport=self.wire,
            aside=OnTheSpot(),
        )

    def _run_here(self, work, *, name):
        self.runs += 1
        work()

    def _work(self):
        """Step until nothing is due; after a kill a supervisor starts a new process."""
        for _ in range(50):
            try:
                if not self.scheduler.step():
                    return
            except Killed:
                self.kills += 1
                self._spare()
                self.scheduler = self._start()
        raise AssertionError("there is always something due")

    def _sell(self, number):
        town, random = self.town, self.random
        world, now = town.worlds[number], town.clock.now()
        if random.random() * 144 < self.sales_a_day:
            order_id = world.sell(
                now - timedelta(minutes=random.randrange(1, 9)),
                [("Teapot", random.randrange(100, 9_000)), ("Strainer", random.randrange(100, 900))],
                tip=random.choice((0, 0, 150)),
            )
            if random.random() < 0.3:
                later = now + timedelta(hours=random.randrange(1, 40))
                world.later(later, lambda: world.refund(later, order_id, items=[0]))

    def _trouble(self):
        town, random = self.town, self.random
        if random.random() < self.chance_of_fault:
            kinds = [
                faults.error(503),
                faults.reset(),
                faults.truncated(),
                faults.error(429, retry_after=2),
                faults.html(),
            ]
            # Three are cured by trying again, thirty fail a run.
            times = random.choice((1, 3, 30))
            town.sandbox.faults.first(random.choice(kinds), times=times, path="/v1/*")
        if random.random() < self.chance_of_kill:
            self._doom()
        number = random.randrange(len(town.worlds))
        if number in self.revoked:
            if town.clock.now() > self.revoked[number]:
                self._authorise_again(number)
        elif random.random() < self.chance_of_outage:
            town.sandbox.access.revoke(town.worlds[number])
            self.revoked[number] = town.clock.now() + timedelta(hours=random.randrange(1, 7))
            self.outages += 1

    def _authorise_again(self, number):
        """The merchant connects the app again."""
        del self.revoked[number]
        self.town.sandbox.access.grant(f"token-of-merchant-{number}", self.town.worlds[number])

    def _doom(self):
        where = self.random.choice(("reading", "before the load", "after the load", "before publishing"))
        if where == "reading":
            self.wire.left = self.random.randrange(6)
            return

        if where == "before publishing":
            self.town.store.publish = self._die
            return

        def apply(batch):
            if where == "after the load":
                self._apply(batch)
            raise Killed

        self.town.store.apply = apply

    @staticmethod
    def _die(**_wait):
        raise Killed

    def _spare(self):
        self.wire.left = None
        self.town.store.apply, self.town.store.publish = self._apply, self._publish

    def _check_alerts(self):
        """What was told against what the ledger says happened: each episode begun once and ended once."""
        told = Counter()
        going_on = {}
        for body in self.endpoint.taken:
            open_here = going_on.setdefault(body["connectionId"], set())
            told[body["connectionId"], body["event"]] += 1
            if body["event"] == "connection.recovered":
                assert set(body["ended"]) <= open_here, "only what was told to begin is told to end"
                open_here -= set(body["ended"])
            else:
                episode = {"connection.failed": "failing", "connection.stale": "stale"}[body["event"]]
                assert episode not in open_here, "told once"
                open_here.add(episode)
        assert not any(going_on.values()), "everything works at the end, and that was told"
        assert len({body["id"] for body in self.endpoint.taken}) == len(self.endpoint.taken)
        for number in range(len(self.town.worlds)):
            connection = self.town.connection(number).id
            runs = self.town.rows(
                "SELECT status, coalesce(error_kind, ''), finished_at FROM ledger.sync_runs"
                " WHERE connection_id = ? AND finished_at IS NOT NULL ORDER BY started_at, run_id",
                connection,
            )
            statuses = ["succeeded"] + [status for status, _, _ in runs]
            began = sum(before == "succeeded" != after for before, after in pairwise(statuses))
            assert told[connection, "connection.failed"] == began, runs
            ends = [at for status, _, at in runs if status != "failed"]
            gaps = [later - earlier for earlier, later in pairwise(ends)]
            # What grew stale between two looks and was mended by the very next run may go untold.
            surely, perhaps = (
                sum(gap > limit for gap in gaps) for limit in (STALE_AFTER + 2 * STEP, STALE_AFTER)
            )
            assert surely <= told[connection, "connection.stale"] <= perhaps
        return Counter(body["event"] for body in self.endpoint.taken)
