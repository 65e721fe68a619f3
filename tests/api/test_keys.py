"""Keys: how they are shown and kept, what they may do, how they end; how wrong ones are answered; quotas."""

import base64
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from connector.api.door.auth import secret_of
from connector.api.door.limits import MOST_FAILURES, FailedAttempts, RequestQuota
from connector.control import keys as api_keys

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"
NOW = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        (basic("cck_a_b"), "cck_a_b"),
        (basic("cck_a_b:"), "cck_a_b"),
        (basic("cck_a_b:x"), "cck_a_b:x"),
        ("basic " + base64.b64encode(b"k").decode(), "k"),
        ("Bearer cck_a_b", "cck_a_b"),
        ("bearer  cck_a_b ", "cck_a_b"),
        ("Basic not*base64", None),
        ("Basic " + base64.b64encode(b"\xff\xfe").decode(), None),
        (basic(":"), None),
        ("Digest x", None),
        ("Bearer", None),
        ("", None),
        (None, None),
    ],
)
def test_a_key_is_read_in_codats_form_and_as_a_bearer_token(header, secret):
    assert secret_of(header) == secret


@pytest.mark.parametrize("form", [basic, lambda s: basic(s + ":"), lambda s: "Bearer " + s])
def test_a_good_key_opens_the_door_in_every_form(shared, form):
    _key, secret = api_keys.create_key(shared.state.control, "lender", now=NOW)
    assert shared.client.get("/companies", headers={"Authorization": form(secret)}).status_code == 200


def test_a_key_is_random_shown_once_and_kept_as_a_hash(server):
    made = [api_keys.create_key(server.state.control, "lender", now=NOW)[1] for _ in range(20)]
    assert len({secret.rsplit("_", 1)[-1] for secret in made}) == 20
    assert all(len(secret.split("_", 2)[2]) == 43 for secret in made)  # 256 bits
    server.state.control.write("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = b"".join(path.read_bytes() for path in server.books.directory.glob("control.sqlite*"))
    assert not any(secret.split("_", 2)[2].encode() in kept for secret in made)


@pytest.mark.parametrize("wrong", [None, "Basic", basic("cck_nobody_x"), basic("x" * 5000), "Bearer cck__"])
def test_a_missing_or_wrong_key_is_a_401_and_tells_nothing_about_the_path(shared, wrong):
    headers = {} if wrong is None else {"Authorization": wrong}
    answers = [
        shared.client.get(path, headers=headers)
        for path in ("/companies", ORDERS, "/companies/nope", "/nothing/at/all")
    ]
    assert {a.status_code for a in answers} <= {401, 429}
    assert len({a.json()["error"] for a in answers if a.status_code == 401}) <= 1


def test_the_right_id_with_another_secret_is_wrong(shared):
    key, secret = api_keys.create_key(shared.state.control, "lender", now=NOW)
    assert api_keys.find_key(shared.state.control, secret, now=NOW) == key
    assert api_keys.find_key(shared.state.control, secret[:-1] + "x", now=NOW) is None
    assert api_keys.find_key(shared.state.control, f"cck_{key.key_id}_", now=NOW) is None


def test_a_revoked_key_is_refused_at_once_and_an_expired_one_on_time(server):
    key, secret = api_keys.create_key(server.state.control, "lender", now=NOW)
    headers = {"Authorization": basic(secret)}
    assert server.client.get("/companies", headers=headers).status_code == 200
    assert api_keys.revoke_key(server.state.control, key.key_id, now=NOW)
    assert server.client.get("/companies", headers=headers).status_code == 401
    assert not api_keys.revoke_key(server.state.control, key.key_id, now=NOW)
    _, short = api_keys.create_key(server.state.control, "x", now=NOW, expires=NOW + timedelta(hours=1))
    assert api_keys.find_key(server.state.control, short, now=NOW + timedelta(minutes=59))
    assert api_keys.find_key(server.state.control, short, now=NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (("read",), "GET", "/companies", 200),
        (("write",), "GET", "/companies", 403),
        (("read",), "DELETE", f"/companies/{JUNIPER}", 403),
        (("read",), "DELETE", "/companies/nope", 403),
        (("read",), "POST", f"/companies/{JUNIPER}/data/all", 403),
        (("read",), "GET", f"{ORDERS}/00ORDER/lineage", 403),
        (("read",), "GET", f"{ORDERS}/nope/lineage", 403),
        (("lineage",), "GET", f"{ORDERS}/00ORDER/lineage", 200),
        (("lineage",), "GET", f"{ORDERS}/00ORDER", 403),
    ],
)
def test_a_key_does_only_what_its_scopes_allow(shared, scopes, method, path, status):
    assert shared.client.request(method, path, headers=shared.key(*scopes)).status_code == status


def test_wrong_keys_wait_longer_each_time_and_then_are_refused_unread():
    now = [0.0]
    failures = FailedAttempts(clock=lambda: now[0])
    waits = [failures.add("10.0.0.1") for _ in range(MOST_FAILURES + 1)]
    assert waits[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert max(w for w in waits[:-1] if w is not None) <= 2.0  # Codat's clients give up after five seconds
    assert waits[-1] is None
    assert failures.add("10.0.0.2") == 0.1
    now[0] = 61
    assert failures.add("10.0.0.1") == 0.1


def test_an_address_with_too_many_wrong_keys_gets_429_but_a_good_key_from_it_works(server):
    for _ in range(MOST_FAILURES):
        server.state.failures.add("testclient")
    refused = server.client.get("/companies", headers={"Authorization": "Bearer cck_x_y"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert server.client.get("/companies", headers=server.key("read")).status_code == 200


def test_a_quota_counts_by_key_and_minute_and_says_what_is_left():
    now = [datetime(2026, 11, 20, 4, 30, 50, tzinfo=UTC)]
    quota = RequestQuota(2, clock=lambda: now[0])
    taken = [quota.take("k") for _ in range(3)]
    assert [q.remaining for q in taken] == [1, 0, 0]
    assert [q.exceeded for q in taken] == [False, False, True]
    assert taken[2].wait == 10
    assert taken[2].resets == datetime(2026, 11, 20, 4, 31, tzinfo=UTC)
    assert not quota.take("other").exceeded
    assert quota.take("generous", 5).remaining == 4
    now[0] += timedelta(seconds=10)
    assert not quota.take("k").exceeded


def test_every_answer_to_a_key_carries_the_rate_headers_and_429_the_wait(server):
    headers = server.key("read", requests_per_minute=2)
    answers = [server.client.get(path, headers=headers) for path in ("/companies", "/nope", "/companies")]
    assert [a.status_code for a in answers] == [200, 404, 429]
    assert [a.headers["x-rate-limit-remaining"] for a in answers] == ["1", "0", "0"]
    assert {a.headers["x-rate-limit-limit"] for a in answers} == {"2"}
    assert {a.headers["x-rate-limit-reset"] for a in answers} == {"2026-11-20T04:31:00Z"}
    assert answers[2].headers["retry-after"] == "60"
    assert answers[2].json()["canBeRetried"] == "True"


def test_keys_are_listed_without_their_secret(server):
    server.key("read", companies=[JUNIPER])
    [key] = api_keys.list_keys(server.state.control)
    assert dataclasses.asdict(key).keys().isdisjoint({"secret", "secret_hash"})
    assert key.companies == {JUNIPER}
    with pytest.raises(ValueError, match="unknown scopes"):
        api_keys.create_key(server.state.control, "x", now=NOW, scopes=["admin"])


def test_the_control_file_can_be_read_by_its_owner_alone(server):
    assert (server.books.directory / "control.sqlite").stat().st_mode & 0o077 == 0
