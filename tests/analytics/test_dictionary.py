"""The data dictionary covers everything an analyst sees, and says it in words."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from connector.cli.entry import run
from connector.report.dictionary import dbt_sources, markdown, views


def test_every_view_and_column_of_the_published_file_is_explained(sales):
    """Also those that somebody adds later: what is in the file is compared with its comments."""
    for kind, sql in {
        "view": "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal",
        "column": "SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"
        " WHERE schema_name = 'main' AND database_name = 'commerce' AND NOT internal",
        "macro": "SELECT function_name, comment FROM duckdb_functions()"
        " WHERE function_type = 'table_macro' AND NOT internal",
    }.items():
        found = sales.execute(sql).fetchall()
        assert len(found) >= 3, kind
        assert not [name for name, comment in found if not comment], f"{kind} without a comment"


def test_the_dictionary_is_that_of_the_published_file(sales):
    """What `connector dictionary` prints without a store is what the store publishes."""
    published = sales.execute(
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'main'"
        " AND database_name = 'commerce' AND NOT internal ORDER BY 1, column_index"
    ).fetchall()
    told = [
        (v.name, c.name, c.type, c.meaning) for v in sorted(views(), key=lambda v: v.name) for c in v.columns
    ]
    assert told == published


def test_every_amount_names_its_unit():
    """A DECIMAL is money in major units, a share, a rate, a percentage or a number of units, and says which."""
    silent = [
        f"{view.name}.{column.name}: {column.meaning}"
        for view in views()
        for column in view.columns
        if column.type.startswith("DECIMAL")
        and not re.search(r"major units|percent|fraction|[Uu]nits sold|Units returned|0 to 1", column.meaning)
    ]
    assert not silent


def test_every_time_is_utc_or_the_merchants_day():
    silent = [
        f"{view.name}.{column.name}: {column.meaning}"
        for view in views()
        for column in view.columns
        if (column.type == "TIMESTAMP" and "UTC" not in column.meaning)
        or (column.type == "DATE" and not re.search(r"merchant's|older", column.meaning))
    ]
    assert not silent


def test_the_markdown_has_a_section_a_view_with_grain_and_columns():
    text = markdown()
    for view in views():
        section = text.split(f"\n## {view.name}\n")[1].split("\n## ")[0]
        assert view.meaning in section
        if view.parameters is None:
            assert all(f"`{name}`" in section for name in view.grain)
            assert all(f"\n| `{column.name}` | {column.type} |" in section for column in view.columns)
        else:
            assert f"SELECT * FROM {view.signature}" in section


def test_dbt_gets_every_view_with_its_keys_tested():
    (source,) = yaml.safe_load(dbt_sources("books"))["sources"]
    assert source["database"] == "books"
    tables = {table["name"]: table for table in source["tables"]}
    assert tables.keys() == {view.name for view in views() if view.parameters is None}
    for view in views():
        if view.parameters is None:
            columns = {column["name"]: column for column in tables[view.name]["columns"]}
            assert all("not_null" in columns[name]["data_tests"] for name in view.grain)
            assert all(column["description"] for column in columns.values())
    assert columns_tested(tables["snapshots"], "snapshot_id") == ["not_null", "unique"]
    assert columns_tested(tables["orders"], "order_id") == ["not_null"]


def columns_tested(table, name):
    return next(column["data_tests"] for column in table["columns"] if column["name"] == name)


@pytest.mark.parametrize(("option", "start"), [((), "# Data dictionary"), (("--dbt",), "# Made by")])
def test_the_command_prints_it_without_config_or_store(tmp_path, monkeypatch, capsys, option, start):
    monkeypatch.chdir(tmp_path)
    assert run(["dictionary", *option]) == 0
    assert capsys.readouterr().out.startswith(start)


def test_the_comment_of_every_view_holds_its_grain(sales):
    told = dict(
        sales.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
            " AND database_name = 'commerce'"
        ).fetchall()
    )
    silent = [view.name for view in views() if view.grain and not told[view.name].endswith(
        f" Grain: {', '.join(view.grain)}."
    )]  # fmt: skip
    assert not silent
    assert len(told) == len([view for view in views() if view.grain])


EMPTY = re.compile(r"^\| (`[^|]+) \| (always|in the demo) \| (.+) \|$", re.M)


def said_to_be_empty():
    """Pattern of view.column -> whether it never has a value, from the page for analysts."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "analysts.md").read_text()
    return {
        name: when == "always"
        for names, when, _why in EMPTY.findall(page)
        for name in re.findall(r"`([^`]+)`", names)
    }


def test_every_column_has_a_value_in_the_demo_or_is_said_to_be_empty_and_why(demo_sales, sales):
    """And nothing is said to be empty that is not: in the demo, or anywhere."""
    said, used = said_to_be_empty(), set()
    assert len(said) > 20
    silent, wrong = [], []
    for view in views():
        if view.parameters is not None:
            continue
        counted = ", ".join(f'count("{column.name}")' for column in view.columns)
        [filled] = demo_sales.execute(f"SELECT {counted} FROM {view.name}").fetchall()
        [elsewhere] = sales.execute(f"SELECT {counted} FROM {view.name}").fetchall()
        for column, values, others in zip(view.columns, filled, elsewhere, strict=True):
            told = [name for name in said if fnmatch(f"{view.name}.{column.name}", name)]
            used |= set(told) if not values else set()
            if not values and not told:
                silent.append(f"{view.name}.{column.name}")
            if any(said[name] for name in told) and (values or others):
                wrong.append(f"{view.name}.{column.name}")
    assert not silent, "without a value in the demo, and not in the table of docs/analysts.md"
    assert not wrong, "said to be empty always, and is not"
    assert used == said.keys(), "said to be empty, and has values in the demo"
