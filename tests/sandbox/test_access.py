"""Tokens, permissions, and OAuth pairs that expire and are refreshed once."""

from dataclasses import replace

import pytest

from connector.sandbox import PLAIN, Merchant, World
from connector.sandbox.access import PERMISSIONS, Access


def as_token(caller, token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_an_unknown_token_gets_a_bare_401(serve, world):
    caller = serve(world)
    for headers in ({"Authorization": "Bearer no"}, {"Authorization": caller.sandbox.token}):
        answer = caller.http.get("/v1/orders", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"message": "401 Unauthorized"})


def test_each_token_opens_its_own_merchants_world(serve, t):
    worlds = {f"token-{at}": World(Merchant(id=f"MERCHANT{at:05d}"), seed=at) for at in range(40)}
    for world in worlds.values():
        world.sell(t)
    caller = serve(worlds)
    for token, world in worlds.items():
        page = caller.http.get("/v1/orders", headers=as_token(caller, token)).json()
        assert [row["id"] for row in page["data"]] == list(world.orders.by_id)
    other = caller.http.get("/v3/merchants/MERCHANT00001", headers=as_token(caller, "token-0"))
    assert other.status_code == 401
    assert {entry.merchant for entry in caller.sandbox.log} == {one.merchant.id for one in worlds.values()}


@pytest.mark.parametrize(
    ("missing", "refused"), [("READ_ORDERS", {"orders"}), ("READ_PAYMENTS", {"charges", "orders", "refunds"})]
)
def test_a_missing_permission_refuses_the_streams_that_need_it(serve, world, missing, refused):
    caller = serve(world)
    caller.sandbox.access.grant("less", world, permissions=PERMISSIONS - {missing})
    for stream in ("charges", "orders", "refunds"):
        answer = caller.http.get(f"/v1/{stream}", headers=as_token(caller, "less"))
        assert answer.status_code == (403 if stream in refused else 200)
        if stream in refused:
            assert answer.json()["error"]["message"] == f"Missing permission {missing}."


def test_one_stream_can_be_denied_alone_and_as_a_401(serve, world):
    caller = serve(world)
    caller.sandbox.access.grant("less", world, denied={"refunds"})
    assert caller.http.get("/v1/charges", headers=as_token(caller, "less")).status_code == 200
    assert caller.http.get("/v1/refunds", headers=as_token(caller, "less")).status_code == 403
    caller.sandbox.shapes = replace(PLAIN, permission_status=401)
    assert caller.http.get("/v1/refunds", headers=as_token(caller, "less")).status_code == 401


def test_an_access_token_expires_and_its_refresh_token_works_once(serve, world):
    now = [1_795_000_000.0]
    access = Access(clock=lambda: now[0], access_seconds=1800)
    caller = serve(world, access=access)
    pair = access.pair(world)
    assert pair["access_token_expiration"] == 1_795_001_800
    assert pair["refresh_token_expiration"] - pair["access_token_expiration"] == 365 * 86_400
    assert caller.http.get("/v1/orders", headers=as_token(caller, pair["access_token"])).status_code == 200
    now[0] += 1800
    assert caller.http.get("/v1/orders", headers=as_token(caller, pair["access_token"])).status_code == 401
    body = {"client_id": access.client_id, "refresh_token": pair["refresh_token"]}
    fresh = caller.http.post("/oauth/v2/refresh", json=body).json()
    assert caller.http.get("/v1/orders", headers=as_token(caller, fresh["access_token"])).status_code == 200
    assert fresh["refresh_token"] != pair["refresh_token"]
    assert caller.http.post("/oauth/v2/refresh", json=body).status_code == 401
    assert (access.refreshes, access.refused_refreshes) == (1, 1)


def test_a_token_can_die_in_the_middle_of_a_run_and_an_app_be_removed(serve, world):
    caller = serve(world)
    access = caller.sandbox.access
    pair = access.pair(world)
    access.expire(pair["access_token"])
    headers = as_token(caller, pair["access_token"])
    assert caller.http.get("/v1/orders", headers=headers).status_code == 401
    access.revoke(world)
    body = {"client_id": access.client_id, "refresh_token": pair["refresh_token"]}
    assert caller.http.post("/oauth/v2/refresh", json=body).status_code == 401
    assert caller.get("/v1/orders").status_code == 401


def test_a_merchant_authorises_in_the_browser_and_the_code_is_good_once(serve, world):
    caller = serve(world)
    access = caller.sandbox.access
    params = {"client_id": access.client_id, "redirect_uri": "http://127.0.0.1:9/back", "state": "s 1"}
    sent = caller.http.get("/oauth/v2/authorize", params=params)
    assert sent.status_code == 302
    query = dict(sent.next_request.url.params)
    assert (query["merchant_id"], query["state"]) == (world.merchant.id, "s 1")
    body = {
        "client_id": access.client_id,
        "client_secret": access.client_secret,
        "code": query["code"],
    }
    assert caller.http.post("/oauth/v2/token", json={**body, "client_secret": "x"}).status_code == 401
    pair = caller.http.post("/oauth/v2/token", json=body).json()
    assert set(pair) == {
        "access_token",
        "access_token_expiration",
        "refresh_token",
        "refresh_token_expiration",
    }
    assert caller.http.post("/oauth/v2/token", json=body).status_code == 401


def test_only_reads_are_answered(serve, world):
    caller = serve(world)
    assert caller.http.post("/v1/orders", json={}).status_code == 405
    assert caller.get("/v1/customers").status_code == 404
    assert caller.json("/pakms/apikey")["merchantUuid"] == world.merchant.id
