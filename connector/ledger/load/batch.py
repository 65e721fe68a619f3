"""What a run hands to the store, and what the store answers: plain frozen values and NDJSON files.

How rows are made is the caller's business; what becomes of them is in ``apply``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import orjson

Table = Literal[
    "order_versions",
    "record_versions",
    "source_records",
    "seen_orders",
    "data_issues",
    "held_back",
    "open_orders",
    "reconciliations",
]
RunStatus = Literal["running", "succeeded", "partly_done", "failed"]
ConnectionStatus = Literal["Linked", "Deauthorized", "Unlinked", "PendingAuth"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of one connection as ``ledger.sync_runs`` keeps it; written again with every load of the run.

    Times are aware UTC. ``waited_seconds``: seconds spent waiting for Clover's limits. rows_read: stream -> rows that
    it listed. Counts are those of the whole run so far. Inserted, updated and unchanged orders are added up by the
    store, load by load.
    """

    run_id: str
    company_id: str
    connection_id: str
    kind: str
    started_at: datetime
    finished_at: datetime | None = None
    status: RunStatus = "succeeded"
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    waited_seconds: float = 0.0
    rows_read: Mapping[str, int] = field(default_factory=dict)
    orders_held_back: int = 0
    error_kind: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One Clover merchant of a company. first_date: nothing older is read.

    fiscal_year_start: the month, 1 to 12, with which the company's fiscal year begins.
    """

    company_id: str
    company_name: str
    connection_id: str
    merchant_id: str
    environment: str
    merchant_name: str | None = None
    country: str = "XXX"
    currency: str | None = None
    timezone: str = "UTC"
    status: ConnectionStatus = "Linked"
    first_date: date | None = None
    platform: str = "clover"
    fiscal_year_start: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that is committed together.

    files: table -> its NDJSON file or files; see ``apply`` for the columns. A file may be missing or empty.
    cursors: stream -> upper bound of the completed span, aware UTC; they move with the rows or not at all.
    deep_scans: tier -> when it was completed. tombstones: order ids Clover no longer has, or that may no
    longer be published. released: (record kind, record id) of records that were held back and were looked at
    again; those that this batch does not hold back once more are resolved. orders_unchanged: orders that were
    looked at and came out as they are stored. present: the time by Clover's clock where this machine's is ahead of it;
    a stored cursor after it, or after the run's start, is a wrong clock's and is replaced.
    """

    run: RunRow
    connection: ConnectionRow | None = None
    files: Mapping[str, Path | Sequence[Path]] = field(default_factory=dict)
    cursors: Mapping[str, datetime] = field(default_factory=dict)
    deep_scans: Mapping[str, datetime] = field(default_factory=dict)
    tombstones: Sequence[str] = ()
    released: Sequence[tuple[str, str]] = ()
    orders_unchanged: int = 0
    present: datetime | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What one load changed. snapshot_id: None when nothing did. loaded_at: aware UTC, whole seconds.

    orders_updated includes orders_deleted. late: versions older than the current one; kept, never current.
    """

    snapshot_id: int | None
    loaded_at: datetime
    orders_inserted: int = 0
    orders_updated: int = 0
    orders_unchanged: int = 0
    orders_deleted: int = 0
    late: int = 0


class NdjsonWriter:
    """Writes one NDJSON file a table into a directory, once it has a row. Money goes in as text.

    part: sets the files apart where several writers share a directory.
    """

    def __init__(self, directory: Path, part: str = "") -> None:
        self._directory = directory
        self._part = part
        self._open: dict[str, IO[bytes]] = {}

    def write(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows."""
        self.write_lines(table, (orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))

    def write_lines(self, table: Table, lines: Iterable[bytes]) -> None:
        """Append rows that are lines of JSON already, each with its line break."""
        for line in lines:
            if table not in self._open:
                self._open[table] = self._path(table).open("ab")
            self._open[table].write(line)

    def close(self) -> dict[str, Path]:
        """Close every file; table -> path, as ``Batch.files`` wants it."""
        for file in self._open.values():
            file.close()
        return self.paths()

    def flush(self) -> None:
        """From now on others may read what was written."""
        for file in self._open.values():
            file.flush()

    def paths(self) -> dict[str, Path]:
        """Table -> the file that has rows of it."""
        return {table: self._path(table) for table in self._open}

    def _path(self, table: str) -> Path:
        return self._directory / f"{table}{self._part}.ndjson"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
