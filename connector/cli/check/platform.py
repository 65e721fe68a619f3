"""What ``connector check`` says of the platform API: whether the token may read it, and where it contradicts config."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from connector.cli.check.clover import Finding
from connector.config import Company, Connection
from connector.errors import ConnectorError
from schemas.iso import ALPHA_3, UNKNOWN_COUNTRY

if TYPE_CHECKING:
    from connector.clover.http.client import CloverClient
    from connector.clover.platform import MerchantProfile


def examine_platform(
    company: Company, connection: Connection, open_client: Callable[[Connection], "CloverClient"]
) -> Iterator[Finding]:
    """Nothing here is ever ``failed``: a sync works without the platform. Silent where it is off and not readable."""
    from connector.clover import platform

    subject = f"{company.name} {connection.merchant_id} platform"
    is_off = connection.platform == "off"
    try:
        with open_client(connection) as client:
            if not platform.probe(client, connection.merchant_id):
                if not is_off:
                    yield Finding(
                        subject,
                        "warning",
                        "the token may not read this merchant there; syncs work without",
                        'Grant Read merchant, orders, payments and customers, or set platform: "off".',
                    )
                return
            if is_off:
                yield Finding(subject, "ok", "readable, and not used; platform: auto would ask it too")
                return
            profile = platform.merchant_profile(client, connection.merchant_id)
            told = (profile.name, profile.country, profile.currency, profile.timezone)
            yield Finding(subject, "ok", f"readable: {', '.join(text for text in told if text)}")
            yield from _contradictions(subject, connection, profile)
            yield _customers(subject, client, connection.merchant_id)
    except ConnectorError as error:
        if not is_off:
            yield Finding(subject, "warning", f"{error.message} Syncs work without.", error.hint)


def _contradictions(subject: str, connection: Connection, profile: "MerchantProfile") -> Iterator[Finding]:
    country = ALPHA_3.get((profile.country or "").upper())
    for name, ours, theirs in (
        ("timezone", connection.timezone, profile.timezone),
        ("country", connection.country if connection.country != UNKNOWN_COUNTRY else None, country),
        ("currency", connection.currency, profile.currency),
    ):
        if ours and theirs and ours != theirs:
            yield Finding(
                subject,
                "warning",
                f"{name} is {theirs} at Clover and {ours} here",
                f"Correct {name}, or leave it.",
            )


def _customers(subject: str, client: "CloverClient", merchant_id: str) -> Finding:
    path = f"/v3/merchants/{merchant_id}/customers"
    try:
        client.get_json(path, {"limit": 1}, permission="Read customers")
    except ConnectorError as error:
        return Finding(
            subject,
            "warning",
            f"customers cannot be read: {error.message}",
            "Grant Read customers; until then customers are what orders say of them.",
        )
    return Finding(subject, "ok", "customers readable")
