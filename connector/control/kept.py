"""Companies and connections kept as data: what config.yaml would say of a connection, for thousands of them.

A kept connection has the settings that one of config.yaml has, under the same names, and is the same value afterwards:
``with_kept`` gives a configuration with both. Names and what clients of the API see are in
``connector.control.companies``. A counter grows with each change, so that a process which stays looks at a number
instead of at ten thousand rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import orjson

from connector.config import Company, Config, Connection
from connector.control import companies, pairs
from connector.control.database import ControlDatabase, Row, Statements
from connector.control.file import stamp
from connector.control.place import Place, rows_if_there
from connector.errors import ConfigError

TABLES = """
CREATE TABLE IF NOT EXISTS kept_connections (
  connection_id TEXT PRIMARY KEY, company_id TEXT NOT NULL, settings TEXT NOT NULL, credential TEXT NOT NULL,
  enabled INTEGER NOT NULL, changed TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS kept_connections_company ON kept_connections (company_id);
CREATE TABLE IF NOT EXISTS kept_companies (
  company_id TEXT PRIMARY KEY, fiscal_year_start INTEGER NOT NULL) STRICT;
"""
NEEDED = (companies.TABLES, TABLES, pairs.TABLES)
"""Tables that keeping a connection writes."""
# Copied and filled in, since values that were checked when they were kept need not be checked ten thousand times more.
_CONNECTION = Connection.model_construct(set())  # type: ignore[call-arg]
_COMPANY = Company.model_construct(set())  # type: ignore[call-arg]
_COMPANY.note_kept()
_APART = frozenset({"id", "credential", "enabled", "token", "oauth"})
_QUESTION = (
    "SELECT k.connection_id, k.company_id, c.name, y.fiscal_year_start, k.settings, k.credential, k.enabled"
    " FROM kept_connections k JOIN connections n ON n.connection_id = k.connection_id AND n.deleted IS NULL"
    " JOIN companies c ON c.company_id = k.company_id AND c.deleted IS NULL"
    " LEFT JOIN kept_companies y ON y.company_id = k.company_id ORDER BY k.company_id, k.connection_id"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeping some connections came to: how many are new, were changed, and were so before."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


def with_kept(config: Config, place: Place) -> Config:
    """The configuration with the kept companies of now behind those of its file.

    Raises ConfigError when an id is in both, StoreError when the control data cannot be read.
    """
    written = [company for company in config.companies if not company.is_kept]
    kept = kept_companies(place)
    refuse_doubles(written, kept)
    return config.model_copy(update={"companies": [*written, *kept]})


def refuse_doubles(written: Sequence[Company], kept: Sequence[Company]) -> None:
    """Raises ConfigError when a company or connection of config.yaml is kept as data too."""
    companies_there = {company.id: company for company in written}
    connections_there = {one.id: one for company in written for one in company.connections}
    for company in kept:
        if company.id in companies_there:
            raise _twice("Company", company.id, company.name)
        for connection in company.connections:
            if connection.id in connections_there:
                raise _twice("Connection", connection.id, f"merchant {connection.merchant_id}")


def kept_companies(place: Place) -> list[Company]:
    """Companies with their kept connections, by id; disabled ones too. Values were checked when they were kept."""
    rows = rows_if_there(place, "kept_connections", _QUESTION)
    found = []
    for company_id, group in groupby(rows, key=lambda row: str(row["company_id"])):
        of_it = list(group)
        about = {
            "id": company_id,
            "name": of_it[0]["name"],
            "fiscal_year_start": of_it[0]["fiscal_year_start"] or 1,
        }
        connections = [_connection(row) for row in of_it]
        found.append(_COMPANY.model_copy(update={**about, "connections": connections}))
    return found


def kept_version(place: Place) -> int:
    """Grows with each change of what is kept, unlinked or deleted; 0 where nothing ever was."""
    rows = rows_if_there(place, "companies_version", "SELECT version FROM companies_version")
    return int(rows[0]["version"]) if rows else 0


def keep_companies(control: ControlDatabase, wanted: Iterable[Company], *, now: datetime) -> Kept:
    """Keep these companies' connections, all or none. What was kept under an id before gets the new settings.

    Each connection needs a ``credential``. A connection that waits for its merchant (PendingAuth), or was given up, is
    Linked afterwards. Raises ConfigError for an id that was deleted, or is another company's.
    """
    wanted = list(wanted)
    counted = {"added": 0, "changed": 0, "unchanged": 0}
    with control.transaction() as db:
        before = _before(db)
        rows = []
        for company in wanted:
            before.refuse(company)
            for connection in company.connections:
                row = (connection.id, company.id, *_settings(connection))
                how = "added" if connection.id not in before.kept else "changed"
                counted[how if before.kept.get(connection.id) != row[1:] else "unchanged"] += 1
                rows.append((*row, stamp(now)))
        db.executemany(
            "INSERT INTO companies (company_id, name, created, origin) VALUES (?, ?, ?, 'kept')"
            " ON CONFLICT (company_id) DO UPDATE SET name = excluded.name, origin = 'kept'"
            " WHERE companies.origin <> 'api'",
            [(company.id, company.name, stamp(now)) for company in wanted],
        )
        db.executemany(
            "INSERT INTO kept_companies VALUES (?, ?) ON CONFLICT (company_id) DO UPDATE"
            " SET fiscal_year_start = excluded.fiscal_year_start",
            [(company.id, company.fiscal_year_start) for company in wanted],
        )
        db.executemany(
            "INSERT INTO connections (connection_id, company_id, status, created, origin)"
            " VALUES (?, ?, 'Linked', ?, 'kept') ON CONFLICT (connection_id) DO UPDATE SET status = 'Linked',"
            " origin = CASE WHEN connections.origin = 'api' THEN 'api' ELSE 'kept' END",
            [(row[0], row[1], stamp(now)) for row in rows],
        )
        db.executemany(
            "INSERT INTO kept_connections VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (connection_id) DO UPDATE SET"
            " settings = excluded.settings, credential = excluded.credential, enabled = excluded.enabled,"
            " changed = excluded.changed",
            rows,
        )
        companies.count_change(db)
    return Kept(**counted)


def enable_connections(
    control: ControlDatabase, connection_ids: Iterable[str], *, enabled: bool, now: datetime
) -> int:
    """Have connections read by themselves, or not any more; how many were not so before."""
    changed = 0
    with control.transaction() as db:
        for connection_id in connection_ids:
            changed += db.execute(
                "UPDATE kept_connections SET enabled = ?, changed = ? WHERE connection_id = ? AND enabled <> ?",
                (int(enabled), stamp(now), connection_id, int(enabled)),
            ).rowcount
        if changed:
            companies.count_change(db)
    return changed


@dataclass(frozen=True, slots=True)
class _Before:
    """What the control data holds: company id -> whether deleted; connection id -> company id and whether deleted."""

    companies: Mapping[str, bool]
    connections: Mapping[str, tuple[str, bool]]
    kept: Mapping[str, tuple[object, ...]]

    def refuse(self, company: Company) -> None:
        """Raises ConfigError for an id that nobody gets any more, or that is another company's."""
        if self.companies.get(company.id):
            raise _gone("Company", company.id)
        for connection in company.connections:
            if connection.credential is None:
                raise ConfigError(
                    f"Connection {connection.id} ({company.name}) has no credential.",
                    hint="Give env:NAME, file:/path, or kept for a merchant who connects through a link.",
                )
            owner, is_deleted = self.connections.get(connection.id, (company.id, False))
            if is_deleted:
                raise _gone("Connection", connection.id)
            if owner != company.id:
                raise ConfigError(
                    f"Connection {connection.id} (merchant {connection.merchant_id}) is company {owner}'s, and cannot"
                    f" be {company.id}'s as well.",
                    hint="Give the company_id that it has; connector connections lists them.",
                )


def _before(db: Statements) -> _Before:
    known = db.execute("SELECT company_id, deleted FROM companies").fetchall()
    links = db.execute("SELECT connection_id, company_id, deleted FROM connections").fetchall()
    kept = db.execute(
        "SELECT connection_id, company_id, settings, credential, enabled FROM kept_connections"
    ).fetchall()
    return _Before(
        {row["company_id"]: row["deleted"] is not None for row in known},
        {row["connection_id"]: (row["company_id"], row["deleted"] is not None) for row in links},
        {row["connection_id"]: tuple(row)[1:] for row in kept},
    )


def _settings(connection: Connection) -> tuple[str, str | None, int]:
    values = connection.model_dump(mode="json", exclude_unset=True, exclude=set(_APART))
    return (
        orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode(),
        connection.credential,
        int(connection.enabled),
    )


def _connection(row: Row) -> Connection:
    values = orjson.loads(row["settings"])
    values["start_date"] = date.fromisoformat(values["start_date"])
    values |= {"id": row["connection_id"], "credential": row["credential"], "enabled": bool(row["enabled"])}
    found = _CONNECTION.model_copy(update=values)
    found.name_after(row["name"])
    return found


def _twice(what: str, identity: str, named: str) -> ConfigError:
    return ConfigError(
        f"{what} {identity} ({named}) is in the configuration and is kept as data as well.",
        hint="Keep one of the two: take it out of config.yaml, or give the one there another id.",
    )


def _gone(what: str, identity: str) -> ConfigError:
    return ConfigError(
        f"{what} {identity} was deleted through the API, and nothing gets its id again.",
        hint="Give another id (company_id, connection_id).",
    )
