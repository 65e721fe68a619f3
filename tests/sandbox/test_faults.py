"""Every fault does on a real socket what it says, and only to the requests it was scripted for."""

import json
import threading
import time

import httpx
import pytest

from connector.sandbox import PLAIN, Sandbox, World
from connector.sandbox.faults import (
    cut_off,
    drip,
    duplicates,
    empty_page,
    envelope,
    error,
    giant_page,
    hang,
    html,
    poison,
    reset,
    says_more,
    stuck,
    truncated,
)


@pytest.fixture
def caller(serve, t):
    world = World(seed=7)
    for number in range(150):
        world.sell(t + number * 1000)
    return serve(world)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 504])
def test_an_error_status_comes_once_and_then_all_is_well(caller, status):
    caller.sandbox.faults.first(error(status))
    answer = caller.get("/v1/charges")
    assert answer.status_code == status
    assert answer.json()["message"].startswith(str(status))
    assert caller.get("/v1/charges").status_code == 200


def test_errors_come_as_html_empty_or_with_another_status_inside(caller):
    for at, body in enumerate(("html", "empty", "404", "none"), start=1):
        caller.sandbox.faults.at_request(at, error(503 if body != "404" else 400, body=body))
    page, empty, inside, bare = (caller.get("/v1/orders") for _ in range(4))
    assert page.headers["content-type"] == "text/html"
    assert b"<html>" in page.content
    assert (empty.status_code, empty.content) == (503, b"")
    assert (inside.status_code, inside.json()["message"]) == (400, "404 Not Found")
    assert bare.json() == {"message": "503 Service Unavailable"}


def test_a_429_may_say_when_to_come_back(caller):
    caller.sandbox.faults.first(error(429, retry_after=21))
    answer = caller.get("/v1/orders")
    assert (answer.headers["retry-after"], answer.headers["x-ratelimit-tokenconcurrentlimit"]) == ("21", "5")
    assert answer.json() == {"message": "429 Too Many Requests"}
    caller.sandbox.faults.first(error(429))
    assert "retry-after" not in caller.get("/v1/orders").headers


@pytest.mark.parametrize("fault", [reset(), cut_off()])
def test_a_connection_breaks_before_or_inside_the_body(caller, fault):
    caller.sandbox.faults.first(fault)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        caller.get("/v1/orders")
    assert caller.get("/v1/orders").status_code == 200


def test_json_is_cut_and_html_comes_with_status_200(caller):
    caller.sandbox.faults.at_request(1, truncated())
    caller.sandbox.faults.at_request(2, html())
    for _ in range(2):
        answer = caller.get("/v1/orders")
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()


def test_a_slow_answer_drips_and_arrives_whole(caller):
    caller.sandbox.faults.first(drip(0.002))
    started = time.monotonic()
    assert len(caller.ids("/v1/orders", limit=100)) == 100
    assert time.monotonic() - started >= 0.03


def test_a_hanging_answer_outlasts_the_client_and_ends_with_the_sandbox(t):
    world = World()
    world.sell(t)
    sandbox = Sandbox(world, shapes=PLAIN).start()
    sandbox.faults.first(hang())
    url, token = f"{sandbox.base_url}/v1/orders", {"Authorization": f"Bearer {sandbox.token}"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url, headers=token, timeout=0.05, verify=False)
    sandbox.faults.clear()
    sandbox.faults.first(hang())
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(httpx.TransportError):
            httpx.get(url, headers=token, timeout=30, verify=False)
        ended.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while len(sandbox.faults.injected) < 2:
        time.sleep(0.001)
    sandbox.stop()
    waiting.join(5)
    assert ended.is_set()


def test_a_stuck_cursor_serves_the_first_page_for_ever(caller):
    first = caller.ids("/v1/orders")
    caller.sandbox.faults.always(stuck())
    for _ in range(3):
        page = caller.json("/v1/orders", starting_after=first[-1])
        assert [row["id"] for row in page["data"]] == first
        assert page["has_more"] is True


def test_pages_are_empty_or_lie_about_more(caller):
    caller.sandbox.faults.at_request(1, empty_page())
    caller.sandbox.faults.at_request(2, says_more(False))
    caller.sandbox.faults.at_request(3, says_more(True))
    empty, less, more = (caller.json("/v1/orders", limit=100) for _ in range(3))
    assert (empty["data"], empty["has_more"]) == ([], True)
    assert (len(less["data"]), less["has_more"]) == (100, False)
    assert more["has_more"] is True


def test_rows_come_twice_and_pages_are_larger_than_asked(caller):
    caller.sandbox.faults.at_request(1, duplicates())
    caller.sandbox.faults.at_request(2, giant_page(140))
    twice, giant = caller.ids("/v1/orders", limit=9), caller.ids("/v1/orders", limit=9)
    assert (len(twice), len(set(twice))) == (12, 9)
    assert len(set(giant)) == 140


def test_envelopes_change(caller):
    for at, form in enumerate(("elements", "bare", "nothing"), start=1):
        caller.sandbox.faults.at_request(at, envelope(form))
    elements, bare, nothing = (caller.json("/v1/orders") for _ in range(3))
    assert len(elements["data"]["elements"]) == len(bare) == 10
    assert "data" not in nothing


@pytest.mark.parametrize("form", ["amount", "no_id", "not_an_object", "null_items"])
def test_one_record_of_a_page_is_poison_and_the_others_are_not(caller, form):
    def is_poison(row) -> bool:
        return not isinstance(row, dict) or "id" not in row or row["amount"] == "abc" or row["items"] is None

    caller.sandbox.faults.first(poison(form))
    rows = caller.json("/v1/orders", limit=9)["data"]
    assert [is_poison(row) for row in rows] == [False] * 4 + [True] + [False] * 4


def test_a_record_read_by_id_can_be_poison_too(caller):
    order = caller.ids("/v1/orders")[0]
    caller.sandbox.faults.first(poison(), path="/v1/orders/*")
    assert caller.json(f"/v1/orders/{order}")["amount"] == "abc"
    assert caller.json(f"/v1/orders/{order}")["amount"] == 2400


def test_faults_keep_to_their_path(caller):
    caller.sandbox.faults.always(error(503), path="/v1/refunds")
    caller.sandbox.faults.first(error(500), path="/v1/orders/*")
    order = caller.ids("/v1/orders")[0]
    assert caller.get("/v1/refunds").status_code == 503
    assert caller.get(f"/v1/orders/{order}").status_code == 500
    assert caller.get(f"/v1/orders/{order}").status_code == 200


def test_a_rate_hits_the_same_requests_for_the_same_seed(caller):
    def statuses(seed: int) -> list[int]:
        caller.sandbox.faults.clear()
        caller.sandbox.faults.rate(error(503), 0.3, seed)
        return [caller.get("/v1/charges", limit=1).status_code for _ in range(40)]

    once = statuses(1)
    assert 4 <= once.count(503) <= 22
    assert statuses(1) == once
    assert statuses(2) != once


def test_the_log_knows_every_request_and_no_token(caller):
    caller.sandbox.faults.first(reset(), path="/v1/refunds")
    order = caller.ids("/v1/orders", limit=1)[0]
    caller.get(f"/v1/orders/{order}")
    with pytest.raises(httpx.TransportError):
        caller.get("/v1/refunds")
    log = list(caller.sandbox.log)
    assert [(entry.path, entry.status, entry.fault) for entry in log] == [
        ("/v1/orders", 200, ""),
        (f"/v1/orders/{order}", 200, ""),
        ("/v1/refunds", 0, "reset"),
    ]
    assert log[0].params == (("limit", "1"),)
    assert log[0].merchant == caller.sandbox.world.merchant.id
    assert caller.sandbox.token not in repr(log)
    assert caller.sandbox.requests("/v1/orders") == 2
    assert caller.sandbox.counts["GET /v1/orders/{id} 200"] == 1
    caller.sandbox.clear_log()
    assert caller.sandbox.requests() == 0


def test_latency_is_added_to_every_answer(caller):
    caller.sandbox.latency_seconds = 0.03
    started = time.monotonic()
    caller.get("/v1/orders")
    assert time.monotonic() - started >= 0.03
