"""The whole server: the API, the portal, and, where the configuration has a section ``link``, the pages of links."""

from collections.abc import Iterable
from dataclasses import replace

from fastapi import FastAPI
from starlette.responses import Response

from connector.api.answer.errors import ApiError
from connector.api.app import create_app as create_api
from connector.api.door.pages import Pages
from connector.api.state import ApiSettings, Call
from connector.control.keys import ApiKey
from connector.link import pages
from connector.link.linking import Linking
from connector.link.rendering import refusal_page
from connector.link.visitor import HOME
from connector.portal.app import Portal


def create_app(settings: ApiSettings, linking: Linking | None, *, dispatch: bool = False) -> FastAPI:
    """One store's server. dispatch: also send webhooks, in a thread of this process."""
    if linking is None:
        return create_api(settings, dispatch=dispatch, pages=Portal())
    app = create_api(
        replace(settings, link_address=linking.address),
        dispatch=dispatch,
        pages=Doors(Links(linking), Portal()),
    )
    app.state.linking = linking
    return app


class Links:
    """See ``connector.api.door.pages.Pages``. Nobody has a key here: a link and a cookie are what opens."""

    def __init__(self, linking: Linking) -> None:
        self._linking = linking

    def owns(self, path: str) -> bool:
        return path == HOME or path.startswith(f"{HOME}/")

    def is_open(self, path: str) -> bool:
        return self.owns(path)

    def key(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> ApiKey | None:  # noqa: ARG002 - nobody has one
        return None

    def refusal(self, call: Call, path: str, query: str, error: ApiError) -> Response:  # noqa: ARG002 - they hold secrets
        return refusal_page(call, self._linking.settings, error)

    def mount(self, app: FastAPI) -> None:
        app.include_router(pages.router, include_in_schema=False)


class Doors:
    """Several sets of pages; a path belongs to the first that owns it."""

    def __init__(self, *rooms: Pages) -> None:
        self._rooms = rooms

    def owns(self, path: str) -> bool:
        return any(room.owns(path) for room in self._rooms)

    def is_open(self, path: str) -> bool:
        return any(room.is_open(path) for room in self._rooms if room.owns(path))

    def key(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> ApiKey | None:
        return next((key for room in self._rooms if (key := room.key(call, headers)) is not None), None)

    def refusal(self, call: Call, path: str, query: str, error: ApiError) -> Response:
        room = next(room for room in self._rooms if room.owns(path))
        return room.refusal(call, path, query, error)

    def mount(self, app: FastAPI) -> None:
        for room in self._rooms:
            room.mount(app)
