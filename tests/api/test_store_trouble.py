"""A store that gets into trouble while the API runs over it: 503 for the reader, the cause and the cure in the log."""

import io
import json
import logging
import lzma
import os
import shutil
import tarfile
from pathlib import Path

import duckdb
import pytest
import structlog

from connector.api.routes import data
from connector.control import companies as api_companies
from connector.ledger.migrate import migrations
from connector.logs import bound_repeats, configure_logging
from connector.redaction import FIRST_CALLS, LAST_CALLS, trace

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
ORDERS = f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders"
STATUS = f"/companies/{JUNIPER}/dataStatus"
EXPORT = f"/companies/{JUNIPER}/export/orders"
LINK, FILE, CONTROL = "commerce.duckdb", "serve-000000001.duckdb", "control.sqlite"


@pytest.fixture
def log_lines():
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    bound_repeats()
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def assert_unavailable(answer, directory):
    body = answer.json()
    assert (answer.status_code, body["statusCode"], body["canBeRetried"]) == (503, 503, "True")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-correlation-id"] == body["correlationId"]
    for inside in (str(directory), "duckdb", "sqlite", "IO Error", "checksum"):
        assert inside not in answer.text


def overwrite(path, at, size):
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(size))


def truncate(path, size):
    path.chmod(0o644)
    os.truncate(path, size)


def replaced_by(path, content):
    path.unlink()
    path.write_bytes(content)


def dangling(directory):
    (directory / FILE).unlink()


def looped(directory):
    (directory / LINK).unlink()
    (directory / LINK).symlink_to(LINK)


SHAPES = {
    "bytes overwritten": lambda d: overwrite(d / FILE, 12288, (d / FILE).stat().st_size - 12288),
    "cut off": lambda d: truncate(d / FILE, (d / FILE).stat().st_size // 2),
    "emptied": lambda d: truncate(d / FILE, 0),
    "another kind of file": lambda d: replaced_by(d / FILE, b"SQLite format 3\0" * 4096),
    "removed": dangling,
    "the link leads to itself": looped,
    "a directory in its place": lambda d: ((d / FILE).unlink(), (d / FILE).mkdir()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_damaged_or_missing_published_file_is_a_503_until_another_is_published(
    books, builders, log_lines, shape
):
    SHAPES[shape](books.directory)
    for server in builders.serve(books):
        headers = server.key("read")
        exports = (EXPORT,) if shape != "cut off" else ()  # opens, and this file has no views
        for path in (ORDERS, f"{ORDERS}/00ORDER", STATUS, f"/companies/{JUNIPER}", *exports):
            assert_unavailable(server.client.get(path, headers=headers), books.directory)
        assert_unavailable(
            server.client.get(ORDERS, headers={**headers, "Accept": "application/x-ndjson"}), books.directory
        )
        ready = server.client.get("/health/ready")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "5")
        assert server.client.get("/health/live").status_code == 200
        said = [line for line in log_lines() if line["event"] == "api.store_failed"]
        assert said
        for line in said:
            assert str(books.directory) in line["error"]
            assert line["hint"]
            assert "exception" not in line
        books.publish()
        assert server.client.get(ORDERS, headers=headers).status_code == 200
        assert server.client.get("/health/ready").json() == {"status": "ok", "published": True}


def large(directory):
    """A published file of which no request reads everything."""
    path = directory / "serve-000000002.duckdb"
    shutil.copyfile(directory / FILE, path)
    path.chmod(0o644)
    with duckdb.connect(str(path)) as con:
        con.execute(
            "INSERT INTO ledger.order_versions BY NAME SELECT * EXCLUDE (i) REPLACE ('ZZ' || i AS order_id,"
            " repeat(md5(i::VARCHAR), 10) || md5((i + 7)::VARCHAR) || md5((i * 3)::VARCHAR) AS doc)"
            " FROM (SELECT * FROM ledger.order_versions WHERE replaced_by IS NULL LIMIT 1), range(200000) r(i)"
        )
    (directory / LINK).unlink()
    (directory / LINK).symlink_to(path.name)
    return path


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_damage_that_only_some_requests_meet_is_told_by_readiness_from_then_on(
    books, builders, log_lines, accept
):
    path = large(books.directory)
    for server in builders.serve(books, memory_limit="64MB"):
        headers = {**server.key("read"), "Accept": accept}
        assert server.client.get(f"{ORDERS}?pageSize=1", headers=server.key("read")).status_code == 200
        size = path.stat().st_size
        overwrite(path, size // 4, size // 2)  # whatever lies where, documents are among it
        assert server.client.get("/health/ready").status_code == 200
        if accept == "application/json":
            pages = [
                server.client.get(f"{ORDERS}?pageSize=5000&page={n}", headers=headers) for n in range(1, 6)
            ]
            assert_unavailable(next(page for page in pages if page.status_code != 200), books.directory)
        else:
            answer = server.client.get(ORDERS, headers=headers)
            assert '"_closing"' not in answer.text, "what was cut short does not look whole"
        assert server.client.get("/health/ready").status_code == 503
        assert any(line["event"] == "api.store_failed" for line in log_lines())


def test_what_was_served_before_and_is_gone_is_no_first_sync_that_is_awaited(server, reader):
    assert server.client.get(ORDERS, headers=reader).status_code == 200
    (server.books.directory / LINK).unlink()
    assert_unavailable(server.client.get(ORDERS, headers=reader), server.books.directory)
    assert server.client.get("/health/ready").status_code == 503


def test_another_file_of_the_same_name_is_read_from_the_next_request_on(
    server, reader, builders, tmp_path_factory
):
    """As when a restored store is moved to where the old one was."""
    assert server.client.get(ORDERS, headers=reader).json()["totalResults"] == 30
    restored = builders.juniper_books(tmp_path_factory.mktemp("restored"))
    restored.orders = restored.orders[2:5]
    file = restored.publish()
    with server.state.published.open():
        file.replace(server.books.directory / FILE)
        assert_unavailable(server.client.get(ORDERS, headers=reader), server.books.directory)
    assert server.client.get(ORDERS, headers=reader).json()["totalResults"] == 3


def test_a_damaged_control_file_is_a_503_with_or_without_a_key(server, reader, log_lines):
    path = server.books.directory / CONTROL
    server.state.control.close()
    for part in server.books.directory.glob(f"{CONTROL}*"):
        part.write_bytes(os.urandom(8192))
    for headers in (reader, {"Authorization": "Bearer cck_wrong"}):
        assert_unavailable(server.client.get(ORDERS, headers=headers), server.books.directory)
    assert server.client.get("/health/ready").status_code == 503
    said = [line for line in log_lines() if line["event"] == "api.store_failed"]
    assert all(str(path) in line["error"] and line["hint"] for line in said)


def test_a_full_disk_is_a_503(server, reader, monkeypatch, log_lines):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device", "/tmp/connector-export-x")

    monkeypatch.setattr(data.api_reads, "one", full)
    assert_unavailable(server.client.get(f"{ORDERS}/00ORDER", headers=reader), server.books.directory)
    assert any("No space left" in line.get("error", "") for line in log_lines())


@pytest.mark.parametrize(
    "error", [duckdb.BinderException("no column x"), duckdb.ConversionException("x"), KeyError("x")]
)
def test_a_wrong_question_of_ours_stays_a_500_that_says_nothing_of_the_store(
    server, reader, monkeypatch, error
):
    def wrong(*_args, **_more):
        raise error

    monkeypatch.setattr(data.api_reads, "one", wrong)
    assert server.client.get(f"{ORDERS}/00ORDER", headers=reader).status_code == 500
    assert server.client.get("/health/ready").status_code == 200


KEPT = sorted((Path(__file__).parents[1] / "fixtures/stores").glob("schema-*.tar.xz"))


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name[:11])
def test_a_file_that_an_earlier_version_published_is_read_or_a_503_that_asks_for_a_sync(
    tmp_path, builders, log_lines, kept
):
    with lzma.open(kept) as packed, tarfile.open(fileobj=packed) as archive:
        name = next(found for found in archive.getnames() if found.endswith(".duckdb"))
        archive.extract(name, tmp_path, filter="data")
    (tmp_path / LINK).symlink_to(name)
    with duckdb.connect(str(tmp_path / name), read_only=True) as con:
        company, connection, order = con.execute(
            "SELECT company_id, connection_id, order_id FROM ledger.order_versions LIMIT 1"
        ).fetchone()
    current = kept.name == f"schema-{migrations()[-1][0]:04d}.tar.xz"
    for server in builders.serve(builders.Books(tmp_path)):
        api_companies.take_from_config(
            server.state.control, [(company, "Kept", [connection])], now=server.state.settings.clock()
        )
        headers = server.key("read", "lineage")
        here = f"/companies/{company}/connections/{connection}"
        answers = [
            server.client.get(path, headers=headers)
            for path in (
                f"{here}/data/commerce-orders",
                f"{here}/data/commerce-orders/{order}/lineage",
                f"{here}/data/commerce-payments",
                f"{here}/snapshots",
                f"{here}/reconciliation",
                f"/companies/{company}",
                f"/companies/{company}/dataStatus",
            )
        ]
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert {answer.status_code for answer in answers} == {200} or not current
        for answer in answers:
            if answer.status_code == 503:
                assert_unavailable(answer, tmp_path)
    said = [line for line in log_lines() if line["event"] == "api.store_failed"]
    assert all("connector sync" in line["hint"] for line in said)
    assert not any(line["event"] == "api.failed" for line in log_lines())


def test_a_file_of_a_newer_version_that_cannot_be_read_says_so(server, reader, log_lines):
    path = server.books.publish()
    with duckdb.connect(str(path)) as con:
        con.execute(
            "CREATE TABLE IF NOT EXISTS ledger.migrations (version INTEGER, name VARCHAR, applied_at TIMESTAMP)"
        )
        con.execute("INSERT INTO ledger.migrations VALUES (9999, 'x', now()::TIMESTAMP)")
        con.execute("DROP TABLE ledger.held_back")
    assert_unavailable(server.client.get(ORDERS, headers=reader), server.books.directory)
    assert "pip install --upgrade" in next(
        line["hint"] for line in log_lines() if line["event"] == "api.store_failed"
    )


def deep(n, cause):
    secret = f"cck_{n}_in_a_local_variable"
    if n:
        return deep(n - 1, cause) or secret
    raise KeyError(secret) from cause


@pytest.mark.parametrize("configured", [True, False])
def test_a_fault_is_logged_with_some_calls_and_no_values_and_repeated_only_a_few_times(
    server, reader, monkeypatch, request, configured, capsys
):
    lines = request.getfixturevalue("log_lines") if configured else None
    monkeypatch.setattr(data.api_reads, "one", lambda *_args, **_more: deep(500, None))
    for _ in range(50):
        assert server.client.get(f"{ORDERS}/00ORDER", headers=reader).status_code == 500
    if not configured:
        said = capsys.readouterr().out
        assert "in_a_local_variable" not in said
        assert len(said) < 50 * 5000
        return
    monkeypatch.setattr(data.api_reads, "one", lambda *_args, **_more: {}["another fault"])
    server.client.get(f"{ORDERS}/00ORDER", headers=reader)
    said = [line for line in lines() if line["event"] == "api.failed"]
    assert 2 <= len(said) <= 10, "one fault some times, and the other"
    assert len({line["where"] for line in said}) == 2
    for line in said:
        assert "in_a_local_variable" not in json.dumps(line)
        assert line["exception"].count('  File "') <= FIRST_CALLS + LAST_CALLS
    assert "calls left out" in said[0]["exception"]


def test_the_trace_of_a_chain_of_causes_is_bounded():
    cause = None
    for _ in range(30):
        try:
            deep(30, cause)
        except KeyError as error:
            cause = error
    said = trace(cause)
    assert said.count("which led to:") == 4
    assert len(said) < 20_000
