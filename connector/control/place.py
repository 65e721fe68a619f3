"""Where control data is kept and who opens it: a file in the store's directory, or the database of a fleet.

Nothing else decides that, and only here is the fleet's room imported.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from connector.config import Config, FleetPlace
from connector.control.database import ControlDatabase, Row
from connector.control.file import FILE, ControlFile, control_errors, refuse_if_lost
from connector.errors import ConfigError

Place = Path | FleetPlace
"""The store's directory, or what a fleet stands on."""


def control_place(config: Config) -> Place:
    """Where the control data of a configuration is."""
    return config.fleet or config.store_directory


def open_control(place: Place, *ddl: str, durable: bool = False) -> ControlDatabase:
    """The control data, made when it is missing, with these tables. Raises StoreError.

    durable: a transaction has ended when the disk has it; else a power cut may take the last ones from a file.
    """
    return ControlFile(place, *ddl, durable=durable) if isinstance(place, Path) else _of_fleet(place, *ddl)


def control_is_there(place: Place) -> bool:
    """Whether there is any; a fleet's always is. Looks, and makes nothing."""
    return not isinstance(place, Path) or (place / FILE).exists()


def rows_if_there(place: Place, table: str, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
    """The rows of a query; none where the table was never made. Makes and changes nothing. Raises StoreError."""
    if not isinstance(place, Path):
        control = _of_fleet(place)
        there = control.row("SELECT to_regclass(?) IS NOT NULL AS there", (table,))
        return control.rows(sql, parameters) if there is not None and there["there"] else []
    path = place / FILE
    refuse_if_lost(place)
    if not path.exists():
        return []
    with (
        control_errors(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as file,
    ):
        file.row_factory = sqlite3.Row
        if not file.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone():
            return []
        return file.execute(sql, tuple(parameters)).fetchall()


def _of_fleet(place: FleetPlace, *ddl: str) -> ControlDatabase:
    try:
        from connector.control.postgres import PostgresControl
    except ImportError as error:
        raise ConfigError(
            f"A store in PostgreSQL needs the extra [fleet], of which {error.name} is missing.",
            hint="pip install 'clover-codat-connector[fleet]'",
        ) from None
    return PostgresControl(place, *ddl)
