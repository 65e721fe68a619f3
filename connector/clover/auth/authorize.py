"""Connects a merchant: opens Clover in the browser and waits on a loopback address for the redirect.

Follows docs.clover.com, Use OAuth: the redirect brings ``code`` and ``merchant_id``; an app without a secret
proves itself with PKCE (Low-trust apps). Storing the pair is the caller's.
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from connector.clover.auth.oauth import TokenPair, exchange_code
from connector.errors import CloverError, ConfigError, Deauthorized

_CALLBACK = "/callback"
_PAGE = (
    "<!doctype html><meta charset=utf-8><title>connector</title>"
    "<p style='font:16px sans-serif;margin:3em'>{text} You may close this window.</p>"
)


@dataclass(frozen=True, slots=True)
class Authorized:
    """A connected merchant and its first pair."""

    merchant_id: str
    pair: TokenPair


@dataclass(slots=True)
class _Redirect:
    """What the browser has brought so far."""

    state: str
    restart_url: str
    expected_merchant: str | None
    code: str | None = field(default=None, repr=False)
    merchant_id: str = ""
    refusal: str | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def take(self, query: dict[str, list[str]]) -> tuple[int, str]:
        """Status and text for the browser; sets ``done`` when the flow is over."""
        given = {name: values[0] for name, values in query.items()}
        if "code" not in given and "error" not in given and "merchant_id" in given:
            return 302, self.restart_url  # started from Clover's own pages: the merchant has not agreed yet
        if not hmac.compare_digest(given.get("state", "").encode(), self.state.encode()):
            # Not our answer, perhaps forged. The true one may still come.
            return 400, "This answer does not belong to the running authorisation."
        merchant = given.get("merchant_id", "")
        if "error" in given or not given.get("code"):
            self.refusal = "the merchant did not agree"
        elif not merchant.isalnum():
            self.refusal = "Clover did not say which merchant agreed"
        elif self.expected_merchant and merchant != self.expected_merchant:
            self.refusal = f"merchant {merchant} agreed, but the connection is of {self.expected_merchant}"
        else:
            self.code, self.merchant_id = given["code"], merchant
        self.done.set()
        return 200, "Connected." if self.refusal is None else "Not connected."


def authorize(
    *,
    authorize_url: str,
    token_url: str,
    client_id: str,
    client_secret: str | None = None,
    expected_merchant: str | None = None,
    port: int = 8912,
    timeout: float = 300.0,
    open_browser: Callable[[str], object] = webbrowser.open,
    show: Callable[[str], object] = lambda _url: None,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Authorized:
    """Runs the whole flow and returns the pair.

    The app's redirect address at Clover must be ``http://127.0.0.1:<port>/callback``. ``show`` is told the
    address to open by hand; it holds no secret. Raises Deauthorized when the merchant does not agree or time
    runs out, ConfigError when the port is taken.
    """
    verifier = secrets.token_urlsafe(48)
    state = secrets.token_urlsafe(24)
    try:
        server = _server(port)
    except OSError:
        raise ConfigError(
            f"Port {port} on this machine is taken, so Clover's answer could not arrive.",
            hint="Choose another port; it must be the one in the app's redirect address at Clover.",
        ) from None
    redirect_uri = f"http://127.0.0.1:{server.server_address[1]}{_CALLBACK}"
    query = {"client_id": client_id, "redirect_uri": redirect_uri, "state": state, "response_type": "code"}
    if client_secret is None:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    url = f"{authorize_url}?{urlencode(query)}"
    redirect = _Redirect(state, url, expected_merchant)
    server.redirect = redirect
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        show(url)
        open_browser(url)
        if not redirect.done.wait(timeout):
            raise Deauthorized(
                f"No answer from Clover within {timeout:.0f} seconds. Nothing was changed.",
                hint=f"Check that the app's redirect address at Clover is {redirect_uri}, then try again.",
            )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    if redirect.refusal is not None or redirect.code is None:
        raise Deauthorized(
            f"Not connected: {redirect.refusal}. Nothing was changed.",
            hint="Run connector authorize again and choose the merchant of this connection.",
        )
    proof = {"client_secret": client_secret} if client_secret is not None else {"code_verifier": verifier}
    pair = exchange_code(
        token_url,
        {"client_id": client_id, "code": redirect.code, **proof},
        transport=transport,
        sleep=sleep,
        now=now,
    )
    if pair.refresh_token is None:
        raise CloverError(
            "Clover gave no refresh token, so the connection would end with its first token.",
            method="POST",
            path=token_url,
            hint="Switch on expiring tokens for the app in Clover's dashboard.",
        )
    return Authorized(redirect.merchant_id, pair)


class _Server(HTTPServer):
    redirect: _Redirect
    allow_reuse_address = True


class _Answer(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # a browser that opens a connection and says nothing

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != _CALLBACK:
            status, text = 404, "There is nothing here."
        else:
            status, text = self.server.redirect.take(parse_qs(parts.query))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", text)
            text = ""
        page = _PAGE.format(text=text).encode()
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Referrer-Policy", "no-referrer")  # the address holds the code
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Says nothing: the request line holds the code."""


def _server(port: int) -> _Server:
    return _Server(("127.0.0.1", port), _Answer)
