"""Sends the alerts that wait: one POST each, tried again until it is taken."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from connector import outbound
from connector.logs import get_logger
from connector.outbound import Networks
from connector.schedule.alert_book import AlertBook

SECONDS = 10.0
Post = Callable[[str, str, Networks], int]
_HEADERS = {"Content-Type": "application/json", "User-Agent": "clover-codat-connector"}
log = get_logger(__name__)


def post(url: str, text: str, networks: Networks) -> int:
    """Send one body; the status of the answer. Raises httpx.HTTPError."""
    with outbound.outbound_client(networks) as client:
        return outbound.post(client, url, text.encode(), _HEADERS, seconds=SECONDS)


def deliver(
    book: AlertBook, url: str, *, now: Callable[[], datetime], send: Post = post, networks: Networks = ()
) -> int:
    """Send what is due, and note what became of it. Returns how many were taken.

    networks: those of our own that may be reached.
    """
    taken = before = 0
    while True:
        for waiting in book.waiting(now()):
            if not book.claim(waiting, now()):
                continue
            tried = outbound.attempt(lambda body=waiting.body: send(url, body, networks))  # type: ignore[misc]
            book.attempted(waiting, tried.status, tried.error, now())
            if tried.error is None:
                taken += 1
            else:
                # The address may hold a secret in its path, as those of chat services do.
                log.warning(
                    "alert.not_taken",
                    host=urlsplit(url).hostname,
                    attempts=waiting.attempts + 1,
                    error=tried.error,
                )
        if taken == before:
            return taken
        before = taken  # what waited behind these may go now
