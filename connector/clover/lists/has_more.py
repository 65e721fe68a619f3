"""What ``has_more`` of a list is worth: some servers always say yes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from connector.clover.http.envelope import Envelope
from connector.clover.lists.rows import Row, created_ms, id_of
from connector.clover.lists.streams import Stream
from connector.clover.lists.window import EARLIEST, EPOCH, LONGEST_WINDOW_DAYS, MILLISECOND, Window
from connector.errors import PagingStuck

_LOOK_AROUND = 5  # windows before and after in which some row must be found before a list is called broken
_KNOWN_EMPTY = Window(EARLIEST, EARLIEST + timedelta(seconds=1))


@dataclass(slots=True)
class HasMore:
    """The flag of one stream's list.

    ask: (window, cursor, limit) -> a page. is_always_yes: None until it was looked at.
    """

    stream: Stream
    ask: Callable[[Window, str | None, int | None], Envelope]
    is_always_yes: bool | None = None

    def always_says_more(self, last_row: Row | None, window: Window | None, largest_page: int) -> bool:
        """Whether ``has_more`` says yes even where there cannot be more.

        Asked where the flag promises rows that do not come: first in a second long before Clover existed,
        then in the one second of the last row, which is a list that can be seen whole.
        """
        if self.is_always_yes is None:
            nothing = self.ask(_KNOWN_EMPTY, None, None)
            self.is_always_yes = not nothing.rows and nothing.has_more is True
            if self.is_always_yes and not largest_page and window is not None:
                self._insist_on_a_row(window)
        if not self.is_always_yes and last_row is not None:
            self.is_always_yes = self._says_more_after(last_row, largest_page)
        return self.is_always_yes

    def _insist_on_a_row(self, window: Window) -> None:
        """A list that shows no row at any time and only ever promises some is broken; success would lose them.

        Asked window by window, over more than a year before and after, since a shop may have opened later: never
        without bounds, which is the whole history.
        """
        step = timedelta(days=LONGEST_WINDOW_DAYS)
        for number in range(_LOOK_AROUND):
            for since in (window.until - (number + 1) * step, window.until + number * step):
                head = self.ask(Window(max(since, EARLIEST), max(since, EARLIEST) + step), None, 2)
                if head.rows or not head.has_more:
                    return
        raise PagingStuck(
            f"Clover's list of {self.stream.name} shows no row and says that there are more.",
            path=self.stream.path,
            hint="Sync again later. If it stays so, report the path to Clover.",
        )

    def _says_more_after(self, row: Row, largest_page: int) -> bool:
        created = created_ms(row)
        if created is None:
            return False
        at = EPOCH + created // 1_000 * 1_000 * MILLISECOND
        second = Window(at, at + timedelta(seconds=1))
        met: set[str] = set()
        cursor = None
        for _ in range(5):
            envelope = self.ask(second, cursor, None)
            ids = [i for i in map(id_of, envelope.rows) if i is not None]
            if cursor is not None and set(ids) <= met:
                return envelope.has_more is True and len(met) < max(largest_page, 2)
            if not ids:
                return False
            met.update(ids)
            cursor = ids[-1]
        return False
