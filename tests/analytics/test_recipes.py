"""Every example of docs/analysts.md runs as written and prints what the page says it prints."""

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "analysts.md").read_text()
_spec = importlib.util.spec_from_file_location("recipes", Path(__file__).with_name("recipes.py"))
recipes = importlib.util.module_from_spec(_spec)
sys.modules["recipes"] = recipes
_spec.loader.exec_module(recipes)
SECTIONS = recipes.sections(PAGE)
# What a recipe cannot run without, and how to get it.
NEEDS = {"duckdb": "duckdb-cli", "dbt": "dbt-duckdb", "pandas": "pandas", "polars": "polars", "marimo": "marimo",
         "sqlalchemy": "duckdb-engine", "chromium": "chromium"}  # fmt: skip


def missing(blocks):
    """The packages that the blocks use and that are not here."""
    text = "\n".join(block.text for block in blocks if block.language in ("bash", "python"))
    programs = Path(sys.executable).parent
    return [
        package
        for name, package in NEEDS.items()
        if re.search(rf"^(?:import |.*\b(?:&& )?){name}\b", text, re.M)
        and (name != "duckdb" or re.search(r"^duckdb ", text, re.M))
        and not (shutil.which(name) or (programs / name).exists() or importlib.util.find_spec(name))
    ]


@pytest.fixture
def place(demo, tmp_path):
    """A directory with a demo of its own: a recipe may sync."""
    shutil.copytree(demo / "demo", tmp_path / "demo", symlinks=True)
    return tmp_path


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_recipe_prints_what_the_page_says(heading, place):
    blocks = SECTIONS[heading]
    absent = missing(blocks)
    if absent and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(absent)}; pip install -e '.[dev]'")
    for block, text, claim in recipes.printed(blocks, place):
        if claim is not None:
            assert recipes.comparable(text) == recipes.comparable(claim.text), block.text


def test_every_query_on_the_page_shows_its_result():
    for heading, blocks in SECTIONS.items():
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            if block.language == "sql" and not block.text.startswith("-- file:"):
                assert after is not None, heading
                assert after.language == "text", heading


def test_the_page_has_a_recipe_for_every_tool_it_promises():
    headings = re.findall(r"^### (.+)$", PAGE, re.M)
    for tool in (
        "DuckDB command line",
        "DBeaver",
        "Python",
        "pandas",
        "Polars",
        "dbt",
        "another database",
        "stale",
        "Superset",
        "Evidence",
        "Metabase",
        "Power BI and Excel",
        "R",
        "DuckDB's own UI",
        "MotherDuck",
        "long-lived",
    ):
        assert any(tool in heading for heading in headings), tool
    assert "duckdb.read_only" in PAGE


def test_the_queries_of_the_readme_run(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    queries = re.findall(r'^connector query (?:--\w+ )?"(.+?)"', (ROOT / "README.md").read_text(), re.M)
    assert len(queries) >= 3
    for query in queries:
        assert recipes.run(["--config", "demo/config.yaml", "query", query]) == 0, query
    capsys.readouterr()


def test_the_queries_in_the_data_dictionary_run(demo_sales):
    from connector.report.dictionary import views

    told = " ".join(
        [view.meaning for view in views()] + [c.meaning for view in views() for c in view.columns]
    )
    examples = re.findall(r"SELECT \* FROM \w+\([\d, ]+\)", told)
    assert examples
    for example in examples:
        demo_sales.execute(example).fetchall()
