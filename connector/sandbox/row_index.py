"""A collection as Clover lists it: newest first, a cursor into it, bounds on ``created``.

Clover's own sample of a filtered page is not sorted by ``created`` (docs.clover.com, Paginate requests), so
an index can be asked for a nearly sorted order as well: some records stand a few minutes too far back.
"""

from bisect import bisect_left, insort
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


@dataclass(frozen=True, slots=True)
class Cursor(Generic[Record]):
    """A record to go on from, towards older ones, or towards newer ones: its nearest neighbours then.

    is_inclusive: the record itself is the first (or the last) row.
    """

    record: Record
    is_inclusive: bool
    towards_newer: bool = False


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
        cursor: Cursor[Record] | None = None,
        *,
        nearly: bool = False,
        keep: Callable[[Record], bool] | None = None,
    ) -> tuple[list[Record], bool]:
        """Up to ``limit`` records, newest first, and whether there are more in the direction read."""
        rows = self._sorted(nearly)
        low = bisect_left(rows, (bounds.since - (_STRAY_MS if nearly else 0),))
        high = bisect_left(rows, (bounds.until,))
        found: list[Record] = []
        walk = range(high - 1, low - 1, -1)
        if cursor is not None:
            at = bisect_left(rows, (_position(cursor.record, nearly), cursor.record.seq))
            if cursor.towards_newer:
                walk = range(max(at if cursor.is_inclusive else at + 1, low), high)
            else:
                walk = range(min(high, at + 1 if cursor.is_inclusive else at) - 1, low - 1, -1)
        more = False
        for at in walk:
            record = rows[at][2]
            if bounds.since <= record.created < bounds.until and (keep is None or keep(record)):
                if len(found) == limit:
                    more = True
                    break
                found.append(record)
        if cursor is not None and cursor.towards_newer:
            found.reverse()
        return found, more
