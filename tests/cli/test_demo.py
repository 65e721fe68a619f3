"""`connector demo`, the real thing: sandbox, sync, reconcile, summary, and once more."""

import json

import pytest


@pytest.mark.slow
def test_the_demo_runs_agrees_and_changes_nothing_the_second_time(connector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = connector("demo", "--orders", "120")
    assert code == 0, err
    assert "agrees to the minor unit" in out
    assert str(tmp_path / "demo" / "data" / "commerce.duckdb") in out
    assert "connector --config demo/config.yaml" in out

    code, out, err = connector("demo", "--orders", "120", "--json")
    document = json.loads(out)
    assert code == 0, err
    [run] = document["sync"]["runs"]
    assert (run["orders"]["inserted"], run["orders"]["updated"]) == (0, 0)

    config = ("--config", "demo/config.yaml")
    code, out, _err = connector(
        *config, "query", "--json", "SELECT count(*) AS n, sum(total_amount) AS s FROM orders"
    )
    assert code == 0
    [row] = json.loads(out, parse_float=str)
    assert row["n"] > 80
    code, out, _err = connector(*config, "status", "--json", "--max-age", "1h")
    assert code == 0
    assert json.loads(out)["connections"][0]["lastRun"]["status"] in ("succeeded", "partly_done")


def test_somebodys_own_config_is_never_overwritten(connector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "config.yaml").write_text("store: mine")
    code, _out, err = connector("demo")
    assert code == 2
    assert "--dir" in err
    assert (tmp_path / "demo" / "config.yaml").read_text() == "store: mine"
