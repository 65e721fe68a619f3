"""What control data is kept in, whatever it is: a few ways to ask it, with SQL that SQLite and PostgreSQL both take.

That SQL has ``?`` for parameters, ``ON CONFLICT`` with its columns, and no function of one of the two alone. ``rowid``
counts the rows of a table as they came.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Row(Protocol):
    """A row: by column's name, or all values in order."""

    def __getitem__(self, name: str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Result(Protocol):
    """What a statement inside a transaction brought."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Statements(Protocol):
    """Statements of one transaction. Rows are ``Row``."""

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> Result: ...

    def executemany(self, sql: str, rows: Sequence[Sequence[object]], /) -> object: ...


class ControlDatabase(Protocol):
    """Safe between threads. Raises StoreError that says where, and what to do."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        """All rows of a query."""

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row of a query."""

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """One statement in a transaction of its own; how many rows it changed."""

    def write_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """One statement over many rows, all or none."""

    def transaction(self) -> AbstractContextManager[Statements]:
        """Several statements, all or none; ``rows``, ``row`` and ``write`` of this thread belong to it."""

    def beside_others(self) -> AbstractContextManager[Statements]:
        """A transaction that keeps nobody else from writing where that can be; what it needs it locks by row."""

    def erase_deleted(self) -> None:
        """Have what was deleted leave the disk."""

    def close(self) -> None:
        """Give back what this process holds open."""
