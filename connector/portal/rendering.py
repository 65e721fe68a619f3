"""Pages out of templates: what every page has, how amounts and times are written, and the headers that keep it safe.

Everything that came from a merchant or a customer is escaped by the templates, and stands in an element of its own
direction.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from connector.api.answer.body import VERSION, compressed
from connector.api.answer.errors import ApiError
from connector.api.state import Call, call_of
from connector.control.sessions import form_token
from connector.report.drawing import CHART_STYLE
from connector.report.templating import templates_of
from connector.report.words import ISSUES, STATUSES
from schemas.money import money
from schemas.times import wire_text

HOME = "/portal"
SIGN_IN = f"{HOME}/sign-in"
COOKIE = "connector_portal"
_STATIC = (Path(__file__).parent / "static", CHART_STYLE.parent)
ABSENT = "\N{EN DASH}"
HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
STATIC_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """A page for who is signed in, or for nobody in particular."""
    call = call_of(request)
    token = request.cookies.get(COOKIE, "")
    shown = {**_common(call), "form_token": form_token(token), "path": request.url.path, **context}
    text = _environment().get_template(template).render(shown)
    body, headers = compressed(request, text.encode())
    return Response(body, status, {**SAFE, **headers, "Content-Type": HTML})


def refusal_page(call: Call, error: ApiError) -> Response:
    """What went wrong, in the words the API has for it."""
    text = (
        _environment()
        .get_template("refusal.html")
        .render({**_common(call), "error": error, "form_token": ""})
    )
    return Response(text, error.status, {**SAFE, **error.headers, "Content-Type": HTML})


def _common(call: Call) -> dict[str, Any]:
    return {
        "key": call.key,
        "is_operator": is_operator(call),
        "has_links": call.state.settings.link_address is not None,
        "version": VERSION,
        "correlation_id": call.correlation_id,
        "home": HOME,
        "now": call.now(),
    }


def is_operator(call: Call) -> bool:
    """Whether the key may see and change everything: keys and who read what are for nobody else."""
    return call.key is not None and call.key.companies is None and "write" in call.key.scopes


def company_path(company_id: str, *rest: str) -> str:
    """The address of a company's page, or of one below it."""
    return "/".join([f"{HOME}/companies", *(quote(part, safe="") for part in (company_id, *rest))])


def link(path: str, parameters: Mapping[str, object] | None = None, **more: object) -> str:
    """A path with what is asked of it; what is None is left out."""
    asked = {name: value for name, value in {**(parameters or {}), **more}.items() if value not in (None, "")}
    return f"{path}?{urlencode(asked)}" if asked else path


@cache
def static_files() -> Mapping[str, bytes]:
    """The files pages are made with, by name."""
    return {
        file.name: file.read_bytes()
        for directory in _STATIC
        for file in directory.iterdir()
        if file.suffix in STATIC_TYPES
    }


@cache
def static_tag(name: str) -> str:
    """Part of the address of a file that never changes, so that a new version is another file."""
    return blake2b(static_files()[name], digest_size=6).hexdigest()


@cache
def _environment() -> Environment:
    made = templates_of("connector.portal")
    made.filters |= {
        "called": _called,
        "money": _money,
        "signed": _signed,
        "when": _when,
        "ago": ago,
        "count": _count,
        "share": share,
    }
    made.globals.update(
        {
            "company_path": company_path,
            "link": link,
            "static": lambda name: f"{HOME}/static/{static_tag(name)}/{name}",
            "issue_words": ISSUES,
            "status_words": STATUSES,
        }
    )
    return made


def _money(amount: Decimal | None, currency: str) -> str:
    return ABSENT if amount is None else money(Decimal(amount), currency)


def _signed(amount: Decimal | None, currency: str) -> str:
    text = _money(amount, currency)
    return f"+{text}" if amount is not None and amount > 0 else text


def _called(ref: Mapping[str, Any] | None) -> str | None:
    """The name in a reference of an order, where there is one."""
    return None if ref is None else ref.get("name")


def _count(number: int | Decimal | None) -> str:
    return ABSENT if number is None else f"{number:,f}" if isinstance(number, Decimal) else f"{number:,}"


def _when(moment: datetime | date | None) -> Markup | str:
    """A time of the store (UTC, with or without its zone), a day as it is."""
    if moment is None:
        return "never"
    if not isinstance(moment, datetime):
        return moment.isoformat()
    aware = _aware(moment)
    return Markup('<time datetime="{}">{}</time>').format(wire_text(aware), f"{aware:%Y-%m-%d %H:%M} UTC")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that fits twice."""
    if moment is None:
        return "never"
    seconds = max(0, int((now - _aware(moment)).total_seconds()))
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name} ago"
    return "just now" if seconds < 60 else f"{seconds} seconds ago"


def share(value: Decimal | None) -> str:
    """A share as a percentage in whole hundredths, cut: 99.999 must not read as 100."""
    if value is None:
        return ABSENT
    hundredths = int(value * 10_000)
    return f"{hundredths // 100}.{hundredths % 100:02d} %" if hundredths >= 0 else ABSENT


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
