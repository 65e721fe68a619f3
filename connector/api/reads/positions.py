"""Where the records of a question are in a published file, kept in memory, so that a page need not sort them again.

The file of a publication never changes, so neither do its row numbers. A question that is asked a second time has its
row numbers kept, in its order; when single records are asked for again and again, so is the way from an id to a row
number. The least recently used go first. What is asked once is answered by SQL alone: sorting everything takes longer
than finding one page.
"""

import hashlib
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import duckdb

MOST_BYTES = 64 << 20  # of a publication; eight a record and question, sixteen for its id
_MOST_REMEMBERED = 10_000  # questions of which it is known that they were asked
_AT_ONCE = 10_000  # rows

Kept = tuple["array[int]", ...]


class Positions:
    """The row numbers that are kept of one publication. Safe to share between threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._asked: OrderedDict[bytes, int] = OrderedDict()
        self._being_made: set[bytes] = set()
        self._bytes = 0

    def find(
        self, question: str, records: Callable[[], int], make: Callable[[], Kept], *, after: int = 1
    ) -> Kept | None:
        """What is kept of a question, made once it was asked ``after`` times; None where SQL is to answer.

        records: how many there are, by which it is decided whether they can be kept.
        """
        name = hashlib.blake2b(question.encode(), digest_size=16).digest()
        with self._lock:
            if (kept := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
                return kept
            asked = self._asked.get(name, 0)
            if asked < after:
                self._asked[name] = asked + 1
                if len(self._asked) > _MOST_REMEMBERED:
                    self._asked.popitem(last=False)
                return None
            if name in self._being_made:  # by another request, which this one does not wait for
                return None
            self._being_made.add(name)
        try:
            if records() * 16 > self._most:
                return None
            made = make()
            self._keep(name, made)
            return made
        finally:
            with self._lock:
                self._being_made.discard(name)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def _keep(self, name: bytes, made: Kept) -> None:
        with self._lock:
            self._kept[name] = made
            self._bytes += _size(made)
            while self._bytes > self._most:
                self._bytes -= _size(self._kept.popitem(last=False)[1])


def ordered(cursor: duckdb.DuckDBPyConnection) -> Kept:
    """Row numbers, from a result of one column."""
    found = array("q")
    for rows in _chunks(cursor):
        found.extend([row[0] for row in rows])
    return (found,)


def by_id(cursor: duckdb.DuckDBPyConnection) -> Kept:
    """Hashes of ids and row numbers, from a result of these two columns that is in the order of the first."""
    hashes, found = array("Q"), array("q")
    for rows in _chunks(cursor):
        hashes.extend([row[0] for row in rows])
        found.extend([row[1] for row in rows])
    return hashes, found


def with_id(kept: Kept, record_id: str) -> Sequence[int]:
    """The row numbers of the records whose id has the same hash as ``record_id``: it is one of them, or none has it."""
    hashes, found = kept
    wanted = _hash(record_id)
    at = bisect_left(hashes, wanted)
    end = at
    while end < len(hashes) and hashes[end] == wanted:
        end += 1
    return found[at:end]


def hash_sql(id_sql: str) -> str:
    """The same hash in SQL."""
    return f"md5_number_lower({id_sql})"


def _hash(record_id: str) -> int:
    return int.from_bytes(hashlib.md5(record_id.encode(), usedforsecurity=False).digest()[8:], "little")


def _chunks(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[int, ...]]]:
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows


def _size(kept: Kept) -> int:
    return sum(len(part) * part.itemsize for part in kept)
