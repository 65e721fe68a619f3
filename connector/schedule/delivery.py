"""Sends the alerts that wait: one POST each, tried again until it is taken."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from connector.control.outbox import Delivery
from connector.logs import get_logger
from connector.schedule.alert_book import AlertBook

SECONDS = 10.0
Post = Callable[[str, str], int]
log = get_logger(__name__)


def post(url: str, text: str) -> int:
    """Send one body; the status of the answer. Raises httpx.HTTPError."""
    headers = {"Content-Type": "application/json", "User-Agent": "clover-codat-connector"}
    return httpx.post(
        url, content=text.encode(), headers=headers, timeout=SECONDS, follow_redirects=False
    ).status_code


def deliver(book: AlertBook, url: str, *, now: Callable[[], datetime], send: Post = post) -> int:
    """Send what is due, and note what became of it. Returns how many were taken."""
    taken = before = 0
    while True:
        taken += _deliver_waiting(book, url, now=now, send=send)
        if taken == before:
            return taken
        before = taken  # what waited behind these may go now


def _deliver_waiting(book: AlertBook, url: str, *, now: Callable[[], datetime], send: Post) -> int:
    taken = 0
    for waiting in book.waiting(now()):
        if not book.claim(waiting, now()):
            continue
        status, error = _attempt(url, waiting, send)
        book.attempted(waiting, status, error, now())
        if error is None:
            taken += 1
        else:
            # The address may hold a secret in its path, as those of chat services do.
            log.warning(
                "alert.not_taken", host=urlsplit(url).hostname, attempts=waiting.attempts + 1, error=error
            )
    return taken


def _attempt(url: str, waiting: Delivery, send: Post) -> tuple[int | None, str | None]:
    try:
        status = send(url, waiting.body)
    except httpx.HTTPError as error:
        return None, type(error).__name__
    return status, None if 200 <= status < 300 else f"answered {status}"
