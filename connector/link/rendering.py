"""The pages' frame: who asks, the style of the portal, and headers that keep what passes here from leaving."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import Response

from connector.api.answer.body import compressed
from connector.api.answer.errors import ApiError
from connector.api.state import Call
from connector.config import Link
from connector.control.sessions import form_token
from connector.link.visitor import COOKIE, HOME, linking_in
from connector.portal.rendering import HOME as PORTAL
from connector.portal.rendering import HTML, SAFE, STATIC_TYPES, static_tag
from connector.report.templating import templates_of

_LOGO_TYPES = {
    **STATIC_TYPES,
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}


def link_page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """A page for the merchant."""
    token = form_token(request.cookies.get(COOKIE, ""))
    text = _rendered(template, linking_in(request).settings, form_token=token, **context)
    body, headers = compressed(request, text.encode())
    return Response(body, status, {**SAFE, **headers, "Content-Type": HTML})


def refusal_page(call: Call, settings: Link, error: ApiError) -> Response:
    """What went wrong before there was a visit, or beside it."""
    text = _rendered("refusal.html", settings, error=error, correlation_id=call.correlation_id)
    return Response(text, error.status, {**SAFE, **error.headers, "Content-Type": HTML})


def logo_type(path: Path) -> str | None:
    """The content type of an image file, by its name; None for a file that is none."""
    kind = _LOGO_TYPES.get(path.suffix.lower(), "")
    return kind if kind.startswith("image/") else None


def _rendered(template: str, settings: Link, **context: Any) -> str:
    shown = {
        "asks": settings.name,
        "logo": f"{HOME}/logo" if settings.logo is not None else None,
        "privacy": settings.privacy_url,
        "since": settings.start_date,
        "home": HOME,
        **context,
    }
    return _environment().get_template(template).render(shown)


@cache
def _environment() -> Environment:
    made = templates_of("connector.link")
    made.globals["static"] = lambda name: f"{PORTAL}/static/{static_tag(name)}/{name}"
    return made
