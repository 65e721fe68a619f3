"""A list as Clover may serve it, with every freedom its documentation leaves; and a client for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.retry import RetryPolicy
from connector.clover.lists.window import Window

START = datetime(2026, 10, 5, tzinfo=UTC)
START_MS = 1791158400000


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, _condition: object, seconds: float | None) -> None:
        assert seconds is not None, "nobody else would wake this thread"
        self.now += seconds


@dataclass
class ListServer:
    """Serves ``rows`` newest first, or as they are when ``is_sorted`` is off.

    flag: honest, missing, always (says more for ever), never (denies it), after_full (true after every full
    page). hole: (since, until) in ms; a page that would hold a row of it is empty but promises more.
    """

    rows: list[dict[str, Any]]
    is_inclusive: bool = True
    flag: str = "honest"
    page_size: int = 100
    is_sorted: bool = True
    envelope: str = "data"
    ignores_cursor: bool = False
    ignores_filter: bool = False
    hole: tuple[int, int] | None = None
    deleted_cursors: set[str] = field(default_factory=set)
    repeats: int = 0
    asked: list[httpx.QueryParams] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        self.asked.append(params)
        assert int(params["limit"]) <= 100
        size = min(int(params["limit"]), self.page_size)
        rows = self._matching(params)
        start = 0
        cursor = params.get("starting_after")
        if cursor in self.deleted_cursors:
            self.rows = [row for row in self.rows if row.get("id") != cursor]
            return httpx.Response(400, json={"message": "400 Bad Request"})
        if cursor is not None and not self.ignores_cursor:
            at = [row.get("id") for row in rows].index(cursor)
            start = at if self.is_inclusive else at + 1
        page = rows[start : start + size]
        more = start + size < len(rows)
        if self.hole and any(self.hole[0] <= row["created"] < self.hole[1] for row in page):
            page, more = [], True
        if self.repeats and start:
            page = page + rows[: self.repeats]
        return httpx.Response(200, json=self._wrapped(page, more))

    def _matching(self, params: httpx.QueryParams) -> list[dict[str, Any]]:
        since, until = int(params.get("created.gte", 0)), int(params.get("created.lt", 10**15))
        rows = [
            row
            for row in self.rows
            if self.ignores_filter or since <= row.get("true_created", row.get("created", START_MS)) < until
        ]
        if self.is_sorted:
            rows.sort(key=lambda row: -row.get("true_created", row.get("created", START_MS)))
        return rows

    def _wrapped(self, page: list[Any], more: bool) -> object:
        flag = {
            "honest": more,
            "always": True,
            "never": False,
            "after_full": len(page) >= self.page_size or more,
        }.get(self.flag)
        body: dict[str, Any] = {"object": "list", "url": "/v1/charges", "data": page}
        if flag is not None:
            body["has_more"] = flag
        if self.envelope == "elements":
            body["data"] = {"elements": page}
        if self.envelope == "bare":
            return page
        return body


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make_client(
    handler: Callable[[httpx.Request], httpx.Response], clock: FakeClock | None = None, **options: Any
) -> CloverClient:
    """A client whose waiting costs nothing and whose requests go to ``handler``."""
    clock = clock or FakeClock()
    app = AppPacer(10_000, 1_000, clock=clock, wait=clock.wait)
    options.setdefault("token", StaticToken("tok-example", connection_id="conn-1"))
    options.setdefault("policy", RetryPolicy())
    return CloverClient(
        "https://scl.example.com",
        options.pop("token"),
        pacer=options.pop("pacer", Pacer(10_000, 1_000, app=app)),
        transport=httpx.MockTransport(handler),
        sleep=clock.sleep,
        clock=clock,
        **options,
    )


@pytest.fixture
def client_for() -> Callable[..., CloverClient]:
    return make_client


@pytest.fixture
def list_server() -> type[ListServer]:
    return ListServer


@pytest.fixture
def week() -> Window:
    return Window(START, START + timedelta(days=7))


@pytest.fixture
def charges() -> Callable[..., list[dict[str, Any]]]:
    """``charges(n)``: n charges, ten minutes apart, from the start of the week."""

    def build(count: int, *, step_ms: int = 600_000, first: int = 0) -> list[dict[str, Any]]:
        return [
            {"id": f"C{number:012d}", "amount": 100 + number, "created": START_MS + number * step_ms}
            for number in range(first, first + count)
        ]

    return build


def json_answer(status: int, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, content=orjson.dumps(body), headers=headers)


@pytest.fixture
def answer() -> Callable[..., httpx.Response]:
    return json_answer
