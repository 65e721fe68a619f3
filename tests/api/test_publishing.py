"""Readers while a sync publishes: no error, no torn page, each answer from one snapshot; files let go of in time."""

import threading
import time
from datetime import datetime, timedelta

import httpx
import pytest

from connector.ledger import published as published_files
from connector.ledger.published import NothingPublishedError, Published

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"


@pytest.mark.parametrize("seconds", [4])
def test_four_clients_read_while_a_new_state_is_published_again_and_again(tmp_path, builders, seconds):
    """Every publication replaces all orders: their customer is the snapshot, so a torn page would show two."""
    books = builders.Books(tmp_path)
    start = datetime(2026, 11, 18)  # noqa: DTZ001
    books.run("r", JUNIPER, SHOP, start)
    books.connections.append((JUNIPER, SHOP, "Linked", "USD"))

    def publish(snapshot):
        for order in books.orders:
            order.replaced_by = order.replaced_by or snapshot
        for i in range(40):
            lines = [builders.line("L", 1, "5")]
            books.orders.append(
                builders.Shop(
                    f"O{i:02d}", start, lines, [], customer=f"S{snapshot}", snapshot=snapshot, modified=start
                )
            )
        del books.orders[:-120]  # three states are history enough
        books.snapshot(snapshot, "r", JUNIPER, SHOP, start + timedelta(seconds=snapshot))
        path = books.publish()
        for old in sorted(tmp_path.glob("serve-*.duckdb"))[:-3]:
            old.unlink()
        return path

    publish(1)
    with builders.listening(tmp_path) as (url, state):
        from connector.control import companies as api_companies
        from connector.control import keys as api_keys

        now = state.settings.clock()
        api_companies.take_from_config(state.control, [(JUNIPER, "Juniper", [SHOP])], now=now)
        failures, answers, done = [], [], threading.Event()

        def read(number):
            secret = api_keys.create_key(state.control, f"reader {number}", now=now)[1]
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}) as client:
                while not done.is_set():
                    seen, snapshots = [], set()
                    for page in (1, 2, 3, 4):
                        answer = client.get(f"{ORDERS}?pageSize=10&page={page}")
                        if answer.status_code != 200:
                            failures.append(answer.text)
                            return
                        seen += answer.json()["results"]
                        snapshots.add(answer.headers["x-snapshot-id"])
                    states = {order["customerRef"]["id"] for order in seen}
                    if (
                        states != {f"S{s}" for s in snapshots}
                        or len(states) != 1
                        or len({o["id"] for o in seen}) != 40
                    ):
                        failures.append(f"torn: {states} {snapshots} {len(seen)}")
                    answers.append(snapshots.pop())

        readers = [threading.Thread(target=read, args=(n,)) for n in range(4)]
        for reader in readers:
            reader.start()
        end, snapshot = time.monotonic() + seconds, 1
        while time.monotonic() < end or (len(set(answers)) < 2 and time.monotonic() < end + 60):
            snapshot += 1
            publish(snapshot)
        done.set()
        for reader in readers:
            reader.join(20)
        assert failures == []
        assert len(set(answers)) > 1, "nothing new was ever served"
        assert len(state.published._files) <= 2


def test_nothing_published_is_its_own_error_and_the_server_is_ready_anyway(tmp_path, builders):
    with pytest.raises(NothingPublishedError):
        Published(tmp_path).newest()
    for server in builders.serve(builders.Books(tmp_path)):
        assert server.client.get("/health").json() == {"status": "ok", "published": False}
        headers = server.key("read")
        assert server.client.get(ORDERS, headers=headers).status_code == 409
        assert server.client.get("/companies", headers=headers).json()["totalResults"] == 2
        assert server.client.get(f"/companies/{JUNIPER}/dataStatus", headers=headers).json() == {}


def test_a_file_nobody_reads_any_more_is_closed_and_one_in_use_is_not(books):
    published = Published(books.directory)
    with published.open() as old:
        books.publish()
        with published.open() as new:
            assert new.path != old.path
            assert old.cursor.execute("SELECT count(*) FROM ledger.order_versions").fetchone() == (38,)
        assert len(published._files) == 2
    assert [path.name for path in published._files] == ["serve-000000002.duckdb"]
    published.close()


def test_the_published_file_cannot_reach_the_file_system(books):
    """Whatever slipped into a query could read no file and change no setting."""
    import duckdb

    with Published(books.directory).open() as publication:
        for statement in (
            "SELECT * FROM read_text('/etc/hostname')",
            "SET threads = 8",
            "CREATE TABLE t (x INT)",
        ):
            with pytest.raises(duckdb.Error):
                publication.cursor.execute(statement)


def test_health_is_503_when_the_store_cannot_be_read(books, builders):
    (books.directory / "serve-000000001.duckdb").write_bytes(b"not a database")
    for server in builders.serve(books):
        answer = server.client.get("/health/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert server.client.get("/health/live").status_code == 200


def test_a_file_that_was_read_many_times_is_opened_again_when_nobody_reads_it(
    tmp_path, builders, monkeypatch
):
    """DuckDB's notes of what it read grow; what was found out about the file stays."""
    monkeypatch.setattr(published_files, "MOST_USES", 3)
    builders.Books(tmp_path).publish()
    published = Published(tmp_path)

    def instance(publication):
        return published._files[publication.path].connection

    with published.open() as beside:
        first, beside.cache["positions"] = instance(beside), "found"
        for _ in range(5):  # more than three, but there is always somebody who reads
            with published.open() as publication:
                assert instance(publication) is first
        assert beside.cursor.execute("SELECT count(*) FROM ledger.order_versions").fetchone() == (0,)
    with published.open() as publication:
        assert instance(publication) is not first
        assert publication.cache == {"positions": "found"}
        assert publication.cursor.execute("SELECT count(*) FROM ledger.order_versions").fetchone() == (0,)
    published.close()
