"""Stores as released versions left them: how they are made, and what was sold in them.

A store of the present schema is added with ``python -m tests.operations.old_stores`` when a version is released, and
never made again: that the next versions read it is what it is kept for.
"""

import lzma
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from connector.ledger.keep.backup import make_backup
from connector.ledger.migrate import migrations
from tests.operations.town import Clock, make_town, sandbox_of, worlds_of

DIRECTORY = Path(__file__).resolve().parents[1] / "fixtures" / "stores"


def history(worlds, clock):
    """Two shops with sales; one order is refunded after the first sync. Yields whenever a sync should follow."""
    first = worlds[0].sell(clock.now() - timedelta(hours=3), [("Teapot", 1100), ("Strainer", 650)], tip=200)
    worlds[1].sell(clock.now() - timedelta(hours=2), [("Kettle", 2500)], tax_rate=8_875)
    yield
    clock.advance(hours=1)
    worlds[0].refund(clock.now() - timedelta(minutes=20), first, items=[1])
    yield


def main():
    """Write the store of the present schema, unless there is one."""
    target = DIRECTORY / f"schema-{max(version for version, _, _ in migrations()):04d}.tar.xz"
    if target.exists():
        sys.exit(f"{target} is there already, and stays as it was released.")
    worlds, clock = worlds_of(2), Clock()
    with tempfile.TemporaryDirectory() as directory, sandbox_of(worlds) as sandbox:
        town = make_town(Path(directory), sandbox, worlds, clock)
        for _ in history(worlds, clock):
            assert town.sync().exit_code == 0
        town.check_books()
        backup = Path(directory) / "store.tar"
        make_backup(town.store.directory, backup, at=clock.now())
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(lzma.compress(backup.read_bytes(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
