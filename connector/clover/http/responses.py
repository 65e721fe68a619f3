"""What an answer of Clover means: its JSON, or the error that says what to do about it.

Sorts by HTTP status and the ``message`` prefix, never by ``error.code``: not-found comes under three codes
and even under HTTP 400. Waiting and trying again are ``connector.clover.http.retry``'s.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from connector.errors import CloverError, CloverUnavailable, PermissionMissing, Throttled


class NotFound(CloverError):
    """404, also when it hides under HTTP 400: the record is gone."""


class BadRequest(CloverError):
    """400: Clover refuses the question; asking again will not help."""


class Unauthorized(CloverError):
    """401, before anybody has tried a fresh token. Stays inside the client."""


class BodyTooLarge(CloverError):
    """The answer is larger than the client accepts."""


# Of one answer. A value takes some three hundred bytes of memory, two of the body; a page of 100 orders with 50 lines
# each has less than half as many.
_MOST_VALUES = 250_000

_STATUS_IN_MESSAGE = re.compile(r"\s*([1-5]\d\d)\b")
_PERMISSION = re.compile(r"\b(?:permission|scope)s?[: ]+'?([A-Z][A-Z_]{2,40})\b", re.IGNORECASE)


def decode(body: bytes, *, path: str) -> object:
    """The JSON of a body.

    Raises CloverUnavailable when it is empty, HTML or cut off, BodyTooLarge when it has too many values. A body with a
    few bytes that are no UTF-8 is read with those bytes replaced: one bad name must not hide a page of sales.
    """
    # More than there are where texts hold these signs, never fewer.
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise BodyTooLarge(
            f"Clover's answer to GET {path} has more than {_MOST_VALUES} values.", path=path, status=200
        )
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        lenient = json.loads(body.decode("utf-8", "replace"), parse_constant=_refuse)
        clean = json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace")
        return orjson.loads(clean)
    except (ValueError, RecursionError):
        what = (
            "an empty body"
            if not body.strip()
            else "a web page"
            if body.lstrip()[:1] == b"<"
            else "broken JSON"
        )
        # ``from None``: the decoder's error carries the body.
        raise CloverUnavailable(f"Clover answered GET {path} with {what}.", path=path, status=200) from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, path: str, permission: str = ""
) -> object:
    """The JSON of a good answer; otherwise the error that fits.

    Raises Throttled, CloverUnavailable (both worth another try), Unauthorized, PermissionMissing, NotFound,
    BadRequest, CloverError.
    """
    if status == 200:
        document = decode(body, path=path)
        hidden = _hidden_status(document)
        if hidden is None:
            return document
        raise _error(hidden, headers, document, path, permission)
    try:
        document = decode(body, path=path)
    except (CloverUnavailable, BodyTooLarge):
        document = None
    if status == 400 and _message_status(document) == 404:
        status = 404
    raise _error(status, headers, document, path, permission)


def _error(
    status: int, headers: Mapping[str, str], document: object, path: str, permission: str
) -> CloverError:
    said = f"Clover answered GET {path} with {status}"
    if status == 429:
        return Throttled(f"{said}: too many requests.", retry_after=retry_after(headers), path=path)
    if status in (408, 425) or status >= 500:
        return CloverUnavailable(f"{said}.", path=path, status=status)
    if status == 401:
        return Unauthorized(f"{said}.", path=path, status=401)
    if status == 403:
        return permission_missing(path, _named_permission(document) or permission, status=403)
    if status == 404:
        return NotFound(f"{said}: there is no such record.", path=path, status=404)
    if status == 400:
        return BadRequest(f"{said}: it does not accept the question.", path=path, status=400)
    if 300 <= status < 400:
        return CloverError(
            f"{said}, a redirect; it is not followed, so that the token goes nowhere else.",
            path=path,
            status=status,
            hint="Check base_url and environment of the connection.",
        )
    return CloverError(f"{said}.", path=path, status=status)


def permission_missing(path: str, permission: str, *, status: int) -> PermissionMissing:
    """The error for a stream that the app may not read. A new permission only works after a reinstall."""
    named = f"the permission {permission!r}" if permission else "the permission to read it"
    return PermissionMissing(
        f"Clover refuses GET {path} ({status}): the app lacks {named}.",
        permission=permission,
        path=path,
        hint=f"Grant {named} to the app in Clover's dashboard; the merchant then reinstalls the app.",
    )


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds to wait, from ``retry-after`` (a number or an HTTP date); None when Clover does not say."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        seconds = (then - (now or datetime.now(UTC))).total_seconds()
    # Zero or a past date says nothing that helps; the caller's own backoff is the better guide.
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def breaches_app_limit(headers: Mapping[str, str]) -> bool:
    """Whether a 429 is about the app's limit, which all merchants share.

    Source: docs.clover.com, API usage and rate limits.
    """
    return any(name.lower().startswith("x-ratelimit-crosstoken") for name in headers)


def _message_status(document: object) -> int | None:
    message = document.get("message") if isinstance(document, dict) else None
    found = _STATUS_IN_MESSAGE.match(message) if isinstance(message, str) else None
    return int(found[1]) if found else None


def _hidden_status(document: object) -> int | None:
    """The error status of an error body under HTTP 200; None for a record or a list."""
    if not isinstance(document, dict) or "id" in document or "data" in document or "elements" in document:
        return None
    status = _message_status(document)
    return status if status is not None and status >= 400 else None


def _named_permission(document: object) -> str | None:
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    found = _PERMISSION.search(message) if isinstance(message, str) else None
    return found[1] if found else None
