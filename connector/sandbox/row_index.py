"""A collection as Clover lists it: newest first, a cursor into it, bounds on ``created``.

Clover's own sample of a filtered page is not sorted by ``created`` (docs.clover.com, Paginate requests), so
an index can be asked for a nearly sorted order as well: some records stand a few minutes too far back.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from connector.sandbox.ids import die

_STRAY_MS = 600_000


class Listed(Protocol):
    """What an index needs to know of a record."""

    id: str
    seq: int
    created: int


Record = TypeVar("Record", bound=Listed)


@dataclass(frozen=True, slots=True)
class Bounds:
    """``since <= created < until`` in Unix milliseconds."""

    since: int = 0
    until: int = 1 << 62


def _position(record: Listed, nearly: bool) -> int:
    if nearly and die(record.id, 20, "stray") == 0:
        return record.created - die(record.id, _STRAY_MS // 1000, "back") * 1000
    return record.created


class RowIndex(Generic[Record]):
    """Records by id and in listing order. Not thread-safe: the world's lock is held around every call."""

    def __init__(self) -> None:
        self.by_id: dict[str, Record] = {}
        self._orders: dict[bool, list[tuple[int, int, Record]]] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def add(self, record: Record) -> None:
        self.by_id[record.id] = record
        for nearly, rows in self._orders.items():
            insort(rows, (_position(record, nearly), record.seq, record))

    def remove(self, record: Record) -> None:
        """Takes a record out of the listing; a cursor on it is unknown from then on."""
        if self.by_id.pop(record.id, None) is not None:
            for nearly, rows in self._orders.items():
                del rows[bisect_left(rows, (_position(record, nearly), record.seq))]

    def _sorted(self, nearly: bool) -> list[tuple[int, int, Record]]:
        rows = self._orders.get(nearly)
        if rows is None:
            rows = sorted((_position(record, nearly), record.seq, record) for record in self.by_id.values())
            self._orders[nearly] = rows
        return rows

    def page(
        self,
        limit: int,
        bounds: Bounds,
        *,
        after: Record | None = None,
        before: Record | None = None,
        inclusive: bool = False,
        nearly: bool = False,
        keep: Callable[[Record], bool] | None = None,
    ) -> tuple[list[Record], bool]:
        """Up to ``limit`` records, newest first, and whether there are more in the direction read.

        after: go on towards older ones from this record; before: towards newer ones, its nearest
        neighbours. inclusive: the cursor record itself is the first (or the last) row.
        """
        rows = self._sorted(nearly)
        low = bisect_left(rows, (bounds.since - (_STRAY_MS if nearly else 0),))
        high = bisect_left(rows, (bounds.until,))
        found: list[Record] = []
        if before is not None:
            key = (_position(before, nearly), before.seq)
            start = bisect_left(rows, key) if inclusive else bisect_right(rows, (*key, before))
            walk = range(max(start, low), high)
        else:
            if after is not None:
                at = bisect_left(rows, (_position(after, nearly), after.seq))
                high = min(high, at + 1 if inclusive else at)
            walk = range(high - 1, low - 1, -1)
        more = False
        for at in walk:
            record = rows[at][2]
            if bounds.since <= record.created < bounds.until and (keep is None or keep(record)):
                if len(found) == limit:
                    more = True
                    break
                found.append(record)
        if before is not None:
            found.reverse()
        return found, more
