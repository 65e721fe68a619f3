"""Which connections were given up through the read API, so that a sync leaves them alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

from connector.control.file import FILE, control_errors, refuse_if_lost


def given_up_connections(directory: Path) -> frozenset[str]:
    """Ids of connections that were unlinked or deleted there; none where the API was never started.

    Raises StoreError when the file cannot be read, or is gone.
    """
    path = directory / FILE
    refuse_if_lost(directory)
    if not path.exists():
        return frozenset()
    with (
        control_errors(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as control,
    ):
        if not control.execute("SELECT 1 FROM sqlite_schema WHERE name = 'connections'").fetchone():
            return frozenset()  # the API keeps nothing there yet
        rows = control.execute(
            "SELECT connection_id FROM connections WHERE status = 'Unlinked' OR deleted IS NOT NULL"
        ).fetchall()
    return frozenset(row[0] for row in rows)
