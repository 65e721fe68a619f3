"""Keeps every body as Clover sent it, so that mapping can be done again without a second download.

One gzip file of JSON lines per run and part: ``<raw>/<connection_id>/<run_id>-0001.jsonl.gz``, readable by
its owner only, because bodies hold names and parts of card numbers. What the bodies mean is left to others.
"""

import os
import re
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from connector.errors import StoreError
from connector.logs import get_logger

log = get_logger(__name__)

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ArchivedPage:
    """One answer of Clover. ``at``: when it was received, aware UTC; ``body``: its JSON."""

    at: datetime
    run_id: str
    path: str
    params: tuple[tuple[str, str], ...]
    status: int
    body: object


class RawArchive:
    """Appends one run's answers; safe to share between threads. Close it before the run's data is committed.

    A line is handed to the operating system as soon as it is appended: a killed process loses none, a machine
    that loses power may lose those since the last ``sync`` or ``close``.
    """

    def __init__(
        self,
        directory: Path,
        connection_id: str,
        run_id: str,
        *,
        part_bytes: int = 64 << 20,
        level: int = 1,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = _folder(directory, connection_id)
        self._run_id = _safe(run_id)
        self._part_bytes = part_bytes
        self._level = level
        self._now = now
        self._lock = threading.Lock()
        self._file: int | None = None
        self._gzip: zlib._Compress | None = None
        self._written = 0
        self._part = 0

    def append(self, path: str, params: Sequence[tuple[str, str]], status: int, body: bytes) -> None:
        """Adds one body, which must be JSON. Raises StoreError when it cannot be written."""
        # JSON has no raw line breaks inside its strings, so these only ever stand between tokens.
        one_line = orjson.Fragment(body.replace(b"\r", b" ").replace(b"\n", b" "))
        with self._lock:
            line = orjson.dumps(
                {
                    "at": self._now().isoformat(),
                    "run_id": self._run_id,
                    "path": path,
                    "params": params,
                    "status": status,
                    "body": one_line,
                }
            )
            try:
                self._write(line + b"\n")
            except OSError as error:
                self._abandon()
                raise StoreError(
                    f"The raw archive in {self._folder} cannot be written: {error.strerror}. This run stops; "
                    "what was published before is unharmed.",
                    hint="Free some disk space or correct the folder's permissions, then sync again.",
                ) from error

    def sync(self) -> None:
        """Makes everything appended so far survive a loss of power."""
        with self._lock:
            if self._file is not None:
                os.fsync(self._file)

    def close(self) -> None:
        with self._lock:
            self._end_part()

    def __enter__(self) -> "RawArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        if self._file is not None and self._written >= self._part_bytes:
            self._end_part()
        if self._file is None:
            self._begin_part()
        assert self._file is not None
        assert self._gzip is not None
        self._put(self._gzip.compress(line) + self._gzip.flush(zlib.Z_SYNC_FLUSH))

    def _begin_part(self) -> None:
        _make_private(self._folder.parent)
        _make_private(self._folder)
        while True:
            self._part += 1
            name = self._folder / f"{self._run_id}-{self._part:04d}.jsonl.gz"
            try:
                self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
                break
            except FileExistsError:
                continue  # of an earlier life of the same run; never written to again
        self._gzip = zlib.compressobj(self._level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self._written = 0

    def _end_part(self) -> None:
        if self._file is not None and self._gzip is not None:
            self._put(self._gzip.flush(zlib.Z_FINISH))
            os.fsync(self._file)
        self._abandon()

    def _abandon(self) -> None:
        """Leaves the part as it is; a reader copes with its missing end."""
        if self._file is not None:
            os.close(self._file)
        self._file = self._gzip = None

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._written += len(data)


def read_archive(directory: Path, connection_id: str) -> Iterator[ArchivedPage]:
    """Every readable answer of a connection, in the order in which they were received.

    A part that a crash cut short is read up to its last whole line.
    """
    parts = _folder(directory, connection_id).glob("*.jsonl.gz")
    beginnings = [(_began(part), part) for part in parts]
    for _, part in sorted((began, part) for began, part in beginnings if began is not None):
        yield from _pages(part)


def delete_older_than(directory: Path, connection_id: str, before: datetime) -> int:
    """Deletes the parts that were begun before that time. Returns how many."""
    deleted = 0
    for part in _folder(directory, connection_id).glob("*.jsonl.gz"):
        began = _began(part) or datetime.fromtimestamp(part.stat().st_mtime, UTC)
        if began < before:
            part.unlink()
            deleted += 1
    return deleted


def delete_archive(directory: Path, connection_id: str) -> None:
    """Deletes everything kept of a connection."""
    folder = _folder(directory, connection_id)
    if folder.exists():
        shutil.rmtree(folder)


def _began(part: Path) -> datetime | None:
    first = next(_pages(part), None)
    return first.at if first else None


def _pages(part: Path) -> Iterator[ArchivedPage]:
    for line in _lines(part):
        try:
            entry = orjson.loads(line)
            yield ArchivedPage(
                at=datetime.fromisoformat(entry["at"]),
                run_id=entry["run_id"],
                path=entry["path"],
                params=tuple((name, value) for name, value in entry["params"]),
                status=entry["status"],
                body=entry["body"],
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            log.warning("archive.line_unreadable", part=part.name)


def _lines(part: Path) -> Iterator[bytes]:
    """Whole lines of a gzip file, as far as it can be read."""
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    rest = b""
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                rest += inflate.decompress(chunk)
            except zlib.error:
                log.warning("archive.part_damaged", part=part.name)
                return
            *lines, rest = rest.split(b"\n")
            yield from lines
    if not inflate.eof:
        log.warning("archive.part_cut_short", part=part.name)


def _folder(directory: Path, connection_id: str) -> Path:
    return Path(directory) / _safe(connection_id)


def _safe(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot be part of a file name.", hint="Use letters, digits and - in ids.")
    return name


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
