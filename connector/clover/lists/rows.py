"""What paging must know of rows: their ids, which are new, and whether they are of the window asked for."""

from dataclasses import dataclass, field

import orjson

from connector.clover.lists.window import Window
from connector.errors import CloverError

Row = dict[str, object]

# Clover rounds ``created`` to whole seconds when it is read back, so a row may look up to a second misplaced.
_ROUNDING_MS = 1_000


def id_of(row: object) -> str | None:
    """The row's id; None for a row without one, which nothing can refer to."""
    value = row.get("id") if isinstance(row, dict) else None
    return value if isinstance(value, str) and value.strip() else None


def created_ms(row: Row) -> int | None:
    """``created`` in milliseconds, also from seconds or digits in a string; None if no time after 2001."""
    value = row.get("created")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if 0 < value < 10**11:
        value *= 1_000
    return value if 10**12 <= value < 10**14 else None


def is_inside(row: Row, window: Window | None) -> bool | None:
    """None when the row does not say; its window then rests on the server's filter."""
    created = created_ms(row)
    if created is None or window is None:
        return None
    return window.since_ms - _ROUNDING_MS <= created < window.until_ms + _ROUNDING_MS


@dataclass(frozen=True, slots=True)
class Page:
    """New rows of one answer, each id once per walk.

    rows: with an id. broken: whatever came without one, each once. outside: how many rows were left out
    because their ``created`` is not of the window; repeated: how many because they had come before.
    """

    rows: list[Row]
    broken: list[object]
    window: Window | None = None
    outside: int = 0
    repeated: int = 0


@dataclass(slots=True)
class Rows:
    """The rows of one walk so far. path: of their list. Which came, and how many lay outside of what was asked for."""

    path: str
    given: set[str] = field(default_factory=set)
    broken: set[bytes] = field(default_factory=set)
    outside: int = 0
    dated: int = 0

    def take(self, rows: list[object], window: Window | None) -> tuple[Page, dict[str, Row], list[str]]:
        """The page to hand out, all its rows that have an id, and these ids in their order."""
        new: list[Row] = []
        broken: list[object] = []
        ids: list[str] = []
        by_id: dict[str, Row] = {}
        outside = repeated = dated = 0
        for row in rows:
            row_id = id_of(row)
            if row_id is None or not isinstance(row, dict):
                print_of_row = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
                if print_of_row not in self.broken:
                    self.broken.add(print_of_row)
                    broken.append(row)
                continue
            ids.append(row_id)
            by_id[row_id] = row
            place = is_inside(row, window)
            dated += place is not None
            if place is False:
                outside += 1
            elif row_id in self.given:
                repeated += 1
            else:
                self.given.add(row_id)
                new.append(row)
        self._insist_on_filter(outside, dated)
        return Page(new, broken, window, outside, repeated), by_id, ids

    def _insist_on_filter(self, outside: int, dated: int) -> None:
        self.outside += outside
        self.dated += dated
        if (outside >= 5 and outside * 2 > dated) or (self.outside >= 20 and self.outside * 2 > self.dated):
            raise CloverError(
                f"Clover ignores the time filter of GET {self.path}: {self.outside} of {self.dated} "
                "rows were created at other times. The walk stops, for it would read the whole history.",
                path=self.path,
                status=200,
                hint="Check that base_url points at Clover's Ecommerce API.",
            )
