"""`connector dictionary --dbt`, run by dbt: the demo passes every test, each kind of mistake fails the one for it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from connector.report.dictionary import dbt_sources, views

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("dbt") is None and not os.environ.get("CI"), reason="dbt is not installed"
    ),
]
TABLES = {view.name: view for view in views() if view.parameters is None}


@pytest.fixture
def project(tmp_path):
    """Run a command of dbt on a published file: exit code, and name of the test or source -> its status."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sources.yml").write_text(dbt_sources())
    (tmp_path / "dbt_project.yml").write_text("name: shop\nversion: '1.0'\nprofile: shop\n")

    def run(file, *arguments):
        attach = [{"path": str(file), "alias": "commerce", "read_only": True}]
        output = {"type": "duckdb", "path": "analysis.duckdb", "attach": attach}
        (tmp_path / "profiles.yml").write_text(
            yaml.safe_dump({"shop": {"target": "dev", "outputs": {"dev": output}}})
        )
        dbt = Path(sys.executable).with_name("dbt")
        done = subprocess.run(
            [str(dbt), "--no-use-colors", "--no-send-anonymous-usage-stats", *arguments, "--profiles-dir", "."],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        written = "sources.json" if arguments[0] == "source" else "run_results.json"
        results = json.loads((tmp_path / "target" / written).read_text())["results"]
        return done, {one["unique_id"].split(".")[2]: one["status"] for one in results}

    return run


def names(kind):
    """What the tests of grains and references of every table are called."""
    for table in yaml.safe_load(dbt_sources())["sources"][0]["tables"]:
        for test in table.get("data_tests", ()):
            if kind in test:
                yield test[kind]["name"]


def test_the_demo_passes_every_test_and_every_grain_has_one(demo, project):
    done, found = project(demo / "demo/data/commerce.duckdb", "test")
    assert done.returncode == 0, done.stdout
    assert set(found.values()) == {"pass"}
    composite = {view.name for view in TABLES.values() if len(view.grain) > 1}
    assert {f"{name}_grain_is_unique" for name in composite} == set(names("unique"))
    assert {*names("unique"), *names("relationships")} <= found.keys()
    assert len(list(names("relationships"))) > 20
    assert any(name.startswith("source_accepted_values_commerce_payments_status") for name in found)
    assert "deprecat" not in done.stdout.lower(), done.stdout


@pytest.fixture
def wrong(demo, tmp_path):
    """The demo as tables that can be spoilt."""
    file = tmp_path / "wrong" / "commerce.duckdb"
    file.parent.mkdir()
    published = (demo / "demo/data/commerce.duckdb").resolve()
    with duckdb.connect(str(file)) as books:
        books.execute(f"ATTACH '{published}' AS good (READ_ONLY)")
        for view in (
            "orders",
            "payments",
            "connections",
            "snapshots",
            "customers",
            "locations",
            "connection_state",
        ):
            books.execute(f"CREATE TABLE {view} AS FROM good.{view}")

    def spoil(*statements):
        with duckdb.connect(str(file)) as books:
            for sql in statements:
                books.execute(sql)
        return file

    return spoil


def test_a_doubled_row_a_lost_order_and_an_unknown_word_each_fail_their_test(wrong, project):
    file = wrong(
        "INSERT INTO payments SELECT * FROM payments WHERE status = 'Paid' LIMIT 1",
        "DELETE FROM orders WHERE order_id = (SELECT max(order_id) FROM orders)",
        "UPDATE payments SET status = 'Perhaps' WHERE status = 'Failed'",
        "DELETE FROM customers",
    )
    done, found = project(file, "test", "--select", "source:commerce.payments", "source:commerce.orders")
    assert done.returncode == 1
    failed = {name for name, status in found.items() if status == "fail"}
    assert (
        len([name for name in failed if name.startswith("source_accepted_values_commerce_payments_status")])
        == 1
    )
    assert failed - {name for name in failed if name.startswith("source_accepted")} == {
        "payments_grain_is_unique",
        "payments_is_in_orders",
        "orders_is_in_customers",
    }


@pytest.mark.parametrize(
    ("ago", "status"), [("1 hour", "pass"), ("7 hours", "warn"), ("25 hours", "error"), (None, "error")]
)
def test_freshness_is_that_of_the_connection_furthest_behind(wrong, project, ago, status):
    """One that never succeeded counts as furthest behind; one that was unlinked counts no more."""
    now = "(now() AT TIME ZONE 'UTC')"
    last = "NULL" if ago is None else f"{now} - INTERVAL '{ago}'"
    file = wrong(
        f"UPDATE connection_state SET last_success = {now}",
        f"INSERT INTO connection_state SELECT * REPLACE ('other' AS connection_id, {last} AS last_success)"
        " FROM connection_state",
        "INSERT INTO connection_state SELECT * REPLACE ('gone' AS connection_id, 'Unlinked' AS status,"
        " TIMESTAMP '2020-01-01' AS last_success) FROM connection_state LIMIT 1",
    )
    done, found = project(file, "source", "freshness")
    assert list(found.values()) == [status], done.stdout
    assert done.returncode == (1 if status == "error" else 0)
