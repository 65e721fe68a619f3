"""The stand-in Clover: worlds behind tokens on a loopback port, with shapes, faults, limits and a log.

    with Sandbox(world) as sandbox:
        read(sandbox.base_url, sandbox.token)

Paths are those of the Ecommerce API, of OAuth v2 and of the platform's REST v3, all on one host.
"""

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread
from types import TracebackType

from connector.sandbox.access import Access
from connector.sandbox.answers import Answer, Request
from connector.sandbox.faults import Fault, Faults
from connector.sandbox.limits import RateLimits
from connector.sandbox.lists import render_rows
from connector.sandbox.server import Server
from connector.sandbox.service import answer
from connector.sandbox.shapes import Shapes
from connector.sandbox.world import World

_LOG_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as answered. at: Unix seconds. merchant: id, or "" for an unknown token, which is not kept.

    status: 0 where the connection was broken before an answer.
    """

    number: int
    at: float
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    status: int
    merchant: str
    fault: str = ""


class Sandbox:
    """A server for one or many merchants.

    worlds: one world, or a world for each token; with one, ``token`` is made up. limits: off by default,
    pass RateLimits() for Clover's. latency_seconds: added to every answer. clock: Unix seconds, for the log
    and the expiry of tokens. ``date``: Unix seconds that the Date header of every answer says; it may be set.
    """

    def __init__(
        self,
        worlds: World | Mapping[str, World] | None = None,
        *,
        shapes: Shapes | None = None,
        limits: RateLimits | None = None,
        latency_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
        access: Access | None = None,
    ) -> None:
        if not isinstance(worlds, Mapping):
            worlds = {f"sandbox-{secrets.token_hex(12)}": worlds or World()}
        self.shapes = shapes or Shapes()
        self.faults = Faults()
        self.limits = limits
        self.latency_seconds = latency_seconds
        self.access = access or Access(clock=clock)
        self.log: deque[Logged] = deque(maxlen=_LOG_ROWS)
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self.date: Callable[[], float] = time.time
        self._server: Server | None = None
        self._thread: Thread | None = None
        for token, world in worlds.items():
            self.access.grant(token, world)
        self.token = next(iter(worlds))
        self.world = worlds[self.token]

    @property
    def base_url(self) -> str:
        """Where it listens. RuntimeError before :meth:`start`."""
        if self._server is None:
            raise RuntimeError("The sandbox is not started.")
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self, port: int = 0) -> "Sandbox":
        """Listens on 127.0.0.1 in a thread; port 0 takes a free one."""
        self._server = Server(("127.0.0.1", port), self._exchange, lambda: self.date())
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops listening and closes every connection; hanging answers end."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> "Sandbox":
        return self if self._server is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def warm(self) -> None:
        """Renders every list row now, so that a measurement of somebody else does not measure it."""
        for grant in list(self.access.grants.values()):
            render_rows(grant.world, self.shapes)

    def requests(self, path: str = "") -> int:
        """How many requests were answered, or those whose path starts so."""
        return sum(1 for entry in list(self.log) if entry.path.startswith(path))

    def clear_log(self) -> None:
        """Forgets what was asked so far."""
        self.log.clear()
        self.counts.clear()

    def _exchange(self, request: Request) -> tuple[Answer, Fault | None, Callable[[], None]]:
        fault = self.faults.pick(request)
        if self.latency_seconds:
            time.sleep(self.latency_seconds)
        bearer = self.access.bearer(request)
        refused = self.limits.admit(bearer) if self.limits is not None and bearer else None
        made = refused or answer(request, self.access, self.shapes, fault)
        broken = fault is not None and fault.kind in ("hang", "reset")
        grant = self.access.grants.get(bearer)
        self.log.append(
            Logged(
                request.number,
                self._clock(),
                request.method,
                request.path,
                request.params,
                0 if broken else made.status,
                grant.world.merchant.id if grant is not None else "",
                fault.kind if fault is not None else "",
            )
        )
        self.counts[f"{request.method} {_template(request.path)} {0 if broken else made.status}"] += 1

        def done() -> None:
            if self.limits is not None and bearer and refused is None:
                self.limits.release(bearer)

        return made, fault if refused is None else None, done


def _template(path: str) -> str:
    """The path without ids, for counting."""
    parts = path.split("/")
    return "/".join(
        "{id}" if (len(part) == 13 and part.isupper()) or part.isdecimal() else part for part in parts
    )
