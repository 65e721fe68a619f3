"""How one connection reaches Clover: its token, its pace, its archive, and the reads that a run needs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connector.clover.http.client import CloverClient
from connector.clover.lists.by_id import Read, read_many, refunds_of_charges
from connector.clover.lists.pages import walk
from connector.clover.lists.rows import Page
from connector.clover.lists.streams import STREAMS, Stream
from connector.clover.lists.window import LONGEST_WINDOW_DAYS, Window
from connector.errors import CloverError
from connector.sync.read.listing import WindowLengths


@dataclass(frozen=True, slots=True)
class CloverAccess:
    """One merchant's Clover for the length of one run. workers: threads that may ask at the same time.

    window_days: of the first windows; lengths: of the next ones, as learned so far.
    """

    client: CloverClient
    workers: int
    window_days: int = 7
    lengths: WindowLengths = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", WindowLengths(timedelta(days=self.window_days)))

    def walk(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Every page of a list window."""
        return walk(self.client, stream, window, window_days=LONGEST_WINDOW_DAYS)

    def read_many(self, kind: str, ids: Iterable[str]) -> Iterator[Read]:
        """Records by id; a record that Clover no longer has comes with ``row=None``."""
        return read_many(self.client, STREAMS[kind], ids, workers=self.workers)

    def refunds_of_charges(
        self, charge_ids: Iterable[str]
    ) -> Iterator[tuple[str, list[dict[str, Any]] | CloverError]]:
        """(charge id, all its refunds or why they cannot be read), several charges at a time, in order."""
        return refunds_of_charges(self.client, charge_ids, workers=self.workers)
