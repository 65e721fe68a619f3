"""A lender never learns that a company it may not see exists: keys x companies x routes."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JUNIPER, RIVAL = "8a210b68-6988-11ed-a1eb-0242ac120002", "11111111-aaaa-4bbb-8ccc-0242ac120009"
SHOP, RIVAL_SHOP, ABSENT = (
    "2e9d2c44-f675-40ba-8049-353bfcb5e171",
    "n-rival",
    "99999999-aaaa-4bbb-8ccc-0242ac120009",
)
RIVAL_WORDS = (RIVAL, RIVAL_SHOP, "Rival", "RIVAL", "777.77", "RCH0", "RC1", "r2")
BODY = {"name": "X", "platformKey": "fqly", "status": "Unlinked", "url": "https://example.com"}


@pytest.fixture(scope="module")
def routes(shared):
    """(method, path) of every route, as OpenAPI lists them."""
    paths = shared.client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, operations in paths.items() for method in operations]


def filled(path, company, connection):
    path = path.replace("{companyId}", company).replace("{connectionId}", connection)
    path = path.replace("{dataType}", "commerce-orders").replace("{orderId}", "RIVAL0")
    return re.sub(r"\{\w+\}", "RIVAL0", path)


def without_ids(response, *ids):
    """An answer with everything removed that the request itself named or that differs between any two answers."""
    body = response.text
    for name in ids:
        body = body.replace(name, "*")
    try:
        parsed = json.loads(body)
        parsed.pop("correlationId", None)
        body = json.dumps(parsed, sort_keys=True)
    except (ValueError, AttributeError):
        pass
    skipped = {"x-correlation-id", "content-length", "x-rate-limit-remaining", "x-rate-limit-reset"}
    headers = {k: v for k, v in response.headers.items() if k not in skipped}
    return response.status_code, headers, body


PARAMETERS = {
    "reportDate": "2026-10-31", "periodLength": "1", "numberOfPeriods": "1", "periodUnit": "Month",
}  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_company_out_of_sight_answers_exactly_like_one_that_is_not_there(shared, routes, data):
    """The same status, headers and body for RIVAL, which exists, and for an id that does not; on every route."""
    method, path = data.draw(st.sampled_from([r for r in routes if "{companyId}" in r[1]]))
    scopes = data.draw(st.sets(st.sampled_from(["read", "write", "lineage"]), min_size=1))
    extra = data.draw(
        st.sampled_from([{}, {"asOf": "2"}, {"query": "totalAmount=777.77"}, {"page": "2"}, {"query": "x"}])
    )
    headers = shared.key(*scopes, companies=[JUNIPER])
    wants = data.draw(st.sampled_from(["application/json", "application/x-ndjson"]))

    def ask(company, connection):
        return shared.client.request(
            method, filled(path, company, connection), headers={**headers, "Accept": wants},
            params={**PARAMETERS, **extra}, json=BODY if method in ("POST", "PUT", "PATCH") else None,
        )  # fmt: skip

    seen = without_ids(ask(RIVAL, RIVAL_SHOP), RIVAL, RIVAL_SHOP)
    absent = without_ids(ask(ABSENT, "n-nope0"), ABSENT, "n-nope0")
    assert seen == absent
    assert seen[0] in (400, 403, 404)
    if "{connectionId}" in path:
        crossed = ask(JUNIPER, RIVAL_SHOP)
        assert crossed.status_code in (400, 403, 404)
        assert "777.77" not in crossed.text.replace("totalAmount=777.77", "")


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_no_byte_of_the_rival_is_in_any_answer_to_a_key_of_juniper(shared, routes, accept):
    headers = {**shared.key("read", "lineage", companies=[JUNIPER]), "Accept": accept}
    for method, path in routes:
        if method != "GET" or path == "/openapi.json":
            continue
        address = (
            path.replace("{companyId}", JUNIPER)
            .replace("{connectionId}", SHOP)
            .replace("{orderId}", "00ORDER")
        )
        answer = shared.client.get(re.sub(r"\{\w+\}", "CH00", address), headers=headers, params=PARAMETERS)
        assert not [word for word in RIVAL_WORDS if word in answer.text], path
        assert not [word for word in RIVAL_WORDS if word in str(answer.headers)], path


def test_counts_do_not_count_the_others(shared):
    mine, all_of_them = shared.key("read", companies=[JUNIPER]), shared.key("read")
    assert shared.client.get("/companies", headers=mine).json()["totalResults"] == 1
    assert shared.client.get("/companies", headers=all_of_them).json()["totalResults"] == 2
    none = shared.client.get(f"/companies?query=id={RIVAL}", headers=mine).json()
    assert (none["results"], none["totalResults"]) == ([], 0)


def test_a_snapshot_of_another_company_cannot_be_told_from_one_that_is_not_there(shared):
    """Snapshot 2 is the rival's; for Juniper it is only a moment between its own 1 and 3."""
    headers = shared.key("read", companies=[JUNIPER])
    orders = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders?asOf=2"
    assert shared.client.get(orders, headers=headers).headers["x-snapshot-id"] == "1"
    rival = f"/companies/{RIVAL}/connections/{RIVAL_SHOP}/data/commerce-orders"
    beyond = shared.client.get(f"{rival}?asOf=3", headers=shared.key("read", companies=[RIVAL]))
    assert beyond.status_code == 400
    assert "its newest is 2" in beyond.json()["error"]


def test_a_webhook_made_with_a_narrow_key_hears_only_of_its_companies(server):
    narrow, wide = server.key("read", "write", companies=[RIVAL]), server.key("read", "write")
    hook = server.client.post(
        "/webhooks", json={"url": "https://lender.example.com/x"}, headers=narrow
    ).json()
    juniper = server.key("read", "write", companies=[JUNIPER])
    assert server.client.get("/webhooks", headers=juniper).json() == {"results": []}
    assert server.client.delete(f"/webhooks/{hook['id']}", headers=juniper).status_code == 404
    assert [h["id"] for h in server.client.get("/webhooks", headers=wide).json()["results"]] == [hook["id"]]
    server.client.delete(f"/companies/{JUNIPER}", headers=wide)
    assert server.client.get(f"/webhooks/{hook['id']}/deliveries", headers=narrow).json() == {"results": []}
    server.client.delete(f"/companies/{RIVAL}", headers=wide)
    told = server.client.get(f"/webhooks/{hook['id']}/deliveries", headers=narrow).json()["results"]
    assert [delivery["eventType"] for delivery in told] == ["company.deleted"]
