"""control.sqlite damaged, gone, read-only or another user's: every command says so, and a sync goes on."""

import gc
import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from connector.cli.check.store import examine_control
from connector.cli.entry import run
from connector.control import file as control_file
from connector.control import outbox
from connector.control.file import FILE, ControlFile
from connector.control.unlinked import given_up_connections
from connector.control.webhooks import TABLES, Webhook, create_webhook, list_webhooks
from connector.errors import StoreBusy, StoreError
from connector.ledger.keep.backup import make_backup
from connector.ledger.keep.restore import restore_backup
from tests.operations.town import write_config


def garbage(path):
    path.write_bytes(b"no database at all" * 500)


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path):
    data = bytearray(path.read_bytes())
    data[100:4096] = os.urandom(3996)
    path.write_bytes(bytes(data))


def gone(path):
    path.unlink()


def directory(path):
    path.unlink()
    path.mkdir()


WAYS = [garbage, cut_short, overwritten, gone, directory]


@pytest.fixture
def shop(town, tmp_path, capsys):
    """A synced store with a key, and the command line over it."""
    here = town(1)
    here.sell(0)
    here.sync()
    config = write_config(here, tmp_path / "config.yaml")

    def call(*arguments):
        code = run(["--config", str(config), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    here.call, here.control = call, here.store.directory / FILE
    assert call("keys", "create", "--label", "lender", "--all-companies")[0] == 0
    assert call("webhooks", "add", "https://lender.example.com/codat")[0] == 0
    gc.collect()  # what a command leaves open ends with its process
    with closing(sqlite3.connect(here.control)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not list(here.store.directory.glob(f"{FILE}-*"))
    return here


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_command_says_what_is_wrong_and_a_sync_goes_on(shop, tmp_path, way):
    kept = tmp_path / "kept.sqlite"
    shutil.copy(shop.control, kept)
    way(shop.control)
    for command in (
        ["keys", "list"], ["keys", "create", "--label", "x", "--all-companies"], ["webhooks", "list"],
        ["serve", "--port", "0"], ["backup", str(tmp_path / "b.tar")],
    ):  # fmt: skip
        code, out, err = shop.call(*command)
        assert code == 1, (command, out, err)
        assert str(shop.control) in err, command
        assert "Next:" in err, command
        assert "should not happen" not in err, command
    finding = examine_control(shop.store.directory)
    assert (finding.verdict, bool(finding.todo)) == ("failed", True)

    shop.sell(0)
    shop.clock.advance(hours=1)
    assert shop.sync().exit_code == 0
    assert shop.rows("SELECT count(*) FROM orders") == [(2,)]

    gc.collect()
    for rest in shop.store.directory.glob(f"{FILE}-*"):
        rest.unlink()
    if shop.control.is_dir():
        shop.control.rmdir()
    shutil.copy(kept, shop.control)  # the cure: the file of a backup
    code, out, _err = shop.call("keys", "list", "--json")
    assert (code, [key["label"] for key in json.loads(out)]) == (0, ["lender"])
    assert examine_control(shop.store.directory).verdict == "ok"


def test_keys_and_webhooks_come_back_with_restore(shop, tmp_path):
    make_backup(shop.store.directory, tmp_path / "b.tar", at=datetime.now(UTC))
    restore_backup(tmp_path / "b.tar", tmp_path / "again", clock=shop.clock.now)
    control = ControlFile(tmp_path / "again")
    assert [row["label"] for row in control.rows("SELECT label FROM api_keys")] == ["lender"]
    assert [hook.url for hook in list_webhooks(control)] == ["https://lender.example.com/codat"]
    control.close()


def test_a_file_nobody_needed_yet_is_no_fault_and_a_new_one_can_be_begun(tmp_path):
    assert given_up_connections(tmp_path) == frozenset()
    assert examine_control(tmp_path).verdict == "ok"
    ControlFile(tmp_path).close()
    (tmp_path / FILE).unlink()
    with pytest.raises(StoreError, match="is gone") as lost:
        ControlFile(tmp_path)
    assert str(tmp_path / control_file.MADE) in (lost.value.hint or "")
    (tmp_path / control_file.MADE).unlink()
    ControlFile(tmp_path).close()


@pytest.mark.parametrize(
    ("said", "kind", "cure"),
    [
        ("attempt to write a readonly database", StoreError, "user who owns"),
        ("unable to open database file", StoreError, "user who owns"),
        ("disk I/O error", StoreError, "user who owns"),
        ("database or disk is full", StoreError, "Free disk space"),
        ("database is locked", StoreBusy, "Run it again"),
        ("database disk image is malformed", StoreError, "restore"),
        ("file is not a database", StoreError, "restore"),
        ("something new", StoreError, "connector check"),
    ],
)
def test_whatever_sqlite_says_has_the_file_its_owner_and_a_cure(tmp_path, said, kind, cure):
    path = tmp_path / FILE
    path.touch()
    with pytest.raises(kind) as told, control_file.control_errors(path):
        raise sqlite3.OperationalError(said)
    assert str(path) in told.value.message
    assert "(owner of the file: " in told.value.message
    assert said in told.value.message
    assert cure in (told.value.hint or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
@pytest.mark.parametrize("mode", [0o600, 0o444])
def test_a_file_of_another_user_names_that_user(mode, tmp_path_factory):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="connector-", dir="/tmp") as name:
        place = Path(name)
        control = ControlFile(place, outbox.TABLES, TABLES)
        create_webhook(
            control,
            Webhook("h", "https://x.example.com", (), (), None, "whsec_x", False, "2026"),
            key_id=None,
        )
        control.close()
        place.chmod(0o755)
        (place / FILE).chmod(mode)
        os.seteuid(65534)
        try:
            with pytest.raises(StoreError, match=r"owner of the (file|directory): root"):
                ControlFile(place, outbox.TABLES, TABLES)
            finding = examine_control(place)
        finally:
            os.seteuid(0)
    assert finding.verdict == "failed"


def test_check_does_not_wait_for_the_file_to_be_found_broken_by_a_lender(shop):
    garbage(shop.control)
    _code, out, _err = shop.call("check", "--json")
    [finding] = [one for one in json.loads(out)["findings"] if one["subject"] == "control file"]
    assert finding["verdict"] == "failed"
    assert "damaged" in finding["text"]
