"""Whose files they are: root in somebody else's store writes nothing, and what holds sales is its owner's alone."""

import grp
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector import files
from connector.cli.commands import init as init_command
from connector.cli.entry import run
from connector.cli.registry import COMMANDS
from connector.errors import StoreNotOurs
from connector.ledger.keep.backup import verify_backup
from tests.operations.town import write_config

# Of every command: a call of it that would write into the store, or None for one that does not.
WRITES = {
    "demo": None,  # its own directory
    "init": None,
    "check": None,
    "authorize": None,  # needs an oauth section; the credentials are tried below
    "companies": [
        "add",
        "--name",
        "L",
        "--merchant-id",
        "M1",
        "--credential",
        "kept",
        "--timezone",
        "UTC",
        "--country",
        "USA",
        "--start-date",
        "2026-03-01",
    ],
    "connections": None,
    "sync": [],
    "resync": ["--since", "2026-03-01", "--until", "2026-03-02"],
    "rebuild": [],
    "reconcile": [],
    "status": None,
    "runs": None,
    "schedule": ["--once"],
    "alerts": None,
    "backup": None,
    "restore": None,
    "forget": ["--company", "Company 0", "--yes"],
    "serve": ["--port", "0"],
    "migrate-store": None,  # into a fleet, whose database and bucket say who may write
    "lake": None,
    "keys": ["create", "--label", "L", "--all-companies"],
    "webhooks": ["add", "https://hooks.example.com/x"],
    "query": None,
    "export": None,
    "evidence": ["make", "--to", "TARGET"],
    "report": None,
    "dictionary": None,
    "sandbox": None,
}


@pytest.fixture
def foreign(town, tmp_path, monkeypatch):
    """A store that belongs to another user, and this is root: really where we are root, else as far as we are told."""
    here = town(1)
    here.sell(0)
    here.sync()
    config = write_config(here, tmp_path / "config.yaml")
    if os.geteuid() == 0:
        for path in [here.store.directory, *here.store.directory.rglob("*")]:
            os.chown(path, 12345, 12345, follow_symlinks=False)
    else:
        monkeypatch.setattr(files.os, "geteuid", lambda: 0)
    here.config_path = config
    return here


def owners(directory):
    return {path: path.lstat().st_uid for path in [directory, *directory.rglob("*")]}


def test_every_command_is_known_to_write_or_not():
    assert set(WRITES) == set(COMMANDS)


@pytest.mark.parametrize("command", [name for name, arguments in WRITES.items() if arguments is not None])
def test_root_writes_nothing_into_a_store_of_another_user(foreign, capsys, tmp_path, command):
    before = owners(foreign.store.directory)
    arguments = [str(tmp_path / "e.zip") if one == "TARGET" else one for one in WRITES[command]]
    code = run(["--config", str(foreign.config_path), command, *arguments])
    out, err = capsys.readouterr()
    told = out + err
    assert code == 1, told
    assert "and this is root. Nothing was written." in told
    assert re.search(r"sudo -u '?\S+ connector", told), "the way that works"
    assert owners(foreign.store.directory) == before


@pytest.mark.parametrize(
    "command", [["status"], ["query", "SELECT count(*) FROM orders"], ["runs"], ["check"]]
)
def test_root_may_look(foreign, capsys, command):
    before = owners(foreign.store.directory)
    code = run(["--config", str(foreign.config_path), *command])
    out, err = capsys.readouterr()
    assert code == 0 or command == ["check"], err
    after = owners(foreign.store.directory)
    assert {path: owner for path, owner in after.items() if path in before} == before
    assert set(after.values()) == set(before.values()), "nothing of root's"
    if command == ["check"]:
        assert "this is root" in out


def test_root_may_back_up(foreign, capsys, tmp_path):
    before = owners(foreign.store.directory)
    assert run(["--config", str(foreign.config_path), "backup", str(tmp_path / "b.tar")]) == 0, (
        capsys.readouterr().err
    )
    verify_backup(tmp_path / "b.tar")
    assert owners(foreign.store.directory) == before


def test_a_store_is_not_made_by_root_in_a_directory_of_another_user(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 12345, 12345)
    else:
        monkeypatch.setattr(files.os, "geteuid", lambda: 0)
    with pytest.raises(StoreNotOurs, match="belongs to"):
        files.refuse_foreign(home / "not" / "yet")


def test_how_a_service_with_a_user_of_its_own_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "geteuid", lambda: 0)
    private = Path("/var/lib/private")
    monkeypatch.setattr(files.Path, "resolve", lambda _self: private / "connector")
    place = tmp_path / "store"
    place.mkdir()
    if os.getuid() == 0:
        os.chown(place, 12345, 12345)
    with pytest.raises(StoreNotOurs) as told:
        files.refuse_foreign(place)
    assert "sudo connector-run" in told.value.hint


def test_init_writes_a_config_that_the_service_can_read(tmp_path, monkeypatch, capsys):
    """As root it is given to the service's group; whoever names a group gets that one."""
    own = grp.getgrgid(os.getgid()).gr_name
    monkeypatch.setattr(init_command, "SERVICE", own)
    monkeypatch.setattr(init_command.os, "geteuid", lambda: 0)
    assert run(["init", "--dir", str(tmp_path / "etc")]) == 0
    written = (tmp_path / "etc" / "config.yaml").stat()
    assert (stat.S_IMODE(written.st_mode), written.st_gid) == (0o640, os.getgid())
    assert f"the group {own} may read" in capsys.readouterr().out
    monkeypatch.setattr(init_command, "SERVICE", "no-such-group-here")
    assert run(["init", "--dir", str(tmp_path / "alone")]) == 0
    assert stat.S_IMODE((tmp_path / "alone" / "config.yaml").stat().st_mode) == 0o600
    assert "root alone may read" in capsys.readouterr().out
    monkeypatch.setattr(init_command.os, "geteuid", lambda: 1000)
    assert run(["init", "--dir", str(tmp_path / "mine")]) == 0
    assert stat.S_IMODE((tmp_path / "mine" / "config.yaml").stat().st_mode) == 0o600
    assert run(["init", "--dir", str(tmp_path / "named"), "--group", own]) == 0
    assert stat.S_IMODE((tmp_path / "named" / "config.yaml").stat().st_mode) == 0o640
    assert run(["init", "--dir", str(tmp_path / "x"), "--group", "no-such-group-here"]) == 2


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_exports_reports_and_evidence_are_their_owners_alone_whatever_the_directory(
    town, tmp_path, capsys, umask
):
    here = town(1)
    here.sell(0)
    here.sync()
    config = write_config(
        here, tmp_path / "config.yaml", metrics={"textfile": str(tmp_path / "prom" / "c.prom")}
    )
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert run(["--config", str(config), "report", "--to", str(shared)]) == 0
    [older_page] = shared.glob("*.html")
    older_page.chmod(0o644)
    before = os.umask(umask)
    try:
        for call in (
            ["export", "--to", str(shared / "parquet")],
            ["export", "--to", str(shared / "csv"), "--format", "csv"],
            ["report", "--to", str(shared)],
            ["evidence", "make", "--to", str(shared / "evidence.zip")],
            ["backup", str(shared)],
        ):
            assert run(["--config", str(config), *call]) == 0, (call, capsys.readouterr().err)
        assert os.umask(umask) == umask, "the caller's is as it was"
    finally:
        os.umask(before)
    made = [path for path in shared.rglob("*") if path.is_file()]
    assert {path.suffix for path in made} >= {".parquet", ".csv", ".html", ".zip", ".tar", ".json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


def test_figures_for_prometheus_can_be_read_by_its_exporter(town, tmp_path):
    here = town(1)
    here.sell(at=datetime.now(UTC))
    textfile = tmp_path / "prom" / "connector.prom"
    config = write_config(here, tmp_path / "config.yaml", metrics={"textfile": str(textfile)})
    before = os.umask(0o077)
    try:
        run(["--config", str(config), "sync", "--json"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(textfile.stat().st_mode) == 0o644
    assert stat.S_IMODE(textfile.parent.stat().st_mode) == 0o755
