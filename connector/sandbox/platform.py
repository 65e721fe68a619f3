"""The platform's REST v3 reads: the merchant, and collections with filters, offsets and expansions.

Filters repeat as ``filter=modifiedTime>=…``; order and payment queries by time may span 90 days
(docs.clover.com, Apply filters; Add pagination; 90-day limits).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.sandbox.access import Grant
from connector.sandbox.answers import Answer, Refused, Request, json_answer, platform_refusal
from connector.sandbox.platform_wire import (
    NESTED,
    address_json,
    customer_json,
    elements,
    line_items,
    merchant_json,
    payment_json,
    platform_order,
    platform_refund,
    properties_json,
)
from connector.sandbox.world import World

_PATH = re.compile(r"/v3/merchants/(\w+)(?:/(\w+))?(?:/(\w+))?(?:/(\w+))?/?")
_FILTER = re.compile(r"(\w+)(>=|<=|!=|=|>|<)(.*)")
_SPAN_MS = 90 * 86_400_000
_TESTS: dict[str, Callable[[int, int], bool]] = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
    "=": lambda value, bound: value == bound,
    "!=": lambda value, bound: value != bound,
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A collection. times: what may be filtered, and which attribute of the record it reads."""

    permission: str
    noun: str
    records: Callable[[World], Mapping[str, Any]]
    render: Callable[[Any, set[str]], dict[str, Any]]
    times: dict[str, str]
    spanned: bool = True


_BOTH = {"createdTime": "created", "clientCreatedTime": "created", "modifiedTime": "modified"}
_KINDS = {
    "orders": _Kind("READ_ORDERS", "Order", lambda world: world.orders.by_id, platform_order, _BOTH),
    "payments": _Kind(
        "READ_PAYMENTS",
        "Payment",
        lambda world: world.charges.by_id,
        lambda charge, _: payment_json(charge),
        _BOTH,
    ),
    "refunds": _Kind(
        "READ_PAYMENTS",
        "Refund",
        lambda world: world.refunds.by_id,
        lambda refund, _: platform_refund(refund),
        {"createdTime": "created"},
        spanned=False,
    ),
    "customers": _Kind(
        "READ_CUSTOMERS",
        "Customer",
        lambda world: world.customers,
        customer_json,
        {"customerSince": "since"},
        spanned=False,
    ),
}


def platform(request: Request, grant: Grant | None) -> Answer:
    """Answers a request below ``/v3/merchants``; Refused with the platform's own errors."""
    found = _PATH.fullmatch(request.path)
    if found is None:
        raise Refused(platform_refusal(404, "Not found"))
    merchant_id, collection, record_id, nested = found.groups()
    if grant is None or not grant.platform or merchant_id != grant.world.merchant.id:
        raise Refused(platform_refusal(401, "Unauthorized"))  # a wrong merchant id has been seen as 401 too
    expand = {name for value in request.all("expand") for name in value.split(",") if name}
    if len(expand) > 3:
        raise Refused(platform_refusal(400, "At most three expansions."))
    world, merchant = grant.world, grant.world.merchant
    if collection in (None, "address", "properties"):
        _need(grant, "READ_MERCHANT")
        body = merchant_json(merchant, expand)
        return json_answer(
            {"address": address_json, "properties": properties_json}.get(collection or "", lambda _: body)(
                merchant
            )
        )
    kind = _KINDS.get(collection)
    if kind is None:
        raise Refused(platform_refusal(404, "Not found"))
    _need(grant, kind.permission)
    with world.lock:
        if record_id is None:
            return _listing(request, kind, world, expand)
        record = kind.records(world).get(record_id)
        if record is None:
            raise Refused(platform_refusal(404, f"{kind.noun} not found"))
        if nested == "line_items" and kind.noun == "Order":
            limit, offset = _paging(request)
            return json_answer(elements(line_items(record)[offset : offset + limit]))
        return json_answer(kind.render(record, expand))


def _listing(request: Request, kind: _Kind, world: World, expand: set[str]) -> Answer:
    limit, offset = _paging(request)
    tests = [_parsed(text, kind) for text in request.all("filter")]
    if kind.spanned:
        _check_span(tests, world.now)
    records = [
        record
        for record in kind.records(world).values()
        if all(_TESTS[operator](getattr(record, name), bound) for name, operator, bound in tests)
    ]
    records.sort(key=lambda record: getattr(record, "modified", 0), reverse=True)
    rows = [kind.render(record, expand) for record in records[offset : offset + limit]]
    return json_answer(
        {"elements": rows, "href": f"{request.path}?limit={limit}"},
        headers=(("X-Clover-Allowed-Filter-Fields", ",".join(kind.times)),),
    )


def _parsed(text: str, kind: _Kind) -> tuple[str, str, int]:
    found = _FILTER.fullmatch(text)
    if found is None or found[1] not in kind.times or not found[3].strip().isdecimal():
        raise Refused(platform_refusal(400, f"Invalid filter {text}"))
    return kind.times[found[1]], found[2], int(found[3])


def _check_span(tests: list[tuple[str, str, int]], now: int) -> None:
    """Filtered queries may span 90 days; unfiltered walks are not capped."""
    if tests:
        since = max((bound for _, operator, bound in tests if operator[0] == ">"), default=0)
        until = min((bound for _, operator, bound in tests if operator[0] == "<"), default=now)
        if until - since > _SPAN_MS and not any(operator == "=" for _, operator, _ in tests):
            raise Refused(platform_refusal(400, "The time range may not exceed 90 days"))


def _paging(request: Request) -> tuple[int, int]:
    limit, offset = request.param("limit") or "100", request.param("offset") or "0"
    if not (limit.isdecimal() and offset.isdecimal()):
        raise Refused(platform_refusal(400, "Invalid limit or offset"))
    return min(int(limit), 1_000) or NESTED, int(offset)


def _need(grant: Grant, permission: str) -> None:
    if permission not in grant.permissions:
        raise Refused(platform_refusal(403, f"Missing permission {permission}"))
