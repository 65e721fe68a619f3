"""A sandbox on a real socket, and a client that speaks to it."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from connector.sandbox import PLAIN, Sandbox, World

# 2026-10-05T14:00:00Z
T = 1_791_208_800_000


@pytest.fixture
def t() -> int:
    """A Monday afternoon in ms."""
    return T


@pytest.fixture
def world() -> World:
    return World(seed=3)


class Caller:
    """Reads a sandbox as a client would."""

    def __init__(self, sandbox: Sandbox, token: str | None = None, timeout: float = 5.0) -> None:
        self.sandbox = sandbox
        headers = {"Authorization": f"Bearer {token or sandbox.token}"}
        # verify=False: no certificates are needed here, and loading them is most of a client's start
        self.http = httpx.Client(base_url=sandbox.base_url, headers=headers, timeout=timeout, verify=False)

    def get(self, path: str, **params: object) -> httpx.Response:
        return self.http.get(path, params={name.replace("__", "."): value for name, value in params.items()})

    def json(self, path: str, **params: object):
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, path: str, **params: object) -> list[str]:
        return [row["id"] for row in self.json(path, **params)["data"]]


@pytest.fixture
def serve() -> Iterator[Callable[..., Caller]]:
    """Starts a sandbox over a world; shapes are PLAIN unless told otherwise."""
    started: list[tuple[Sandbox, Caller]] = []

    def start(worlds, *, timeout: float = 5.0, **options) -> Caller:
        sandbox = Sandbox(worlds, **{"shapes": PLAIN, **options}).start()
        caller = Caller(sandbox, timeout=timeout)
        started.append((sandbox, caller))
        return caller

    yield start
    for sandbox, caller in started:
        caller.http.close()
        sandbox.stop()
