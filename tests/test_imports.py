"""The tools that watch over the code, run as tests: who may import whom, types, lint, format."""

import os
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


def test_no_command_of_an_embedded_store_imports_what_a_fleet_needs(tmp_path):
    """Whoever keeps one directory needs no PostgreSQL, no object storage, and none of their libraries."""
    (tmp_path / "config.yaml").write_text("store: ./data\n")
    (tmp_path / "merchants.csv").write_text(
        "name,merchant_id,timezone,country,start_date,schedule,credential\n"
        "Juniper,MHT4QK2Z9WX61,UTC,USA,2026-01-01,0 * * * *,env:NOT_SET\n"
    )
    probe = (
        "import sys; from connector.cli.entry import run\n"
        "def call(*words): return run(['--config', 'config.yaml', *words])\n"
        "call('companies', 'import', 'merchants.csv'); call('companies', 'list'); call('connections')\n"
        "call('status'); call('check'); call('sync'); call('schedule', '--once'); call('runs')\n"
        "call('keys', 'create', '--label', 'x', '--all-companies'); call('keys', 'list'); call('webhooks', 'list')\n"
        "call('reconcile'); call('backup', 'b.tar'); call('forget', '--company', 'Juniper', '--yes')\n"
        "import connector.link.app\n"
        "fleet = {'psycopg', 'psycopg_pool', 'obstore', 'connector.fleet', 'connector.control.postgres',"
        " 'connector.schedule.fleet_turns', 'connector.clover.http.fleet_pacing'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(fleet)}' if fleet else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "data" / "control.sqlite").exists()
