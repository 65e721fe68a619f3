"""The way in: where links lead, signing in with an API key, signing out, and the files pages are made with."""

from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import RedirectResponse

from connector.api.answer.errors import ApiError, busy, no_record
from connector.api.door.auth import recognised
from connector.api.door.middleware import address_of
from connector.api.state import call_of
from connector.control.sessions import begin_session, end_session, is_form_token
from connector.portal.rendering import (
    COOKIE,
    HOME,
    SAFE,
    SIGN_IN,
    STATIC_TYPES,
    company_path,
    page,
    static_files,
    static_tag,
)

router = APIRouter()
_YEAR = "public, max-age=31536000, immutable"


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours sent. Raises ApiError 403 where another site did."""
    if not _is_ours(request):
        raise ApiError(403, "Forbidden: another site sent this form.")
    text = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20))


async def session_form(request: Request) -> dict[str, str]:
    """The same of who is signed in; the form carries what only the session knows."""
    fields = await form(request)
    if not is_form_token(request.cookies.get(COOKIE, ""), fields.get("form_token", "")):
        raise ApiError(403, "Forbidden: this form is not of your session. Open the page again.")
    return fields


Form = Annotated[dict[str, str], Depends(form)]
SessionForm = Annotated[dict[str, str], Depends(session_form)]


def _is_ours(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser: nobody's cookies are at stake
    host = urlsplit(origin).netloc
    return host in (request.headers.get("host"), urlsplit(call_of(request).state.settings.public_url).netloc)


@router.get("/")
def links(companyId: str | None = None) -> Response:  # noqa: N803 - the name is the link's
    """Where ``linkUrl`` and ``redirect`` of a company lead. Whether there is one is told to who is signed in."""
    return RedirectResponse(company_path(companyId) if companyId else HOME, 303)


@router.get(SIGN_IN)
def sign_in_page(request: Request, next: str = "") -> Response:
    """Asks for a key."""
    return page(request, "sign_in.html", wanted=_inside(next), failed=None)


@router.post(SIGN_IN)
async def sign_in(request: Request, fields: Form) -> Response:
    """A good key gets a session; a wrong one waits, longer each time, as everywhere."""
    call = call_of(request)
    wanted = _inside(fields.get("next", ""))
    try:
        key = await recognised(call, fields.get("key", "").strip(), address_of(dict(request.scope)))
        quota = call.state.quota.take(key.key_id, key.requests_per_minute)
        if quota.exceeded:
            raise busy(quota.wait)
    except ApiError as error:
        await call.state.settings.sleep(call.state.refusals.take())
        failed = "This key is not known, has expired or was revoked." if error.status == 401 else error.error
        answer = page(request, "sign_in.html", status=error.status, wanted=wanted, failed=failed)
        answer.headers.update({name: value for name, value in error.headers.items() if name == "Retry-After"})
        return answer
    call.key = key
    token = begin_session(call.state.control, key.key_id, now=call.now())
    answer = RedirectResponse(wanted, 303, SAFE)
    secure = call.state.settings.public_url.startswith("https:") or request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, path=HOME, httponly=True, samesite="lax", secure=secure)
    return answer


@router.post(f"{HOME}/sign-out")
def sign_out(request: Request, fields: SessionForm) -> Response:  # noqa: ARG001 - what it proves is needed
    """Ends the session here, not only in the browser."""
    call = call_of(request)
    end_session(call.state.control, request.cookies.get(COOKIE, ""))
    answer = RedirectResponse(SIGN_IN, 303, SAFE)
    answer.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="lax")
    return answer


@router.get(f"{HOME}/api")
def for_programs(request: Request) -> Response:
    """How programs ask the same; says nothing of any company."""
    return page(request, "api.html", url=call_of(request).state.settings.public_url)


@router.get(f"{HOME}/static/{{tag}}/{{name}}")
def static(tag: str, name: str) -> Response:
    """A file of the pages, by its content: it may be kept for ever."""
    if name not in static_files() or tag != static_tag(name):
        raise no_record("static", name)
    kind = STATIC_TYPES[f".{name.rpartition('.')[2]}"]
    return Response(static_files()[name], headers={**SAFE, "Content-Type": kind, "Cache-Control": _YEAR})


def _inside(path: str) -> str:
    """Where to go after signing in: a page of the portal, whatever a link says."""
    is_page = path.startswith((f"{HOME}/", f"{HOME}?")) and not path.startswith(SIGN_IN)
    return path if is_page and path.isprintable() and "\\" not in path else HOME
