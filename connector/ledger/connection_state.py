"""How current each connection is. What that means is defined once, in the view ``connection_state``."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import duckdb

from connector.ledger.views import definitions
from schemas.platform import ConnectionStatus


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A row of the view ``connection_state``, where each column is explained. Times are aware UTC."""

    company_id: str
    connection_id: str
    status: str | None = None
    currency: str | None = None
    last_success: datetime | None = None
    last_success_began: datetime | None = None
    last_success_run: str | None = None
    last_run: str | None = None
    last_kind: str | None = None
    last_status: str | None = None
    last_started: datetime | None = None
    last_finished: datetime | None = None
    last_error_kind: str | None = None
    last_error: str | None = None
    newest_snapshot: int | None = None
    newest_sale: datetime | None = None
    orders: int = 0
    held_back: int = 0
    open_issues: int = 0
    cursor: datetime | None = None
    dated_until: datetime | None = None

    @property
    def synced(self) -> bool:
        """Whether a first sync has succeeded; from then on its data is served, for good."""
        return self.last_success is not None


UNKNOWN = ConnectionState("", "")
"""Of a connection of which nothing was ever published."""


def link_status(set_here: str, state: ConnectionState) -> ConnectionStatus:
    """What a connection is called: what a sync knows (Linked, Deauthorized) over what was set in the control data.

    Unlinked and PendingAuth set there stand: the one was our decision, the other has not synced yet.
    """
    if set_here == ConnectionStatus.UNLINKED or state.status is None:
        return ConnectionStatus(set_here)
    if set_here == ConnectionStatus.PENDING_AUTH and not state.synced:
        return ConnectionStatus.PENDING_AUTH
    try:
        return ConnectionStatus(state.status)
    except ValueError:
        return ConnectionStatus.LINKED


def connection_states(
    connection: duckdb.DuckDBPyConnection, *, at: datetime | None = None
) -> Mapping[str, ConnectionState]:
    """Connection id -> its state. at: leave out runs that a wrong clock dated later than this, aware UTC."""
    moment = at or datetime.max.replace(tzinfo=UTC)
    if _is_told(connection):
        columns = ", ".join(f'"{field.name}"' for field in fields(ConnectionState))
        rows = connection.execute(f"SELECT {columns} FROM ledger.connection_states").fetchall()  # noqa: S608
        return {row[1]: ConnectionState(*(_aware(value) for value in row)) for row in rows}
    rows = connection.execute(_question(), {"at": moment.astimezone(UTC).replace(tzinfo=None)}).fetchall()
    states = (ConnectionState(*(_aware(value) for value in row)) for row in rows)
    return {state.connection_id: state for state in states}


def _is_told(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the states themselves are written there, as those of a fleet's companies are; see ``fleet.roll``."""
    found = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'ledger' AND table_name = 'connection_states'"
    return connection.execute(found).fetchone() is not None


@cache
def _question() -> str:
    """The view's own text: a file that an earlier version published has the tables, and not the view."""
    (view,) = (found for found in definitions() if found.name == "connection_state")
    body = view.sql.split("AS\n", 1)[1].strip().removesuffix(";").replace("TIMESTAMP 'infinity'", "$at")
    columns = ", ".join(f'"{field.name}"' for field in fields(ConnectionState))
    return f"SELECT {columns} FROM ({body})"  # noqa: S608 - our own text


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
