"""Webhooks: signatures, what is told and to whom, retries, giving up."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from connector.api.webhook_delivery import Dispatcher, deliver, notice, send, signed_headers
from connector.control import outbox
from connector.control import webhooks as api_webhooks
from connector.control.file import moment_of
from connector.outbound import outbound_client

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
SHOP, RIVAL_SHOP = "2e9d2c44-f675-40ba-8049-353bfcb5e171", "n-rival"


class Endpoint:
    """A lender's endpoint: answers what it is told to and keeps what it got."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.got = []

    def client(self):
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request):
        self.got.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise httpx.ConnectError("no route")
        return httpx.Response(status)


@pytest.fixture
def hook(server):
    headers = server.key("read", "write")
    made = server.client.post(
        "/webhooks", json={"url": "https://lender.example.com/x", "eventTypes": []}, headers=headers
    )
    assert made.status_code == 201
    return made.json()


def test_a_signature_is_the_worked_one_of_the_scheme():
    """The example of the Standard Webhooks documentation."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
    )


def test_a_finished_read_is_told_once_signed_and_in_codats_envelope(server, hook, monkeypatch):
    assert notice(server.state) > 0
    assert notice(server.state) == 0
    endpoint = Endpoint()
    deliver(server.state, endpoint.client())
    events = [json.loads(request.content) for request in endpoint.got]
    mine = [e for e in events if e["payload"]["referenceCompany"]["id"] == JUNIPER]
    assert [e["eventType"] for e in mine].count("read.completed.initial") == 1
    assert [e["eventType"] for e in mine].count("read.completed") == 2
    assert [e["eventType"] for e in mine].count("connection.connected") == 1
    read = next(e for e in mine if e["eventType"] == "read.completed")
    assert read.keys() == {"id", "eventType", "generatedDate", "payload"}
    assert {"connectionId", "dataType", "recordsModified", "status", "issues"} == read["payload"][
        "dataTypes"
    ][0].keys()
    request = endpoint.got[0]
    verifier = Verifier(hook["secret"])
    monkeypatch.setattr(verifier, "_Webhook__verify_timestamp", lambda *_a: None, raising=False)
    stamp = datetime.fromtimestamp(
        int(request.headers["webhook-timestamp"]), tz=server.state.settings.clock().tzinfo
    )
    assert (
        verifier.sign(request.headers["webhook-id"], stamp, request.content.decode())
        == request.headers["webhook-signature"]
    )
    assert json.loads(request.content)["id"] == request.headers["webhook-id"]


def test_a_delivery_is_tried_again_at_codats_times_and_then_given_up(server, hook):
    clock = server.state.settings.clock()
    api_webhooks.note_event(server.state.control, "evt_1", "test", {}, now=clock)
    waits, now = [], clock
    for _ in range(8):
        [(delivery, to)] = api_webhooks.due_deliveries(server.state.control, now=now)
        tried = send(Endpoint(500).client(), to, delivery, timestamp=int(now.timestamp()))
        api_webhooks.record_attempt(
            server.state.control, delivery, status=tried.status, error=tried.error, now=now
        )
        [after] = outbox.deliveries_to(server.state.control, hook["id"])
        if after.next_try is None:
            break
        later = moment_of(after.next_try)
        waits.append((later - now).total_seconds())
        assert api_webhooks.due_deliveries(server.state.control, now=later - timedelta(seconds=1)) == []
        now = later
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 36000]
    assert (after.attempts, after.delivered, after.last_error) == (8, None, "answered 500")


def test_an_endpoint_that_fails_for_five_days_is_disabled_and_one_success_starts_anew(server, hook):
    start = server.state.settings.clock()

    def attempt(number, at, status):
        api_webhooks.note_event(server.state.control, f"evt_{number}", "test", {}, now=at)
        delivery = next(
            d for d in outbox.deliveries_to(server.state.control, hook["id"]) if d.event_id == f"evt_{number}"
        )
        api_webhooks.record_attempt(server.state.control, delivery, status=status, error="x", now=at)
        return api_webhooks.list_webhooks(server.state.control)[0]

    assert not attempt(1, start, 500).disabled
    assert attempt(2, start + timedelta(days=4), 204).failing_since is None
    assert not attempt(3, start + timedelta(days=4), 500).disabled
    assert not attempt(4, start + timedelta(days=8), 500).disabled
    assert attempt(5, start + timedelta(days=9), 500).disabled
    api_webhooks.note_event(server.state.control, "evt_6", "test", {}, now=start)
    assert "evt_6" not in [d.event_id for d in outbox.deliveries_to(server.state.control, hook["id"])]


def test_two_processes_send_a_delivery_once(server, hook):
    now = server.state.settings.clock()
    api_webhooks.note_event(server.state.control, "evt_1", "test", {}, now=now)
    [(delivery, _)] = api_webhooks.due_deliveries(server.state.control, now=now)
    claims = [outbox.claim(server.state.control, delivery, now=now) for _ in range(2)]
    assert claims == [True, False]


def test_no_answer_is_an_error_without_the_address_in_it(server, hook):
    now = server.state.settings.clock()
    api_webhooks.note_event(server.state.control, "evt_1", "test", {}, now=now)
    assert deliver(server.state, Endpoint(None).client()) == 1
    [delivery] = outbox.deliveries_to(server.state.control, hook["id"])
    assert (delivery.last_status, delivery.last_error) == (None, "ConnectError")


def test_a_lost_connection_is_told_as_disconnected_and_a_regained_one_as_reconnected(books, server, hook):
    """Only what changed is told; a connection that never was connected is not told to be lost."""

    def told():
        deliveries = outbox.deliveries_to(server.state.control, hook["id"])
        return [d.event_type for d in reversed(deliveries) if d.event_type.startswith("connection.")]

    for status in ("Linked", "Deauthorized", "Deauthorized", "Linked"):
        books.connections[0] = (JUNIPER, SHOP, status, "USD")
        books.publish()
        notice(server.state)
    assert told() == ["connection.connected", "connection.disconnected", "connection.reconnected"]


def test_events_go_only_where_they_are_wanted(server):
    headers = server.key("read", "write")

    def add(**more):
        return server.client.post(
            "/webhooks", json={"url": "https://l.example.com/", **more}, headers=headers
        ).json()["id"]

    every, reads, tagged = add(), add(eventTypes=["read.completed"]), add(companyTags=["region:us"])
    off = add(disabled=True)
    note = api_webhooks.note_event
    now = server.state.settings.clock()
    note(server.state.control, "e1", "read.completed", {}, now=now, company_id=JUNIPER, tags={"region": "us"})
    note(server.state.control, "e2", "company.deleted", {}, now=now, company_id=RIVAL, tags={})
    got = {
        h: [d.event_id for d in outbox.deliveries_to(server.state.control, h)]
        for h in (every, reads, tagged, off)
    }
    assert {h: sorted(e) for h, e in got.items()} == {
        every: ["e1", "e2"],
        reads: ["e1"],
        tagged: ["e1"],
        off: [],
    }


@pytest.mark.parametrize(
    "url",
    [
        "http://lender.example.com/x", "https://10.0.0.1/x", "https://2130706433/", "https://127.1/", "https://0x7f.1/",
        "http://127.0.0.1:8080/", "https://localhost/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest", "https://[fe80::1]/",
        "https://user:secret@lender.example.com/", "ftp://lender.example.com", "https://", "x", "https://h:99999/",
    ],
)  # fmt: skip
def test_an_address_that_could_reach_into_our_own_network_is_refused(server, url):
    headers = server.key("write")
    assert server.client.post("/webhooks", json={"url": url}, headers=headers).status_code == 400


def test_an_address_of_a_network_that_the_configuration_names_is_taken(server):
    server.state.settings = replace(server.state.settings, private_networks=["127.0.0.0/8"])
    headers = server.key("write")
    for url, status in (("http://127.0.0.1:8080/", 201), ("https://10.0.0.1/", 400)):
        assert server.client.post("/webhooks", json={"url": url}, headers=headers).status_code == status


def test_a_name_that_leads_into_our_own_network_is_not_reached_and_the_reason_kept(server, hook, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_a, **_m: [(2, 1, 6, "", ("169.254.169.254", 0))])
    now = server.state.settings.clock()
    api_webhooks.note_event(server.state.control, "evt_1", "test", {}, now=now)
    with outbound_client(()) as client:
        assert deliver(server.state, client) == 1
    [delivery] = outbox.deliveries_to(server.state.control, hook["id"])
    assert (delivery.last_status, delivery.last_error) == (None, "points into a private network")


def test_webhooks_are_listed_without_secrets_and_deleted_with_204(server, hook):
    headers = server.key("read", "write")
    listed = server.client.get("/webhooks", headers=headers)
    assert [h["id"] for h in listed.json()["results"]] == [hook["id"]]
    assert "whsec_" not in listed.text
    assert server.client.delete(f"/webhooks/{hook['id']}", headers=headers).status_code == 204
    assert server.client.delete(f"/webhooks/{hook['id']}", headers=headers).status_code == 404
    unknown = server.client.post(
        "/webhooks", json={"url": "https://l.example.com", "eventTypes": ["nope"]}, headers=headers
    )
    assert unknown.status_code == 400


def test_the_dispatcher_looks_again_only_when_something_new_is_published(server, hook, books):
    endpoint = Endpoint()
    dispatcher = Dispatcher(server.state, client=endpoint.client())
    dispatcher.once()
    first = len(endpoint.got)
    assert first > 0
    dispatcher.once()
    assert len(endpoint.got) == first
    books.run("r4", JUNIPER, SHOP, datetime(2026, 11, 20, 4))  # noqa: DTZ001
    books.publish()
    dispatcher.once()
    assert len(endpoint.got) == first + 1


def test_a_reconciliation_is_no_read_and_is_told_to_nobody(server, hook, books):
    notice(server.state)
    deliver(server.state, Endpoint().client())
    at = datetime(2026, 11, 21, 4)  # noqa: DTZ001
    books.runs.append(("r8", JUNIPER, SHOP, "reconcile", at, at + timedelta(seconds=9), "succeeded", None))
    books.publish()
    assert notice(server.state) == 0
