"""Whether a database file is whole: every block against its checksum, every table readable.

DuckDB writes 256 KiB blocks, each behind the checksum of its content, and looks at it when it reads one. Reading a
file through costs about 6 ms a MiB. A copy for publishing is mostly the same as the one before, so only the blocks in
which they differ are looked at, by their checksum alone (github.com/duckdb/duckdb, checksum.cpp, storage version v1.4).
"""

import array
from contextlib import closing
from pathlib import Path

import duckdb

from connector.errors import StoreDamaged
from connector.ledger.database import NO_PROGRESS_BAR, THREADS, damage_in, quoted

_HEADERS = 3 * 4096
_BLOCK = 256 << 10
_FACTOR, _START, _MASK = 0xBF58476D1CE4E5B9, 5381, (1 << 64) - 1
# A block takes 8 ms here and less than 2 ms there: with so many it is better read by DuckDB.
_MANY = 64
_AT_ONCE = 16


def damage(path: Path) -> str | None:
    """Read a file through; what is wrong with it, None when it is whole or missing.

    A writer's file only under the store's lock and while it is not open. Raises duckdb.Error for what is no damage.
    """
    if not path.exists():
        return None
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    with closing(connection):
        try:
            connection.execute(NO_PROGRESS_BAR)
            connection.execute(f"ATTACH {quoted(path)} AS examined (READ_ONLY)")
            connection.execute("USE examined")
            tables = connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'examined' ORDER BY ALL"
            ).fetchall()
            for schema, table in tables:
                connection.execute(f'SELECT bit_xor(hash(t)) FROM "{schema}"."{table}" t').fetchall()  # noqa: S608
            connection.execute("SELECT commit_id FROM ledger.publication").fetchall()
        except duckdb.Error as error:
            return damage_in(error) or _no_ledger(error)
    return None


def refuse_damaged(path: Path, *, like: Path | None) -> None:
    """Raises StoreDamaged when a copy is not whole. like: one that was read through already, if there is one."""
    why = _damage_in_changes(path, like) if like is not None else damage(path)
    if why is not None:
        raise StoreDamaged(f"{path} is damaged: {why}.", hint="connector check")


def newest_whole(paths: list[Path]) -> Path | None:
    """The first file that is whole."""
    return next((path for path in paths if damage(path) is None), None)


def _no_ledger(error: duckdb.Error) -> str:
    if isinstance(error, duckdb.CatalogException):
        return "it holds no ledger"
    raise error


def _damage_in_changes(path: Path, like: Path) -> str | None:
    changed = 0
    with path.open("rb") as file, like.open("rb") as other:
        file.seek(_HEADERS)
        other.seek(_HEADERS)
        while piece := file.read(_BLOCK * _AT_ONCE):
            old = other.read(_BLOCK * _AT_ONCE)
            if piece == old:
                continue
            for start in range(0, len(piece), _BLOCK):
                block = piece[start : start + _BLOCK]
                if block == old[start : start + _BLOCK]:
                    continue
                changed += 1
                if changed > _MANY or not _is_as_written(block):
                    return damage(path)  # which knows what a block is for, and says it
    return _damage_in_headers(path)


def _damage_in_headers(path: Path) -> str | None:
    """Opening reads both headers and the catalog."""
    with closing(duckdb.connect(":memory:")) as connection:
        try:
            connection.execute(f"ATTACH {quoted(path)} AS examined (READ_ONLY)")
            connection.execute("SELECT commit_id FROM examined.ledger.publication").fetchall()
        except duckdb.Error as error:
            return damage_in(error) or _no_ledger(error)
    return None


def _is_as_written(block: bytes) -> bool:
    if len(block) != _BLOCK:
        return False
    words = array.array("Q")
    words.frombytes(block)
    found = _START
    for word in words[1:]:
        found ^= word * _FACTOR & _MASK
    return found == words[0]
