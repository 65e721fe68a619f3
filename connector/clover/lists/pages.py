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
from enum import Enum, auto

from connector.clover.http.client import CloverClient
from connector.clover.http.envelope import Envelope, unwrap
from connector.clover.http.responses import BadRequest, BodyTooLarge, NotFound
from connector.clover.lists.has_more import HasMore
from connector.clover.lists.rows import Page, Row, Rows
from connector.clover.lists.streams import Stream
from connector.clover.lists.window import LONGEST_WINDOW_DAYS, Window
from connector.errors import CloverError, PagingStuck
from connector.logs import get_logger

log = get_logger(__name__)

_SMALLEST_PAGE = 2  # one row may be the cursor's own, repeated
LARGEST_PAGE = 100  # 101 is a 400: docs.clover.com, Paginate requests
_MOST_PAGES = 20_000  # of one window; two million rows
_MOST_CUTS = 2_000  # windows read again in halves during one walk
_TRIES = 3  # at a list that cannot be cut into halves


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
            f"Clover's list of {stream.name} cannot be read to its end in {len(listing.unreadable)} "
            f"place(s), the first between {first.since.isoformat()} and {first.until.isoformat()}. "
            f"Everything else of {window.since.isoformat()} to {window.until.isoformat()} was read.",
            path=stream.path,
            hint="Sync again later. If it stays so, report the path and these times to Clover.",
        )


def list_filtered(
    client: CloverClient, stream: Stream, filters: dict[str, str], *, limit: int = LARGEST_PAGE
) -> list[Row]:
    """All rows of a list that another filter than time keeps short, such as the refunds of one charge.

    Raises PagingStuck when the list cannot be read to its end, CloverError when a row has no id.
    """
    listing = _Listing(client, stream, limit=limit, filters=filters)
    rows: list[Row] = []
    for _ in range(_TRIES):
        chain = listing.follow(None)
        while True:
            try:
                page = next(chain)
                if page.broken:
                    # Left out, its money would be missing; and nothing can ask for it alone.
                    raise CloverError(
                        f"Clover's list of {stream.name} by {', '.join(filters)} shows a row without an id.",
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
        f"Clover's list of {stream.name} by {named} cannot be read to its end.", path=stream.path
    )


class _End(Enum):
    REACHED = auto()
    DOUBTFUL = auto()  # likely the end, but old rows came where none should: worth reading in halves
    STUCK = auto()


@dataclass(frozen=True, slots=True)
class _Answer:
    """One page as it came. ids: of its rows, in their order; size: how many rows; more: what its flag is worth."""

    ids: list[str]
    by_id: dict[str, Row]
    size: int
    more: bool | None


@dataclass(slots=True)
class _Chain:
    """A list as it is followed from its head. cursor: the last new row's id. met: ids since the head."""

    cursor: str | None = None
    cursor_row: Row | None = None
    met: set[str] = field(default_factory=set)
    first_ids: list[str] = field(default_factory=list)
    previous_size: int = 0
    restarted: bool = False
    asked_again: bool = False

    def restart(self) -> None:
        self.restarted, self.cursor, self.met = True, None, set()

    def go_on(self, answer: _Answer, last: str) -> None:
        """From the last new row: a server that mixes old rows in would be sent back by them."""
        self.cursor, self.cursor_row = last, answer.by_id[last]
        self.previous_size, self.asked_again = answer.size, False


@dataclass(slots=True)
class _Listing:
    """What one walk has learned about the server and the rows so far."""

    client: CloverClient
    stream: Stream
    limit: int
    filters: dict[str, str] = field(default_factory=dict)
    largest_page: int = 0
    clamped_to: int | None = None
    cursor_works: bool = False
    cursor_is_ignored: bool = False
    cuts: int = 0
    unreadable: list[Window] = field(default_factory=list)
    rows: Rows = field(init=False)
    has_more: HasMore = field(init=False)

    def __post_init__(self) -> None:
        self.rows, self.has_more = Rows(self.stream.path), HasMore(self.stream, self._ask)

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
        chain = _Chain()
        for _ in range(_MOST_PAGES):
            try:
                envelope = self._ask(window, chain.cursor)
            except (BadRequest, NotFound):
                # The cursor's record may have been deleted; the list is then read from its head once more.
                if chain.cursor is None:
                    raise
                if chain.restarted:
                    return _End.STUCK
                chain.restart()
                continue
            except BodyTooLarge as error:
                if self.limit <= _SMALLEST_PAGE:
                    raise self._too_large(error, window) from None
                self.limit = max(_SMALLEST_PAGE, self.limit // 2)
                continue
            page, by_id, ids = self.rows.take(envelope.rows, window)
            if page.rows or page.broken:
                yield page
            size = len(envelope.rows)
            self.largest_page = max(self.largest_page, size)
            answer = _Answer(ids, by_id, size, None if self.has_more.is_always_yes else envelope.has_more)
            fresh = [i for i in ids if i not in chain.met]
            chain.met.update(ids)
            end = (
                self._went_on(chain, answer, fresh, window)
                if fresh
                else self._repeated(chain, answer, window)
            )
            if end is not None:
                return end
        return _End.STUCK

    def _went_on(
        self, chain: _Chain, answer: _Answer, fresh: list[str], window: Window | None
    ) -> _End | None:
        """After a page with new rows: how the list ends here, None where it goes on behind the last of them."""
        more = answer.more
        if chain.cursor is None:
            chain.first_ids = answer.ids
        else:
            self.cursor_works = True
            if chain.previous_size < self.limit:
                # More came after a page that was not full: the server cuts pages shorter than asked.
                self.clamped_to = max(self.clamped_to or 0, chain.previous_size)
        if more is False and not self._is_full(answer.size):
            return _End.REACHED
        if not self.cursor_is_ignored:
            chain.go_on(answer, fresh[-1])
            return None
        # Every cursor is answered with the first page: only a short page is a whole list.
        if more and self.has_more.always_says_more(answer.by_id[fresh[-1]], window, self.largest_page):
            more = None
        is_whole = more is None and answer.size < self.largest_page
        return _End.REACHED if is_whole else self._doubt(more, answer.size)

    def _repeated(self, chain: _Chain, answer: _Answer, window: Window | None) -> _End | None:
        """After a page with nothing new: how the list ends here, None where the same is asked once more.

        An inclusive cursor repeats its own row at the end of the list; other rows are odd, and behind a full page
        that ends in rows without an id there may be more.
        """
        more, is_full = answer.more, self._is_full(answer.size)
        hides_more = answer.size > len(answer.ids) and is_full
        repeats_only_cursor = all(i == chain.cursor for i in answer.ids) and not hides_more
        if more and repeats_only_cursor and not chain.asked_again:
            chain.asked_again = True
            return None
        if more and self.has_more.always_says_more(chain.cursor_row, window, self.largest_page):
            more = None
        if (not more and repeats_only_cursor) or (more is False and not is_full):
            return _End.REACHED
        if answer.ids == chain.first_ids and not self.cursor_works:
            self.cursor_is_ignored = True
        return self._doubt(more, answer.size)

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
