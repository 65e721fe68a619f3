"""``connector serve``, ``keys`` and ``webhooks``: as a person and as a script use them."""

import base64
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from connector.cli.entry import run
from connector.cli.processes import workers

JUNIPER, SHOP = "8a210b68-6988-11ed-a1eb-0242ac120002", "2e9d2c44-f675-40ba-8049-353bfcb5e171"
CONFIG = f"""\
store: ./
companies:
  - id: {JUNIPER}
    name: Juniper Goods
    connections:
      - {{id: {SHOP}, merchant_id: MHT4QK2Z9WX61, country: USA, timezone: America/New_York,
         token: "${{NOT_SET_ANYWHERE}}", start_date: 2024-01-01}}
"""


@pytest.fixture
def connector(books, capsys):
    config = books.directory / "config.yaml"
    config.write_text(CONFIG)

    def call(*words):
        code = run(["--config", str(config), *words])
        out, err = capsys.readouterr()
        return code, out, err

    call.config = config
    return call


def test_a_key_is_made_shown_once_listed_without_secret_and_revoked(connector):
    code, secret, err = connector("keys", "create", "--label", "First Lender", "--company", "Juniper Goods")
    assert (code, secret.startswith("cck_")) == (0, True)
    assert "not shown again" in err
    code, out, _ = connector("keys", "list", "--json")
    [key] = json.loads(out)
    assert (key["label"], key["companies"], key["scopes"], key["state"]) == (
        "First Lender",
        [JUNIPER],
        ["read"],
        "good",
    )
    assert secret.strip().split("_", 2)[2] not in out
    assert connector("keys", "revoke", key["keyId"])[0] == 0
    assert json.loads(connector("keys", "list", "--json")[1])[0]["state"] == "revoked"
    assert connector("keys", "revoke", key["keyId"])[0] == 2
    assert connector("keys", "list")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--label", "x"],
        ["--label", "x", "--company", "nobody"],
        ["--label", "x", "--all-companies", "--company", JUNIPER],
        ["--label", "x", "--all-companies", "--scope", "admin"],
    ],
)
def test_a_key_that_makes_no_sense_is_refused_with_exit_code_2(connector, words):
    assert connector("keys", "create", *words)[0] == 2


def test_the_audit_shows_who_read_what(connector, builders, books):
    made = json.loads(connector("keys", "create", "--label", "ops", "--all-companies", "--json")[1])
    headers = {"Authorization": "Basic " + base64.b64encode(made["key"].encode()).decode()}
    for server in builders.serve(books):
        server.client.get(
            f"/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders?pageSize=3", headers=headers
        )
        server.client.get("/companies")
    [entry] = json.loads(connector("keys", "audit", "--key", made["keyId"], "--json")[1])
    assert (entry["keyId"], entry["rows"], entry["snapshotId"], entry["status"]) == (
        made["keyId"],
        3,
        3,
        200,
    )
    code, out, _ = connector("keys", "audit")
    assert (code, "Refused" in out) == (0, True)


def test_webhooks_are_added_tested_listed_and_removed(connector):
    got = []

    def answer(request):
        got.append(request)
        return httpx.Response(204)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "HTTPTransport", lambda **_more: httpx.MockTransport(answer))
        patch.setattr("socket.getaddrinfo", lambda *_a, **_m: [(2, 1, 6, "", ("93.184.216.34", 0))])
        added = json.loads(connector("webhooks", "add", "https://lender.example.com/x", "--json")[1])
        assert added["secret"].startswith("whsec_")
        code, out, _ = connector("webhooks", "test", added["id"])
        assert (code, "answered 204" in out) == (0, True)
    assert got[0].headers["webhook-signature"].startswith("v1,")
    [delivery] = json.loads(connector("webhooks", "deliveries", added["id"], "--json")[1])
    assert (delivery["eventType"], delivery["lastStatus"], delivery["nextTry"]) == ("test", 204, None)
    assert json.loads(connector("webhooks", "list", "--json")[1])[0]["state"] == "good"
    assert connector("webhooks", "list")[0] == connector("webhooks", "deliveries", added["id"])[0] == 0
    assert connector("webhooks", "remove", added["id"])[0] == 0
    assert connector("webhooks", "remove", added["id"])[0] == connector("webhooks", "test", "nope")[0] == 2
    assert connector("webhooks", "add", "http://lender.example.com")[0] == 2


def test_a_served_process_answers_finishes_what_it_began_and_stops_on_sigterm(connector):
    """The audit of a request answered just before the end is not lost."""
    secret = connector("keys", "create", "--label", "x", "--all-companies")[1].strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from connector.cli import main; main()",
        "--config",
        str(connector.config),
    ]
    process = subprocess.Popen(
        [*command, "serve", "--port", str(port)], stderr=subprocess.DEVNULL, env=os.environ
    )
    try:
        url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {secret}"}
        for _ in range(200):
            try:
                assert httpx.get(f"{url}/health").json() == {"status": "ok", "published": True}
                break
            except httpx.TransportError:
                time.sleep(0.05)
        answer = httpx.get(f"{url}/companies", headers=headers)
        assert answer.json()["results"][0]["redirect"].startswith(url)
        assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
    audit = json.loads(connector("keys", "audit", "--json")[1])
    assert answer.headers["x-correlation-id"] in [entry["correlationId"] for entry in audit]


@pytest.mark.parametrize("command", ["serve", "sandbox"])
def test_a_port_that_is_taken_is_said_in_words_with_what_to_type(connector, command):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _out, err = connector(command, "--port", str(port))
    assert code == 2
    assert f"Could not listen on 127.0.0.1, port {port}: Address already in use." in err
    assert f"connector {command} --port" in err


@pytest.fixture
def serving(connector):
    """``connector serve`` in a process of its own; gives its address, a key's headers, and the process."""
    started = []

    def start(*words, descriptors=None):
        secret = connector("keys", "create", "--label", "x", "--all-companies")[1].strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-c", "from connector.cli import main; main()"]
        process = subprocess.Popen(
            [*command, "--config", str(connector.config), "serve", "--port", str(port), *words],
            stderr=subprocess.DEVNULL,
            preexec_fn=descriptors
            and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))),
        )
        started.append(process)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url))
        return url, {"Authorization": f"Bearer {secret}"}, process

    yield start
    for process in started:
        process.kill()
        process.wait(20)


def answers(url):
    try:
        return httpx.get(f"{url}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    assert found
    return found


def workers_of(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(child) for child in children}


def test_several_workers_answer_and_know_a_key_and_its_reader_together(serving, books):
    url, headers, process = serving("--workers", "3", "--requests-per-minute", "1000")
    workers = wait_until(lambda: len(found := workers_of(process)) == 3 and found)
    path = f"{url}/companies/{JUNIPER}/connections/{SHOP}/data/commerce-orders?pageSize=5"
    remaining = []
    for _ in range(12):  # a connection each, so that all of them take part
        answer = httpx.get(path, headers=headers)
        assert answer.status_code == 200
        remaining.append(int(answer.headers["x-rate-limit-remaining"]))
    assert len(set(remaining)) == 12
    assert max(remaining) - min(remaining) == 11, "one count for all workers"
    figures = httpx.get(f"{url}/metrics").text
    counted = [line for line in figures.splitlines() if "commerce-orders" in line and 'status="200"' in line]
    assert float(counted[0].rsplit(" ", 1)[1]) == 12

    books.snapshot(4, "r4", JUNIPER, SHOP, datetime(2026, 11, 20, 4))  # noqa: DTZ001
    books.publish()
    second = {httpx.get(f"{path}&page=2", headers=headers).headers["x-snapshot-id"] for _ in range(12)}
    assert second == {"3"}, "page 2 stays on the snapshot of page 1, whoever answers"

    victim = workers.pop()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(found := workers_of(process)) == 3 and victim not in found)
    assert httpx.get(path, headers=headers).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_never_outlive_the_process_that_began_them(serving, number):
    url, _headers, process = serving("--workers", "2")
    workers = wait_until(lambda: len(found := workers_of(process)) == 2 and found)
    process.send_signal(number)
    process.wait(30)
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    assert not answers(url)


def test_a_server_with_few_descriptors_answers_beside_more_connections_than_it_has(serving):
    url, headers, process = serving(descriptors=256)
    port = int(url.rsplit(":", 1)[1])
    held = []
    for _ in range(3):
        held += [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        assert httpx.get(f"{url}/companies", headers=headers).status_code == 200
        assert httpx.get(f"{url}/health/ready").json() == {"status": "ok", "published": True}
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) <= 256 - 40
    for connection in held:
        connection.close()


def test_workers_that_cannot_begin_are_given_up_with_words(monkeypatch):
    monkeypatch.setattr(workers, "MOST_FAILED_STARTS", 2)

    def broken():
        raise RuntimeError("no")

    with pytest.raises(workers.WorkersFailed, match="as soon as they have begun"):
        workers.run_workers(2, broken)
