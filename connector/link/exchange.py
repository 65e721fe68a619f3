"""Clover's answer becomes a pair of tokens of a merchant who was proven to be the one, and who may be read.

A code is exchanged once. The merchant id of the answer is the browser's word, so it is believed only when the token
opens that merchant. Nothing is kept here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

import httpx

from connector.clover.auth.oauth import TokenPair, exchange_code
from connector.clover.auth.tokens import StaticToken
from connector.clover.hosts import Hosts, hosts_for
from connector.clover.http.client import CloverClient
from connector.clover.http.reach import Patience
from connector.clover.http.responses import NotFound
from connector.clover.http.retry import RetryPolicy
from connector.clover.lists.streams import STREAMS
from connector.clover.platform import MerchantProfile, merchant_profile
from connector.config import LinkApp
from connector.errors import CloverError, Deauthorized, PermissionMissing

T = TypeVar("T")
_PATIENCE = 10.0  # seconds until Clover's first answer: somebody waits before a page
_POLICY = RetryPolicy(attempts=2, total_seconds=10.0)


@dataclass(frozen=True, slots=True)
class Agreed:
    """A merchant who agreed, its first pair, and what Clover says of it."""

    profile: MerchantProfile
    pair: TokenPair = field(repr=False)


class LinkFailed(Exception):
    """It did not work. reason: a key of ``link_words.REASONS``; detail: for the operator's log, without secrets."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def exchange(
    app: LinkApp,
    *,
    code: str,
    verifier: str | None,
    merchant_id: str,
    transport: httpx.BaseTransport | None = None,
) -> Agreed:
    """The pair for a code, and whose it is. verifier: of an app without a secret (PKCE). Raises LinkFailed."""
    hosts = hosts_for(app.environment, app.base_url, region=app.region)
    pair = _pair(app, hosts, code, verifier, transport)

    def client(url: str) -> CloverClient:
        token = StaticToken(pair.access_token)
        return CloverClient(url, token, policy=_POLICY, patience=Patience(_PATIENCE), transport=transport)

    with client(hosts.platform) as platform:
        profile = _explained(lambda: _proven(platform, merchant_id))
    with client(hosts.scl) as shop:
        _explained(lambda: _readable(shop))
    return Agreed(profile, pair)


def _pair(
    app: LinkApp, hosts: Hosts, code: str, verifier: str | None, transport: httpx.BaseTransport | None
) -> TokenPair:
    secret = app.client_secret.get_secret_value() if app.client_secret else None
    proof = {"client_secret": secret} if secret is not None else {"code_verifier": verifier or ""}
    try:
        pair = exchange_code(
            hosts.token_url,
            {"client_id": app.client_id, "code": code, **proof},
            transport=transport,
            patience=Patience(_PATIENCE),
            timeout=_PATIENCE,
        )
    except Deauthorized as refused:
        raise LinkFailed("code", f"Clover refused the code ({refused.status})") from None
    except CloverError as error:
        raise LinkFailed("clover", error.message) from None
    if pair.refresh_token is None:
        raise LinkFailed("app", "Clover gave no refresh token; switch on expiring tokens for the app")
    return pair


def _proven(platform: CloverClient, merchant_id: str) -> MerchantProfile:
    """What Clover tells of the merchant, once the token has opened it."""
    try:
        profile = merchant_profile(platform, merchant_id)
    except PermissionMissing:
        # The profile may not be read. That the token opens this merchant and no other is shown by its orders.
        platform.get_json(
            f"/v3/merchants/{quote(merchant_id, safe='')}/orders", {"limit": 1}, permission="Read orders"
        )
        return MerchantProfile(merchant_id)
    except (Deauthorized, NotFound):
        raise LinkFailed("merchant", "the token does not open the merchant that the answer names") from None
    if profile == MerchantProfile(merchant_id):
        raise LinkFailed("merchant", "Clover knows no merchant of that id in this region")
    return profile


def _readable(shop: CloverClient) -> None:
    for stream in STREAMS.values():
        shop.get_json(stream.path, {"limit": 1}, permission=stream.permission)


def _explained(work: Callable[[], T]) -> T:
    try:
        return work()
    except PermissionMissing as error:
        raise LinkFailed("permission", f"the app lacks the permission '{error.permission}'") from None
    except Deauthorized:
        raise LinkFailed("permission", "the token is refused by the Ecommerce API") from None
    except NotFound:
        raise LinkFailed("ecommerce", "the Ecommerce API does not know the merchant") from None
    except CloverError as error:
        raise LinkFailed("clover", error.message) from None
