"""What linking is made of: the section ``link``, the keys of links, and the addresses that lead to Clover and back."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode, urlsplit

import httpx

from connector.clover.auth.credentials import PairStore, load_keys
from connector.clover.hosts import hosts_for
from connector.config import Config, Link, LinkApp
from connector.errors import ConfigError
from connector.link.tokens import LinkTokens, Opens, derived
from connector.sync.connect.oauth import credentials_of, key_file_of


@dataclass(frozen=True, slots=True)
class Linking:
    """Of one server. settings: the section. config: all of it. pairs: where merchants' tokens are kept, encrypted.

    transport: replaces the network in tests.
    """

    config: Config
    settings: Link
    tokens: LinkTokens
    pairs: PairStore
    pkce_key: bytes = field(repr=False)
    transport: httpx.BaseTransport | None = None

    @property
    def base(self) -> str:
        """This server as merchants reach it, without a trailing slash."""
        parts = urlsplit(self.settings.redirect_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_secure(self) -> bool:
        """Whether merchants come over TLS."""
        return self.base.startswith("https:")

    def address(self, company_id: str, connection_id: str | None, now: datetime) -> str:
        """The link of a connection, or of a company whose connection is still to be made."""
        opens = Opens(company_id, connection_id)
        return f"{self.base}/link/{self.tokens.make(opens, now=now, valid_days=self.settings.valid_days)}"

    def consent_address(self, app: LinkApp, state: str) -> str:
        """Where the merchant agrees at Clover; it holds no secret."""
        query = {
            "client_id": app.client_id,
            "redirect_uri": self.settings.redirect_url,
            "state": state,
            "response_type": "code",
        }
        verifier = self.verifier(app, state)
        if verifier is not None:
            digest = hashlib.sha256(verifier.encode()).digest()
            query |= {"code_challenge": _text(digest), "code_challenge_method": "S256"}
        hosts = hosts_for(app.environment, app.base_url, region=app.region)
        return f"{hosts.authorize_url}?{urlencode(query)}"

    def verifier(self, app: LinkApp, state: str) -> str | None:
        """What proves an app without a secret (PKCE). Made of the state, so that it need not be kept; else None."""
        return _text(hmac.new(self.pkce_key, state.encode(), hashlib.sha256).digest()) if app.pkce else None


def linking_of(config: Config, *, transport: httpx.BaseTransport | None = None) -> Linking | None:
    """None where the configuration has no section ``link``. Raises ConfigError when a secret of it is missing.

    The key that closes OAuth pairs is made where there is none yet.
    """
    if config.link is None:
        return None
    for number, app in enumerate(config.link.apps):
        if app.client_secret is None and not app.pkce:
            raise ConfigError(
                f"link.apps[{number}] has no client_secret, so no merchant could be connected.",
                hint="Set the variable it names, as for connector schedule.",
            )
    pairs = credentials_of(config)
    keys = load_keys(key_file_of(config))
    return Linking(config, config.link, LinkTokens(keys), pairs, derived(keys[0], "pkce"), transport)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
