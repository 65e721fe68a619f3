"""List rows without an id: nothing can ask for such a record again, so the window that showed it is listed again.

Each is held back under the window that was listed. Every ordinary run lists the open windows whole, wherever its
own span lies, and never mixes them with its other windows: so each broken row is found in one window only, and
the window is given up when it was listed to its end without one. Whatever record it was has then come by its id.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from connector.clover.lists.window import Window

HeldBack = tuple[str, str, str | None]
_NAME = re.compile(r"\(no id\) (\S+)/(\S+)")


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A window of one list (charge, order, refund) that showed rows without an id."""

    kind: str
    window: Window

    @property
    def record_id(self) -> str:
        """What it is held back under, since there is no id: ``(no id) since/until``, UTC."""
        return f"(no id) {_text(self.window.since)}/{_text(self.window.until)}"


def unnamed_of(kind: str, record_id: str) -> Unnamed | None:
    """The window that a held-back record stands for, None where the record has an id of its own."""
    found = _NAME.fullmatch(record_id)
    if found is None:
        return None
    return Unnamed(kind, Window(datetime.fromisoformat(found[1]), datetime.fromisoformat(found[2])))


def with_an_id(held: Iterable[HeldBack]) -> tuple[HeldBack, ...]:
    """Of (kind, id, order id) that are held back those that are records, and no windows."""
    return tuple(record for record in held if unnamed_of(*record[:2]) is None)


def windows_among(held: Iterable[HeldBack]) -> tuple[Unnamed, ...]:
    """The windows that (kind, id, order id) of what is held back stand for."""
    return tuple(window for record in held if (window := unnamed_of(*record[:2])) is not None)


def around(window: Window, others: Iterable[Window]) -> Iterator[Window]:
    """The parts of a window that lie in none of the others, oldest first."""
    since = window.since
    for other in sorted(others, key=lambda w: w.since):
        if other.since > since:
            yield Window(since, min(other.since, window.until))
        since = max(since, other.until)
        if since >= window.until:
            return
    yield Window(since, window.until)


def overlaps(first: Window, second: Window) -> bool:
    """Whether two windows have a moment in common."""
    return first.since < second.until and second.since < first.until


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
