"""One error body for everything, with a correlation id that is also in the header and the log."""

import io
import logging
import re

import duckdb
import pytest
import structlog

from connector.api.routes import data
from connector.api.routes import history as beyond
from connector.control.access_log import read_access_log
from connector.logs import configure_logging

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"


def assert_codat_error(response, status):
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert response.status_code == body["statusCode"] == status
    assert body["error"]
    assert body["service"] in ("PublicApi", "ClientsApi", "PullApi")
    assert re.fullmatch(r"[0-9a-f]{32}", body["correlationId"])
    assert body["correlationId"] == response.headers["x-correlation-id"]
    assert body["canBeRetried"] in ("True", "False", "Unknown")
    assert isinstance(body["detailedErrorCode"], int)
    return body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", f"{ORDERS}/nope", 404),
        ("GET", "/companies/nope", 404),
        ("GET", f"/companies/{JUNIPER}/connections/nope", 404),
        ("GET", f"/companies/{JUNIPER}/connections/n-rival", 404),
        ("POST", ORDERS, 405),
        ("DELETE", "/companies", 405),
        ("GET", f"{ORDERS}?page=x", 400),
        ("GET", f"{ORDERS}?query=x", 400),
        ("POST", "/companies", 400),
        ("PUT", f"/companies/{JUNIPER}", 400),
        ("GET", f"/companies/{JUNIPER}/connections/n-new/data/commerce-orders", 409),
    ],
)
def test_every_error_has_codats_body(shared, method, path, status):
    assert_codat_error(shared.client.request(method, path, headers=shared.key("read", "write")), status)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'{"name": 1}', b'{"name": "**"}', b'{"name": ""}', b'{"tags": {}}']
)
def test_a_body_that_does_not_fit_is_a_400(shared, body):
    headers = {**shared.key("write"), "Content-Type": "application/json"}
    error = assert_codat_error(shared.client.post("/companies", content=body, headers=headers), 400)
    assert error["validation"]["errors"]


def test_a_body_that_is_too_large_is_refused_unread(shared):
    headers = shared.key("write")
    assert_codat_error(shared.client.post("/companies", content=b"x" * 70_000, headers=headers), 413)
    chunks = (b"x" * 10_000 for _ in range(10))
    assert_codat_error(shared.client.post("/companies", content=chunks, headers=headers), 413)


@pytest.fixture
def log_lines():
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def test_our_fault_is_a_500_without_internals_and_the_log_knows_the_cause(shared, monkeypatch, log_lines):
    def broken(*_args, **_more):
        raise RuntimeError("the disk is made of cheese")

    monkeypatch.setattr(data.api_reads, "one", broken)
    response = shared.client.get(f"{ORDERS}/00ORDER", headers=shared.key("read"))
    body = assert_codat_error(response, 500)
    assert "cheese" not in response.text
    [line] = [line for line in log_lines.getvalue().splitlines() if body["correlationId"] in line]
    assert "cheese" in line


def test_a_question_that_takes_too_long_is_a_400_because_waiting_would_not_help(shared, monkeypatch):
    def slow(*_args, **_more):
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    monkeypatch.setattr(beyond.api_history, "snapshots", slow)
    response = shared.client.get(
        f"/companies/{JUNIPER}/connections/{SHOP}/snapshots", headers=shared.key("read")
    )
    assert "longer than 20 seconds" in assert_codat_error(response, 400)["error"]


def test_every_answer_is_in_the_access_log_with_its_correlation_id(server):
    headers = server.key("read")
    good = server.client.get(f"{ORDERS}?query=totalAmount>20&pageSize=3", headers=headers)
    bad = server.client.get(f"{ORDERS}?query=x", headers=headers)
    server.state.access_log.flush()
    log = {access.correlation_id: access for access in read_access_log(server.state.control)}
    entry = log[good.headers["x-correlation-id"]]
    assert (entry.company_id, entry.connection_id, entry.rows, entry.snapshot_id, entry.status) == (
        JUNIPER,
        SHOP,
        3,
        3,
        200,
    )
    assert entry.route.endswith("/data/commerce-orders")
    assert "totalAmount" in entry.query
    assert entry.key_id
    assert log[bad.headers["x-correlation-id"]].status == 400
