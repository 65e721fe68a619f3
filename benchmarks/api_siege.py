"""What ``api_pages.py`` does beside asking for pages: attackers, bursts, and a run long enough to see what grows."""

import asyncio
import http.client
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

SETTLED = 13.0  # seconds after which a thread pool has ended the threads of a burst


@dataclass
class Client:
    """One kept-alive connection; counts statuses, and milliseconds of each answer that was 200."""

    url: str
    headers: dict[str, str]
    took: list[float] = field(default_factory=list)
    statuses: Counter[int | str] = field(default_factory=Counter)
    _connection: http.client.HTTPConnection | None = None

    def get(self, path: str, *, timeout: float = 10.0) -> None:
        """Ask once; a connection that the server closed while it rested is opened anew, as clients do."""
        began = time.perf_counter()
        for attempt in (1, 2):
            if self._connection is None:
                address = urlsplit(self.url)
                self._connection = http.client.HTTPConnection(
                    address.hostname or "", address.port, timeout=timeout
                )
            try:
                self._connection.request("GET", path, headers=self.headers)
                answer = self._connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._connection = None
                if attempt == 2:
                    self.statuses[type(error).__name__] += 1
                continue
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.took.append((time.perf_counter() - began) * 1000)
            return

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def asked(
    url: str,
    headers: dict[str, str],
    path: Callable[[int], str],
    *,
    clients: int,
    until: Callable[[int], bool],
) -> tuple[list[float], Counter]:
    """``clients`` connections ask side by side as long as ``until(number of the request)`` is false."""
    made = [Client(url, headers) for _ in range(clients)]

    def work(own: int) -> None:
        n = own
        while not until(n):
            made[own].get(path(n))
            n += clients

    threads = [threading.Thread(target=work, args=(own,)) for own in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in made:
        client.close()
    return sorted(t for client in made for t in client.took), sum((c.statuses for c in made), Counter())


def figures(took: list[float], statuses: Counter) -> dict[str, float | int]:
    """Served in percent, and percentiles in milliseconds."""
    total = sum(statuses.values())
    return {
        "requests": total,
        "served_percent": round(100 * statuses[200] / total, 2),
        "p50_ms": round(statistics.median(took), 2),
        "p99_ms": round(took[min(len(took) - 1, int(len(took) * 0.99))], 2),
    }


# -- attackers ---------------------------------------------------------------------------------------------------


async def _keyless(host: str, port: int, head: bytes, answered: Counter) -> None:
    """Asks without a good key as fast as it is answered, over one connection, opened again when it is closed."""
    while True:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(host, port)
            while True:
                writer.write(head)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                answered[int(answer.split(b" ", 2)[1])] += 1
        except (OSError, EOFError, ValueError, IndexError, asyncio.IncompleteReadError):
            answered["closed"] += 1
            await asyncio.sleep(0.05)
        finally:
            if writer is not None:
                writer.close()


async def _half_sent(host: str, port: int, half: bytes, answered: Counter) -> None:
    """Sends half a request and keeps the connection open as long as it may; then again."""
    while True:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(half)
            while await reader.read(65536):
                pass
        except OSError:
            pass
        finally:
            if writer is not None:
                writer.close()
        answered["half"] += 1
        await asyncio.sleep(0.05)


def _attack(url: str, keyless: int, half_sent: int, other_key: str, stop, counts) -> None:
    async def all_of_them() -> None:
        host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        answered: Counter = Counter()
        ask = "GET /companies?n={n} HTTP/1.1\r\nHost: x\r\n"
        heads = [
            (
                ask.format(n=n) + ("" if n % 2 else f"Authorization: Bearer cck_{n}_wrong\r\n") + "\r\n"
            ).encode()
            for n in range(keyless)
        ]
        body = f"POST /companies HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {other_key}\r\n"
        body += "Content-Length: 10\r\n\r\n{"
        halves = [b"GET /companies HTTP/1.1\r\nHost: x\r\nX-Half: ", body.encode()]
        tasks = [asyncio.create_task(_keyless(host, port, head, answered)) for head in heads]
        tasks += [
            asyncio.create_task(_half_sent(host, port, halves[n % 2], answered)) for n in range(half_sent)
        ]
        while not stop.is_set():
            await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        counts.put(dict(answered))

    asyncio.run(all_of_them())


@contextmanager
def besieged(url: str, *, keyless: int, half_sent: int, other_key: str) -> Iterator[dict[object, int]]:
    """Attackers in a process of their own, while this lasts; afterwards what they were answered."""
    made = get_context("spawn")
    stop, counts = made.Event(), made.Queue()
    process = made.Process(target=_attack, args=(url, keyless, half_sent, other_key, stop, counts))
    process.start()
    answered: dict[object, int] = {}
    try:
        time.sleep(3)  # until all are connected
        yield answered
    finally:
        stop.set()
        answered |= counts.get(timeout=30)
        process.join(30)


# -- what grows --------------------------------------------------------------------------------------------------


def descriptors(pids: list[int]) -> int:
    """Open descriptors of the server's processes."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def resident(pids: list[int], kind: str = "Pss") -> float:
    """Megabytes of memory that the server's processes hold, shared pages once each; ``Pss_Anon``: without files."""
    kilobytes = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def process_ids(pid: int) -> list[int]:
    """A server and the workers it began."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in process_ids(int(child)))]


def bursts(
    url: str, headers: dict[str, str], path: Callable[[int], str], pid: int, *, times: int
) -> list[int]:
    """Open descriptors after each burst of 64 connections, once its threads have ended."""
    found = [descriptors(process_ids(pid))]
    for _ in range(times):
        _took, statuses = asked(url, headers, path, clients=64, until=lambda n: n >= 640)
        assert set(statuses) == {200}, statuses
        time.sleep(SETTLED)
        asked(url, headers, path, clients=1, until=lambda n: n >= 20)  # idle threads end at the next work
        found.append(descriptors(process_ids(pid)))
    return found


def long_run(
    url: str,
    headers: dict[str, str],
    path: Callable[[int], str],
    pid: int,
    *,
    requests: int,
    clients: int = 8,
) -> list[dict[str, float]]:
    """Memory in twenty parts of a long run.

    Two caches of DuckDB fill up on the way and then stay: the blocks of the file that were read, and the notes on freed
    buffers, which DuckDB clears only when there are some ten thousands. A request that joins, as a page does, leaves
    about 4 kB of these; they end at some 40 MB.
    """
    found = []
    for part in range(20):
        began = time.perf_counter()
        base = part * (requests // 20)
        _took, statuses = asked(
            url,
            headers,
            lambda n, base=base: path(base + n),
            clients=clients,
            until=lambda n: n >= requests // 20,
        )
        assert set(statuses) == {200}, statuses
        found.append(
            {
                "requests": base + requests // 20,
                "megabytes": round(resident(process_ids(pid)), 1),
                "anonymous": round(resident(process_ids(pid), "Pss_Anon"), 1),
                "a_second": round(requests / 20 / (time.perf_counter() - began)),
            }
        )
        print(found[-1], flush=True)
    return found
