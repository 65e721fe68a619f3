"""Which connections were given up through the read API, so that a sync leaves them alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

CONTROL = "control.sqlite"


def given_up_connections(directory: Path) -> frozenset[str]:
    """Ids of connections that were unlinked or deleted there; none where the API was never started."""
    path = directory / CONTROL
    if not path.exists():
        return frozenset()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as control:
        try:
            rows = control.execute(
                "SELECT connection_id FROM connections WHERE status = 'Unlinked' OR deleted IS NOT NULL"
            ).fetchall()
        except sqlite3.OperationalError:  # no such table: the API keeps nothing there yet
            return frozenset()
    return frozenset(row[0] for row in rows)
