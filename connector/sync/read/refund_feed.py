"""The refunds of a long span, listed before its charges and orders.

A refund comes days or months after its sale. Read with the part of the load that it lies in, it would make its order
and charges, loaded with an earlier part, be read once more. So a long span lists all its refunds first, keeps them
here for the run, and each part takes those of its own charges. Those that name no charge, or one that no part lists,
are taken with the part that they lie in.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

from connector.clover.lists.rows import created_ms
from connector.sync.link.links import CHARGE, REFUND, said_by
from connector.sync.link.notebook import Staging
from connector.sync.map.source_rows import fingerprint
from connector.sync.spans import Span
from schemas.times import to_ms

_SCHEMA = """
CREATE TABLE feed(
  id TEXT PRIMARY KEY, charge_id TEXT, lies_at_ms INTEGER NOT NULL, booked_ms INTEGER NOT NULL,
  list_hash TEXT NOT NULL, row BLOB NOT NULL, state TEXT NOT NULL DEFAULT 'waiting') WITHOUT ROWID;
CREATE INDEX feed_by_state ON feed(state, booked_ms);
"""
_MANY = 500


class RefundFeed:
    """The list rows of all refunds of a run's span, in a file. One thread at a time.

    is_filled: all refunds are here, and no part needs to list its own.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        self._db.execute("BEGIN")
        self.is_filled = False

    def close(self) -> None:
        self._db.close()

    def keep(self, rows: Iterable[dict[str, object]], booked_ms: int) -> None:
        """Keep the rows of one page. booked_ms: what those without a usable time are booked under."""
        kept = []
        for row in rows:
            text, list_hash = fingerprint(row)
            made = created_ms(row)
            lies_at = booked_ms if made is None else made
            kept.append((str(row["id"]), said_by(REFUND, row).owner_id, lies_at, booked_ms, list_hash, text))
        self._db.executemany(
            "INSERT OR REPLACE INTO feed(id, charge_id, lies_at_ms, booked_ms, list_hash, row)"
            " VALUES(?,?,?,?,?,?)",
            kept,
        )

    def take(self, piece: Span, staging: Staging, *, is_last: bool) -> Iterator[tuple[int, list[bytes]]]:
        """Refunds whose charge the notebook listed or that lie in the piece: (what they are booked under, JSON rows).

        is_last: no part follows, so all that is left is taken. Those that an earlier part took are noted as seen.
        """
        taken = self._db.execute(
            "SELECT id, list_hash FROM feed WHERE state = 'taken' AND lies_at_ms >= ? AND lies_at_ms < ?",
            (to_ms(piece.since), to_ms(piece.until)),
        )
        staging.note_seen(REFUND, taken.fetchall())
        self._db.execute(
            "UPDATE feed SET state = 'due' WHERE state = 'waiting' AND (? OR lies_at_ms < ?)",
            (is_last, to_ms(piece.until)),
        )
        waiting = self._db.execute(
            "SELECT id, charge_id FROM feed WHERE state = 'waiting' AND charge_id IS NOT NULL"
        ).fetchall()
        for start in range(0, len(waiting), _MANY):
            some = waiting[start : start + _MANY]
            here = staging.listed_among(CHARGE, [charge_id for _, charge_id in some])
            due = [(refund_id,) for refund_id, charge_id in some if charge_id in here]
            self._db.executemany("UPDATE feed SET state = 'due' WHERE id = ?", due)
        rows = self._db.execute("SELECT booked_ms, row FROM feed WHERE state = 'due' ORDER BY booked_ms, id")
        for booked_ms, group in groupby(rows, key=lambda row: int(row[0])):
            while some := list(islice(group, _MANY)):
                yield booked_ms, [text for _, text in some]
        self._db.execute("UPDATE feed SET state = 'taken' WHERE state = 'due'")
