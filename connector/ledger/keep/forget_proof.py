"""Searches everything a store keeps for traces of a company, and says where it found one.

DuckDB and gzip compress, so bytes alone prove nothing: every value of every table is looked at, every line of every raw
payload, and then the bytes of every file as well, for what lies in free pages.
"""

import gzip
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connector.errors import StoreError
from connector.ledger.database import quoted, store_errors
from connector.ledger.places import places_outside

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that was left. where: file, table and column; never the value itself."""

    where: str


def search(directory: Path, words: Iterable[str]) -> list[Trace]:
    """Every place of the store in ``directory`` where one of the words still stands. Only under the store's lock.

    Copies that it published elsewhere are searched as well.
    """
    sought = sorted({word for word in words if len(word) >= 6})
    found: list[Trace] = []
    for path, name in _files(directory):
        if any(word in name for word in sought):
            found.append(Trace(f"the name of a file in {Path(name).parent}/"))
        # The writer's file is read through DuckDB first: closing it here would free nobody's lock, as no DuckDB of
        # this process has it open.
        found += [Trace(f"{name}: {place}") for place in _places(path, sought)]
    return found


def _files(directory: Path) -> Iterator[tuple[Path, str]]:
    """Every file of a store with the name it is told by: what lies outside the store by its whole path."""
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()):
        yield path, str(path.relative_to(directory))
    for outside in places_outside(directory):
        for path in sorted(path for path in outside.rglob("*") if path.is_file() and not path.is_symlink()):
            yield path, str(path)


def _places(path: Path, words: Sequence[str]) -> Iterator[str]:
    if path.name.endswith(".gz"):
        if _in_gzip(path, words):
            yield "a payload"
        return
    if path.suffix == ".duckdb":
        try:
            yield from _in_duckdb(path, words)
        except StoreError:
            yield "could not be searched"
    elif path.suffix == ".sqlite":
        with suppress(sqlite3.DatabaseError):  # damaged, or half made: its bytes are not compressed
            yield from _in_sqlite(path, words)
    with path.open("rb") as file:
        if _in_bytes(iter(lambda: file.read(_CHUNK), b""), words):
            yield "bytes"


def _in_duckdb(path: Path, words: Sequence[str]) -> Iterator[str]:
    settings: dict[str, str | bool] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with store_errors(path, "search"), closing(duckdb.connect(":memory:", config=dict(settings))) as opened:
        opened.execute(f"ATTACH {quoted(path)} AS searched (READ_ONLY)")
        tables = opened.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'searched' ORDER BY ALL"
        ).fetchall()
        for schema, table in tables:
            # A row as text holds every value of it, nested ones too.
            condition = " OR ".join("contains(CAST(t AS VARCHAR), ?)" for _ in words)
            row = opened.execute(
                f'SELECT count(*) FROM searched."{schema}"."{table}" t WHERE {condition}',  # noqa: S608
                list(words),
            ).fetchone()
            if row is not None and row[0]:
                yield f"{row[0]} rows of {table}"


def _in_sqlite(path: Path, words: Sequence[str]) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in opened.execute(f'PRAGMA table_info("{table}")')]
            pairs = [(column, word) for column in columns for word in words]
            condition = " OR ".join(f'instr(CAST("{column}" AS TEXT), ?)' for column, _ in pairs)
            sql = f'SELECT count(*) FROM "{table}" WHERE {condition}'  # noqa: S608
            [(count,)] = opened.execute(sql, [word for _, word in pairs]).fetchall()
            if count:
                yield f"{count} rows of {table}"


def _in_gzip(path: Path, words: Sequence[str]) -> bool:
    def chunks() -> Iterator[bytes]:
        with gzip.open(path) as file:
            try:
                while chunk := file.read(_CHUNK):
                    yield chunk
            except (EOFError, OSError, zlib.error):
                return  # cut short by a crash: searched as far as anybody could read it

    return _in_bytes(chunks(), words)


def _in_bytes(chunks: Iterable[bytes], words: Sequence[str]) -> bool:
    sought = [word.encode() for word in words]
    overlap = max(map(len, sought), default=1) - 1
    rest = b""
    for chunk in chunks:
        window = rest + chunk
        if any(word in window for word in sought):
            return True
        rest = window[-overlap:] if overlap else b""
    return False
