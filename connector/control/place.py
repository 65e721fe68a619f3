"""Where control data is kept and who opens it: a file in the store's directory, or the database of a fleet."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from connector.config import Config
from connector.control.file import FILE, ControlFile, control_errors, refuse_if_lost

Place = Path
"""The store's directory."""


def control_place(config: Config) -> Place:
    """Where the control data of a configuration is."""
    return config.store_directory


def open_control(place: Place, *ddl: str) -> ControlFile:
    """The control data, made when it is missing, with these tables. Raises StoreError."""
    return ControlFile(place, *ddl)


def rows_if_there(place: Place, table: str, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
    """The rows of a query; none where the table was never made. Makes and changes nothing. Raises StoreError."""
    path = place / FILE
    refuse_if_lost(place)
    if not path.exists():
        return []
    with (
        control_errors(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as control,
    ):
        control.row_factory = sqlite3.Row
        if not control.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone():
            return []
        return control.execute(sql, tuple(parameters)).fetchall()
