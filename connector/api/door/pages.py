"""What pages for people have to say of themselves to be served behind the same door as the API."""

from collections.abc import Iterable
from typing import Protocol

from fastapi import FastAPI
from starlette.responses import Response

from connector.api.answer.errors import ApiError
from connector.api.state import Call
from connector.control.keys import ApiKey


class Pages(Protocol):
    """Quota, scopes, limits and the access log are the door's; who asks and what an error looks like are said here."""

    def owns(self, path: str) -> bool:
        """Whether a path is one of theirs."""

    def is_open(self, path: str) -> bool:
        """Whether a path of theirs needs no key."""

    def key(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> ApiKey | None:
        """The good key behind a request, None where there is none."""

    def refusal(self, call: Call, path: str, query: str, error: ApiError) -> Response:
        """The page of an error."""

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
