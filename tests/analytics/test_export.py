"""`connector export`: the files hold what the views hold, and the manifest says what is in the files."""

import csv
import json
from decimal import Decimal

import duckdb
import pytest

from connector.cli.entry import run
from connector.errors import ConfigError
from connector.report.export import Wanted, export


@pytest.fixture
def exported(ledger_store, tmp_path):
    """Call export with these options: (directory, manifest)."""

    def call(directory=tmp_path / "out", **options):
        with ledger_store.open_reader() as reader:
            export(reader, directory, Wanted(**({"format": "parquet"} | options)))
        return directory, json.loads((directory / "manifest.json").read_text())

    return call


def test_parquet_files_hold_every_row_and_value_of_every_view(exported, sales):
    directory, manifest = exported()
    views = {
        name
        for (name,) in sales.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    }
    assert {entry["view"] for entry in manifest["views"]} == views
    for entry in manifest["views"]:
        view, path = entry["view"], directory / entry["file"]
        assert path.parent.name == view
        both = f"FROM main.{view}", f"FROM read_parquet('{path}')"
        for here, there in (both, both[::-1]):
            assert sales.execute(f"SELECT count(*) FROM ({here} EXCEPT ALL {there})").fetchone() == (0,), view
        types = [
            [(name, kind) for name, kind, *_ in sales.execute(f"DESCRIBE {source}").fetchall()]
            for source in both
        ]
        assert types[0] == types[1] == list(entry["columns"].items()), "no value changes its type"


def test_the_manifest_counts_and_adds_up_what_is_in_the_files(exported):
    directory, manifest = exported()
    assert any(entry["sums"] for entry in manifest["views"])
    for entry in manifest["views"]:
        source = f"read_parquet('{directory / entry['file']}')"
        assert duckdb.sql(f"SELECT count(*) FROM {source}").fetchall() == [(entry["rows"],)]
        for column, by_currency in entry["sums"].items():
            found = duckdb.sql(f"SELECT currency, sum({column}) FROM {source} GROUP BY 1").fetchall()
            assert {c: v or 0 for c, v in found} == {c: Decimal(text) for c, text in by_currency.items()}, (
                column
            )
    assert "unit_price" not in next(e for e in manifest["views"] if e["view"] == "order_line_items")["sums"]


def test_csv_for_a_spreadsheet_has_a_mark_and_no_formulas(exported, sales, tmp_path):
    directory, _ = exported(format="csv", excel=True, views=("orders",))
    raw = (directory / "orders/orders.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    expected = sales.execute("SELECT order_id, total_amount FROM orders").fetchall()
    assert {(row["order_id"], Decimal(row["total_amount"])) for row in rows} == set(expected)


def test_a_name_that_is_a_formula_stays_text(ledger_store, tmp_path):
    from connector.report.export import _for_spreadsheets

    kept = duckdb.sql(
        f"SELECT {_for_spreadsheets('name', 'VARCHAR')} FROM (VALUES ('=1+1'), ('@SUM(A1)'), ('-Ada'), ('Ada'))"
        " AS t(name)"
    ).fetchall()
    assert [name for (name,) in kept] == ["'=1+1", "'@SUM(A1)", "'-Ada", "Ada"]


def test_plain_csv_has_no_mark(exported):
    directory, _ = exported(format="csv", views=("orders",))
    assert (directory / "orders/orders.csv").read_bytes().startswith(b"company_id,")


def test_only_what_changed_since_a_snapshot(exported, ledgers, sales):
    """The second load of Juniper: 17 new orders and 4 changed ones, and no view without snapshots."""
    first = sales.execute(
        "SELECT min(snapshot_id) FROM snapshots WHERE company_id = ?", [ledgers["juniper"].company_id]
    ).fetchone()[0]
    directory, manifest = exported(since_snapshot=first)
    rows = {entry["view"]: entry["rows"] for entry in manifest["views"]}
    assert rows["orders"] == 17 + 4
    assert rows["order_versions"] == 17 + 4 + 4, "the versions that were replaced say so now"
    assert "monthly_sales" not in rows
    assert manifest["since_snapshot"] == first
    lines = duckdb.sql(
        f"SELECT DISTINCT order_id FROM read_parquet('{directory}/order_line_items/*')"
    ).fetchall()
    orders = duckdb.sql(f"SELECT order_id FROM read_parquet('{directory}/orders/*')").fetchall()
    assert set(lines) == set(orders), "every part of a changed order comes with it"
    assert {"changes", "data_issues", "orders_history"} <= rows.keys()
    for entry in manifest["views"]:
        assert entry["merge"].startswith(f"DELETE FROM {entry['view']} WHERE "), entry["view"]
    assert (
        rows["payments"]
        == sales.execute(
            "SELECT count(*) FROM payments JOIN orders USING (connection_id, order_id) WHERE orders.snapshot_id > ?",
            [first],
        ).fetchone()[0]
    )


def test_a_whole_export_equals_an_old_one_with_the_changes_put_on_top(exported, sales, tmp_path):
    """Delete every order that is in order_versions of the changes, insert its rows: the result is the present."""
    first = sales.execute("SELECT max(snapshot_id) - 1 FROM snapshots").fetchone()[0]
    changes, _ = exported(tmp_path / "changes", since_snapshot=first)
    merged = (
        f"SELECT order_id, total_amount FROM orders_as_of({first}) WHERE (connection_id, order_id) NOT IN"
        f" (SELECT (connection_id, order_id) FROM read_parquet('{changes}/order_versions/*'))"
        f" UNION ALL SELECT order_id, total_amount FROM read_parquet('{changes}/orders/*')"
    )
    assert sales.execute(f"FROM ({merged}) ORDER BY ALL").fetchall() == sales.execute(
        "SELECT order_id, total_amount FROM orders ORDER BY ALL"
    ).fetchall()  # fmt: skip


def test_the_manifest_says_the_epoch_and_another_is_refused(exported, ledger_store, demo, tmp_path, capsys):
    _, manifest = exported(views=("orders",))
    with ledger_store.open_reader() as reader:
        assert manifest["epoch"] == reader.epoch
        assert reader.connection.execute("SELECT DISTINCT epoch FROM snapshots").fetchall() == [
            (reader.epoch,)
        ]
    asked = [
        "--config",
        str(demo / "demo/config.yaml"),
        "export",
        "--to",
        str(tmp_path / "e"),
        "--since-snapshot",
        "1",
        "--epoch",
    ]
    code = run([*asked, "another"])
    assert (code, "numbers them anew" in capsys.readouterr().err) == (2, True)
    assert not (tmp_path / "e").exists()


def test_one_company_only(exported, ledgers):
    kite = ledgers["kite"]
    directory, manifest = exported(company_id=kite.company_id)
    for entry in manifest["views"]:
        found = duckdb.sql(
            f"SELECT DISTINCT company_id FROM read_parquet('{directory / entry['file']}')"
        ).fetchall()
        assert found in ([], [(kite.company_id,)]), entry["view"]


def test_an_earlier_export_is_replaced_and_nothing_else_is_touched(exported, tmp_path):
    directory, _ = exported()
    _, manifest = exported(directory, views=("orders",))
    assert sorted(path.name for path in directory.iterdir()) == ["manifest.json", "orders"]
    assert [entry["view"] for entry in manifest["views"]] == ["orders"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="nothing was touched"):
        exported(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": ("order",)}, "There is no view order"),
        ({"since_snapshot": 99}, "There is no snapshot 99"),
        ({"since_snapshot": 1, "views": ("monthly_sales",)}, "belong to no snapshot"),
    ],
)
def test_what_cannot_be_exported_is_said_before_anything_is_written(exported, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        exported(**options)
    assert not (tmp_path / "out").exists()


def test_an_export_that_was_cut_off_has_no_manifest_and_can_be_made_again(exported, ledger_store, tmp_path):
    def stop(view):
        if view == "payments":
            raise KeyboardInterrupt

    with ledger_store.open_reader() as reader, pytest.raises(KeyboardInterrupt):
        export(reader, tmp_path / "out", Wanted("parquet"), on_view=stop)
    assert not (tmp_path / "out/manifest.json").exists()
    directory, manifest = exported()
    assert {entry["view"] for entry in manifest["views"]} == {
        p.name for p in directory.iterdir() if p.is_dir()
    }
