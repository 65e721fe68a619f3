"""Companies and connections as the API keeps them: those of the configuration and those made by clients.

What a sync found out about a connection (its status, when it last succeeded) is read from the published
file; see ``api_runs``. A deleted company or connection keeps its row, so that no other ever gets its id.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.control.database import ControlDatabase, Row, Statements
from connector.control.file import stamp

TABLES = """
CREATE TABLE IF NOT EXISTS companies (
  company_id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, tags TEXT NOT NULL DEFAULT '{}',
  created TEXT NOT NULL, created_by TEXT, origin TEXT NOT NULL, deleted TEXT) STRICT;
CREATE TABLE IF NOT EXISTS connections (
  connection_id TEXT PRIMARY KEY, company_id TEXT NOT NULL, status TEXT NOT NULL, created TEXT NOT NULL,
  origin TEXT NOT NULL, deleted TEXT) STRICT;
CREATE INDEX IF NOT EXISTS connections_company ON connections (company_id);
CREATE TABLE IF NOT EXISTS companies_version (version INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class CompanyRow:
    """A company. ``created``: instant as text. ``origin``: config, api, or kept (``connector companies``)."""

    company_id: str
    name: str
    description: str | None
    tags: Mapping[str, str]
    created: str
    created_by: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """A connection. ``status``: PendingAuth, Linked or Unlinked; a sync may know better."""

    connection_id: str
    company_id: str
    status: str
    created: str
    origin: str


def take_from_config(
    control: ControlDatabase, companies: Iterable[tuple[str, str, Iterable[str]]], *, now: datetime
) -> None:
    """(company id, name, connection ids) of the configuration.

    Names follow it; what was deleted stays deleted.
    """
    with control.transaction() as db:
        for company_id, name, connection_ids in companies:
            db.execute(
                "INSERT INTO companies (company_id, name, created, origin) VALUES (?, ?, ?, 'config')"
                " ON CONFLICT (company_id) DO UPDATE SET name = excluded.name WHERE companies.origin = 'config'",
                (company_id, name, stamp(now)),
            )
            for connection_id in connection_ids:
                db.execute(
                    "INSERT INTO connections (connection_id, company_id, status, created, origin)"
                    " VALUES (?, ?, 'Linked', ?, 'config') ON CONFLICT (connection_id) DO NOTHING",
                    (connection_id, company_id, stamp(now)),
                )


def list_companies(control: ControlDatabase) -> list[CompanyRow]:
    """Every company that is not deleted, by id."""
    return [
        _company(row)
        for row in control.rows("SELECT * FROM companies WHERE deleted IS NULL ORDER BY company_id")
    ]


def get_company(control: ControlDatabase, company_id: str) -> CompanyRow | None:
    """None when there is none, or it was deleted."""
    row = control.row("SELECT * FROM companies WHERE company_id = ? AND deleted IS NULL", (company_id,))
    return None if row is None else _company(row)


def create_company(control: ControlDatabase, company: CompanyRow) -> None:
    """The id must be new."""
    control.write(
        "INSERT INTO companies (company_id, name, description, tags, created, created_by, origin)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            company.company_id,
            company.name,
            company.description,
            json.dumps(dict(company.tags)),
            company.created,
            company.created_by,
            company.origin,
        ),
    )


def update_company(control: ControlDatabase, company: CompanyRow) -> None:
    """Name, description and tags as given."""
    control.write(
        "UPDATE companies SET name = ?, description = ?, tags = ? WHERE company_id = ?",
        (company.name, company.description, json.dumps(dict(company.tags)), company.company_id),
    )


def delete_company(control: ControlDatabase, company_id: str, *, now: datetime) -> None:
    """The company and its connections disappear from the API; what was synced stays in the store."""
    with control.transaction() as db:
        db.execute("UPDATE companies SET deleted = ? WHERE company_id = ?", (stamp(now), company_id))
        db.execute(
            "UPDATE connections SET deleted = ? WHERE company_id = ? AND deleted IS NULL",
            (stamp(now), company_id),
        )
        count_change(db)


def list_connections(control: ControlDatabase, company_id: str | None = None) -> list[ConnectionRow]:
    """The connections of one company, or of all, that are not deleted; by id."""
    rows = control.rows(
        "SELECT * FROM connections WHERE deleted IS NULL AND (? IS NULL OR company_id = ?)"
        " ORDER BY connection_id",
        (company_id, company_id),
    )
    return [_connection(row) for row in rows]


def get_connection(control: ControlDatabase, company_id: str, connection_id: str) -> ConnectionRow | None:
    """None when there is none, it was deleted, or it is another company's."""
    row = control.row(
        "SELECT * FROM connections WHERE connection_id = ? AND company_id = ? AND deleted IS NULL",
        (connection_id, company_id),
    )
    return None if row is None else _connection(row)


def create_connection(control: ControlDatabase, connection: ConnectionRow) -> None:
    """The id must be new."""
    control.write(
        "INSERT INTO connections (connection_id, company_id, status, created, origin) VALUES (?, ?, ?, ?, ?)",
        (
            connection.connection_id,
            connection.company_id,
            connection.status,
            connection.created,
            connection.origin,
        ),
    )


def set_connection_status(control: ControlDatabase, connection_id: str, status: str) -> None:
    """As given."""
    with control.transaction() as db:
        db.execute("UPDATE connections SET status = ? WHERE connection_id = ?", (status, connection_id))
        count_change(db)


def delete_connection(control: ControlDatabase, connection_id: str, *, now: datetime) -> None:
    """It disappears from the API; what was synced stays in the store."""
    with control.transaction() as db:
        db.execute("UPDATE connections SET deleted = ? WHERE connection_id = ?", (stamp(now), connection_id))
        count_change(db)


def count_change(db: Statements) -> None:
    """Say, inside a transaction, that something was changed by which others choose what to read."""
    if not db.execute("UPDATE companies_version SET version = version + 1").rowcount:
        db.execute("INSERT INTO companies_version VALUES (1)")


def _company(row: Row) -> CompanyRow:
    return CompanyRow(
        company_id=row["company_id"],
        name=row["name"],
        description=row["description"],
        tags=json.loads(row["tags"]),
        created=row["created"],
        created_by=row["created_by"],
        origin=row["origin"],
    )


def _connection(row: Row) -> ConnectionRow:
    return ConnectionRow(
        connection_id=row["connection_id"],
        company_id=row["company_id"],
        status=row["status"],
        created=row["created"],
        origin=row["origin"],
    )
