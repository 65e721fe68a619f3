"""Secrets planted in every place a log line can hold never come out; what is needed to find a fault does."""

import io
import json
import logging

import pytest
import structlog

from connector import redaction
from connector.logs import bound, configure_logging, get_logger
from connector.redaction import HIDDEN, redact, redact_value, remember_secrets

CARD = "4111 1111 1111 1111"
PLANTED = [
    ("Authorization: Bearer 8ab1c2d3-9f00-11ee", "8ab1c2d3"),
    ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
    ("sent with bearer a81bc81b-dead-4e5d-abff", "a81bc81b"),
    ("source clv_1TSTxxxxYYYY99 was used", "1TSTxxxx"),
    ("refresh gave clvroar-example-refresh", "example-refresh"),
    ("jwt eyJhbGciOi.eyJzdWIi.c2ln", "eyJhbGciOi"),
    ("body refresh_token=9d8c7b6a&client_id=AB", "9d8c7b6a"),
    ('{"access_token":"zzz-111","x":1}', "zzz-111"),
    ('{"client_secret": "s3cr3t-value"}', "s3cr3t"),
    ("token: abcdef012345", "abcdef012345"),
    (f"paid with {CARD} today", "1111"),
    ("paid with 5555555555554444", "5555555555554444"),
    ("paid with 3782-822463-10005", "822463"),
    ("receipt to ines.moreau+shop@example.com.", "ines.moreau"),
]


@pytest.fixture(autouse=True)
def _restore_logging():
    root = logging.getLogger()
    before = root.handlers[:], root.level, set(redaction._known)
    yield
    root.handlers[:], root.level = before[0], before[1]
    redaction._known.clear()
    redaction._known.update(before[2])
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(("text", "secret"), PLANTED)
def test_a_planted_secret_is_hidden_in_text(text, secret):
    shown = redact(text)
    assert secret not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "charges read: 4111 rows",
        "created 1791208872000 for order M9S346Q3D25VT",
        "run 0192f5c1-7d3a-7000-8000-4111111111111111 done",
        "basic checks passed",
        "started at 2026-11-20T04:00:00Z, amount 1234.56",
        "token is missing",
        "write token: ${CLOVER_TOKEN}",
    ],
)
def test_what_is_no_secret_stays_readable(text):
    """Ids, times and amounts are what one looks for in a log."""
    assert redact(text) == text


def test_a_known_secret_is_hidden_whatever_its_shape():
    remember_secrets(["plainword", "abc"])
    assert redact("the key plainword leaked, abc is too short to be one") == (
        f"the key {HIDDEN} leaked, abc is too short to be one"
    )


def test_secrets_are_hidden_inside_nested_fields_and_under_telling_keys():
    shown = redact_value(
        {"headers": {"Authorization": "x", "accept": "json"}, "rows": [{"email": "a@example.com"}], "n": 5}
    )
    assert shown == {
        "headers": {"Authorization": HIDDEN, "accept": "json"},
        "rows": [{"email": HIDDEN}],
        "n": 5,
    }


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(("text", "secret"), PLANTED)
def test_no_planted_secret_reaches_the_stream(log_format, text, secret):
    """Message, field, exception and another library's logger: all go through the same net."""
    out = io.StringIO()
    configure_logging(log_format, stream=out)
    log = get_logger("test")
    log.info(text)
    log.info("fields", detail=text, nested={"body": [text]}, token=text)
    logging.getLogger("other").warning("said %s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("failed")
    assert secret not in out.getvalue()
    assert "RuntimeError" in out.getvalue()


def test_json_lines_carry_the_bound_run_company_and_connection():
    out = io.StringIO()
    configure_logging("json", stream=out)
    with bound(run_id="r1", company_id="c1", connection_id=None):
        get_logger("test").info("sync.finished", orders=3)
    get_logger("test").info("after")
    inside, after = [json.loads(line) for line in out.getvalue().splitlines()]
    assert (inside["event"], inside["run_id"], inside["company_id"], inside["orders"]) == (
        "sync.finished",
        "r1",
        "c1",
        3,
    )
    assert "connection_id" not in inside
    assert "run_id" not in after
    assert inside["timestamp"].endswith("Z")
    assert inside["level"] == "info"


def test_lines_of_each_request_are_only_shown_when_asked_for():
    out = io.StringIO()
    configure_logging("json", stream=out)
    logging.getLogger("httpx").info("HTTP Request: GET https://example.com")
    assert out.getvalue() == ""
    configure_logging("json", stream=out, verbose=True)
    logging.getLogger("httpx").info("HTTP Request: GET https://example.com")
    assert "HTTP Request" in out.getvalue()


def test_elsewhere_than_on_a_terminal_lines_are_json():
    out = io.StringIO()
    configure_logging(None, stream=out)
    get_logger("test").info("hello")
    assert json.loads(out.getvalue())["event"] == "hello"
