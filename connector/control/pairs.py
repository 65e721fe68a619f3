"""OAuth pairs of merchants as rows, encrypted by whoever keeps them. Only the sealed text is here, never a key.

A power cut must not lose a pair that Clover has given: its refresh token works once, and the one before it no more.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from connector.control.database import ControlDatabase, Statements
from connector.control.file import stamp
from connector.control.place import Place, open_control, rows_if_there

TABLES = """
CREATE TABLE IF NOT EXISTS oauth_pairs (connection_id TEXT PRIMARY KEY, sealed TEXT, changed TEXT NOT NULL) STRICT;
"""


def open_pairs(place: Place) -> ControlDatabase:
    """The control data with what is written on the disk before it is believed to be."""
    return open_control(place, TABLES, durable=True)


def read_pair(control: ControlDatabase, connection_id: str) -> str | None:
    """What is kept of a connection, sealed; None where nothing is."""
    row = control.row("SELECT sealed FROM oauth_pairs WHERE connection_id = ?", (connection_id,))
    return None if row is None else row["sealed"]


def any_pair(place: Place) -> bool:
    """Whether there is one. Looks, and makes nothing."""
    return bool(
        rows_if_there(place, "oauth_pairs", "SELECT 1 FROM oauth_pairs WHERE sealed IS NOT NULL LIMIT 1")
    )


def write_pair(control: ControlDatabase, connection_id: str, sealed: str) -> None:
    """In place of what was kept."""
    control.write(
        "INSERT INTO oauth_pairs VALUES (?, ?, ?) ON CONFLICT (connection_id) DO UPDATE"
        " SET sealed = excluded.sealed, changed = excluded.changed",
        (connection_id, sealed, stamp(datetime.now(UTC))),
    )


@contextmanager
def locked_row(control: ControlDatabase, connection_id: str, *, seconds: int) -> Iterator[None]:
    """Nobody else reads or writes this pair under a lock meanwhile, on whatever host. For PostgreSQL alone.

    What is written inside counts once this has ended well; others write beside it. Raises StoreBusy when another keeps
    it longer than that.
    """
    with control.beside_others() as db:
        db.execute(f"SET LOCAL lock_timeout = '{seconds:d}s'")
        db.execute(
            "INSERT INTO oauth_pairs (connection_id, changed) VALUES (?, ?) ON CONFLICT (connection_id) DO NOTHING",
            (connection_id, stamp(datetime.now(UTC))),
        )
        db.execute("SELECT 1 FROM oauth_pairs WHERE connection_id = ? FOR UPDATE", (connection_id,))
        yield


def delete_pairs(db: Statements, connection_ids: Iterable[str]) -> int:
    """Remove the pairs of connections; how many there were."""
    return sum(
        db.execute("DELETE FROM oauth_pairs WHERE connection_id = ?", (one,)).rowcount
        for one in connection_ids
    )


def give_up_pairs(control: ControlDatabase, connection_ids: Iterable[str]) -> None:
    """Access that was given up is not kept either; Clover has no call that takes a token back."""
    with control.transaction() as db:
        delete_pairs(db, connection_ids)
