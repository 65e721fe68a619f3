"""Reads single records by id, one or many at a time, and the refunds of one charge.

Which records need it is decided by ``connector.sync``.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from connector.clover.client import CloverClient
from connector.clover.pages import list_filtered
from connector.clover.responses import NotFound
from connector.clover.streams import REFUNDS, Stream
from connector.errors import CloverError, Deauthorized, PermissionMissing, Throttled

_FAILURES_IN_A_ROW = 5  # then it is not the records


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
    them is raised: Deauthorized, PermissionMissing, Throttled, or the error of the fifth record in a row that
    failed.
    """
    pending: deque[tuple[str, Future[dict[str, object] | None]]] = deque()
    todo = iter(record_ids)
    failures = 0
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=f"read-{stream.kind}")
    try:
        while True:
            while len(pending) < 2 * workers and (record_id := next(todo, None)) is not None:
                pending.append((record_id, pool.submit(read_one, client, stream, record_id)))
            if not pending:
                return
            record_id, future = pending.popleft()
            try:
                read = Read(record_id, future.result())
                failures = 0
            except (Deauthorized, PermissionMissing, Throttled):
                raise
            except CloverError as error:
                failures += 1
                if failures >= _FAILURES_IN_A_ROW:
                    raise
                read = Read(record_id, None, error)
            yield read
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
