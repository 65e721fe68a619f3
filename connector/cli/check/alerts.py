"""What ``connector check`` says of the address for alerts: whether it may be reached, and answers."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from connector import outbound
from connector.cli.check.clover import Finding
from connector.config import Config
from connector.outbound import Attempt, Networks

SECONDS = 5.0
_SEND_ONE = "connector alerts test sends one and says what the address answers."


def examine_alerts(
    config: Config, reach: Callable[[str, Networks], Attempt] | None = None
) -> Iterator[Finding]:
    """Nothing is posted here. Never ``failed``: syncs work without alerts."""
    url = config.alerts.webhook_url
    if url is None:
        if any(connection.schedule for _, connection in config.enabled_pairs()):
            yield Finding(
                "alerts",
                "ok",
                "no alerts.webhook_url: failures stand in status, the log and the figures only",
            )
        return
    host = urlsplit(url).hostname
    tried = (reach or _reach)(url, config.private_networks)
    if tried.error is not None:
        todo = (
            "Name its network in private_networks, or use another address."
            if "private network" in tried.error
            else f"Correct alerts.webhook_url, or see why it is not reached from here. {_SEND_ONE}"
        )
        yield Finding("alerts", "warning", f"{host} cannot be told: {tried.error}", todo)
    elif tried.status in (404, 410):
        yield Finding(
            "alerts", "warning", f"{host} answers {tried.status}: the address may be gone", _SEND_ONE
        )
    else:
        yield Finding("alerts", "ok", f"{host} answers ({tried.status}); connector alerts test sends one")


def _reach(url: str, networks: Networks) -> Attempt:
    return outbound.reach(url, networks, seconds=SECONDS)
