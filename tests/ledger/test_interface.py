import ast
from pathlib import Path

import pytest

import connector.ledger
from connector.errors import ConfigError
from connector.ledger import open_store
from connector.ledger.interface import Reader, Store


@pytest.mark.parametrize("url", ["{}", "duckdb:///{}", "duckdb:{}"])
def test_a_directory_or_a_duckdb_url_opens_the_same_store(tmp_path, url):
    path = str(tmp_path / "data")
    store = open_store(url.format(path.lstrip("/") if url.startswith("duckdb:///") else path))
    assert store.directory == tmp_path / "data"
    assert not store.directory.exists(), "opening touches nothing"


@pytest.mark.parametrize("url", ["ducklake:postgres:dbname=lake", "mysql://host/db", ""])
def test_other_stores_are_refused_with_what_to_write_instead(url):
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert "./data" in (caught.value.hint or "")


def test_the_duckdb_store_keeps_the_promises_of_the_interface(store):
    def promised(protocol):
        return {name for name in vars(protocol) if not name.startswith("_")}

    assert promised(Store) <= set(dir(store))
    with store.open_reader() as reader:
        assert promised(Reader) <= set(dir(reader))


def test_the_working_file_is_opened_by_duckdb_alone():
    """Closing any descriptor of it here would free DuckDB's lock, and commits would be lost silently."""
    for file in Path(connector.ledger.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "shutil"
            ):
                # copyfileobj goes between open files, none of them the working file; disk_usage opens none.
                allowed = ("rmtree", "which", "copyfileobj", "disk_usage")
                assert node.attr in allowed, f"{file.name}: copies are made by a child process"
