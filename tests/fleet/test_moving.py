"""From one disk into a fleet and back: every row, every payload, and an API that gives the same answers."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector.config import FleetPlace
from connector.errors import ConfigError, StoreError
from connector.fleet.move import held_of, to_directory, to_fleet
from connector.fleet.store import FleetStore
from connector.ledger.connection_state import connection_states
from connector.ledger.keep.forget_proof import search
from connector.ledger.store import DuckStore
from connector.schedule.history import read_past
from tests.api.conftest import (  # noqa: F401
    JUNIPER,
    JUNIPER_SHOP,
    RIVAL,
    RIVAL_SHOP,
    books,
    published_file,
    serve,
)

AT = datetime(2026, 11, 20, 4, tzinfo=UTC)


@pytest.fixture
def place(postgres_url, tmp_path) -> FleetPlace:
    return FleetPlace(postgres_url, str(tmp_path / "bucket"), tmp_path / "cache")


@pytest.fixture
def fleet(place):
    store = FleetStore(place, clock=lambda: AT)
    yield store
    store.close()


def payload(directory: Path, connection_id: str) -> Path:
    path = directory / "raw" / connection_id / "20261101T000000-abc-0001.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(f"what Clover sent to {connection_id}".encode())
    return path


def held(store, company_id):
    with store.open_reader() as reader:
        return held_of(reader.connection, company_id)


def test_a_store_moves_into_a_fleet_and_back_with_every_row_and_payload(books, fleet, tmp_path):  # noqa: F811
    here = DuckStore(books.directory)
    payloads = [payload(books.directory, one) for one in (JUNIPER_SHOP, RIVAL_SHOP)]
    moved = {one.company_id: one for one in to_fleet(books.directory, fleet, at=AT)}
    assert {JUNIPER, RIVAL} <= moved.keys()
    assert sum(one.payloads for one in moved.values()) == 2
    for company_id, one in moved.items():
        assert one.held == held(here, company_id) == held(fleet.store_of(company_id), company_id)
        assert one.held.tables["order_versions"][0] > 0
    assert all(one.was_there for one in to_fleet(books.directory, fleet, at=AT)), (
        "a second move changes nothing"
    )

    back = tmp_path / "back"
    returned = {one.company_id: one for one in to_directory(fleet, back, at=AT)}
    for company_id, one in moved.items():
        assert returned[company_id].held == one.held == held(DuckStore(back), company_id)
    for path in payloads:
        assert (back / path.relative_to(books.directory)).read_bytes() == path.read_bytes()
    with pytest.raises(ConfigError):
        list(to_directory(fleet, back, at=AT))


def test_a_forgotten_company_is_in_no_bucket_row_or_cache_of_the_fleet(books, fleet, tmp_path):  # noqa: F811
    payload(books.directory, JUNIPER_SHOP)
    list(to_fleet(books.directory, fleet, at=AT))
    other = FleetStore(
        FleetPlace(fleet.place.database_url, fleet.place.bucket, tmp_path / "other"), clock=lambda: AT
    )
    with other.store_of(JUNIPER).open_reader():
        pass
    own = fleet.store_of(JUNIPER)
    assert len(own.traces(JUNIPER)) > 2
    assert own.forget(JUNIPER)["order_versions"] > 0
    assert own.traces(JUNIPER) == []
    other.repair()
    other.close()
    for directory in (tmp_path / "cache", tmp_path / "other", tmp_path / "bucket"):
        assert search(directory, [JUNIPER_SHOP]) == []
    assert held(fleet.store_of(RIVAL), RIVAL).tables["order_versions"][0] > 0


def test_a_company_that_is_other_in_the_fleet_is_not_taken_for_moved(books, fleet, rows_of):  # noqa: F811
    list(to_fleet(books.directory, fleet, at=AT))
    changed = fleet.store_of(JUNIPER)
    changed.repair(JUNIPER_SHOP)
    changed.apply(rows_of.batch(company_id=JUNIPER, connection_id=JUNIPER_SHOP))
    changed.publish_soon(JUNIPER_SHOP)
    with pytest.raises(StoreError, match="not the same on both sides"):
        list(to_fleet(books.directory, fleet, at=AT))


def test_what_is_asked_of_all_companies_is_answered_from_their_rows(books, fleet):  # noqa: F811
    here = DuckStore(books.directory)
    list(to_fleet(books.directory, fleet, at=AT))
    now = datetime.now(UTC)
    assert fleet.states() == here.states()
    assert read_past(fleet, now) == read_past(here, now) != {}
    with here.open_reader() as alone, fleet.open_reader() as of_all:
        assert connection_states(of_all.connection) == connection_states(alone.connection)
        for question in (
            'SELECT connection_id, stream, "cursor" FROM ledger.sync_state ORDER BY ALL',
            "SELECT connection_id, kind, count(*) FROM ledger.source_records"
            " WHERE replaced_by IS NULL AND NOT is_deleted GROUP BY ALL ORDER BY ALL",
        ):
            assert (
                of_all.connection.execute(question).fetchall()
                == alone.connection.execute(question).fetchall()
            )


def test_an_object_that_is_gone_or_cut_short_is_named(books, fleet, tmp_path):  # noqa: F811
    list(to_fleet(books.directory, fleet, at=AT))
    assert fleet.lost_objects() == []
    pointer = fleet.pointers.get(JUNIPER)
    path = tmp_path / "bucket" / pointer.object
    path.write_bytes(path.read_bytes()[:-1])
    assert fleet.lost_objects() == [pointer.object]
    path.unlink()
    assert fleet.lost_objects() == [pointer.object]


PATHS = (
    "/companies",
    f"/companies/{JUNIPER}",
    f"/companies/{JUNIPER}/connections/{JUNIPER_SHOP}/data/commerce-orders?pageSize=7",
    f"/companies/{JUNIPER}/connections/{JUNIPER_SHOP}/data/commerce-payments",
    f"/companies/{JUNIPER}/dataStatus",
    f"/companies/{JUNIPER}/data/history",
    f"/companies/{RIVAL}/connections/{RIVAL_SHOP}/data/commerce-orders",
)


def test_an_api_host_of_the_fleet_gives_the_answers_of_the_one_disk(books, fleet, place):  # noqa: F811
    list(to_fleet(books.directory, fleet, at=AT))
    answers = []
    for more in ({}, {"control": place, "fleet": place}):
        for server in serve(books, **more):
            reader = server.key("read")
            answers.append({path: server.client.get(path, headers=reader) for path in PATHS})
    alone, of_fleet = answers
    for path in PATHS:
        assert alone[path].status_code == of_fleet[path].status_code == 200, (path, of_fleet[path].text)
        assert alone[path].json() == of_fleet[path].json(), path


@pytest.fixture
def rows_of(tmp_path):
    from tests.fleet.loading import ledger_rows

    (tmp_path / "batches").mkdir()
    return ledger_rows.Books(tmp_path / "batches")
