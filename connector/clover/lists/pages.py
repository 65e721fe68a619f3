"""Reads a list of Clover to its end, whatever the server does with cursors, flags and page sizes.

Clover's own documentation shows the cursor row repeated at the head of the next page, pages without
``has_more``, and rows out of order (docs.clover.com, Paginate requests; Get charges). So nothing is concluded
from the order of rows, and a flag is believed only as far as it agrees with the rows. Where a cursor leads
nowhere, the window is cut in two and both halves are read from their beginnings: two lists of half the
length. What stays unreadable is named, not skipped.

What rows mean, and which rows are already known, is left to others.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

import orjson

from connector.clover.http.client import CloverClient
from connector.clover.http.envelope import Envelope, unwrap
from connector.clover.http.responses import BadRequest, BodyTooLarge, NotFound
from connector.clover.lists.rows import created_ms, id_of, is_inside
from connector.clover.lists.streams import Stream
from connector.clover.lists.window import EARLIEST, EPOCH, MILLISECOND, Window
from connector.errors import CloverError, PagingStuck
from connector.logs import get_logger

log = get_logger(__name__)

_SMALLEST_PAGE = 2  # one row may be the cursor's own, repeated
LARGEST_PAGE = 100  # 101 is a 400: docs.clover.com, Paginate requests
LONGEST_WINDOW_DAYS = 89.0  # one less than the limit of Clover's backend: docs.clover.com, 90-day limits
_MOST_PAGES = 20_000  # of one window; two million rows
_MOST_CUTS = 2_000  # windows read again in halves during one walk
_LOOK_AROUND = 5  # windows before and after in which some row must be found before a list is called broken
_TRIES = 3  # at a list that cannot be cut into halves
_KNOWN_EMPTY = Window(EARLIEST, EARLIEST + timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class Page:
    """New rows of one answer, each id once per walk.

    rows: with an id. broken: whatever came without one, each once. outside: how many rows were left out
    because their ``created`` is not of the window; repeated: how many because they had come before.
    """

    rows: list[dict[str, object]]
    broken: list[object]
    window: Window | None = None
    outside: int = 0
    repeated: int = 0


def walk(
    client: CloverClient, stream: Stream, window: Window, *, limit: int = LARGEST_PAGE, window_days: float = 7
) -> Iterator[Page]:
    """Every row created in the window, once, in no particular order; oldest window of ``window_days`` first.

    Raises PagingStuck, after all that can be read has been handed out, when some part cannot be read to its
    end; CloverError when the server ignores the filter; and whatever ``client.get_json`` raises.
    """
    listing = _Listing(client, stream, limit=max(_SMALLEST_PAGE, min(limit, LARGEST_PAGE)))
    for piece in window.split(min(window_days, LONGEST_WINDOW_DAYS)):
        listing.cursor_works = listing.cursor_is_ignored = False
        yield from listing.read(piece)
    if listing.unreadable:
        first = listing.unreadable[0]
        raise PagingStuck(
            f"Clover's list of {stream.kind}s cannot be read to its end in {len(listing.unreadable)} "
            f"place(s), the first between {first.since.isoformat()} and {first.until.isoformat()}. "
            f"Everything else of {window.since.isoformat()} to {window.until.isoformat()} was read.",
            path=stream.path,
            hint="Sync again later. If it stays so, report the path and these times to Clover.",
        )


def list_filtered(
    client: CloverClient, stream: Stream, filters: dict[str, str], *, limit: int = LARGEST_PAGE
) -> list[dict[str, object]]:
    """All rows of a list that another filter than time keeps short, such as the refunds of one charge.

    Raises PagingStuck when the list cannot be read to its end, CloverError when a row has no id.
    """
    listing = _Listing(client, stream, limit=limit, filters=filters)
    rows: list[dict[str, object]] = []
    for _ in range(_TRIES):
        chain = listing.follow(None)
        while True:
            try:
                page = next(chain)
                if page.broken:
                    # Left out, its money would be missing; and nothing can ask for it alone.
                    raise CloverError(
                        f"Clover's list of {stream.kind}s by {', '.join(filters)} shows a row without an id.",
                        path=stream.path,
                        status=200,
                    )
                rows += page.rows
            except StopIteration as end:
                if end.value is _End.REACHED:
                    return rows
                break
    named = ", ".join(filters)
    raise PagingStuck(
        f"Clover's list of {stream.kind}s by {named} cannot be read to its end.", path=stream.path
    )


class _End(Enum):
    REACHED = auto()
    DOUBTFUL = auto()  # likely the end, but old rows came where none should: worth reading in halves
    STUCK = auto()


@dataclass(slots=True)
class _Listing:
    """What one walk has learned about the server and the rows so far."""

    client: CloverClient
    stream: Stream
    limit: int
    filters: dict[str, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    broken: set[bytes] = field(default_factory=set)
    largest_page: int = 0
    clamped_to: int | None = None
    cursor_works: bool = False
    cursor_is_ignored: bool = False
    flag_is_false_friend: bool | None = None
    cuts: int = 0
    outside: int = 0
    dated: int = 0
    unreadable: list[Window] = field(default_factory=list)

    def read(self, window: Window) -> Iterator[Page]:
        """All pages of a window, by cursor where cursors work, otherwise by ever smaller windows."""
        end = yield from self.follow(window)
        if end is _End.REACHED:
            return
        halves = window.halves() if self.cuts < _MOST_CUTS else None
        if halves is None:
            if end is _End.STUCK:
                self.unreadable.append(window)
            return
        self.cuts += 1
        if self.cuts == 1:
            log.warning("clover.paging_stuck", path=self.stream.path, since=window.since, until=window.until)
        for half in halves:
            yield from self.read(half)

    def follow(self, window: Window | None) -> Generator[Page, None, _End]:
        """Follows the cursor from the list's head until it ends or leads nowhere."""
        met: set[str] = set()
        first_ids: list[str] = []
        cursor: str | None = None
        cursor_row: dict[str, object] | None = None
        previous_size = 0
        restarted = asked_again = False
        for _ in range(_MOST_PAGES):
            try:
                envelope = self._ask(window, cursor)
            except (BadRequest, NotFound):
                # The cursor's record may have been deleted; the list is then read from its head once more.
                if cursor is None:
                    raise
                if restarted:
                    return _End.STUCK
                restarted, cursor, met = True, None, set()
                continue
            except BodyTooLarge as error:
                if self.limit <= _SMALLEST_PAGE:
                    raise self._too_large(error, window) from None
                self.limit = max(_SMALLEST_PAGE, self.limit // 2)
                continue
            page, by_id, ids = self._sort_out(envelope.rows, window)
            if page.rows or page.broken:
                yield page
            size = len(envelope.rows)
            self.largest_page = max(self.largest_page, size)
            more = None if self.flag_is_false_friend else envelope.has_more
            fresh = [i for i in ids if i not in met]
            met.update(ids)
            if fresh:
                if cursor is None:
                    first_ids = ids
                else:
                    self.cursor_works = True
                    if previous_size < self.limit:
                        # More came after a page that was not full: the server cuts pages shorter than asked.
                        self.clamped_to = max(self.clamped_to or 0, previous_size)
                if more is False and not self._is_full(size):
                    return _End.REACHED
                if self.cursor_is_ignored:
                    # Every cursor is answered with the first page: only a short page is a whole list.
                    if more and self._flag_always_says_more(by_id[fresh[-1]], window):
                        more = None
                    is_whole = more is None and size < self.largest_page
                    return _End.REACHED if is_whole else self._doubt(more, size)
                # The last new row: a server that mixes old rows in would be sent back by them.
                cursor, cursor_row, previous_size, asked_again = fresh[-1], by_id[fresh[-1]], size, False
                continue
            # Nothing new. An inclusive cursor repeats its own row at the end of the list; other rows are odd,
            # and behind a full page that ends in rows without an id there may be more.
            hides_more = size > len(ids) and self._is_full(size)
            repeats_only_cursor = all(i == cursor for i in ids) and not hides_more
            if more and repeats_only_cursor and not asked_again:
                asked_again = True
                continue
            if more and self._flag_always_says_more(cursor_row, window):
                more = None
            if not more and repeats_only_cursor:
                return _End.REACHED
            if more is False and not self._is_full(size):
                return _End.REACHED
            if ids == first_ids and not self.cursor_works:
                self.cursor_is_ignored = True
            return self._doubt(more, size)
        return _End.STUCK

    def _too_large(self, error: BodyTooLarge, window: Window | None) -> BodyTooLarge:
        between = (
            "" if window is None else f" between {window.since.isoformat()} and {window.until.isoformat()}"
        )
        return BodyTooLarge(
            f"{error.message} So it is even with {self.limit} rows a page{between}.",
            path=self.stream.path,
            status=error.status,
            hint="No record is that large: check that base_url points at Clover and what a proxy does to answers.",
        )

    def _is_full(self, size: int) -> bool:
        """Whether a page is as long as pages get, so that "no more" deserves a second look."""
        return size >= (self.clamped_to or self.limit)

    def _doubt(self, more: bool | None, size: int) -> _End:
        return _End.STUCK if more or (more is None and self._is_full(size)) else _End.DOUBTFUL

    def _ask(self, window: Window | None, cursor: str | None, limit: int | None = None) -> Envelope:
        params: dict[str, str | int] = {**self.filters}
        if window is not None:
            # Dots, not brackets: a bracket is ignored and the whole history comes.
            params |= {"created.gte": window.since_ms, "created.lt": window.until_ms}
        params["limit"] = limit or self.limit
        if cursor is not None:
            params["starting_after"] = cursor
        body = self.client.get_json(self.stream.path, params, permission=self.stream.permission)
        return unwrap(body, path=self.stream.path)

    def _sort_out(
        self, rows: list[object], window: Window | None
    ) -> tuple[Page, dict[str, dict[str, object]], list[str]]:
        """The page to hand out, all its rows that have an id, and these ids in their order."""
        new: list[dict[str, object]] = []
        broken: list[object] = []
        ids: list[str] = []
        by_id: dict[str, dict[str, object]] = {}
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
                f"Clover ignores the time filter of GET {self.stream.path}: {self.outside} of {self.dated} "
                "rows were created at other times. The walk stops, for it would read the whole history.",
                path=self.stream.path,
                status=200,
                hint="Check that base_url points at Clover's Ecommerce API.",
            )

    def _flag_always_says_more(self, last_row: dict[str, object] | None, window: Window | None) -> bool:
        """Whether ``has_more`` says yes even where there cannot be more.

        Asked where the flag promises rows that do not come: first in a second long before Clover existed,
        then in the one second of the last row, which is a list that can be seen whole.
        """
        if self.flag_is_false_friend is None:
            nothing = self._ask(_KNOWN_EMPTY, None)
            self.flag_is_false_friend = not nothing.rows and nothing.has_more is True
            if self.flag_is_false_friend and not self.largest_page and window is not None:
                self._insist_on_a_row(window)
        if not self.flag_is_false_friend and last_row is not None:
            self.flag_is_false_friend = self._flag_says_more_after(last_row)
        return self.flag_is_false_friend

    def _insist_on_a_row(self, window: Window) -> None:
        """A list that shows no row at any time and only ever promises some is broken; success would lose them.

        Asked window by window, over more than a year before and after, since a shop may have opened later: never
        without bounds, which is the whole history.
        """
        step = timedelta(days=LONGEST_WINDOW_DAYS)
        for number in range(_LOOK_AROUND):
            for since in (window.until - (number + 1) * step, window.until + number * step):
                head = self._ask(Window(max(since, EARLIEST), max(since, EARLIEST) + step), None, limit=2)
                if head.rows or not head.has_more:
                    return
        raise PagingStuck(
            f"Clover's list of {self.stream.kind}s shows no row and says that there are more.",
            path=self.stream.path,
            hint="Sync again later. If it stays so, report the path to Clover.",
        )

    def _flag_says_more_after(self, row: dict[str, object]) -> bool:
        created = created_ms(row)
        if created is None:
            return False
        at = EPOCH + created // 1_000 * 1_000 * MILLISECOND
        second = Window(at, at + timedelta(seconds=1))
        met: set[str] = set()
        cursor = None
        for _ in range(5):
            envelope = self._ask(second, cursor)
            ids = [i for i in map(id_of, envelope.rows) if i is not None]
            if cursor is not None and set(ids) <= met:
                return envelope.has_more is True and len(met) < max(self.largest_page, 2)
            if not ids:
                return False
            met.update(ids)
            cursor = ids[-1]
        return False
