"""Codat's paging envelope, and the snapshot a reader stays on while paging.

``page`` counts from 1, ``pageSize`` goes to 5000 and is never clamped: clients take a short page for the
last one (docs.codat.io, "Paging"). Links are relative to the host.

A client that asks for page 2 must see the list that page 1 came from, though a sync may have published in
between. The links of a page name the snapshot (``pinnedTo``). Codat's clients page by number alone, so it is
remembered here too: page 1 begins at the newest snapshot, the next pages of the same question by the same key stay
on it. ``asOf`` names one outright.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request

from schemas.wire import encode_present

MAX_PAGE_SIZE = 5000
DEFAULT_PAGE_SIZE = 100
PIN = "pinnedTo"
PIN_SECONDS = 15 * 60.0


@dataclass(frozen=True, slots=True)
class PageRequest:
    """``number`` from 1; ``size`` 1 to 5000."""

    number: int = 1
    size: int = DEFAULT_PAGE_SIZE

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


def parameters(request: Request) -> list[tuple[str, str]]:
    """The query string as pairs, in the order given."""
    return parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Linked:
    """What the links of a page say again: the path as it came, the parameters, the page."""

    path: str
    given: list[tuple[str, str]]
    page: PageRequest

    @classmethod
    def by(cls, request: Request, page: PageRequest, given: list[tuple[str, str]] | None = None) -> "Linked":
        """As a request asks. given: other parameters than its own."""
        return cls(request.scope["raw_path"].decode(), parameters(request) if given is None else given, page)


def links(linked: Linked, total: int, pin: int | None = None) -> dict[str, object]:
    """``self`` without query, ``current`` with the whole of it, ``next`` and ``previous`` where there is one.

    pin: the snapshot that links to pages after the first name.
    """
    request = linked.page
    others = [(name, value) for name, value in linked.given if name not in ("page", "pageSize", PIN)]
    href = quote(linked.path, safe="/%:@!$&'()*+,;=~-._")

    def to(number: int) -> dict[str, str]:
        pinned = [(PIN, str(pin))] if pin is not None and number > 1 else []
        pairs = [("page", str(number)), ("pageSize", str(request.size)), *others, *pinned]
        query = urlencode(pairs, quote_via=quote, safe="/:")
        return {"href": f"{href}?{query}"}

    made: dict[str, object] = {"self": {"href": href}, "current": to(request.number)}
    if request.number * request.size < total:
        made["next"] = to(request.number + 1)
    if request.number > 1:
        last = max(1, -(-total // request.size))
        made["previous"] = to(min(request.number - 1, last))
    return made


def envelope(
    results: str,
    linked: Linked,
    total: int,
    more: Mapping[str, object] | None = None,
    *,
    pin: int | None = None,
) -> bytes:
    """The page around ``results``, JSON objects joined by commas, which are not parsed. more: members of ours."""
    rest = encode_present(
        {
            "pageNumber": linked.page.number,
            "pageSize": linked.page.size,
            "totalResults": total,
            "_links": links(linked, total, pin),
            **(more or {}),
        }
    )
    return b'{"results":[' + results.encode() + b"]," + rest[1:]


class Pins:
    """Which snapshot each reader is paging on.

    Forgotten after 15 minutes without a request, or when too many.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._pins: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def snapshot(self, reader: tuple[str, ...], page: int, newest: int) -> int:
        """The snapshot for this page: the newest for page 1, the remembered one after it."""
        now = self._clock()
        # Sixteen bytes whatever was asked: a question may be as long as a header.
        name = hashlib.blake2b("\x1f".join(reader).encode(), digest_size=16).digest()
        with self._lock:
            held = self._held(name)
            fresh = page == 1 or held is None or now - held[1] > PIN_SECONDS
            snapshot = newest if fresh or held is None else min(held[0], newest)
            self._keep(name, snapshot, now)
            return snapshot

    def _held(self, reader: bytes) -> tuple[int, float] | None:
        return self._pins.get(reader)

    def _keep(self, reader: bytes, snapshot: int, now: float) -> None:
        self._pins[reader] = (snapshot, now)
        self._pins.move_to_end(reader)
        while len(self._pins) > self._most:
            self._pins.popitem(last=False)
