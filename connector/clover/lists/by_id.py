"""Reads single records by id, one or many at a time, and the refunds of one charge.

Which records need it is decided by ``connector.sync``.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from connector.clover.http.client import CloverClient
from connector.clover.http.responses import NotFound
from connector.clover.lists.pages import list_filtered
from connector.clover.lists.streams import REFUNDS, Stream
from connector.errors import CloverError, Deauthorized, PermissionMissing, Throttled

_Found = TypeVar("_Found")

FAILURES_IN_A_ROW = 5  # then it is not the records


@dataclass(frozen=True, slots=True)
class Read:
    """One record asked for by its id. row None: it is gone; or, with ``error``, it could not be read."""

    id: str
    row: dict[str, object] | None
    error: CloverError | None = None


def read_one(client: CloverClient, stream: Stream, record_id: str) -> dict[str, object] | None:
    """The record, or None when Clover has it no more (404, also under HTTP 400).

    Raises CloverError when another thing than that record comes, and whatever ``client.get_json`` raises.
    """
    if not record_id.strip(". "):
        return None
    path = f"{stream.path}/{quote(record_id, safe='')}"
    try:
        body = client.get_json(path, permission=stream.permission)
    except NotFound:
        return None
    if not isinstance(body, dict) or body.setdefault("id", record_id) != record_id:
        raise CloverError(
            f"Clover answered GET {path} with something else than that {stream.kind}.", path=path, status=200
        )
    return body


def read_many(
    client: CloverClient, stream: Stream, record_ids: Iterable[str], *, workers: int = 5
) -> Iterator[Read]:
    """The records in the order asked for, read by ``workers`` threads within the client's limits.

    A record that cannot be read comes with its error and does not hold up the others. What concerns all of
    them is raised: Deauthorized, PermissionMissing, Throttled, or the error of the fifth failure in a row.
    """
    found = _each(lambda record_id: read_one(client, stream, record_id), record_ids, stream.kind, workers)
    for record_id, row in found:
        yield Read(record_id, None, row) if isinstance(row, CloverError) else Read(record_id, row)


def refunds_of_charges(
    client: CloverClient, charge_ids: Iterable[str], *, workers: int = 5
) -> Iterator[tuple[str, list[dict[str, object]] | CloverError]]:
    """(charge id, its refunds) in the order asked for; what cannot be read comes with its error, as in read_many."""
    return _each(lambda charge_id: refunds_of_charge(client, charge_id), charge_ids, "refunds", workers)


def _each(
    read: Callable[[str], _Found], ids: Iterable[str], name: str, workers: int
) -> Iterator[tuple[str, _Found | CloverError]]:
    pending: deque[tuple[str, Future[_Found]]] = deque()
    todo = iter(ids)
    failures = 0
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=f"read-{name}")
    try:
        while True:
            while len(pending) < 2 * workers and (one := next(todo, None)) is not None:
                pending.append((one, pool.submit(copy_context().run, read, one)))
            if not pending:
                return
            one, future = pending.popleft()
            found: _Found | CloverError
            try:
                found = future.result()
                failures = 0
            except (Deauthorized, PermissionMissing, Throttled):
                raise
            except CloverError as error:
                failures += 1
                if failures >= FAILURES_IN_A_ROW:
                    raise
                found = error
            yield one, found
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def refunds_of_charge(client: CloverClient, charge_id: str) -> list[dict[str, object]]:
    """All refunds of a charge; the list inside a charge holds ten at most.

    Rows that do not name their charge are read by id, since only then it is certain whose refunds they are.
    Raises CloverError when refunds of other charges come: the server ignores the filter.
    """
    rows = []
    for row in list_filtered(client, REFUNDS, {"charge": charge_id}):
        full = row if row.get("charge") else read_one(client, REFUNDS, str(row["id"]))
        if full is None:
            continue
        if full.get("charge") not in (None, "", charge_id):
            raise CloverError(
                f"Clover ignores the charge filter of GET {REFUNDS.path}: asked for those of {charge_id}, it "
                "sent a refund of another charge.",
                path=REFUNDS.path,
                status=200,
            )
        rows.append(full)
    return rows
