"""Tools of analysts that are more than a line of Python, on a store that goes on: what they saved keeps working."""

import json
import os
import shutil
import subprocess
from decimal import Decimal

import pytest

from connector.cli.entry import run

RUNS = "SELECT count(*) AS n FROM commerce.main.sync_runs"
# Prints what a query gives to Evidence's own driver for DuckDB; the source's directory and the file as in its YAML.
EVIDENCE = """
import driver from '@evidence-dev/duckdb';
const [directory, filename, sql] = process.argv.slice(2);
const result = await (await driver.getRunner({filename}, directory))(sql, 'query.sql', 1000);
const rows = [];
for await (const batch of result.rows()) rows.push(...batch);
console.log(JSON.stringify({columns: result.columnTypes.map((one) => [one.name, one.evidenceType]), rows}));
"""


@pytest.fixture
def shop(demo, tmp_path):
    """A demo of its own, and a way to sync it once more."""
    shutil.copytree(demo / "demo", tmp_path / "demo", symlinks=True)

    def sync():
        assert run(["--config", "none.yaml", "demo", "--dir", str(tmp_path / "demo"), "--json"]) in (0, 3)

    sync.file = tmp_path / "demo/data/commerce.duckdb"
    return sync


def test_superset_reads_the_newest_state_with_each_query_and_keeps_its_datasets(shop, capsys):
    """As Superset 6.1 connects: duckdb-engine on SQLAlchemy 1.4, no pool, read-only."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="pip install duckdb-engine 'sqlalchemy<2'")
    pytest.importorskip("duckdb_engine")
    engine = sqlalchemy.create_engine(
        f"duckdb:///{shop.file}", connect_args={"read_only": True}, poolclass=sqlalchemy.pool.NullPool
    )

    def ask(sql):
        with engine.connect() as books:
            return books.execute(sqlalchemy.text(sql)).fetchall()

    def dataset():
        return [
            (c["name"], str(c["type"]))
            for c in sqlalchemy.inspect(engine).get_columns("orders", schema="main")
        ]

    [(before,)], columns = ask(RUNS), dataset()
    shop()
    assert ask(RUNS) == [(before + 2,)]
    assert dataset() == columns
    assert len(columns) > 20
    assert isinstance(ask("SELECT sum(net_sales) FROM commerce.main.monthly_sales")[0][0], Decimal)
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError, match="read-only"):
        ask("CREATE TABLE commerce.main.mine(i INTEGER)")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A directory in which Evidence's driver for DuckDB is installed."""
    directory = tmp_path_factory.mktemp("evidence")
    if shutil.which("npm") is None:
        pytest.skip("no npm: apt-get install npm")
    (directory / "package.json").write_text('{"name": "site", "private": true, "type": "module"}')
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@evidence-dev/duckdb@2.0.1"]
    try:
        done = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=200)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not answer")
    if done.returncode != 0:
        pytest.skip(f"npm could not install the driver: {done.stderr[-200:]}")
    (directory / "ask.mjs").write_text(EVIDENCE)
    return directory


@pytest.mark.slow
def test_evidence_reads_the_newest_state_with_each_build(shop, driver, capsys):
    """By a path relative to the source's directory, as its YAML has it."""
    source = driver / "sources" / "commerce"
    source.mkdir(parents=True)
    filename = os.path.relpath(shop.file, source)

    def ask(sql):
        call = ["node", "ask.mjs", str(source), filename, sql]
        done = subprocess.run(call, cwd=driver, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    before = ask(RUNS)["rows"][0]["n"]
    shop()
    assert ask(RUNS)["rows"] == [{"n": before + 2}]
    sales = ask("SELECT month, orders, net_sales FROM monthly_sales ORDER BY month")
    assert sales["columns"] == [["month", "date"], ["orders", "number"], ["net_sales", "number"]]
    assert len(sales["rows"]) == 5
