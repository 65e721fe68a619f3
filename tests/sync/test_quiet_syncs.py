"""A sync that finds nothing new writes next to nothing, and still everybody sees when it was."""

from datetime import UTC, date, datetime, timedelta

from connector.ledger.connection_state import connection_states
from connector.ledger.publish import copies
from connector.sandbox.shop import generate_shop

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def bytes_by_file(store):
    """Every file below the store's directory once, whatever names it has: its number -> bytes."""
    found = (path.lstat() for path in store.directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {one.st_ino: one.st_size for one in found}


def test_quiet_syncs_publish_no_copy_and_tell_when_they_were(bench):
    shop = bench(
        world=generate_shop(300, seed=5, until=NOON - timedelta(days=3), days=55), start_date=date(2026, 1, 1)
    )
    for hours in (0, 1, 2):  # unsettled orders of a first load are looked at again
        assert shop.sync(at=NOON + timedelta(hours=hours)).status == "succeeded"
    before = bytes_by_file(shop.store)
    newest = copies(shop.store.directory)[0].stat().st_ino
    for hours in range(3, 15):
        assert shop.sync(at=NOON + timedelta(hours=hours)).status == "succeeded"
        with shop.store.open_reader() as reader:
            [state] = connection_states(reader.connection).values()
        assert state.last_success_began == NOON + timedelta(hours=hours)
    after = bytes_by_file(shop.store)
    assert copies(shop.store.directory)[0].stat().st_ino == newest
    grown = sum(size - before.get(number, 0) for number, size in after.items())
    assert grown < 256 << 10, "twelve runs, with what Clover answered"
    shop.check()


def test_after_quiet_syncs_the_next_sale_is_published_whole(bench):
    shop = bench(world=generate_shop(30, seed=5, until=NOON, days=20), start_date=date(2026, 1, 1))
    for hours in range(4):
        shop.sync(at=NOON + timedelta(hours=hours))
    order_id = shop.world.sell(NOON + timedelta(hours=4), [("Teapot", 4900)])
    shop.sync(at=NOON + timedelta(hours=5))
    assert order_id in shop.orders()
    shop.check()
