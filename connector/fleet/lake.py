"""Fills a DuckLake with the views of every company, for SQL over all of them; follows what the fleet publishes.

Rows are only ever added: each view is a table ``VIEW_rows``, and a table ``VIEW_gone`` of the rows that a later state
of the company no longer has. A view of the old name shows what is left. One transaction brings a company from one state
to another, with the note of which state that is: who is killed has done all of it or nothing, and never does it twice.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import duckdb

from connector.errors import ConfigError, StoreError
from connector.fleet.pointers import Pointer
from connector.fleet.store import FleetStore
from connector.ledger.database import private_directory, quoted
from connector.ledger.failpoints import failpoint
from connector.ledger.view_files import columns_of_views

_EXTENSIONS = {"ducklake": "ducklake", "postgres": "postgres_scanner", "httpfs": "httpfs"}
"""Wheel -> the name under which DuckDB knows what is in it."""
_AWAY = "The next call goes on where this one ended."


@dataclass(frozen=True, slots=True)
class Followed:
    """A company that was brought up to a state. added, gone: rows of all views."""

    company_id: str
    generation: int
    added: int
    gone: int


def follow(fleet: FleetStore, to: str, data_path: str, *, room: Path) -> Iterator[Followed]:
    """Bring every company whose newest state is not in the lake up to it. ConfigError, StoreError, StoreBusy.

    to: ``ducklake:…`` as DuckDB attaches it. data_path: where its Parquet files go. room: for links to extensions.
    """
    # Two would both add what neither has seen of the other.
    with fleet.pointers.locked(f"lake {to}", "This lake"), _lake(to, data_path, room) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS lake.followed (company_id VARCHAR, state VARCHAR)")
        known = _followed(connection)
        pointers = {pointer.company_id: pointer for pointer, _ in fleet.pointers.all()}
        for company_id in known.keys() - pointers.keys():
            _forget(connection, company_id)
            yield Followed(company_id, 0, 0, 0)
        for company_id, pointer in pointers.items():
            if known.get(company_id) == pointer.name:
                continue
            with fleet.store_of(company_id).open_reader() as reader:
                path = reader.path
            yield _bring(connection, pointer, path)


def compact(to: str, data_path: str, *, room: Path) -> None:
    """Merge small files, and remove those that no state of the last day is made of. A duty of every day or so."""
    with _lake(to, data_path, room) as connection:
        connection.execute("CALL ducklake_merge_adjacent_files('lake')")
        connection.execute("CALL ducklake_expire_snapshots('lake', older_than => now() - INTERVAL 1 DAY)")
        connection.execute("CALL ducklake_cleanup_old_files('lake', older_than => now() - INTERVAL 1 DAY)")
        # What a killed follower had written and not committed.
        connection.execute(
            "CALL ducklake_delete_orphaned_files('lake', older_than => now() - INTERVAL 1 DAY)"
        )


def _bring(connection: duckdb.DuckDBPyConnection, pointer: Pointer, path: Path) -> Followed:
    connection.execute(f"ATTACH {quoted(path)} AS commerce (READ_ONLY)")
    try:
        connection.execute("USE commerce")
        views = {
            view: columns for view, columns in columns_of_views(connection).items() if "company_id" in columns
        }
        there = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'"
        known = {name for (name,) in connection.execute(there).fetchall()}
        connection.execute("BEGIN")
        added = gone = 0
        for view, columns in views.items():
            if f"{view}_rows" not in known:
                _make(connection, view, columns)
            more, less = _bring_view(connection, view, columns, pointer.company_id)
            added, gone = added + more, gone + less
        failpoint("lake.before_commit")
        connection.execute("INSERT INTO lake.followed VALUES (?, ?)", [pointer.company_id, pointer.name])
        connection.execute("COMMIT")
        failpoint("lake.after_commit")
    except duckdb.Error:
        with suppress(duckdb.Error):  # what went wrong is what counts, not that nothing is left to take back
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("USE memory")
        connection.execute("DETACH commerce")
    return Followed(pointer.company_id, pointer.generation, added, gone)


def _make(connection: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str]) -> None:
    described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    listed = ", ".join(f'r."{name}"' for name in columns)
    connection.execute(
        f'CREATE TABLE lake."{view}_rows" ({described}, lake_company VARCHAR, lake_row UUID,'
        " lake_hash VARCHAR)"
    )
    connection.execute(f'CREATE TABLE lake."{view}_gone" (lake_company VARCHAR, lake_row UUID)')
    connection.execute(
        f'CREATE VIEW lake."{view}" AS SELECT {listed} FROM "{view}_rows" r'  # noqa: S608
        f' ANTI JOIN "{view}_gone" g ON g.lake_company = r.lake_company AND g.lake_row = r.lake_row'
    )


def _bring_view(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str], company_id: str
) -> tuple[int, int]:
    """Rows are told apart by their whole content; of equal ones each counts."""
    told = ", ".join(f'v."{name}"' for name in columns)
    company = {"company": company_id}
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE newest AS
            SELECT *, row_number() OVER (PARTITION BY lake_hash) AS lake_nth FROM (
              SELECT {told}, md5(CAST(row({told}) AS VARCHAR)) AS lake_hash
              FROM commerce.main."{view}" v WHERE v.company_id = $company)""",  # noqa: S608
        company,
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE here AS
            SELECT lake_row, lake_hash, row_number() OVER (PARTITION BY lake_hash) AS lake_nth
            FROM lake."{view}_rows" r
            ANTI JOIN (SELECT lake_row FROM lake."{view}_gone" WHERE lake_company = $company) g USING (lake_row)
            WHERE r.lake_company = $company""",  # noqa: S608
        company,
    )
    listed = ", ".join(f'n."{name}"' for name in columns)
    added = connection.execute(
        f"""INSERT INTO lake."{view}_rows" SELECT {listed}, $company, uuid(), n.lake_hash
            FROM newest n ANTI JOIN here h USING (lake_hash, lake_nth)""",  # noqa: S608
        company,
    ).fetchone()
    gone = connection.execute(
        f"""INSERT INTO lake."{view}_gone" SELECT $company, h.lake_row
            FROM here h ANTI JOIN newest n USING (lake_hash, lake_nth)""",  # noqa: S608
        company,
    ).fetchone()
    return int(added[0]) if added else 0, int(gone[0]) if gone else 0


def _followed(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Company -> the newest state of it in the lake; names of states grow with their generation."""
    rows = connection.execute("SELECT company_id, max(state) FROM lake.followed GROUP BY 1").fetchall()
    return {str(company): str(state) for company, state in rows}


def _forget(connection: duckdb.DuckDBPyConnection, company_id: str) -> None:
    """The one time that rows are removed, with every older state and the files they lay in."""
    tables = connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake'"
        " AND (column_name = 'lake_company' OR table_name = 'followed' AND column_name = 'company_id')"
    ).fetchall()
    connection.execute("BEGIN")
    for table, column in tables:
        connection.execute(f'DELETE FROM lake."{table}" WHERE "{column}" = ?', [company_id])  # noqa: S608
    connection.execute("COMMIT")
    for table, _ in tables:
        connection.execute(f"CALL ducklake_rewrite_data_files('lake', '{table}', delete_threshold => 0)")
    connection.execute("CALL ducklake_expire_snapshots('lake', older_than => now())")
    connection.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    connection.execute(
        "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)"
    )  # of killed followers


@contextmanager
def _lake(to: str, data_path: str, room: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    if not to.startswith("ducklake:"):
        raise ConfigError("--to names no DuckLake.", hint="Write ducklake:postgres:… or ducklake:FILE.")
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with closing(duckdb.connect(":memory:", config=config)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for wheel, name in _EXTENSIONS.items():
            _load(connection, wheel, name, room)
        try:
            target = to.replace("'", "''")
            connection.execute(
                f"ATTACH '{target}' AS lake (DATA_PATH {quoted(Path(data_path))})"
                if "://" not in data_path
                else f"ATTACH '{target}' AS lake (DATA_PATH '{data_path}')"
            )
            yield connection
        except duckdb.Error as error:
            said = str(error).splitlines()[0]
            raise StoreError(f"The lake: {said}", hint=_AWAY) from error


def _load(connection: duckdb.DuckDBPyConnection, wheel: str, name: str, room: Path) -> None:
    """From the wheel; DuckDB takes what a file is from its name."""
    found = find_spec(f"duckdb_extension_{wheel}")
    files = (
        []
        if found is None or found.origin is None
        else sorted(Path(found.origin).parent.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension"))
    )
    if not files:
        raise ConfigError(
            f"DuckDB {duckdb.__version__} has no extension {wheel} here.",
            hint="In an environment of its own: pip install duckdb==1.5.5 duckdb-extension-ducklake==1.5.5"
            " duckdb-extension-postgres==1.5.5 duckdb-extension-httpfs==1.5.5; or connector export for Parquet.",
        )
    link = private_directory(room) / f"{name}.duckdb_extension"
    link.unlink(missing_ok=True)
    link.symlink_to(files[-1])
    connection.execute(f"LOAD {quoted(link)}")
