"""A store of every released schema is brought up to this version and syncs on; none of its history is lost."""

import lzma

import pytest

from connector.ledger.keep.restore import restore_backup
from connector.ledger.migrate import migrations
from tests.operations.old_stores import DIRECTORY, history
from tests.operations.town import worlds_of

OLD = sorted(DIRECTORY.glob("schema-*.tar.xz"))


def test_there_is_a_store_of_every_schema():
    assert [int(path.name[7:11]) for path in OLD] == [version for version, _, _ in migrations()]


@pytest.mark.parametrize("released", OLD, ids=lambda path: path.name[:11])
def test_an_old_store_keeps_its_history_and_syncs_on(town, clock, tmp_path, released):
    backup = tmp_path / "old.tar"
    backup.write_bytes(lzma.decompress(released.read_bytes()))
    worlds = worlds_of(2)
    for _ in history(worlds, clock):
        pass
    restore_backup(backup, tmp_path / "store", clock=clock.now)
    here = town(2, worlds=worlds)
    applied = [version for (version,) in here.rows("SELECT version FROM ledger.migrations ORDER BY 1")]
    assert applied == [version for version, _, _ in migrations()]
    here.check_books()
    versions = here.rows("SELECT order_id, snapshot_id, total_amount FROM order_versions ORDER BY 1, 2")
    assert len(versions) == 3
    here.sell(1)
    clock.advance(hours=1)
    assert here.sync().exit_code == 0
    here.check_books()
    kept = here.rows("SELECT order_id, snapshot_id, total_amount FROM order_versions ORDER BY 1, 2")
    assert set(versions) < set(kept)
