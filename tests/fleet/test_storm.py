"""See ``storm``; and what an outage of the database or the bucket does to syncs and to who reads."""

from contextlib import closing

import pytest

from connector.fleet.published import FleetPublished
from connector.fleet.store import FleetStore
from tests.fleet.servers import start_postgres
from tests.fleet.storm import make, storm


@pytest.mark.slow
def test_hosts_that_die_at_every_step_beside_a_rogue_one_lose_and_double_nothing(postgres_url, tmp_path):
    town = make(tmp_path, postgres_url, 8)
    try:
        said = storm(tmp_path, town, rounds=4, a_life=2, seed=19)
    finally:
        town.sandbox.stop()
    assert sum(said["killed"].values()) >= 5, said
    assert said["reads"] > 0


def synced(town):
    return town.sync().runs[0]


@pytest.fixture
def away(tmp_path):
    """A town of one merchant whose database and bucket can be taken away."""
    server = start_postgres(tmp_path / "postgres" / "cluster")
    town = make(tmp_path, server.database(), 1)
    town.store = FleetStore(town.config.fleet, clock=town.clock.now)
    published = FleetPublished(town.config.model_copy(update={"cache": tmp_path / "api"}).fleet)
    yield server, town, published
    published.close()
    town.store.close()
    server.stop()
    town.sandbox.stop()


def orders(published, town):
    with published.open(town.config.companies[0].id) as publication:
        return publication.cursor.execute("SELECT count(*) FROM orders").fetchone()[0]


@pytest.mark.parametrize("what", ["database", "bucket"])
def test_while_it_is_away_readers_are_answered_and_syncs_say_why_and_all_goes_on(
    away, tmp_path, what, monkeypatch
):
    server, town, published = away
    monkeypatch.setattr("connector.fleet.published._AFTER_AN_OUTAGE", 0.0)
    monkeypatch.setattr("connector.fleet.published.LOOK_EVERY", 0.0)
    town.sell()
    assert synced(town).status == "succeeded"
    assert orders(published, town) == 1
    town.clock.advance(hours=1)
    town.sell()
    bucket = tmp_path / "bucket"
    if what == "database":
        server.stop()
    else:
        bucket.rename(tmp_path / "elsewhere")
        bucket.write_text("no directory any more")
    failed = synced(town)
    assert (failed.status, failed.exit_code, failed.error_kind) == ("failed", 1, "store")
    assert ("database" in failed.error and "does not answer" in failed.error) or "bucket" in failed.error
    assert "token" not in failed.error
    assert orders(published, town) == 1
    if what == "database":
        server.start()
    else:
        bucket.unlink()
        (tmp_path / "elsewhere").rename(bucket)
    town.clock.advance(hours=1)
    again = synced(town)
    assert again.status == "succeeded", again.error
    with closing(FleetPublished(town.config.model_copy(update={"cache": tmp_path / "third"}).fleet)) as third:
        assert orders(published, town) == orders(third, town) == 2
