"""The tools that watch over the code, run as tests: who may import whom, types, lint, format."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CODE = ("connector", "transforms", "schemas", "tests")


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, f"{' '.join(command)}\n{(done.stdout + done.stderr)[-6000:]}"


@pytest.mark.slow
def test_every_import_keeps_to_the_layers():
    run(str(BIN / "lint-imports"), "--no-cache")


@pytest.mark.slow
def test_types_are_complete_and_agree():
    run(sys.executable, "-m", "mypy")


def test_the_code_is_lint_free():
    run(sys.executable, "-m", "ruff", "check", "--no-cache", *CODE)


def test_the_code_is_formatted():
    run(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", *CODE)


def test_starting_up_imports_no_heavy_library():
    """`connector --help` answers at once; a library is loaded by the command that needs it."""
    probe = (
        "import sys; from connector.cli.entry import run; run(['--help']);"
        "heavy = {'duckdb', 'httpx', 'fastapi', 'jinja2', 'pydantic', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    run(sys.executable, "-c", probe)
