"""The benchmark of a first sync prints what it measured, and writes the same figures as JSON."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "first_sync.py"


@pytest.mark.slow
def test_a_first_sync_is_measured_beside_the_floor(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--orders", "120", "--json", str(figures)],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    measured = {one["name"]: one for one in json.loads(figures.read_text())["measured"]}
    has_dlt = find_spec("dlt") is not None and find_spec("pyarrow") is not None
    assert set(measured) == {"floor", "ours", "second sync", *(["dlt"] if has_dlt else [])}
    assert ("dlt is not installed" in done.stdout) is not has_dlt
    for name, one in measured.items():
        assert name in done.stdout
        assert min(one["wall"], one["cpu"], one["peak"], one["anonymous"]) > 0
        assert one["requests"] > 0
    ours, floor = measured["ours"], measured["floor"]
    assert ours["cpu_ratio"] == pytest.approx(ours["cpu"] / floor["cpu"])
    assert ours["wall_ratio"] == pytest.approx(ours["wall"] / floor["wall"])
    assert measured["second sync"]["said"].startswith("0 inserted, 0 updated")
