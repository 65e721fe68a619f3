"""A Clover that cannot be reached: where, why, which line of the configuration leads there, and how soon it is said."""

import datetime as dt
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from connector.clover.auth.oauth import exchange_code
from connector.clover.auth.tokens import StaticToken
from connector.clover.http.client import CloverClient, Limits
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.reach import Patience
from connector.clover.http.retry import RetryPolicy
from connector.config import load_config
from connector.errors import CloverUnavailable
from connector.sync.connect.connecting import Pace

ROOT = Path(__file__).resolve().parents[2]


def client_for(url, **options):
    return CloverClient(
        url,
        StaticToken("tok-example"),
        pacer=Pacer(1000, 10, app=AppPacer(1000, 10)),
        sleep=lambda _seconds: None,
        limits=Limits(connect_seconds=0.3, read_seconds=0.3, total_seconds=0.5),
        policy=RetryPolicy(attempts=1),
        named_in="config.yaml, line 7 (base_url)",
        **options,
    )


@contextmanager
def listening(answer=None, *, backlog=8):
    """A server on loopback; ``answer(connection)`` for each connection, None takes none."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        if answer is not None:
            server.shutdown(socket.SHUT_RDWR)


def silent(connection):
    time.sleep(30)
    connection.close()


@pytest.fixture
def self_signed(tmp_path):
    """A TLS context with a certificate that nobody has signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(day).not_valid_after(day + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def get_records(address):
    with client_for(address) as client:
        client.get_json("/v1/charges")


def get_token(address):
    exchange_code(
        f"{address}/oauth/v2/token",
        {},
        timeout=0.5,
        sleep=lambda _seconds: None,
        patience=Patience(1.0),
        named_in="config.yaml, line 7 (base_url)",
    )


def lookup(error):
    def failing(*_arguments, **_named):
        raise error

    return failing


@pytest.mark.parametrize("call", ["records", "oauth"])
@pytest.mark.parametrize(
    "kind",
    [
        "refused",
        "no such name",
        "no name server",
        "slow name server",
        "certificate",
        "no TLS",
        "silent",
        "cut",
    ],
)
def test_the_error_names_address_and_reason(kind, call, monkeypatch, self_signed):
    """One row a kind: what an operator is told. The OAuth address is told of in the same words."""

    def no_tls(connection):
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    def with_tls(connection):
        try:
            self_signed.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()

    answers = {"certificate": with_tls, "no TLS": no_tls, "silent": silent, "cut": lambda c: c.close()}
    names = {
        "no such name": lookup(socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        "no name server": lookup(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")),
        "slow name server": lambda *_a, **_n: time.sleep(5),
    }
    said = {
        "refused": "the connection was refused",
        "no such name": "there is no such name",
        "no name server": "the name could not be looked up",
        "slow name server": "the name was not looked up in time",
        "certificate": "its certificate is not accepted: self-signed certificate",
        "no TLS": "TLS could not be agreed on",
        "silent": "no answer came in time",
        "cut": "the connection broke",
    }[kind]
    with listening(answers.get(kind)) as place:
        address = f"{'https' if 'TLS' in kind or kind == 'certificate' else 'http'}://{place}"
        if kind in names:
            address = "https://scl.example.com"
            monkeypatch.setattr("connector.clover.http.reach.socket.getaddrinfo", names[kind])
        if kind == "refused":
            with socket.create_server(("127.0.0.1", 0)) as gone:
                address = f"http://127.0.0.1:{gone.getsockname()[1]}"
        ask = get_records if call == "records" else get_token
        with pytest.raises(CloverUnavailable) as told:
            ask(address)
    assert address in told.value.message
    assert said in told.value.message
    if kind not in ("silent", "cut") or call == "oauth":
        assert "config.yaml, line 7 (base_url)" in told.value.hint


def test_a_password_of_a_proxy_is_not_told(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://somebody:secret@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    with client_for("http://scl.example.com") as client, pytest.raises(CloverUnavailable) as told:
        client.get_json("/v1/charges")
    assert (
        f"http://scl.example.com through the proxy 127.0.0.1:{port}: the connection was refused"
        in told.value.message
    )
    assert "secret" not in told.value.message + told.value.hint


def test_of_several_addresses_a_silent_one_leaves_time_for_the_next(monkeypatch):
    def answering(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.close()

    with listening(backlog=0) as full, listening(answering) as place:
        host, full_port = full.split(":")
        stuck = [socket.socket() for _ in range(4)]
        for one in stuck:  # the queue is full: whoever comes now gets no answer at all
            one.setblocking(False)
            one.connect_ex((host, int(full_port)))
        from connector.clover.http import transport

        monkeypatch.setattr(transport, "addresses", lambda *_: ["127.0.0.1", "127.0.0.2"])
        real = transport.httpcore.SyncBackend.connect_tcp

        def redirected(self, address, _port, timeout=None, *rest):
            return real(
                self,
                "127.0.0.1",
                int((full if address == "127.0.0.1" else place).split(":")[1]),
                timeout,
                *rest,
            )

        monkeypatch.setattr(transport.httpcore.SyncBackend, "connect_tcp", redirected)
        with client_for("http://scl.example.com") as client:
            assert client.get_json("/v1/charges") == {}
        for one in stuck:
            one.close()


CONFIG = """\
store: ./data
companies:
  - name: Juniper Goods
    connections:
      - merchant_id: {merchant}
        country: USA
        timezone: UTC
        base_url: http://{place}
        token: some-token
        start_date: 2026-01-01
{more}"""


@pytest.mark.slow
def test_a_manual_run_gives_up_within_fifteen_seconds_when_the_first_answer_never_comes(tmp_path):
    """Each command, with and without the platform; all at once, for they do nothing but wait."""
    began, running = time.monotonic(), {}
    with ExitStack() as places:
        for command in ("sync", "reconcile", "check"):
            for platform in ("auto", "off"):
                place = places.enter_context(listening(silent))
                directory = tmp_path / f"{command}-{platform}"
                directory.mkdir()
                (directory / "config.yaml").write_text(
                    CONFIG.format(merchant="M1", place=place, more=f'        platform: "{platform}"\n')
                )
                running[place] = places.enter_context(started(directory, command))
        for place, process in running.items():
            told = " ".join("".join(process.communicate(timeout=60)).split())
            assert process.returncode == 1, told
            assert place in told
            assert "no answer came in time" in told
            gave_up = max(int(seconds) for seconds in re.findall(r"in (\d+) seconds", told))
            # Two seconds for the platform, and starting; what this machine is busy with beside is left out.
            assert gave_up + 2 < 12
    assert time.monotonic() - began < 45


def started(directory, command):
    return subprocess.Popen(
        [sys.executable, "-m", "connector", command],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_waits_hears_soon_and_a_scheduled_run_has_patience(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG.format(merchant="M1", place="127.0.0.1:9", more=""))
    config = load_config(tmp_path / "config.yaml", {})
    connection = config.companies[0].connections[0]
    assert connection.place == f"{tmp_path / 'config.yaml'}, line 8 (base_url)"
    assert Pace(config).patience(connection.ecommerce_url).left() == float("inf")
    watched = Pace(config, is_watched=True).patience(connection.ecommerce_url)
    assert watched.left() < 15
    watched.note_answer()
    assert watched.left() == float("inf"), "after the first answer there is all the time"


def test_many_merchants_behind_one_silent_host_wait_once():
    """Whoever comes when the time is used up is told at once, with the reason that the first one found."""
    clock = [0.0]
    patience = Patience(9.0, clock=lambda: clock[0])
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with client_for(address, patience=patience) as client, pytest.raises(CloverUnavailable, match="refused"):
        client.get_json("/v1/charges")
    clock[0] = 10.0
    with client_for(address, patience=patience) as client, pytest.raises(CloverUnavailable, match="refused"):
        client.get_json("/v1/charges")
