"""What single values of config.yaml may be: addresses, countries, time zones, cron expressions, secrets."""

import re
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from schemas.iso import ALPHA_3, KNOWN_COUNTRIES, UNKNOWN_COUNTRY


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with https:// (or http://)")
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not have a ? or # part")
    return value.rstrip("/")


def _country(value: str) -> str:
    code = value.strip().upper()
    if code in ALPHA_3:
        raise ValueError(f"'{value}' has two letters; write the three-letter code {ALPHA_3[code]}")
    if code not in {*KNOWN_COUNTRIES, UNKNOWN_COUNTRY}:
        raise ValueError(
            f"'{value}' is not an ISO 3166 alpha-3 code; write one such as USA or CAN, XXX if unknown"
        )
    return code


@lru_cache(maxsize=1024)
def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{value}' is not an IANA time zone; write one such as America/New_York") from None
    return value


@lru_cache(maxsize=1024)
def _cron(value: str) -> str:
    try:
        next(CronSim(value, datetime(2024, 1, 1)))  # noqa: DTZ001 - only whether it can be read
    except CronSimError:
        raise ValueError(
            f"'{value}' is not a cron expression; write five fields such as \"*/30 * * * *\""
        ) from None
    except StopIteration:
        raise ValueError(f"'{value}' never comes due; check the day and month") from None
    return value


def _filled(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip():
        raise ValueError("is empty")
    if text != text.strip() or any(not 32 < ord(c) < 127 for c in text):
        raise ValueError("contains a space, line break or other character that no token has; copy it again")
    if text.lower().startswith("bearer"):
        raise ValueError("must be the token alone, without the word Bearer")
    return value


def _credential(value: str) -> str:
    if not re.fullmatch(r"kept|env:[A-Za-z_][A-Za-z0-9_]*|file:/.+", value):
        raise ValueError(
            "must be env:NAME, file:/path, or kept"
        )  # never quoted: it may be a token by mistake
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value.strip()))
    except ValueError:
        raise ValueError(
            f"'{value}' is not an IP address or network; write one such as 10.0.0.7 or 10.0.0.0/24"
        ) from None


def none_as_empty(value: object) -> object:
    """A key that was written without a value."""
    return "" if value is None else value


Id = Annotated[
    str,
    BeforeValidator(none_as_empty),
    StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Secret = Annotated[SecretStr, AfterValidator(_filled)]
Port = Annotated[int, Field(ge=0, le=65535)]
Country = Annotated[str, AfterValidator(_country)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Cron = Annotated[str, AfterValidator(_cron)]
Credential = Annotated[str, AfterValidator(_credential)]
Network = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    """A part of config.yaml: unknown keys are mistakes, and nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
