"""One GET: what is retried, what is raised, what is counted, what is never shown."""

import logging
from itertools import pairwise

import httpx
import pytest

from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient, Limits
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.responses import BadRequest, BodyTooLarge, NotFound, retry_after
from connector.clover.http.retry import RetryPolicy, wait_seconds
from connector.clover.lists.by_id import read_one
from connector.clover.lists.streams import CHARGES
from connector.errors import (
    CloverError,
    CloverUnavailable,
    ConfigError,
    Deauthorized,
    PermissionMissing,
    Throttled,
)

GOOD = {"object": "list", "has_more": False, "data": []}


class Script:
    """Answers in turn; the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given(request) if callable(given) else given


def html(status):
    return httpx.Response(status, content=b"<html><head><title>502 Bad Gateway</title></head></html>")


@pytest.mark.parametrize(
    "bad",
    [
        httpx.Response(500, json={"message": "500 Internal Server Error"}),
        html(502),
        httpx.Response(503, content=b""),
        httpx.Response(504, json={"message": "504 Gateway Timeout"}),
        html(200),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b'{"object":"list","data":[{"id":"C1","amo'),
        httpx.Response(200, json={"message": "503 Service Unavailable", "error": {"type": "api_error"}}),
        httpx.Response(429, json={"message": "429 Too Many Requests"}),
        httpx.Response(408),
        httpx.ReadTimeout("slow"),
        httpx.ConnectTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("cut off"),
    ],
    ids=lambda bad: bad.__class__.__name__ if isinstance(bad, Exception) else f"{bad.status_code}",
)
def test_a_passing_failure_is_tried_again_and_counted(client_for, clock, bad):
    script = Script(bad, httpx.Response(200, json=GOOD))
    client = client_for(script, clock)
    assert client.get_json("/v1/charges") == GOOD
    assert client.meter.requests == 2
    assert client.meter.retries == 1
    assert len(clock.slept) == 1
    assert 0.5 <= clock.slept[0] <= 1.25


def test_a_lasting_failure_is_given_up_after_bounded_attempts_and_time(client_for, clock):
    client = client_for(Script(httpx.Response(503)), clock)
    with pytest.raises(CloverUnavailable) as error:
        client.get_json("/v1/charges")
    assert error.value.status == 503
    assert "8 attempts" in error.value.message
    assert client.meter.by_status == {503: 8}
    assert sum(clock.slept) <= 300
    assert all(later > earlier * 0.9 for earlier, later in pairwise(clock.slept))


def test_no_attempt_starts_after_the_total_time(client_for, clock):
    client = client_for(
        Script(httpx.Response(503)), clock, policy=RetryPolicy(attempts=100, total_seconds=60)
    )
    with pytest.raises(CloverUnavailable):
        client.get_json("/v1/charges")
    assert sum(clock.slept) <= 60


def test_retry_after_is_honoured_and_not_undercut(client_for, clock):
    throttled = httpx.Response(429, headers={"retry-after": "21", "X-RateLimit-tokenConcurrentLimit": "5"})
    client = client_for(Script(throttled, httpx.Response(200, json=GOOD)), clock)
    before = clock()
    client.get_json("/v1/charges")
    assert 21 <= clock() - before < 23
    assert client.meter.throttled == 1


def test_a_throttled_thread_makes_the_others_on_its_token_wait(clock):
    app = AppPacer(1000, 100, clock=clock, wait=clock.wait)
    mine, other = Pacer(1000, 100, app=app), Pacer(1000, 100, app=app)

    def client(pacer, handler):
        return CloverClient(
            "https://scl.example.com",
            StaticToken("t"),
            pacer=pacer,
            transport=httpx.MockTransport(handler),
            sleep=lambda _s: None,
            clock=clock,
            policy=RetryPolicy(attempts=1),
        )

    with pytest.raises(Throttled):
        client(mine, Script(httpx.Response(429, headers={"retry-after": "21"}))).get_json("/v1/charges")
    good = Script(httpx.Response(200, json=GOOD))
    before = clock()
    client(other, good).get_json("/v1/charges")
    assert clock() - before < 1
    client(mine, good).get_json("/v1/charges")
    assert clock() - before >= 20


def test_a_429_about_the_apps_limit_makes_all_merchants_wait(clock):
    app = AppPacer(1000, 100, clock=clock, wait=clock.wait)
    headers = {"retry-after": "5", "X-RateLimit-crossTokenLimit": "50"}
    client = CloverClient(
        "https://scl.example.com",
        StaticToken("t"),
        pacer=Pacer(1000, 100, app=app),
        transport=httpx.MockTransport(Script(httpx.Response(429, headers=headers))),
        sleep=lambda _s: None,
        clock=clock,
        policy=RetryPolicy(attempts=1),
    )
    with pytest.raises(Throttled):
        client.get_json("/v1/charges")
    with Pacer(1000, 100, app=app).slot() as waited:
        assert waited >= 4.9


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("21", 21.0),
        ("0.5", 0.5),
        ("", None),
        ("soon", None),
        ("0", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_is_read_or_ignored(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


def test_retry_after_may_be_a_date():
    from datetime import UTC, datetime

    now = datetime(2026, 10, 5, 14, 0, 0, tzinfo=UTC)
    assert retry_after({"retry-after": "Mon, 05 Oct 2026 14:00:30 GMT"}, now=now) == 30
    assert retry_after({"retry-after": "Mon, 05 Oct 2026 13:00:00 GMT"}, now=now) is None


def test_backoff_doubles_to_a_bound_and_is_spread():
    policy = RetryPolicy()
    error = CloverUnavailable("x")
    assert [wait_seconds(policy, n, error, lambda: 1.0) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert wait_seconds(policy, 3, error, lambda: 0.0) == 2
    assert wait_seconds(policy, 1, Throttled("x"), lambda: 0.0) == 1


def test_a_404_under_http_400_is_a_404(client_for, answer):
    body = {
        "message": "404 Not Found",
        "error": {"type": "invalid_request_error", "code": "invalid_request", "message": "Charge not found."},
    }
    client = client_for(lambda _r: answer(400, body))
    with pytest.raises(NotFound) as error:
        client.get_json("/v1/charges/N3ZHQ8D5HFRSW")
    assert error.value.status == 404
    assert read_one(client, CHARGES, "N3ZHQ8D5HFRSW") is None


@pytest.mark.parametrize("code", ["resource_missing", "invalid_request", "processing_error"])
def test_the_error_code_decides_nothing(client_for, answer, code):
    missing = {"message": "404 Not Found", "error": {"code": code}}
    refused = {"message": "400 Bad Request", "error": {"code": code}}
    assert read_one(client_for(lambda _r: answer(404, missing)), CHARGES, "N3ZHQ8D5HFRSW") is None
    with pytest.raises(BadRequest):
        read_one(client_for(lambda _r: answer(400, refused)), CHARGES, "N3ZHQ8D5HFRSW")


def test_a_refused_question_is_not_asked_again(client_for, clock, answer):
    client = client_for(lambda _r: answer(400, {"message": "400 Bad Request"}), clock)
    with pytest.raises(BadRequest):
        client.get_json("/v1/charges")
    assert client.meter.requests == 1


def test_a_missing_permission_is_named_with_what_to_do(client_for, answer):
    named = {"message": "403 Forbidden", "error": {"message": "Missing permission READ_ORDERS."}}
    with pytest.raises(PermissionMissing) as error:
        client_for(lambda _r: answer(403, named)).get_json("/v1/orders", permission="Read orders")
    assert error.value.permission == "READ_ORDERS"
    with pytest.raises(PermissionMissing) as error:
        client_for(lambda _r: html(403)).get_json("/v1/orders", permission="Read orders")
    assert error.value.permission == "Read orders"
    assert "reinstall" in error.value.hint


class Renewable:
    """A token source that counts its refreshes."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.refreshes = 0

    def current(self):
        return self.tokens[0]

    def refresh(self, rejected=None):
        self.refreshes += 1
        if len(self.tokens) > 1 and rejected == self.tokens[0]:
            self.tokens.pop(0)
            return self.tokens[0]
        raise Deauthorized("no other token")


def by_token(good_tokens, closed_paths=()):
    def handler(request):
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token in good_tokens and request.url.path not in closed_paths:
            return httpx.Response(200, json=GOOD)
        return httpx.Response(401, json={"message": "401 Unauthorized"})

    return handler


def test_a_token_that_dies_in_mid_run_is_refreshed_once(client_for):
    source = Renewable("old", "new")
    client = client_for(by_token({"new"}), token=source)
    assert client.get_json("/v1/charges") == GOOD
    assert client.get_json("/v1/charges") == GOOD
    assert source.refreshes == 1


def test_a_refusal_that_a_refresh_does_not_cure_means_connecting_again(client_for):
    source = Renewable("old", "new", "newer")
    with pytest.raises(Deauthorized) as error:
        client_for(by_token(set()), token=source).get_json("/v1/charges")
    assert source.refreshes == 1
    assert error.value.hint


def test_a_401_on_one_stream_only_is_a_missing_permission(client_for):
    for source in (Renewable("good"), Renewable("old", "good")):
        client = client_for(by_token({"good"}, closed_paths={"/v1/orders"}), token=source)
        with pytest.raises(PermissionMissing) as error:
            client.get_json("/v1/orders", permission="Read orders")
        assert error.value.permission == "Read orders"


def test_a_401_that_may_not_cost_a_refresh_costs_none(client_for):
    source = Renewable("old", "new")
    with pytest.raises(Deauthorized):
        client_for(by_token({"new"}), token=source).get_json("/v3/merchants/M", may_refresh=False)
    assert source.refreshes == 0


def test_a_redirect_is_not_followed(client_for):
    script = Script(httpx.Response(302, headers={"location": "https://evil.example.com/"}))
    with pytest.raises(CloverError, match="redirect"):
        client_for(script).get_json("/v1/charges")
    assert [request.url.host for request in script.requests] == ["scl.example.com"]


def test_every_request_says_who_asks_and_what_it_accepts(client_for):
    script = Script(httpx.Response(200, json=GOOD))
    client_for(script).get_json("/v1/charges", {"limit": 100})
    headers = script.requests[0].headers
    assert headers["authorization"] == "Bearer tok-example"
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith("clover-codat-connector/")
    assert "idempotency-key" not in headers


def test_a_body_beyond_the_limit_is_not_swallowed(client_for):
    client = client_for(Script(httpx.Response(200, content=b"x" * 5000)), limits=Limits(body_bytes=1000))
    with pytest.raises(BodyTooLarge):
        client.get_json("/v1/charges")
    assert client.meter.requests == 1


def test_letters_that_are_no_utf8_do_not_hide_a_page(client_for):
    body = b'{"data":[{"id":"C1","description":"caf\xe9 \\ud800","amount":1200}],"has_more":false}'
    rows = client_for(Script(httpx.Response(200, content=body))).get_json("/v1/charges")["data"]
    assert rows[0]["amount"] == 1200
    assert rows[0]["description"].startswith("caf")


@pytest.mark.parametrize("token", ["", " ", "two words", "tök", "a\nb"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(token):
    with pytest.raises(ConfigError) as error:
        StaticToken(token, connection_id="conn-1")
    assert not token.strip() or token not in str(error.value)


TOKEN, CARD, EMAIL = "clvPlantedToken99", "4242424242424242", "planted@example.com"


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 418, 429, 500, 503])
@pytest.mark.parametrize("kind", ["json", "html"])
def test_no_error_and_no_log_line_shows_token_card_or_email(client_for, clock, caplog, capsys, status, kind):
    secret = f"{TOKEN} {CARD} {EMAIL}"
    content = (
        f"<p>{secret}"
        if kind == "html"
        else f'{{"message":"{status} {secret}","error":{{"message":"{secret}"}}}}'
    )
    reply = httpx.Response(status, content=content.encode(), headers={"location": f"https://x/{TOKEN}"})
    client = client_for(Script(reply), clock, token=StaticToken(TOKEN))
    caplog.set_level(logging.DEBUG)
    shown = ""
    try:
        client.get_json("/v1/charges")
    except CloverError as error:
        chain = error
        while chain is not None:
            shown += f"{chain!r} {chain} {getattr(chain, 'hint', '')} "
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    shown += repr(client) + repr(client._token) + caplog.text + "".join(capsys.readouterr())
    for planted in (TOKEN, CARD, EMAIL):
        assert planted not in shown
