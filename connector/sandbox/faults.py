"""Everything that goes wrong on the way: what to do to which request, scripted ahead.

    sandbox.faults.at_request(3, error(503, body="html"))
    sandbox.faults.first(error(429, retry_after=2), times=2, path="/v1/refunds")
    sandbox.faults.rate(reset(), probability=0.05, seed=7)

A path is an fnmatch pattern: ``/v1/orders`` is the list, ``/v1/orders/*`` an order by id.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from threading import Lock
from typing import Literal

from connector.sandbox.answers import Request

Kind = Literal[
    "error",
    "reset",
    "cut_off",
    "truncated",
    "html",
    "drip",
    "hang",
    "stuck",
    "empty_page",
    "says_more",
    "duplicates",
    "envelope",
    "poison",
    "giant_page",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing gone wrong; the functions below make them. A field holds only for the kinds that name it."""

    kind: Kind
    status: int = 500
    body: Literal["json", "html", "empty", "404", "none"] = "json"
    retry_after: float | None = None
    seconds: float = 0.0
    more: bool = True
    form: str = ""
    rows: int = 0


def error(
    status: int,
    *,
    body: Literal["json", "html", "empty", "404", "none"] = "json",
    retry_after: float | None = None,
) -> Fault:
    """An error status. body: ``404`` is a 404's body under this status, ``none`` has no ``error`` member."""
    return Fault("error", status=status, body=body, retry_after=retry_after)


def reset() -> Fault:
    """The connection is reset before a single byte of the answer."""
    return Fault("reset")


def cut_off() -> Fault:
    """The connection is reset in the middle of the body."""
    return Fault("cut_off")


def truncated() -> Fault:
    """Status 200 and half of the JSON, with a content-length that fits the half."""
    return Fault("truncated")


def html() -> Fault:
    """Status 200 and a page of HTML."""
    return Fault("html")


def drip(seconds: float) -> Fault:
    """The body arrives in sixteen pieces with this pause before each."""
    return Fault("drip", seconds=seconds)


def hang(seconds: float = 3_600.0) -> Fault:
    """No answer for so long, or until the sandbox stops; then the connection closes."""
    return Fault("hang", seconds=seconds)


def stuck() -> Fault:
    """The cursor is ignored: the first page again, with more to come."""
    return Fault("stuck")


def empty_page() -> Fault:
    """No rows, and ``has_more`` true."""
    return Fault("empty_page")


def says_more(more: bool) -> Fault:
    """``has_more`` says this, whatever is true."""
    return Fault("says_more", more=more)


def duplicates() -> Fault:
    """Every third row stands in the page twice."""
    return Fault("duplicates")


def envelope(form: Literal["elements", "bare", "nothing"]) -> Fault:
    """Another wrapping: ``data.elements``, a bare array, or none that anybody knows."""
    return Fault("envelope", form=form)


def poison(form: Literal["amount", "no_id", "not_an_object", "null_items"] = "amount") -> Fault:
    """A record nobody can read: amount "abc", no id, a number in its place, items that are null."""
    return Fault("poison", form=form)


def giant_page(rows: int) -> Fault:
    """``limit`` is overlooked and this many rows are sent."""
    return Fault("giant_page", rows=rows)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    path: str
    fires: Callable[[int, Request], bool]
    seen: int = 0


@dataclass(slots=True)
class Faults:
    """The script. The first rule that fires decides; ``injected`` tells what was done to which request."""

    injected: list[tuple[int, str, Fault]] = field(default_factory=list)
    _rules: list[_Rule] = field(default_factory=list)
    _hooks: list[Callable[[Request], object]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def at_request(self, number: int, fault: Fault, *, path: str = "*") -> None:
        """The number-th request on that path, counted from 1 and from now."""
        self._rules.append(_Rule(fault, path, lambda seen, _: seen == number))

    def first(self, fault: Fault, times: int = 1, *, path: str = "*") -> None:
        """The next ``times`` requests on that path."""
        self._rules.append(_Rule(fault, path, lambda seen, _: seen <= times))

    def always(self, fault: Fault, *, path: str = "*") -> None:
        """Every request on that path."""
        self._rules.append(_Rule(fault, path, lambda *_: True))

    def rate(self, fault: Fault, probability: float, seed: int = 1, *, path: str = "*") -> None:
        """A share of the requests on that path: the same ones for the same seed, however many threads ask."""
        asked: Counter[str] = Counter()

        def fires(_seen: int, request: Request) -> bool:
            key = f"{seed} {request.method} {request.path} {request.params}"
            asked[key] += 1
            return Random(f"{key} {asked[key]}").random() < probability  # noqa: S311

        self._rules.append(_Rule(fault, path, fires))

    def before_each(self, hook: Callable[[Request], object]) -> None:
        """Calls this before a request is answered, so that the shop can change while it is being read."""
        self._hooks.append(hook)

    def clear(self) -> None:
        """Forgets script and hooks; ``injected`` stays."""
        with self._lock:
            self._rules.clear()
            self._hooks.clear()

    def pick(self, request: Request) -> Fault | None:
        """Runs the hooks, then says what goes wrong with this request."""
        for hook in list(self._hooks):
            hook(request)
        chosen: Fault | None = None
        with self._lock:
            for rule in self._rules:
                if fnmatchcase(request.path, rule.path):
                    rule.seen += 1
                    if chosen is None and rule.fires(rule.seen, request):
                        chosen = rule.fault
            if chosen is not None:
                self.injected.append((request.number, request.path, chosen))
        return chosen
