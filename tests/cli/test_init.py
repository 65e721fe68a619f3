"""`connector init`: a start that loads, and never a config overwritten by accident."""

import stat

from connector.config import load_config


def test_what_it_writes_loads_and_is_private(connector, tmp_path):
    code, out, _err = connector("init", "--dir", str(tmp_path / "new"))
    path = tmp_path / "new" / "config.yaml"
    assert code == 0
    assert str(path) in out
    assert load_config(path, {"CLOVER_TOKEN": "t0ken"}).companies[0].name == "Juniper Goods"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_config_is_kept_unless_forced(connector, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    code, _out, err = connector("init", "--dir", str(tmp_path))
    assert (code, path.read_text()) == (2, "mine")
    assert "--force" in err
    assert connector("init", "--dir", str(tmp_path), "--force")[0] == 0
    assert path.read_text() != "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["config.yaml"]
