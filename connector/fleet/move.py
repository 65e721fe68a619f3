"""Moves companies from a store on one disk into a fleet and back, history included, and compares both sides.

Nothing is taken from the side that is left: it stays as it was until somebody removes it. A company is whole on the
other side or not there; a move that was interrupted goes on with the companies that are missing.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from connector.errors import ConfigError, StoreError
from connector.fleet.bucket import company_prefix
from connector.fleet.raw import RawKeeping
from connector.fleet.store import FleetStore
from connector.ledger.database import WORK, private_directory, quoted, store_errors
from connector.ledger.keep.forget import kept_tables, write_only
from connector.ledger.migrate import migrate
from connector.ledger.publish import copy_whole
from connector.ledger.published import newest_file
from connector.ledger.store import DuckStore

# Columns that name a load. In one file all companies' loads are numbered together.
_NUMBERS = ("snapshot_id", "replaced_by", "updated_snapshot", "first_seen_snapshot", "resolved_snapshot")

_BY_CONNECTION = "connection_id IN (SELECT connection_id FROM ledger.connections WHERE company_id = $company)"


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds of a company. tables: rows and a hash of all of them; sums: of current orders, a currency."""

    tables: Mapping[str, tuple[int, str]]
    sums: Mapping[str, tuple[int, str, str]]

    @property
    def orders(self) -> int:
        return sum(count for count, _, _ in self.sums.values())


@dataclass(frozen=True, slots=True)
class Moved:
    """A company that is on the other side, with what both sides hold of it. payloads: files of what Clover sent."""

    company_id: str
    held: Held
    payloads: int
    was_there: bool = False


def to_fleet(directory: Path, fleet: FleetStore, *, at: datetime) -> Iterator[Moved]:
    """Move every company of a store in a directory; one after the other, as each is compared. StoreError."""
    with _workshop(fleet.directory) as workshop:
        whole = workshop / WORK
        copy_whole(newest_file(directory), whole)
        with _attached(whole) as connection:
            companies = [
                str(company)
                for (company,) in connection.execute(
                    "SELECT DISTINCT company_id FROM ledger.sync_runs UNION SELECT company_id FROM ledger.connections"
                    " ORDER BY 1"
                ).fetchall()
            ]
        for company_id in companies:
            yield _to_fleet(directory, whole, company_id, fleet, at)


def _to_fleet(directory: Path, whole: Path, company_id: str, fleet: FleetStore, at: datetime) -> Moved:
    with _attached(whole) as connection:
        before = held_of(connection, company_id)
        connections = [
            str(one)
            for (one,) in connection.execute(
                "SELECT DISTINCT connection_id FROM ledger.sync_runs WHERE company_id = ?", [company_id]
            ).fetchall()
        ]
    was_there = fleet.pointers.get(company_id) is not None
    if not was_there:
        made = whole.with_name("company.duckdb")
        write_only(whole, made, company_id, at=at, room=whole.parent)
        fleet.store_of(company_id).adopt(made)
    raw = RawKeeping(fleet.bucket, directory / "raw", company_prefix(company_id))
    for connection_id in connections:
        raw.keep(connection_id, leave=True)
    _compare(company_id, before, _held_in_bucket(fleet, company_id, whole.parent))
    payloads = sum(len(list((directory / "raw" / one).glob("*.gz"))) for one in connections)
    return Moved(company_id, before, payloads, was_there)


def _held_in_bucket(fleet: FleetStore, company_id: str, workshop: Path) -> Held:
    """As another host would fetch it, not as this one made it."""
    pointer = fleet.pointers.get(company_id)
    assert pointer is not None
    target = workshop / "fetched.duckdb"
    target.unlink(missing_ok=True)
    fleet.bucket.get(pointer.object, target, sha256=pointer.object_sha256)
    with _attached(target) as connection:
        return held_of(connection, company_id)


def to_directory(fleet: FleetStore, directory: Path, *, at: datetime) -> Iterator[Moved]:
    """Make one store of all companies of a fleet, in a directory without one.

    Where two companies' loads bear the same numbers they are numbered anew, in order of time, in an epoch of their own.
    """
    store = DuckStore(directory, clock=lambda: at)
    if store.is_there():
        raise ConfigError(
            f"There is a store in {directory} already. Nothing was changed.", hint="Name another."
        )
    pointers = fleet.pointers.all()
    with _workshop(private_directory(directory)) as workshop:
        files: dict[str, Path] = {}
        for pointer, _ in pointers:
            with fleet.store_of(pointer.company_id).open_reader() as reader:
                files[pointer.company_id] = workshop / f"company-{len(files)}.duckdb"
                copy_whole(reader.path, files[pointer.company_id])
        store.repair()
        numbers_changed = _merge(directory / WORK, files, at)
        store.begin_epoch()
    with store.open_reader() as reader:
        for company_id in files:
            held = held_of(reader.connection, company_id, numbers=not numbers_changed)
            with fleet.store_of(company_id).open_reader() as theirs:
                _compare(
                    company_id, held_of(theirs.connection, company_id, numbers=not numbers_changed), held
                )
                connections = theirs.connection.execute(
                    "SELECT DISTINCT connection_id FROM ledger.sync_runs WHERE company_id = ?", [company_id]
                ).fetchall()
            raw = RawKeeping(fleet.bucket, directory / "raw", company_prefix(company_id))
            for (connection_id,) in connections:
                raw.bring(connection_id)
            payloads = sum(len(list((directory / "raw" / one).glob("*.gz"))) for (one,) in connections)
            yield Moved(company_id, held, payloads)


def _merge(work: Path, files: Mapping[str, Path], at: datetime) -> bool:
    """Put every company's rows into an empty ledger; whether loads got other numbers."""
    with store_errors(work, "fill the store"), closing(duckdb.connect(":memory:")) as connection:
        connection.execute(f"ATTACH {quoted(work)} AS target")
        for number, file in enumerate(files.values()):
            connection.execute(f"ATTACH {quoted(file)} AS c{number}")
            connection.execute(f"USE c{number}")
            migrate(connection, at=at)
        connection.execute("USE target")
        union = " UNION ALL ".join(
            f"SELECT {number} AS c, snapshot_id, loaded_at FROM c{number}.ledger.snapshots"  # noqa: S608
            for number in range(len(files))
        )
        connection.execute(
            f"CREATE TEMP TABLE loads AS SELECT *, row_number() OVER (ORDER BY loaded_at, c, snapshot_id) AS anew"  # noqa: S608
            f" FROM ({union or 'SELECT 0 AS c, 0 AS snapshot_id, now() AS loaded_at LIMIT 0'})"
        )
        row = connection.execute("SELECT count(*) > count(DISTINCT snapshot_id) FROM loads").fetchone()
        changes = bool(row and row[0])
        for number in range(len(files)):
            for table in kept_tables(connection):
                connection.execute(
                    f"INSERT INTO ledger.{table} BY NAME SELECT {_numbered(connection, table, number, changes)}"  # noqa: S608
                    f" FROM c{number}.ledger.{table} t ORDER BY t.rowid"
                )
        connection.execute(
            "UPDATE ledger.publication SET commit_id = commit_id + 1,"
            " snapshot_id = (SELECT coalesce(max(snapshot_id), 0) FROM ledger.snapshots)"
        )
        connection.execute("CHECKPOINT target")
    return changes


def _numbered(connection: duckdb.DuckDBPyConnection, table: str, number: int, changes: bool) -> str:
    """The columns of a company's table, with the new number in the place of each load's."""
    columns = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'target' AND table_name = ?", [table]
    ).fetchall()
    found = [name for (name,) in columns if name in _NUMBERS]
    if not changes or not found:
        return "t.*"
    anew = ", ".join(
        f"(SELECT l.anew FROM temp.loads l WHERE l.c = {number} AND l.snapshot_id = t.{name}) AS {name}"  # noqa: S608
        for name in found
    )
    return f"t.* REPLACE ({anew})"


def held_of(connection: duckdb.DuckDBPyConnection, company_id: str, *, numbers: bool = True) -> Held:
    """What a ledger holds of a company. numbers: whether those of its loads count, too."""
    tables = {}
    for table in kept_tables(connection):
        columns = [
            str(name)
            for (name,) in connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database()"
                " AND schema_name = 'ledger' AND table_name = ? ORDER BY 1",
                [table],
            ).fetchall()
        ]
        told = ", ".join(f't."{name}"' for name in columns if numbers or name not in _NUMBERS)
        theirs = "company_id = $company" if "company_id" in columns else _BY_CONNECTION
        row = connection.execute(
            f"SELECT count(*), CAST(sum(hash({told})::HUGEINT) AS VARCHAR) FROM ledger.{table} t WHERE {theirs}",  # noqa: S608
            {"company": company_id},
        ).fetchone()
        assert row is not None
        tables[table] = (int(row[0]), str(row[1]))
    sums = connection.execute(
        "SELECT currency, count(*), CAST(sum(total_amount) AS VARCHAR), CAST(sum(total_refund) AS VARCHAR)"
        " FROM ledger.order_versions WHERE company_id = ? AND replaced_by IS NULL AND NOT is_deleted GROUP BY 1",
        [company_id],
    ).fetchall()
    return Held(tables, {str(currency): (int(n), str(total), str(back)) for currency, n, total, back in sums})


def _compare(company_id: str, before: Held, after: Held) -> None:
    for table, held in before.tables.items():
        if after.tables.get(table) != held:
            raise StoreError(
                f"Company {company_id}: {table} is not the same on both sides ({held[0]} rows here,"
                f" {after.tables.get(table, (0, ''))[0]} there). What is here is as it was.",
                hint="connector forget it in the fleet, then run the move again; report it if that does not help.",
            )
    if before.sums != after.sums:
        raise StoreError(f"Company {company_id}: the sums are not the same on both sides.")


@contextmanager
def _attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with store_errors(path, "read"), closing(duckdb.connect(":memory:")) as connection:
        connection.execute(f"ATTACH {quoted(path)} AS work (READ_ONLY)")
        connection.execute("USE work")
        yield connection


@contextmanager
def _workshop(directory: Path) -> Iterator[Path]:
    path = private_directory(directory) / "moving.tmp"
    shutil.rmtree(path, ignore_errors=True)
    try:
        yield private_directory(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
