"""Alerts and webhooks reach the public internet and what the configuration names, whatever an address looks like."""

import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
from contextlib import contextmanager

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connector import outbound
from connector.outbound import NotPublicError, PinnedTransport, addresses_of, attempt, is_allowed, refusal
from connector.schedule.delivery import post

PRIVATE = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0", "0.0.0.0",
    "10.0.0.1", "10.1", "167772161", "0xa000001", "172.16.0.1", "192.168.1.1", "3232235777", "169.254.169.254",
    "2852039166", "0xa9fea9fe", "100.64.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe", "64:ff9b::10.0.0.1", "2002:a00:1::", "2002:7f00:1::1", "::10.0.0.1", "localhost",
    "a.localhost", "LOCALHOST", "localhost.",
]  # fmt: skip
PUBLIC = [
    "93.184.215.14",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "lender.example.com",
    "16843009",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_number_of_our_own_network_is_refused_however_it_is_written(host):
    assert "private network" in (refusal(host, ()) or "")


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_number_and_a_name_are_not(host):
    assert refusal(host, ()) is None


@pytest.mark.parametrize("host", [host for host in PRIVATE if "localhost" not in host])
def test_nothing_is_sent_to_one(host):
    sent = []
    inner = httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(200))
    with httpx.Client(transport=PinnedTransport((), inner)) as client:
        shown = f"[{host}]" if ":" in host else host
        tried = attempt(lambda: outbound.post(client, f"https://{shown}/x", b"{}", {}, seconds=1))
    said = "InvalidURL" if host == "0177.0.0.1" else "points into a private network"
    assert (tried.status, tried.error) == (None, said)
    assert sent == []


def test_networks_of_the_configuration_may_be_reached_and_no_others():
    mine = ["10.0.7.0/24", "127.0.0.0/8", "fd00:1::/32"]
    for text, expected in {
        "10.0.7.9": True, "10.0.8.9": False, "127.0.0.1": True, "fd00:1::9": True, "fd00:2::9": False,
        "::ffff:10.0.7.9": True, "::ffff:10.0.8.9": False, "1.1.1.1": True,
    }.items():  # fmt: skip
        assert is_allowed(ipaddress.ip_address(text), mine) is expected, text


@pytest.fixture
def names(monkeypatch):
    """Name -> its addresses at each look-up; the last ones stay."""
    known, real = {}, socket.getaddrinfo

    def look_up(host, port, *arguments, **more):
        if host not in known:
            return real(host, port, *arguments, **more)
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_a_name_with_one_private_address_among_its_addresses_is_refused(names):
    names["lender.example.com"] = [["1.1.1.1", "10.0.0.1"]]
    with pytest.raises(NotPublicError, match=r"10\.0\.0\.1"):
        addresses_of("lender.example.com", ())


def test_a_name_that_leads_elsewhere_a_moment_later_is_reached_where_it_was_checked(names):
    names["lender.example.com"] = [["1.1.1.1"], ["127.0.0.1"]]
    reached = []

    def answer(request):
        reached.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        return httpx.Response(200)

    with httpx.Client(transport=PinnedTransport((), httpx.MockTransport(answer))) as client:
        assert outbound.post(client, "https://lender.example.com/x", b"{}", {}, seconds=1) == 200
    assert reached == [("1.1.1.1", "lender.example.com", "lender.example.com")]


def test_an_address_that_refuses_is_followed_by_the_next(names):
    names["lender.example.com"] = [["1.1.1.1", "1.0.0.1"]]
    asked = []

    def answer(request):
        asked.append(request.url.host)
        if len(asked) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(204 if request.content == b"{}" else 400)

    with httpx.Client(transport=PinnedTransport((), httpx.MockTransport(answer))) as client:
        assert outbound.post(client, "https://lender.example.com/x", b"{}", {}, seconds=1) == 204
    assert asked == ["1.1.1.1", "1.0.0.1"]


class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append((self.path, self.headers["Host"]))
        if self.path == "/elsewhere":
            self.send_response(307)
            self.send_header("Location", "/x")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/endless":
            try:
                for _ in range(100_000):
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.server.got.append("closed")

    def log_message(self, *_arguments):
        pass


@contextmanager
def serving(context=None):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.got = []
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_redirect_is_not_followed_and_an_endless_answer_not_read():
    with serving() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        assert post(f"{url}/elsewhere", "{}", ["127.0.0.0/8"]) == 307
        assert post(f"{url}/endless", "{}", ["127.0.0.0/8"]) == 200
        with pytest.raises(NotPublicError):
            post(f"{url}/x", "{}", ())
    assert [path for path, _ in [one for one in server.got if one != "closed"]] == ["/elsewhere", "/endless"]


def certificate(name, directory):
    """A certificate that vouches for itself, as a file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    about = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(about)
        .issuer_name(about)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(
    ("name", "expected"), [("lender.example.com", (200, None)), ("other.example.com", (None, "ConnectError"))]
)
def test_tls_verifies_the_name_and_not_the_address(names, tmp_path, name, expected):
    names[name] = [["127.0.0.1"]]
    pem = certificate("lender.example.com", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    with (
        serving(context) as server,
        httpx.Client(
            transport=PinnedTransport(["127.0.0.0/8"], httpx.HTTPTransport(verify=trusting))
        ) as client,
    ):
        url = f"https://{name}:{server.server_port}/x"
        tried = attempt(lambda: outbound.post(client, url, b"{}", {}, seconds=5))
    assert (tried.status, tried.error) == expected


def test_a_name_without_an_address_is_an_error_without_the_address_in_it():
    tried = attempt(lambda: post("https://nothing.invalid/secret", "{}", ()))
    assert (tried.status, tried.error) == (None, "ConnectError")
