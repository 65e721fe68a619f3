"""Code that nothing calls is deleted: vulture finds it. What only looks unused stands below, with the reason."""

from functools import cache
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("connector", "transforms", "schemas")
DECORATED = ["@router.*", "@click.*", "@*.command*", "@field_validator*", "@model_validator*", "@app.*"]
CALLED_FROM_OUTSIDE = {
    "list_commands": "click asks a group for its commands",
    "get_command": "click",
    "format_commands": "click writes the help",
    "CodatOrder": "a type in quotes, which vulture does not read",
    "do_GET": "http.server calls it for a request",
    "log_message": "http.server writes its log by it",
    "handle_one_request": "http.server",
    "timeout_keep_alive_task": "uvicorn's own timer, stopped by us",
    "compress_type": "zipfile reads it",
    "external_attr": "zipfile reads it: the mode of a file",
    "row_factory": "sqlite3 makes rows by it",
    "mtime": "tarfile reads it",
    "work_database": "benchmarks fill a store by it",
}


@cache
def unused(*paths: str) -> dict[str, Path]:
    """Functions, classes, methods, attributes and imports, with their files; no variables, for most are fields."""
    vulture = Vulture(ignore_decorators=DECORATED)
    vulture.scavenge([str(ROOT / path) for path in paths])
    found = vulture.get_unused_code(min_confidence=60)
    return {item.name: Path(item.filename) for item in found if item.typ != "variable"}


def is_in_the_sandbox(path: Path) -> bool:
    return path.resolve().is_relative_to(ROOT / "connector" / "sandbox")


def test_whatever_is_in_the_product_is_called_by_the_product():
    left = {name for name, path in unused(*PRODUCT).items() if not is_in_the_sandbox(path)}
    assert left - CALLED_FROM_OUTSIDE.keys() == set()


def test_whatever_the_sandbox_can_do_is_asked_of_it():
    """By the demo or by a test: it is Clover's stand-in, and its faults are for tests alone."""
    left = {name for name, path in unused(*PRODUCT, "tests").items() if is_in_the_sandbox(path)}
    assert left - CALLED_FROM_OUTSIDE.keys() == set()


def test_what_is_called_from_outside_looks_unused():
    assert CALLED_FROM_OUTSIDE.keys() - unused(*PRODUCT).keys() == set()
