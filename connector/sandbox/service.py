"""From a request to its answer: who asks, what may be read, which route. Sockets are the server's."""

from collections.abc import Mapping

from connector.sandbox.access import Access, Grant
from connector.sandbox.answers import Answer, Refused, Request, json_answer, refusal
from connector.sandbox.consent import authorize, consent
from connector.sandbox.faults import Fault
from connector.sandbox.lists import COLLECTIONS, read_list, read_one
from connector.sandbox.platform import platform
from connector.sandbox.shapes import Shapes

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>upstream</body></html>"


def answer(request: Request, access: Access, shapes: Shapes, fault: Fault | None) -> Answer:
    """The answer Clover would give, error answers included; never raises."""
    if fault is not None and fault.kind == "error":
        return failed(fault)
    if fault is not None and fault.kind == "html":
        return Answer(200, _HTML, "text/html")
    try:
        if request.path.startswith("/oauth/v2/"):
            return _oauth(request, access)
        if request.method != "GET":
            return refusal(405)
        if request.path.startswith("/v3/"):
            return platform(request, access.of(request))
        grant = access.of(request)
        if grant is None:
            return refusal(401)
        if request.path == "/pakms/apikey":
            merchant = grant.world.merchant.id
            return json_answer(
                {"apiAccessKey": f"pk{merchant.lower()}", "merchantUuid": merchant, "active": True}
            )
        return _ecommerce(request, grant, shapes, fault)
    except Refused as refused:
        return refused.answer


def failed(fault: Fault) -> Answer:
    """An error answer as a fault asks for it."""
    headers: Mapping[str, str] = {}
    if fault.retry_after is not None:
        headers = {"retry-after": f"{fault.retry_after:g}"}
    if fault.status == 429:
        headers = {"X-RateLimit-tokenConcurrentLimit": "5", **headers}
    named = tuple(headers.items())
    if fault.body == "html":
        return Answer(fault.status, _HTML, "text/html", named)
    if fault.body == "empty":
        return Answer(fault.status, b"", headers=named)
    if fault.body == "404":
        return refusal(fault.status, "The record was not found.", said_status=404, headers=named)
    if fault.body == "none" or fault.status in (401, 429):
        return refusal(fault.status, headers=named)
    kind = "api_error" if fault.status >= 500 else "invalid_request_error"
    return refusal(fault.status, "Please retry.", code="processing_error", kind=kind, headers=named)


def _ecommerce(request: Request, grant: Grant, shapes: Shapes, fault: Fault | None) -> Answer:
    parts = request.path.strip("/").split("/")
    collection = COLLECTIONS.get(parts[1]) if len(parts) in (2, 3) and parts[0] == "v1" else None
    if collection is None:
        return refusal(404, f"{request.path} not found.", code="resource_missing")
    missing = [name for name in collection.permissions if name not in grant.permissions]
    if missing or collection.name in grant.denied:
        if shapes.permission_status == 401:
            return refusal(401)
        name = missing[0] if missing else collection.permissions[0]
        return refusal(
            403, f"Missing permission {name}.", code="processing_error", kind="authentication_error"
        )
    if len(parts) == 3:
        return read_one(grant.world, collection, parts[2], shapes, fault)
    return read_list(grant.world, collection, request, shapes, fault)


def _oauth(request: Request, access: Access) -> Answer:
    """Token, refresh, and the browser's step."""
    if request.method == "POST" and request.path in ("/oauth/v2/token", "/oauth/v2/refresh"):
        return access.oauth(request)
    if request.method == "POST" and request.path == "/oauth/v2/consent":
        return consent(request, access)
    if request.method == "GET" and request.path == "/oauth/v2/authorize":
        return authorize(request, access)
    return refusal(404, f"{request.path} not found.", code="resource_missing")
