"""Every connection there is: of the file, kept as data, made by a client; and why one is not read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connector.config import Company, Config, Connection
from connector.config.environment import Environment
from connector.control.place import control_place, rows_if_there
from connector.ledger.connection_state import UNKNOWN, ConnectionState, link_status
from schemas.platform import ConnectionStatus

_ROWS = (
    "SELECT n.connection_id, n.company_id, c.name, n.status, n.origin FROM connections n"
    " JOIN companies c ON c.company_id = n.company_id WHERE n.deleted IS NULL AND c.deleted IS NULL"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One connection. merchant_id: None while no merchant has connected. origin: config, kept or api.

    why_not: why it is not read, or was not the last time; None when all is well.
    """

    company_id: str
    company_name: str
    connection_id: str
    merchant_id: str | None
    origin: str
    status: str
    enabled: bool
    schedule: str | None
    last_success: datetime | None
    why_not: str | None


def every_connection(config: Config, states: Mapping[str, ConnectionState]) -> list[Listed]:
    """By company's name, then id; those that were deleted left out. Raises StoreError."""
    rows = {
        str(row["connection_id"]): row for row in rows_if_there(control_place(config), "connections", _ROWS)
    }
    variables = Environment(os.environ)
    found = []
    for company, connection in config.pairs():
        row = rows.pop(connection.id, None)
        set_here = ConnectionStatus.LINKED if row is None else row["status"]
        origin = "config" if not company.is_kept else "kept" if row is None else row["origin"]
        state = states.get(connection.id, UNKNOWN)
        status = link_status(set_here, state)
        found.append(
            Listed(
                company.id,
                company.name,
                connection.id,
                connection.merchant_id,
                origin,
                status,
                connection.enabled,
                connection.schedule,
                state.last_success,
                _why_not(company, connection, status, state, variables),
            )
        )
    for row in rows.values():
        why = (
            "not in the configuration any more"
            if row["origin"] == "config"
            else "the merchant has not connected yet"
        )
        state = states.get(row["connection_id"], UNKNOWN)
        found.append(
            Listed(
                row["company_id"],
                row["name"],
                row["connection_id"],
                None,
                row["origin"],
                link_status(row["status"], state),
                True,
                None,
                state.last_success,
                "given up through the API" if row["status"] == ConnectionStatus.UNLINKED else why,
            )
        )
    return sorted(found, key=lambda one: (one.company_name.casefold(), one.company_id, one.connection_id))


def _why_not(
    company: Company,
    connection: Connection,
    status: str,
    state: ConnectionState,
    variables: Mapping[str, str],
) -> str | None:
    if not connection.enabled:
        return f"disabled; connector companies enable {company.id}"
    if status == ConnectionStatus.UNLINKED:
        return "given up through the API"
    if missing := _missing(connection, variables):
        return missing
    if state.last_status == "failed":
        return state.last_error
    if state.last_run is None:
        return "not read yet"
    return None


def _missing(connection: Connection, variables: Mapping[str, str]) -> str | None:
    kind, _, name = (connection.credential or "").partition(":")
    if kind == "env" and name not in variables and not _has(variables, name):
        return f"its credential is missing: {name} is not set"
    if kind == "file" and not Path(name).is_file():
        return f"its credential is missing: there is no file {name}"
    return None


def _has(variables: Mapping[str, str], name: str) -> bool:
    try:
        return bool(variables[name])
    except KeyError:
        return False
