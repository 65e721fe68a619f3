"""A backup is whole or is refused; a restored store is the same store and syncs on."""

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from connector.control.file import ControlFile
from connector.control.keys import TABLES
from connector.errors import StoreError, StoreTooNew
from connector.ledger import open_store
from connector.ledger.keep.backup import default_name, make_backup, remove_older, verify_backup
from connector.ledger.keep.restore import restore_backup


@pytest.fixture
def shop(town, tmp_path):
    """A store with two merchants' sales, a refund, a control file and a stored OAuth pair; and its backup."""
    here = town(2)
    order_id = here.sell(0)
    here.sell(1, amount=2500)
    here.sync()
    here.clock.advance(hours=1)
    here.worlds[0].refund(here.clock.now(), order_id)
    here.clock.advance(hours=1)
    here.sync()
    control = ControlFile(here.store.directory, TABLES, "CREATE TABLE said (word TEXT)")
    control.write("INSERT INTO said VALUES ('kept')")
    here.control = control
    (here.store.directory / "credentials").mkdir()
    (here.store.directory / "credentials" / "c.fernet").write_bytes(b"sealed")
    here.backup = tmp_path / "backup.tar"
    here.manifest = make_backup(here.store.directory, here.backup, at=here.clock.now())
    yield here
    control.close()


def restored(town, shop, name="restored"):
    directory = shop.backup.parent / name
    restore_backup(shop.backup, directory, clock=shop.clock.now)
    return town(2, worlds=shop.worlds, sandbox=shop.sandbox, name=name)


def tampered(shop, change):
    """The backup with one member's bytes changed by ``change(name, bytes)``; None leaves the member out."""
    path = shop.backup.with_name("tampered.tar")
    with tarfile.open(shop.backup) as old, tarfile.open(path, "w") as new:
        for member in old:
            data = change(member.name, old.extractfile(member).read())
            if data is not None:
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    return path


def test_a_restored_store_numbers_its_snapshots_in_an_epoch_of_its_own(town, shop):
    """The next load of both gets the same number: whoever kept one can tell whose it is."""
    again = restored(town, shop)
    epochs = []
    for store in (shop, again):
        before = store.rows("SELECT DISTINCT epoch FROM snapshots")
        store.sell(0)
        store.clock.advance(hours=1)
        assert store.sync().exit_code == 0
        assert store.rows("SELECT DISTINCT epoch FROM snapshots") == before, "a sync begins none"
        assert store.rows("SELECT DISTINCT epoch FROM changes") == before
        epochs += before
    numbers = [store.rows("SELECT max(snapshot_id) FROM snapshots") for store in (shop, again)]
    assert numbers[0] == numbers[1]
    assert len(set(epochs)) == 2


def test_a_restored_store_is_the_same_store_and_syncs_on(town, shop):
    again = restored(town, shop)
    everything = "SELECT * FROM ledger.order_versions ORDER BY order_id, snapshot_id"
    assert again.rows(everything) == shop.rows(everything)
    assert again.rows("SELECT * FROM ledger.sync_runs ORDER BY ALL") == shop.rows(
        "SELECT * FROM ledger.sync_runs ORDER BY ALL"
    )
    again.sell(0)
    again.clock.advance(hours=1)
    assert again.sync().exit_code == 0
    again.check_books()
    assert again.sync(kind="rebuild").exit_code == 0, "the raw payloads came along"


def test_keys_and_oauth_pairs_come_along_readable_by_their_owner_only(town, shop):
    again = restored(town, shop)
    control = ControlFile(again.store.directory)
    assert [row["word"] for row in control.rows("SELECT word FROM said")] == ["kept"]
    control.close()
    pair = again.store.directory / "credentials" / "c.fernet"
    assert pair.read_bytes() == b"sealed"
    assert pair.stat().st_mode & 0o077 == 0
    assert again.store.directory.stat().st_mode & 0o077 == 0
    assert shop.backup.stat().st_mode & 0o077 == 0


def test_the_manifest_counts_and_sums(shop):
    assert shop.manifest.figures.sums == {"USD": ["2", "25.0000", "-11.0000"]}
    assert shop.manifest.figures.tables["sync_runs"] == 4
    assert verify_backup(shop.backup) == verify_backup(shop.backup)


@pytest.mark.parametrize("part", ["published/", "control", "raw/", "manifest"])
def test_one_changed_bit_is_found_and_nothing_is_restored(shop, tmp_path, part):
    def flip(name, data):
        return bytes([data[0] ^ 1]) + data[1:] if name.startswith(part) else data

    with pytest.raises(StoreError, match="is not whole"):
        restore_backup(tampered(shop, flip), tmp_path / "new", clock=shop.clock.now)
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))


def test_a_backup_that_was_cut_short_is_refused(shop, tmp_path):
    cut = tmp_path / "cut.tar"
    cut.write_bytes(shop.backup.read_bytes()[: shop.backup.stat().st_size // 2])
    with pytest.raises(StoreError, match="is not whole"):
        restore_backup(cut, tmp_path / "new", clock=shop.clock.now)


def test_a_missing_member_is_found(shop, tmp_path):
    without = tampered(shop, lambda name, data: None if name.startswith("raw/") else data)
    with pytest.raises(StoreError, match=r"raw/.* is not as it was written"):
        restore_backup(without, tmp_path / "new", clock=shop.clock.now)


def test_a_member_that_leads_out_of_the_store_is_refused(shop, tmp_path):
    from hashlib import sha256

    evil = tmp_path / "evil.tar"
    with tarfile.open(shop.backup) as old, tarfile.open(evil, "w") as new:
        for member in old:
            data = old.extractfile(member).read()
            if member.name == "manifest.json":
                document = json.loads(data)
                document["files"]["../outside"] = [4, sha256(b"evil").hexdigest()]
                data = json.dumps(document).encode()
                member.size = len(data)
                outside = tarfile.TarInfo("../outside")
                outside.size = 4
                new.addfile(outside, io.BytesIO(b"evil"))
            new.addfile(member, io.BytesIO(data))
    with pytest.raises(StoreError, match="leads out of the store"):
        restore_backup(evil, tmp_path / "deep" / "new", clock=shop.clock.now)
    assert not list(tmp_path.rglob("outside"))


def test_figures_that_do_not_agree_are_refused(shop, tmp_path):
    def richer(name, data):
        return data.replace(b"25.0000", b"99.0000") if name == "manifest.json" else data

    with pytest.raises(StoreError, match="sums do not agree"):
        restore_backup(tampered(shop, richer), tmp_path / "new", clock=shop.clock.now)


def test_a_backup_of_a_newer_version_is_refused_with_what_to_do(shop, tmp_path):
    def newer(name, data):
        return re.sub(rb'"schema": [0-9]+', b'"schema": 999', data) if name == "manifest.json" else data

    with pytest.raises(StoreTooNew, match="newer version") as refused:
        restore_backup(tampered(shop, newer), tmp_path / "new", clock=shop.clock.now)
    assert "pip install --upgrade" in refused.value.hint


def test_nothing_in_use_is_written_over(shop, tmp_path):
    with pytest.raises(StoreError, match="is not empty"):
        restore_backup(shop.backup, shop.store.directory, clock=shop.clock.now)
    with pytest.raises(StoreError, match="is there already"):
        make_backup(shop.store.directory, shop.backup, at=shop.clock.now())
    empty = tmp_path / "empty"
    empty.mkdir()
    restore_backup(shop.backup, empty, clock=shop.clock.now)
    assert (empty / "commerce.duckdb").exists()


def test_before_anything_was_published_there_is_nothing_to_keep(tmp_path, clock):
    with pytest.raises(StoreError, match="nothing to keep"):
        make_backup(open_store(tmp_path / "empty").directory, tmp_path / "b.tar", at=clock.now())
    assert not (tmp_path / "b.tar").exists()


def test_a_full_disk_leaves_no_half_backup(shop, tmp_path, monkeypatch):
    import errno

    def full(*_arguments, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(StoreError, match="No space left") as refused:
        make_backup(shop.store.directory, tmp_path / "b.tar", at=shop.clock.now())
    assert "Free disk space" in refused.value.hint
    assert [path.name for path in tmp_path.iterdir() if "b.tar" in path.name] == []


def test_a_backup_is_made_while_a_sync_runs(shop, tmp_path):
    with shop.store.run_lock(shop.connection(0).id):
        make_backup(shop.store.directory, tmp_path / "b.tar", at=shop.clock.now())
    verify_backup(tmp_path / "b.tar")


def test_a_store_whose_writers_file_is_lost_is_made_from_the_published_one(shop):
    (shop.store.directory / "work.duckdb").unlink()
    shop.sell(0)
    shop.clock.advance(hours=1)
    assert shop.sync().exit_code == 0
    shop.check_books()


def test_what_a_killed_backup_left_is_removed_by_the_next_and_a_running_one_stays(shop, tmp_path):
    """Whatever the backup's name and however far it came: the archive, the copy of the keys, the published file."""
    target = tmp_path / "backups"
    program = (
        "import os, signal, sys; from datetime import UTC, datetime; from pathlib import Path;"
        "from connector.ledger.keep import backup\n"
        "{hook}\n"
        "backup.make_backup(Path(sys.argv[1]), Path(sys.argv[2]), at=datetime.now(UTC))"
    )
    ends = {
        "early": "backup._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
        "late": "backup.verify_backup = lambda _path: os.kill(os.getpid(), signal.SIGKILL)",
        "keys": "backup.refuse_damaged = lambda _db: os.kill(os.getpid(), signal.SIGKILL)",
    }
    for name, hook in ends.items():
        killed = subprocess.run(
            [sys.executable, "-c", program.format(hook=hook), shop.store.directory, target / f"{name}.tar"],
            cwd=Path(__file__).resolve().parents[2],
        )
        assert killed.returncode == -signal.SIGKILL
        left = [path for path in target.rglob("*") if name in str(path)]
        assert left
        assert all(path.stat().st_mode & 0o077 == 0 for path in left if path.is_file()), (
            "it holds keys and sales"
        )
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            program.format(
                hook="backup.verify_backup = lambda _path: (print('there', flush=True), sys.stdin.read())"
            ),
            shop.store.directory,
            target / "running.tar",
        ],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        running.stdout.readline()
        make_backup(shop.store.directory, target / "next.tar", at=shop.clock.now())
        assert sorted(path.name for path in target.iterdir() if not path.name.startswith(".")) == ["next.tar"]
        assert [path.name for path in target.iterdir() if path.name.startswith(".")] == [
            ".running.tar.making-backup"
        ]
        running.stdin.close()
        assert running.wait() == 0
    assert sorted(path.name for path in target.iterdir()) == ["next.tar", "running.tar"]


def test_older_backups_of_this_store_are_removed_and_nothing_else(shop, town, tmp_path):
    target = tmp_path / "backups"
    other = town(2, worlds=shop.worlds, sandbox=shop.sandbox, name="other")
    other.sync()
    made = []
    for hour in range(4):
        made.append(target / default_name(shop.clock.now() + timedelta(hours=hour)))
        make_backup(shop.store.directory, made[-1], at=shop.clock.now())
    kept = [
        target / "connector-20200101T000000Z.tar",
        target / "by-hand.tar",
        target / "connector-20200102T000000Z.tar",
    ]
    make_backup(other.store.directory, kept[0], at=shop.clock.now())
    make_backup(shop.store.directory, kept[1], at=shop.clock.now())
    kept[2].write_text("no backup at all")
    assert remove_older(made[-1], shop.store.directory, keep=2) == [made[1], made[0]]
    assert sorted(target.iterdir()) == sorted([*made[2:], *kept])


def test_commands_back_up_and_restore(shop, tmp_path, capsys):
    from connector.cli.entry import run

    config = tmp_path / "config.yaml"
    config.write_text(
        f"store: {shop.store.directory}\ncompanies: [{{name: A, connections: [{{merchant_id: M, country: USA,"
        " timezone: UTC, start_date: 2026-01-01, token: some-token}]}]\n"
    )
    assert run(["--config", str(config), "backup", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sums"]["USD"] == ["2", "25.0000", "-11.0000"]
    assert document["removed"] == []
    assert run(["--config", str(config), "backup", str(tmp_path / "one.tar"), "--keep", "3"]) == 2
    assert "name the directory" in capsys.readouterr().err
    to = tmp_path / "elsewhere"
    assert run(["--config", str(config), "restore", document["backup"], "--to", str(to)]) == 0
    assert "hashes, counts and sums agree" in capsys.readouterr().out
    assert run(["--config", str(config), "restore", document["backup"], "--to", str(to)]) == 1
    assert "is not empty" in capsys.readouterr().err
    shutil.rmtree(to)
