"""What all runs of a process share, and how many of them go on at once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import httpx

from connector.config import Config, Connection
from connector.errors import ConnectorError
from connector.ledger.bursts import Gathering
from connector.ledger.interface import Store, now_utc
from connector.sync.connect.connecting import Pace, connected, witnessed
from connector.sync.read.clover import CloverAccess
from connector.sync.read.platform import Witness
from connector.sync.side_by_side import Pair, run_side_by_side, smallest_first, stored_orders

Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Configuration, store, limits, clock (aware UTC). transport: replaces the network in tests."""

    config: Config
    store: Store
    pace: Pace
    now: Callable[[], datetime] = now_utc
    transport: httpx.BaseTransport | None = None

    @classmethod
    def of(
        cls,
        config: Config,
        store: Store,
        *,
        pace: Pace | None = None,
        now: Callable[[], datetime] = now_utc,
        transport: httpx.BaseTransport | None = None,
    ) -> "Runtime":
        """With limits of its own where none are given."""
        return cls(config, store, pace or Pace(config), now, transport)

    @property
    def raw_directory(self) -> Path:
        return self.store.directory / "raw"

    def connected(
        self, connection: Connection, run_id: str, *, keep_raw: bool
    ) -> AbstractContextManager[CloverAccess]:
        """A merchant's Clover for one run. keep_raw: every answer goes to the archive."""
        raw = self.raw_directory if keep_raw else None
        return connected(
            self.config, connection, self.pace, run_id=run_id, raw_directory=raw, transport=self.transport
        )

    def witnessed(self, connection: Connection) -> AbstractContextManager[Witness | None]:
        """The merchant's platform API for one run, where it may be read."""
        return witnessed(self.config, connection, self.pace, transport=self.transport)

    def run_many(
        self,
        todo: Sequence[Pair],
        run: Callable[["Runtime", Pair], Report],
        not_published: Callable[[Report, ConnectorError], None],
        *,
        publishes: bool = True,
    ) -> list[Report]:
        """Each of them by ``run``, several side by side; the reports in the order of ``todo``.

        Runs that end together are published once: ``run`` gets a runtime whose store gathers them. not_published: notes
        in a report that this has failed. publishes: whether runs commit anything at all.
        """
        if len(todo) == 1:  # publishes by itself, and says so in its row if it cannot
            return [run(self, todo[0])]
        shared = Gathering(self.store)
        gathered, stored = replace(self, store=shared), stored_orders(self.store)
        reports: dict[str, Report] = {}

        def run_one(pair: Pair) -> Report:
            reports[pair[1].id] = report = run(gathered, pair)
            return report

        run_side_by_side(
            smallest_first(todo, stored),
            run_one,
            side_by_side=self.config.scheduler.side_by_side,
            now=self.now,
            publish=shared.publish if publishes else None,
            not_published=not_published,
            first_loads={merchant.id for _, merchant in todo} - stored.keys(),
        )
        return [reports[merchant.id] for _, merchant in todo]
