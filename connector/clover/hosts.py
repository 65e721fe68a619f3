"""Clover's hosts by environment and region (docs.clover.com: Base URLs; Use OAuth)."""

from dataclasses import dataclass
from typing import Literal

from connector.errors import ConfigError

Environment = Literal["production", "sandbox"]
Region = Literal["na", "eu", "la"]


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where to reach Clover, without trailing slashes.

    scl: Ecommerce API, US and Canada only. platform: REST v3. The three OAuth v2 addresses are complete URLs.
    """

    scl: str
    platform: str
    authorize_url: str
    token_url: str
    refresh_url: str


def _hosts(scl: str, platform: str, website: str) -> Hosts:
    return Hosts(
        scl=scl,
        platform=platform,
        authorize_url=f"{website}/oauth/v2/authorize",
        token_url=f"{platform}/oauth/v2/token",
        refresh_url=f"{platform}/oauth/v2/refresh",
    )


_SANDBOX = _hosts(
    "https://scl-sandbox.dev.clover.com",
    "https://apisandbox.dev.clover.com",
    "https://sandbox.dev.clover.com",
)
_PRODUCTION = {
    "na": _hosts("https://scl.clover.com", "https://api.clover.com", "https://www.clover.com"),
    # There is one Ecommerce host; merchants of these regions are only known to v3.
    "eu": _hosts("https://scl.clover.com", "https://api.eu.clover.com", "https://www.eu.clover.com"),
    "la": _hosts("https://scl.clover.com", "https://api.la.clover.com", "https://www.la.clover.com"),
}


def hosts_for(environment: str, base_url: str | None = None, *, region: str = "na") -> Hosts:
    """The hosts of an environment; ``base_url`` (tests, proxies) replaces every one of them.

    Raises ConfigError for an environment, region or URL that is none.
    """
    if base_url is not None:
        base = base_url.rstrip("/")
        if not base.startswith(("https://", "http://")):
            raise ConfigError(f"base_url {base_url!r} is no http address.", hint="Write it with https://.")
        return _hosts(base, base, base)
    if environment == "sandbox":
        return _SANDBOX
    if environment == "production" and region in _PRODUCTION:
        return _PRODUCTION[region]
    raise ConfigError(
        f"Clover has no environment {environment!r} in region {region!r}.",
        hint="environment is production or sandbox; region is na, eu or la.",
    )
