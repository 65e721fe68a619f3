"""Companies and connections: Codat's statuses and codes, tags, names, queries."""

import pytest

from connector.control import outbox

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
SHOP, NEW, RIVAL_SHOP = "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-new", "n-rival"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"


@pytest.fixture
def owner(server):
    return server.key("read", "write")


def test_every_company_and_connection_has_what_codats_clients_need(shared):
    companies = shared.client.get("/companies", headers=shared.key("read")).json()["results"]
    for company in companies:
        assert {"id", "name", "redirect"} <= company.keys()
        for connection in company["dataConnections"]:
            assert {
                "id",
                "integrationId",
                "integrationKey",
                "sourceId",
                "linkUrl",
                "status",
                "created",
            } <= connection.keys()
            assert (connection["sourceType"], connection["platformName"]) == ("Commerce", "Clover")
    assert None not in [value for company in companies for value in company.values()]
    assert companies[1]["lastSync"] == "2026-11-19T04:00:20Z"


def test_a_company_is_made_changed_and_deleted_with_codats_codes(server, owner):
    made = server.client.post(
        "/companies", json={"name": "New <Shop>!", "tags": {"region": "us"}}, headers=owner
    )
    assert made.status_code == 200
    company = made.json()
    assert company["name"] == "New Shop!"
    path = f"/companies/{company['id']}"
    assert server.client.get(path, headers=owner).json() == company
    patched = server.client.patch(path, json={"description": "d"}, headers=owner).json()
    assert (patched["name"], patched["description"], patched["tags"]) == ("New Shop!", "d", {"region": "us"})
    replaced = server.client.put(path, json={"name": "Other"}, headers=owner).json()
    assert (replaced["name"], replaced.get("description"), replaced["tags"]) == ("Other", None, {})
    gone = server.client.delete(path, headers=owner)
    assert (gone.status_code, gone.content) == (204, b"")
    assert server.client.get(path, headers=owner).status_code == 404
    assert server.client.delete(path, headers=owner).status_code == 404


@pytest.mark.parametrize(
    "tags", [{"k" * 28: "v"}, {"k": "v" * 101}, {"": "v"}, {f"k{i}": "v" for i in range(11)}, {"k": 1}]
)
def test_tags_keep_codats_limits(server, owner, tags):
    assert (
        server.client.post("/companies", json={"name": "X", "tags": tags}, headers=owner).status_code == 400
    )


def test_companies_can_be_asked_by_tags_and_by_their_connections(server, owner):
    client = server.client
    client.patch(f"/companies/{JUNIPER}", json={"tags": {"region": "us", "tier": "gold"}}, headers=owner)

    def found(**ask):
        return [c["id"] for c in client.get("/companies", params=ask, headers=owner).json()["results"]]

    assert found(tags="region=US && tier~ol") == [JUNIPER]
    assert found(tags="region!=us") == [RIVAL]
    assert found(query="dataConnections.status=deauthorized") == [RIVAL]
    assert found(query="name~TRADERS") == [RIVAL]
    assert found(orderBy="name") == [JUNIPER, RIVAL]
    assert found(orderBy="-lastSync") == [JUNIPER, RIVAL]
    assert client.get("/companies?query=nope=1", headers=owner).status_code == 400
    assert client.get("/companies?tags=region", headers=owner).status_code == 400


def test_a_new_connection_waits_for_its_merchant_and_has_no_data_yet(server, owner):
    path = f"/companies/{JUNIPER}/connections"
    made = server.client.post(path, json={"platformKey": "fqly"}, headers=owner)
    assert (made.status_code, made.json()["status"]) == (200, "PendingAuth")
    assert "lastSync" not in made.json()
    here = f"{path}/{made.json()['id']}"
    assert server.client.get(f"{here}/data/commerce-orders", headers=owner).status_code == 409
    assert server.client.post(path, json={"platformKey": "gbol"}, headers=owner).status_code == 400
    assert server.client.patch(here, json={"status": "Unlinked"}, headers=owner).status_code == 400
    gone = server.client.delete(here, headers=owner)
    assert (gone.status_code, gone.content) == (200, b"")
    assert server.client.get(here, headers=owner).status_code == 404
    listed = server.client.get(path, headers=owner).json()["results"]
    assert made.json()["id"] not in [c["id"] for c in listed]


def test_unlinked_and_deauthorized_connections_still_serve_what_was_synced(server, owner):
    path = f"/companies/{JUNIPER}/connections/{SHOP}"
    unlinked = server.client.patch(path, json={"status": "Unlinked"}, headers=owner)
    assert (unlinked.status_code, unlinked.json()["status"]) == (200, "Unlinked")
    assert server.client.get(ORDERS, headers=owner).json()["totalResults"] == 30
    rival = f"/companies/{RIVAL}/connections/{RIVAL_SHOP}"
    assert server.client.get(rival, headers=owner).json()["status"] == "Deauthorized"
    assert server.client.get(f"{rival}/data/commerce-orders", headers=owner).json()["totalResults"] == 5
    assert server.client.patch(path, json={"status": "Linked"}, headers=owner).status_code == 400


def test_what_is_wrong_with_a_connection_is_said_with_a_code_that_is_text(books, server):
    books.runs.append(
        (
            "r9",
            RIVAL,
            RIVAL_SHOP,
            "sync",
            books.runs[-1][4].replace(hour=9),
            books.runs[-1][5],
            "failed",
            "authorisation",
        )
    )
    books.publish()
    path = f"/companies/{RIVAL}/connections/{RIVAL_SHOP}"
    connection = server.client.get(path, headers=server.key("read")).json()
    [error] = connection["dataConnectionErrors"]
    assert (error["statusCode"], error["status"]) == ("401", "Active")
    assert connection["lastSync"] == "2026-11-18T05:00:20Z"


def test_a_key_for_some_companies_cannot_make_new_ones(server):
    headers = server.key("read", "write", companies=[JUNIPER])
    assert server.client.post("/companies", json={"name": "X"}, headers=headers).status_code == 403


def test_a_deleted_company_stays_deleted_though_the_configuration_still_names_it(server, owner):
    from connector.control.companies import take_from_config

    server.client.delete(f"/companies/{RIVAL}", headers=owner)
    take_from_config(
        server.state.control, [(RIVAL, "Rival Traders", [RIVAL_SHOP])], now=server.state.settings.clock()
    )
    assert server.client.get(f"/companies/{RIVAL}", headers=owner).status_code == 404
    path = f"/companies/{RIVAL}/connections/{RIVAL_SHOP}/data/commerce-orders"
    assert server.client.get(path, headers=owner).status_code == 404


def test_changes_are_told_to_webhooks(server, owner):
    hook = server.client.post("/webhooks", json={"url": "https://lender.example.com/x"}, headers=owner).json()
    path = f"/companies/{JUNIPER}/connections/{SHOP}"
    server.client.patch(path, json={"status": "Unlinked"}, headers=owner)
    server.client.delete(path, headers=owner)
    told = outbox.deliveries_to(server.state.control, hook["id"])
    assert [d.event_type for d in reversed(told)] == ["connection.disconnected", "connection.deleted"]
