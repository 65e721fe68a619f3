"""A store of every released schema is brought up to this version and syncs on; none of its history is lost."""

import lzma

import pytest

from connector.ledger.keep.restore import restore_backup
from connector.ledger.migrate import migrations
from tests.operations.old_stores import DIRECTORY, history
from tests.operations.town import worlds_of

HASHES = {  # of the newest versions; schema 1 kept dates to the second, so its second order gets a version of its own
    "FBM1J5903JCPB": "b18c7b435e91ab012e47c9c799dc7dd602a1dbeebfb12a967d5d7f027ba1a5d7",
    "KHC3CXVRQBH25": "4607c12a545649f699ae00dc1f9bc8bc6718a42f2e303fa49279abf23f3a5e3c",
}
RUNS = [(1, 1, 0, 2), (1, 1, 0, 2), (1, 1, 1, 3), (1, 1, 0, 2)]  # charges, orders, refunds and all rows read
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
    read = "SELECT charges_read, orders_read, refunds_read, rows_read FROM sync_runs ORDER BY started_at, connection_id"
    assert here.rows(read) == RUNS
    versions = here.rows("SELECT order_id, snapshot_id, total_amount FROM order_versions ORDER BY 1, 2")
    assert len(versions) == 3
    assert here.sync(kind="rebuild").exit_code == 0
    hashes = here.rows("SELECT order_id, content_hash FROM ledger.order_versions WHERE replaced_by IS NULL")
    assert dict(hashes) == HASHES, "mapped anew, an order that did not change is no new version"
    versions = here.rows("SELECT order_id, snapshot_id, total_amount FROM order_versions ORDER BY 1, 2")
    here.sell(1)
    clock.advance(hours=1)
    assert here.sync().exit_code == 0
    here.check_books()
    kept = here.rows("SELECT order_id, snapshot_id, total_amount FROM order_versions ORDER BY 1, 2")
    assert set(versions) < set(kept)
