"""Data status, history and asking for a refresh."""

from datetime import UTC, datetime, timedelta

import pytest

from connector.control import companies as api_companies
from connector.control.refreshes import waiting_refreshes

JUNIPER, SHOP, NEW = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-new"
STATUS, HISTORY = f"/companies/{JUNIPER}/dataStatus", f"/companies/{JUNIPER}/data/history"
QUEUE = f"/companies/{JUNIPER}/data/queue"


@pytest.fixture
def owner(server):
    return server.key("read", "write")


def test_a_synced_type_is_complete_and_one_clover_has_not_is_not_supported(server, owner):
    status = server.client.get(STATUS, headers=owner).json()
    orders = status["commerce-orders"]
    assert orders["dataType"] == "commerce-orders"
    assert (orders["currentStatus"], orders["lastSuccessfulSync"]) == ("Complete", "2026-11-19T04:00:20Z")
    assert orders["latestSyncId"] == orders["latestSuccessfulSyncId"]
    assert status["commerce-disputes"] == {"dataType": "commerce-disputes", "currentStatus": "NotSupported"}
    assert len(status) == 11


def test_never_synced_types_are_left_out(server, owner):
    company = server.client.post("/companies", json={"name": "Empty"}, headers=owner).json()["id"]
    assert server.client.get(f"/companies/{company}/dataStatus", headers=owner).json() == {}
    assert server.client.get(f"/companies/{company}/data/history", headers=owner).json()["results"] == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("authorisation", "AuthError"),
        ("clover", "FetchError"),
        ("store", "InternalError"),
        ("bug", "InternalError"),
    ],
)
def test_a_failed_read_keeps_the_time_of_the_last_good_one(books, server, owner, kind, status):
    at = datetime(2026, 11, 20, 4)  # noqa: DTZ001
    books.runs.append(("r9", JUNIPER, SHOP, "sync", at, at + timedelta(seconds=3), "failed", kind))
    books.publish()
    orders = server.client.get(STATUS, headers=owner).json()["commerce-orders"]
    assert (orders["currentStatus"], orders["lastSuccessfulSync"]) == (status, "2026-11-19T04:00:20Z")
    assert orders["latestSyncId"] != orders["latestSuccessfulSyncId"]
    operation = server.client.get(f"{HISTORY}/{orders['latestSyncId']}", headers=owner).json()
    assert (operation["isErrored"], operation["isCompleted"], operation["status"]) == (True, False, status)
    assert operation["errorMessage"]


def test_the_history_is_newest_first_and_can_be_asked(server, owner):
    get = lambda ask: server.client.get(f"{HISTORY}?{ask}", headers=owner)  # noqa: E731
    rows = get("pageSize=5000").json()["results"]
    assert [r["requested"] for r in rows] == sorted((r["requested"] for r in rows), reverse=True)
    assert {r["progress"] for r in rows} == {100}
    only = get("query=dataType=commerce-orders %26%26 status=complete").json()["results"]
    assert {r["dataType"] for r in only} == {"commerce-orders"}
    assert len(only) == 2
    done = get("query=isCompleted=true %26%26 isErrored=false").json()["totalResults"]
    assert done == len(rows) == 18
    assert get("query=isCompleted!=true").json()["totalResults"] == 0
    bad = get("query=progressed=1")
    assert bad.status_code == 400
    assert "Could not resolve property progressed on Dataset" in bad.json()["error"]
    one = server.client.get(f"{HISTORY}/{only[0]['id']}", headers=owner)
    assert one.json() == only[0]
    assert server.client.get(f"{HISTORY}/nope", headers=owner).status_code == 404


def test_a_refresh_waits_for_the_next_sync_and_is_answered_by_it(books, server, owner):
    asked = server.client.post(f"{QUEUE}/commerce-orders", headers=owner, params={"connectionId": SHOP})
    assert asked.status_code == 200
    operation = asked.json()
    assert (operation["status"], operation["isCompleted"], operation["progress"]) == ("Queued", False, 0)
    assert server.client.get(STATUS, headers=owner).json()["commerce-orders"]["currentStatus"] == "Queued"
    assert server.client.get(f"{HISTORY}/{operation['id']}", headers=owner).json() == operation
    again = server.client.post(f"{QUEUE}/commerce-orders", headers=owner, params={"connectionId": SHOP})
    assert again.status_code == 400
    assert again.json()["error"].startswith("DatasetAlreadyInProgressException")
    begun = datetime(2026, 11, 20, 4, 31)  # noqa: DTZ001
    assert [r.connection_id for r in waiting_refreshes(server.state.control, {})] == [SHOP]
    books.run("r9", JUNIPER, SHOP, begun)
    books.publish()
    assert (
        waiting_refreshes(
            server.state.control, {SHOP: begun.replace(tzinfo=server.state.settings.clock().tzinfo)}
        )
        == []
    )
    done = server.client.get(f"{HISTORY}/{operation['id']}", headers=owner).json()
    assert (done["status"], done["isCompleted"]) == ("Complete", True)
    assert server.client.get(STATUS, headers=owner).json()["commerce-orders"]["currentStatus"] == "Complete"


def test_a_refresh_nobody_takes_up_says_so_after_a_minute(books, builders):
    """Schedulers look every second; the clock of the server decides, not the client's patience."""
    moment = [datetime(2026, 11, 20, 4, 30, tzinfo=UTC)]
    running = builders.serve(books, clock=lambda: moment[0])
    server = next(running)
    owner = server.key("read", "write", companies=[JUNIPER])
    asked = server.client.post(
        f"{QUEUE}/commerce-orders", headers=owner, params={"connectionId": SHOP}
    ).json()

    def words():
        return server.client.get(f"{HISTORY}/{asked['id']}", headers=owner).json()["statusDescription"]

    assert asked["statusDescription"] == words() == "Waits for the next sync."
    moment[0] += timedelta(seconds=59)
    assert words() == "Waits for the next sync."
    moment[0] += timedelta(seconds=1)
    assert "No run has begun since it was asked for at 2026-11-20T04:30:00Z" in words()
    assert "connector schedule" in words()
    listed = server.client.get(f"{HISTORY}?query=status=queued", headers=owner).json()["results"]
    assert [row["statusDescription"] for row in listed] == [words()]
    running.close()


def test_refreshing_all_is_a_204_and_asks_for_each_connection_once(server, owner):
    for _ in range(3):
        answer = server.client.post(f"/companies/{JUNIPER}/data/all", headers=owner)
        assert (answer.status_code, answer.content) == (204, b"")
    waiting = waiting_refreshes(server.state.control, {})
    assert sorted((r.connection_id, r.data_type) for r in waiting) == [(SHOP, None), (NEW, None)]


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        (f"{QUEUE}/commerce-disputes", {}, 404),
        (f"{QUEUE}/accounts", {}, 404),
        (f"{QUEUE}/commerce-orders", {"connectionId": "n-rival"}, 404),
        ("/companies/nope/data/queue/commerce-orders", {}, 404),
    ],
)
def test_what_cannot_be_read_cannot_be_queued(server, owner, path, params, status):
    assert server.client.post(path, headers=owner, params=params).status_code == status


@pytest.fixture
def only_compared(books, server, owner):
    """A company of which a reconciliation ended well and no sync ever did; its id and its connection's."""
    company, shop = "33333333-6988-11ed-a1eb-0242ac120002", "n-compared"
    api_companies.take_from_config(
        server.state.control, [(company, "Compared", [shop])], now=server.state.settings.clock()
    )
    at = datetime(2026, 11, 20, 4)  # noqa: DTZ001
    books.connections.append((company, shop, "Linked", "USD"))
    books.runs.append(("r8", company, shop, "reconcile", at, at + timedelta(seconds=9), "succeeded", None))
    books.publish()
    return company, shop


def test_a_reconciliation_is_no_sync_so_nothing_is_served_and_nothing_is_complete(
    server, owner, only_compared
):
    company, shop = only_compared
    here = f"/companies/{company}"
    shown = server.client.get(here, headers=owner).json()
    assert "lastSync" not in shown
    assert "lastSync" not in shown["dataConnections"][0]
    assert server.client.get(f"{here}/dataStatus", headers=owner).json() == {}
    assert server.client.get(f"{here}/data/history", headers=owner).json()["results"] == []
    orders = server.client.get(f"{here}/connections/{shop}/data/commerce-orders", headers=owner)
    assert orders.status_code == 409


def test_a_newer_reconciliation_changes_no_date_and_no_status(books, server, owner):
    at = datetime(2026, 11, 21, 4)  # noqa: DTZ001
    before = [server.client.get(path, headers=owner).json() for path in (STATUS, f"/companies/{JUNIPER}")]
    books.runs.append(("r8", JUNIPER, SHOP, "reconcile", at, at + timedelta(seconds=9), "partly_done", None))
    books.publish()
    assert [
        server.client.get(path, headers=owner).json() for path in (STATUS, f"/companies/{JUNIPER}")
    ] == before


def test_a_resync_is_in_the_history_and_is_no_successful_sync(books, server, owner):
    at = datetime(2026, 11, 21, 4)  # noqa: DTZ001
    books.runs.append(("r8", JUNIPER, SHOP, "resync", at, at + timedelta(seconds=9), "succeeded", None))
    books.publish()
    orders = server.client.get(STATUS, headers=owner).json()["commerce-orders"]
    assert orders["lastSuccessfulSync"] == "2026-11-19T04:00:20Z"
    assert orders["latestSyncId"] != orders["latestSuccessfulSyncId"]
