"""The lake is the union of the files, view by view, whenever its follower was killed."""

import os
import random
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from connector.config import FleetPlace
from connector.fleet.store import FleetStore
from tests.fleet.loading import ledger_rows
from tests.fleet.servers import missing

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 20, 4, tzinfo=UTC)
WHEELS = ("duckdb", "duckdb-extension-ducklake", "duckdb-extension-postgres", "duckdb-extension-httpfs")
FOLLOW = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from connector.config import FleetPlace
from connector.fleet.lake import follow
from connector.fleet.store import FleetStore
url, bucket, cache, to, data = sys.argv[1:]
fleet = FleetStore(FleetPlace(url, bucket, Path(cache)), clock=lambda: datetime(2026, 11, 20, 4, tzinfo=UTC))
for one in follow(fleet, to, data, room=Path(cache)):
    print(one, flush=True)
"""
COMPARE = """
import sys
from pathlib import Path
import duckdb
from connector.fleet.lake import _lake
from connector.ledger.view_files import columns_of_views
to, data, room, *files = sys.argv[1:]
with _lake(to, data, Path(room)) as lake:
    compared = rows = 0
    for number, file in enumerate(files):
        lake.execute(f"ATTACH '{file}' AS c{number} (READ_ONLY)")
    lake.execute("USE c0")
    views = {view: columns for view, columns in columns_of_views(lake).items() if "company_id" in columns}
    lake.execute("USE lake")
    for view, columns in views.items():
        listed = ", ".join(f'"{name}"' for name in columns)
        union = " UNION ALL ".join(f'SELECT {listed} FROM c{n}.main."{view}"' for n in range(len(files)))
        mine = f'SELECT {listed} FROM lake."{view}"'
        for one, other in ((mine, union), (union, mine)):
            left = lake.execute(f"SELECT count(*) FROM (({one}) EXCEPT ALL ({other}))").fetchone()[0]
            assert left == 0, (view, left)
        compared, rows = compared + 1, rows + lake.execute(f"SELECT count(*) FROM ({mine})").fetchone()[0]
print(compared, rows)
"""


@pytest.fixture(scope="session")
def lake_packages(tmp_path_factory):
    """DuckDB 1.5.5 with its extensions, beside this environment's own."""
    target = tmp_path_factory.mktemp("lake-packages")
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["uv", "pip"]
    if shutil.which(pip[0]) is None:
        missing("there is neither pip nor uv here")
    done = subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--target", str(target)]
        + [f"{name}==1.5.5" for name in WHEELS],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        missing(f"DuckDB 1.5.5 with its extensions cannot be had: {done.stderr[-300:]}")
    return target


def run(script, packages, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{packages}:{ROOT}", **environment}, capture_output=True, text=True,
        timeout=200,
    )  # fmt: skip


COMMITS, COMPANIES, KILLS = (int(n) for n in os.environ.get("LAKE", "6,2,2").split(","))


@pytest.mark.slow
def test_after_commits_and_kills_the_lake_is_the_union_of_the_files(postgres_server, tmp_path, lake_packages):
    """A thousand commits over fifty companies: LAKE=1000,50,40 pytest -n 0 tests/fleet/test_lake.py."""
    place = FleetPlace(postgres_server.database(), str(tmp_path / "bucket"), tmp_path / "cache")
    catalog = postgres_server.database()
    to, data, cache = f"ducklake:postgres:{catalog}", tmp_path / "lake", tmp_path / "follower"
    arguments = (place.database_url, place.bucket, cache, to, data)
    fleet, chance = FleetStore(place, clock=lambda: AT), random.Random(19)
    (tmp_path / "batches").mkdir()
    books, killed = ledger_rows.Books(tmp_path / "batches"), 0
    places = ["lake.before_commit", "lake.after_commit"]
    for number in range(COMMITS):
        company = f"company-{chance.randrange(COMPANIES)}"
        connection = f"connection-of-{company}"
        rows = [
            ledger_rows.order_row(
                f"O{chance.randrange(8)}", company_id=company, connection_id=connection,
                content_hash=f"{number}-{n}", total_amount=f"{chance.randrange(100)}.0000",
                source_modified_date=f"2026-11-02 03:31:{number % 60:02d}",
            )
            for n in range(2)
        ]  # fmt: skip
        rows = list({row["order_id"]: row for row in rows}.values())
        own = fleet.store_of(company)
        own.repair(connection)
        own.apply(books.batch(company_id=company, connection_id=connection, order_versions=rows))
        own.publish_soon(connection)
        if number % max(1, COMMITS // KILLS) == 0:
            died = run(FOLLOW, lake_packages, *arguments, CONNECTOR_FAILPOINT=places[killed % 2])
            assert died.returncode == -9, died.stderr
            killed += 1
    done = run(FOLLOW, lake_packages, *arguments)
    assert done.returncode == 0, done.stderr
    again = run(FOLLOW, lake_packages, *arguments)
    assert (again.returncode, again.stdout) == (0, ""), "nothing is followed twice"
    rows = compared(fleet, lake_packages, to, data, cache)
    assert rows > 50
    fleet.store_of("company-0").forget("company-0")
    compact = "import sys; from pathlib import Path; from connector.fleet.lake import compact"
    compact += "; compact(sys.argv[1], sys.argv[2], room=Path(sys.argv[3]))"
    for done in (run(FOLLOW, lake_packages, *arguments), run(compact, lake_packages, to, data, cache)):
        assert done.returncode == 0, done.stderr
    assert 0 < compared(fleet, lake_packages, to, data, cache) < rows
    parquet = list(data.rglob("*.parquet"))
    assert parquet
    with duckdb.connect() as connection:
        for path in parquet:
            kept = connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
            assert "company-0" not in str(kept), path
    fleet.close()


def compared(fleet, packages, to, data, cache) -> int:
    """Rows of all views, which are those of the files."""
    files = []
    for pointer, _ in fleet.pointers.all():
        with fleet.store_of(pointer.company_id).open_reader() as reader:
            files.append(reader.path)
    found = run(COMPARE, packages, to, data, cache, *files)
    assert found.returncode == 0, found.stdout + found.stderr
    views, rows = map(int, found.stdout.split())
    assert views > 20
    return rows
