"""Flipped bytes anywhere in a store: every command ends with words, nothing good is lost, and the cure heals it.

``CONNECTOR_FLIPS=200`` flips that many places of each file, by hand before a release.
"""

import gc
import json
import os
import random
import re
import shutil
import sqlite3
from contextlib import closing

import duckdb
import pytest

from connector.cli.entry import run
from connector.errors import StoreDamaged
from connector.ledger import verify
from connector.ledger.database import log_of
from connector.ledger.publish import copies, forget_base, verified_copy
from connector.ledger.store import DuckStore
from tests.operations.town import write_config

FLIPS = int(os.environ.get("CONNECTOR_FLIPS", "4"))
PARTS = 4  # side by side
COMMANDS = [
    ["status"], ["query", "SELECT sum(total_amount) FROM orders"], ["check"], ["query", "SELECT * FROM monthly_sales"],
    ["runs"], ["export", "--to", "EXPORTED"], ["backup", "BACKUP"],
]  # fmt: skip


def flip(path, at, *, most=1):
    """Change bytes in place, keeping the file's mode."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    for offset in range(at, min(at + most, len(data))):
        data[offset] ^= 0x5A
    path.write_bytes(bytes(data))
    path.chmod(mode)


def damage_blocks(path, text):
    """Change every place where a text stands: some are in blocks that are free again."""
    places = [found.start() for found in re.finditer(re.escape(text.encode()), path.read_bytes())]
    assert places
    for at in places:
        flip(path, at)


@pytest.fixture
def shop(town, tmp_path, capsys):
    """A store with three published copies, and the command line over it."""
    here = town(1)
    here.orders = [here.sell(0)]
    here.sync()
    for _ in range(2):
        here.clock.advance(hours=1)
        here.orders.append(here.sell(0))
        forget_base(here.store.directory)  # each has blocks of its own
        here.sync()
    forget_base(here.store.directory)
    here.config_path = write_config(here, tmp_path / "config.yaml")

    def call(*arguments):
        capsys.readouterr()  # what syncs logged
        code = run(["--config", str(here.config_path), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    here.call, here.work = call, here.store.directory / "work.duckdb"
    here.published = lambda: (here.store.directory / "commerce.duckdb").resolve()
    here.sold = lambda: sorted(row[0] for row in here.rows("SELECT order_id FROM orders"))
    return here


def findings(shop):
    _code, out, _err = shop.call("check", "--json")
    return {one["subject"]: one["verdict"] for one in json.loads(out)["findings"]}


def healed(shop):
    """The documented cure: sync until it is done, twice at most."""
    shop.clock.advance(hours=1)
    first = shop.sync()
    if first.exit_code == 0:
        return
    [told] = first.runs
    assert told.error_kind == "store", told.error
    assert told.hint
    shop.clock.advance(hours=1)
    assert shop.sync().exit_code == 0


def heals_whole(shop):
    """After the documented cure everything is there, what was sold meanwhile too, and both files are well."""
    shop.orders.append(shop.sell(0))
    healed(shop)
    assert shop.sold() == sorted(shop.orders)
    shop.check_books()
    assert findings(shop)["working file"] == findings(shop)["published file"] == "ok"


@pytest.mark.parametrize("which", ["work", "published"])
def test_a_damaged_block_is_said_and_healed_and_nothing_is_lost(shop, which):
    path = shop.work if which == "work" else shop.published()
    damage_blocks(path, shop.orders[0])
    assert findings(shop)[{"work": "working file", "published": "published file"}[which]] == "failed"
    heals_whole(shop)
    asides = list(shop.store.directory.glob("work.duckdb.damaged-*"))
    assert len(asides) == (which == "work")


@pytest.mark.parametrize("which", ["work", "published"])
def test_a_damaged_log_is_said_and_healed_and_nothing_is_lost(shop, which):
    """Small loads lie in a log beside the file: the writer's and that of what is published."""
    for _ in range(2):  # the first makes a copy, the second adds a log to it
        shop.clock.advance(hours=1)
        shop.orders.append(shop.sell(0))
        assert shop.sync().exit_code == 0
    log = log_of(shop.work if which == "work" else shop.published())
    flip(log, log.stat().st_size // 2, most=8)
    assert findings(shop)[{"work": "working file", "published": "published file"}[which]] == "failed"
    heals_whole(shop)


def test_a_damaged_copy_is_never_published_and_the_good_ones_stay(shop):
    """The load itself does not meet the damaged block: the copy is read before the link moves."""
    good = copies(shop.store.directory)
    damage_blocks(shop.work, shop.orders[0])
    store = DuckStore(shop.store.directory)
    with duckdb.connect(str(shop.work)) as work:
        work.execute("UPDATE ledger.publication SET commit_id = commit_id + 1")
    for _ in range(4):
        with pytest.raises(StoreDamaged, match="damaged"):
            store.publish()
        assert copies(shop.store.directory) == good
        assert shop.published() == good[0]
        assert not list(shop.store.directory.glob("*.tmp"))
    assert shop.sold() == sorted(shop.orders)


def test_with_nothing_good_left_nothing_is_changed_and_a_backup_is_asked_for(shop):
    for path in [shop.work, *copies(shop.store.directory)]:
        flip(path, 12_288, most=path.stat().st_size)
    names = sorted(path.name for path in shop.store.directory.glob("*.duckdb*"))
    shop.clock.advance(hours=1)
    [told] = shop.sync().runs
    assert told.error_kind == "store"
    assert "connector restore" in (told.hint or "")
    assert sorted(path.name for path in shop.store.directory.glob("*.duckdb*")) == names


def test_a_copy_that_is_mostly_the_last_one_is_verified_by_what_changed(shop, monkeypatch):
    read = []
    whole = verify.damage
    monkeypatch.setattr(verify, "damage", lambda path: read.append(path) or whole(path))
    assert verified_copy(shop.store.directory) == shop.published()
    shop.sell(0)
    shop.clock.advance(hours=1)
    assert shop.sync().exit_code == 0
    assert read == [], "only the blocks that differ were looked at"
    flip(shop.published(), 20_000)  # what it was is not known any more
    assert verified_copy(shop.store.directory) is None


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("which", ["work", "published", "older"])
def test_bytes_flipped_anywhere(shop, tmp_path, which, part):
    """Every command ends with words and an exit code it has; then the cure, and every sale is there."""
    keep = tmp_path / "keep"
    shutil.copytree(shop.store.directory, keep, symlinks=True)
    chance = random.Random(f"{which}-{part}")
    expected = sorted(shop.orders)
    for number in range(FLIPS // PARTS):
        shutil.rmtree(shop.store.directory)
        shutil.copytree(keep, shop.store.directory, symlinks=True)
        shop.store = DuckStore(shop.store.directory, clock=shop.clock.now)
        older = copies(shop.store.directory)[1]
        path = {"work": shop.work, "published": shop.published(), "older": older}[which]
        at = chance.randrange(path.stat().st_size)
        flip(path, at, most=chance.choice([1, 8, 4096]))
        for command in (COMMANDS[number % len(COMMANDS)], COMMANDS[(number + 3) % len(COMMANDS)]):
            for place in ("EXPORTED", "BACKUP"):
                shutil.rmtree(tmp_path / place, ignore_errors=True)
                (tmp_path / place).unlink(missing_ok=True)
            words = [str(tmp_path / word) if word in ("EXPORTED", "BACKUP") else word for word in command]
            code, out, err = shop.call(*words)
            assert code in (0, 1), (at, command, out, err)
            assert "should not happen" not in err, (at, command, err)
            assert code == 0 or command == ["check"] or "Next:" in err, (at, command, err)
        healed(shop)
        assert shop.sold() == expected, at
        assert verify.damage(shop.published()) is None, at
        assert verify.damage(shop.work) is None, at


BESIDE = {
    "control.sqlite": [["keys", "list"], ["webhooks", "list"], ["backup", "BACKUP"], ["status"]],
    "raw": [["rebuild"], ["backup", "BACKUP"]],
    "locks/verified": [["status"], ["backup", "BACKUP"]],
}


@pytest.mark.parametrize("which", BESIDE)
def test_bytes_flipped_in_the_files_beside_the_ledger(shop, tmp_path, which):
    """Keys, payloads and notes: every command ends with words, sales go on being read, and the cure heals."""
    assert shop.call("keys", "create", "--label", "lender", "--company", shop.config.companies[0].id)[0] == 0
    assert shop.call("webhooks", "add", "https://lender.example.com/x")[0] == 0
    gc.collect()  # what a command leaves open ends with its process
    with closing(sqlite3.connect(shop.store.directory / "control.sqlite")) as control:
        control.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    keep = tmp_path / "keep"
    shutil.copytree(shop.store.directory, keep, symlinks=True)
    chance, expected = random.Random(which), sorted(shop.orders)
    for number in range(FLIPS if FLIPS >= 200 else max(4, FLIPS // 5)):
        shutil.rmtree(shop.store.directory)
        shutil.copytree(keep, shop.store.directory, symlinks=True)
        shop.store = DuckStore(shop.store.directory, clock=shop.clock.now)
        found = shop.store.directory / which
        path = chance.choice(sorted(found.rglob("*.gz"))) if found.is_dir() else found
        at, most = chance.randrange(path.stat().st_size), chance.choice([1, 8, 512])
        flip(path, at, most=most)
        commands = BESIDE[which]
        for command in (commands[number % len(commands)], commands[(number + 1) % len(commands)]):
            (tmp_path / "BACKUP").unlink(missing_ok=True)
            words = [str(tmp_path / word) if word == "BACKUP" else word for word in command]
            code, out, err = shop.call(*words)
            assert code in (0, 1, 3), (at, most, command, out, err)
            assert "should not happen" not in out + err, (at, most, command, out, err)
            assert code != 1 or "Next:" in out + err, (at, most, command, out, err)
        shop.clock.advance(hours=1)
        assert shop.sync().exit_code == 0, (at, most)
        assert shop.sold() == expected, (at, most)
        shop.check_books()
        if which == "control.sqlite":  # the cure: that of a backup
            gc.collect()
            for rest in shop.store.directory.glob("control.sqlite*"):
                rest.unlink()
            shutil.copy(keep / "control.sqlite", shop.store.directory)
            code, out, _err = shop.call("keys", "list", "--json")
            assert (code, [key["label"] for key in json.loads(out)]) == (0, ["lender"])
        elif which == "raw":  # the cure: what is not kept whole is read again
            assert shop.sync(full=True).exit_code == 0
            assert shop.sync(kind="rebuild").exit_code == 0
            assert shop.sold() == expected


def test_a_run_that_fails_ends_with_its_failure_and_the_next_command(shop):
    damage_blocks(shop.work, shop.orders[0])
    shop.sandbox.access.revoke(shop.worlds[0])
    code, out, _err = shop.call("sync")
    assert code == 1
    before, _, command = out.rstrip().rpartition("\n  Next: ")
    assert before
    assert all(line.startswith("  ") for line in command.splitlines()[1:]), "nothing comes after it"
    assert "monthly_sales" not in out
