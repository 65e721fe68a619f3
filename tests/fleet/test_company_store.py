"""A company's store on several hosts: what one publishes the others have, and of two only one is first."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector.config import FleetPlace
from connector.errors import StoreBusy, StoreMoved
from connector.fleet import pointers
from connector.fleet.database import FleetDatabase
from connector.fleet.pointers import Pointer, Pointers
from connector.fleet.store import FleetStore
from tests.fleet.loading import COMPANY, Loads

AT = datetime(2026, 11, 20, 4, tzinfo=UTC)


class Hosts:
    """Hosts of one fleet; each has a cache of its own."""

    def __init__(self, postgres_url: str, bucket: str, directory: Path) -> None:
        self._url, self._bucket, self._directory = postgres_url, bucket, directory
        self.stores: list[FleetStore] = []

    def host(self, name: str) -> FleetStore:
        place = FleetPlace(self._url, self._bucket, self._directory / name)
        store = FleetStore(place, clock=lambda: AT)
        self.stores.append(store)
        return store


@pytest.fixture(params=["directory", "s3"])
def hosts(request, postgres_url, tmp_path):
    where = str(tmp_path / "bucket") if request.param == "directory" else request.getfixturevalue("bucket")
    fleet = Hosts(postgres_url, where, tmp_path)
    yield fleet
    for store in fleet.stores:
        store.close()


@pytest.fixture
def loads(tmp_path):
    return Loads(tmp_path / "batches")


def orders(store: FleetStore) -> list[str]:
    with store.store_of(COMPANY).open_reader() as reader:
        return [
            row[0] for row in reader.connection.execute("SELECT order_id FROM orders ORDER BY 1").fetchall()
        ]


def begun(store: FleetStore):
    run = store.store_of(COMPANY)
    run.repair("connection-1")
    return run


def test_what_one_host_publishes_the_others_have(hosts, loads):
    one, two = hosts.host("one"), hosts.host("two")
    for number in range(5):
        run = begun((one, two)[number % 2])
        run.apply(loads.of(f"O{number}"))
        run.publish_soon("connection-1")
    assert orders(one) == orders(two) == [f"O{number}" for number in range(5)]
    assert one.states()["connection-1"].orders == 5


def test_of_two_hosts_that_went_out_from_one_state_the_second_loses_nothing_but_work(hosts, loads):
    one, two = hosts.host("one"), hosts.host("two")
    for store in (one, two):
        begun(store)
    first, second = begun(one), begun(two)
    first.apply(loads.of("A"))
    second.apply(loads.of("B"))
    first.publish_soon("connection-1")
    with pytest.raises(StoreMoved):
        second.publish_soon("connection-1")
    assert orders(two) == ["A"]
    again = begun(two)
    again.apply(loads.of("B"))
    again.publish_soon("connection-1")
    assert orders(one) == ["A", "B"]


def test_a_run_that_began_before_its_cache_was_made_anew_may_not_go_on(hosts, loads):
    one, two = hosts.host("one"), hosts.host("two")
    first = begun(one)
    first.apply(loads.of("A"))
    first.publish_soon("connection-1")
    late = begun(two)
    newer = begun(one)
    newer.apply(loads.of("B"))
    newer.publish_soon("connection-1")
    begun(two)  # another run on that host fetches the newer state
    with pytest.raises(StoreMoved):
        late.apply(loads.of("C"))
    assert orders(two) == ["A", "B"]


def test_three_generations_stay_and_nothing_else(hosts, loads, monkeypatch, tmp_path):
    monkeypatch.setattr("connector.fleet.company._SWEEP_EVERY", 1)
    one = hosts.host("one")
    (tmp_path / "orphan").write_bytes(b"of a host that was killed")
    of_the_past = f"companies/{COMPANY}/000000003-00000000.duckdb"
    on_its_way = f"companies/{COMPANY}/000000099-00000000.duckdb"
    for key in (of_the_past, on_its_way):
        one.bucket.put(tmp_path / "orphan", key)
    for number in range(6):
        run = begun(one)
        run.apply(loads.of(f"O{number}"))
        run.publish_soon("connection-1")
    left = {key for key, _ in one.bucket.list(f"companies/{COMPANY}")}
    assert left == one.pointers.kept(COMPANY) | {on_its_way}
    assert len(one.pointers.kept(COMPANY)) in (4, 5, 6)
    assert len(orders(hosts.host("three"))) == 6


def test_a_connection_that_runs_on_one_host_runs_on_no_other(hosts):
    one, two = hosts.host("one"), hosts.host("two")
    with one.store_of(COMPANY).run_lock("connection-1"):
        with pytest.raises(StoreBusy), two.store_of(COMPANY).run_lock("connection-1"):
            pass
        with two.store_of(COMPANY).run_lock("connection-2"):
            pass
    with two.store_of(COMPANY).run_lock("connection-1"):
        pass


def test_who_follows_the_changes_misses_none_however_long_a_commit_takes(postgres_url, tmp_path, monkeypatch):
    """A later change never becomes visible before an earlier one: its number would be taken for all before it."""
    fleet = [Pointers(FleetDatabase(FleetPlace(postgres_url, "unused", tmp_path))) for _ in range(3)]
    slow, quick, follower = fleet
    assert [one.changed(0) for one in fleet] == [(0, [])] * 3
    begun, may_end = threading.Event(), threading.Event()
    let_go = pointers._let_go

    def waits(connection, company_id):
        if company_id == "slow":
            begun.set()
            assert may_end.wait(20)
        return let_go(connection, company_id)

    monkeypatch.setattr(pointers, "_let_go", waits)

    def publish(through, company_id):
        through.swap(None, Pointer(company_id, 1, f"{company_id}.duckdb", "0", None, None, 1, "host", AT), {})

    first = threading.Thread(target=publish, args=(slow, "slow"))
    first.start()
    assert begun.wait(20)
    second = threading.Thread(target=publish, args=(quick, "quick"))
    second.start()
    second.join(1)
    seen, companies = follower.changed(0)
    may_end.set()
    first.join(20)
    second.join(20)
    companies += follower.changed(seen)[1]
    assert sorted(companies) == ["quick", "slow"]
    for one in fleet:
        one._database.close()
