"""The server with its portal: the API's application, and pages for people behind the same door."""

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from fastapi import FastAPI
from starlette.responses import RedirectResponse, Response

from connector.api.answer.errors import ApiError
from connector.api.app import create_app as create_api
from connector.api.state import ApiSettings, Call
from connector.control.keys import ApiKey, key_of
from connector.control.sessions import session_key
from connector.portal import access, companies, company, entrance, links, order, orders, sync
from connector.portal.rendering import COOKIE, HOME, SIGN_IN, refusal_page

OPEN = frozenset({"/", SIGN_IN, f"{HOME}/sign-out", f"{HOME}/api"})


def create_app(settings: ApiSettings, *, dispatch: bool = False) -> FastAPI:
    """The API and the portal over one store. ``dispatch``: also send webhooks, in a thread of this process."""
    return create_api(settings, dispatch=dispatch, pages=Portal())


class Portal:
    """See ``connector.api.door.pages.Pages``."""

    def owns(self, path: str) -> bool:
        return path in ("/", HOME) or path.startswith(f"{HOME}/")

    def is_open(self, path: str) -> bool:
        return path in OPEN or path.startswith(f"{HOME}/static/")

    def key(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> ApiKey | None:
        """Looked up at every request: a revoked key has no session any more."""
        control, now = call.state.control, call.now()
        token = _token(headers)
        key_id = session_key(control, token, now=now) if token else None
        return key_of(control, key_id, now=now) if key_id else None

    def refusal(self, call: Call, path: str, query: str, error: ApiError) -> Response:
        """Who is not signed in is asked to; and comes back to where they wanted to go."""
        if error.status == 401:
            wanted = quote(path + (f"?{query}" if query else ""), safe="")
            return RedirectResponse(f"{SIGN_IN}?next={wanted}", 303, {"Cache-Control": "no-store"})
        return refusal_page(call, error)

    def mount(self, app: FastAPI) -> None:
        for room in (entrance, companies, company, orders, order, sync, access, links):
            app.include_router(room.router, include_in_schema=False)


def _token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name.lower() == b"cookie":
            try:
                cookie = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                continue
            if cookie is not None:
                return cookie.value
    return None
