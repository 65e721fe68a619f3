"""The Ecommerce API's lists and reads by id: parameters, cursors, envelopes, and pages gone wrong."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from connector.sandbox.answers import Answer, Refused, Request, encode, json_answer, refusal
from connector.sandbox.faults import Fault
from connector.sandbox.row_index import Bounds, Cursor, RowIndex
from connector.sandbox.shapes import Shapes
from connector.sandbox.wire_charges import charge_json, charge_row, refund_json, refund_row
from connector.sandbox.wire_orders import order_json, order_row
from connector.sandbox.world import World

_DAY_MS = 86_400_000
_WINDOW_DAYS = 90  # docs.clover.com, 90-day limits
_NOT_FOUND_CODES = ("resource_missing", "invalid_request", "processing_error")

Render = Callable[[Any, Shapes], dict[str, Any]]


def _nothing(_record: Any, _shapes: Shapes) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Collection:
    """One list. permissions: what the list needs. A list that the shop knows nothing of is empty."""

    name: str
    noun: str
    permissions: tuple[str, ...]
    row: Render = _nothing
    full: Render = _nothing

    def index(self, world: World) -> RowIndex[Any]:
        """Its records."""
        index: RowIndex[Any] = getattr(world, self.name, _EMPTY)
        return index


_EMPTY: RowIndex[Any] = RowIndex()


COLLECTIONS = {
    "charges": Collection("charges", "Charge", ("READ_PAYMENTS",), charge_row, charge_json),
    "orders": Collection("orders", "Order", ("READ_ORDERS", "READ_PAYMENTS"), order_row, order_json),
    "refunds": Collection("refunds", "Refund", ("READ_PAYMENTS",), refund_row, refund_json),
}


@dataclass(slots=True)
class Page:
    """A page before it is wrapped: rows as JSON, and what ``has_more`` will say (None: nothing)."""

    path: str
    rows: list[bytes]
    has_more: bool | None
    envelope: str

    def answer(self) -> Answer:
        body = b"[" + b",".join(self.rows) + b"]"
        if self.envelope == "nothing":
            return json_answer({"object": "list", "url": self.path, "result": "ok"})
        if self.envelope == "elements":
            body = b'{"elements":' + body + b"}"
        if self.envelope != "bare":
            more = b"" if self.has_more is None else b'"has_more":' + encode(self.has_more) + b","
            head = b'{"object":"list","url":' + encode(self.path) + b","
            body = head + more + b'"data":' + body + b"}"
        return Answer(200, body)


def read_one(
    world: World, collection: Collection, record_id: str, shapes: Shapes, fault: Fault | None = None
) -> Answer:
    """A record by its id, or one of the not-found answers."""
    with world.lock:
        record = collection.index(world).by_id.get(record_id)
        if record is not None:
            body = encode(collection.full(record, shapes))
            if fault is not None and fault.kind == "poison":
                body = poisoned(body, fault.form)
            return Answer(200, body)
    code = _NOT_FOUND_CODES[crc32(record_id.encode()) % 3]
    status = 400 if shapes.not_found == "under_400" else 404
    message = f"{collection.noun} with id {record_id} not found."
    return refusal(status, message, code=code, said_status=404)


def read_list(
    world: World, collection: Collection, request: Request, shapes: Shapes, fault: Fault | None
) -> Answer:
    """A page of a list; Refused with Clover's 400s and 404s."""
    limit = _limit(request.param("limit"))
    kind = fault.kind if fault is not None else ""
    if kind == "giant_page" and fault is not None:
        limit = fault.rows
    with world.lock:
        index = _index(world, collection, request)
        bounds = _window(_bounds(request), shapes, world.now)
        after = None if kind == "stuck" else _cursor(index, collection, request, "starting_after", shapes)
        before = _cursor(index, collection, request, "ending_before", shapes)
        if after is not None and before is not None:
            raise Refused(refusal(400, "Use starting_after or ending_before, not both."))
        cursor = after or before
        records, more = index.page(
            limit,
            bounds,
            cursor and Cursor(cursor, shapes.cursor == "inclusive", towards_newer=before is not None),
            nearly=shapes.listing == "nearly",
            keep=_filter(world, collection, request, shapes),
        )
        rows = [_row(record, collection.row, shapes) for record in records]
    page = Page(request.path, rows, _has_more(shapes, more, len(rows) == limit, rows), shapes.envelope)
    if fault is not None:
        spoil(page, fault)
    return page.answer()


def render_rows(world: World, shapes: Shapes) -> None:
    """Renders the rows of all lists ahead of the requests for them."""
    for collection in COLLECTIONS.values():
        with world.lock:
            for record in collection.index(world).by_id.values():
                _row(record, collection.row, shapes)


def spoil(page: Page, fault: Fault) -> None:
    """Lets a fault loose on a page."""
    if fault.kind == "stuck":
        page.has_more = True
    elif fault.kind == "empty_page":
        page.rows, page.has_more = [], True
    elif fault.kind == "says_more":
        page.has_more = fault.more
    elif fault.kind == "duplicates":
        page.rows = [twice for at, row in enumerate(page.rows) for twice in [row] * (1 + (at % 3 == 0))]
    elif fault.kind == "envelope":
        page.envelope = fault.form
    elif fault.kind == "poison" and page.rows:
        page.rows[len(page.rows) // 2] = poisoned(page.rows[len(page.rows) // 2], fault.form)


def poisoned(row: bytes, form: str) -> bytes:
    """The record as nobody can read it."""
    if form == "not_an_object":
        return b"42"
    head, _, rest = row.partition(b",")
    if form == "no_id":
        return b"{" + rest if head.startswith(b'{"id"') else row.replace(b'"id"', b'"Id"', 1)
    if form == "null_items":
        return row[:-1] + b',"items":null}'
    return row[:-1] + b',"amount":"abc"}'  # the last of two equal names wins


def _index(world: World, collection: Collection, request: Request) -> RowIndex[Any]:
    """What is listed: the collection, or the refunds of one charge."""
    index = collection.index(world)
    charge_id = request.param("charge")
    if collection.name != "refunds" or not charge_id:
        return index
    few: RowIndex[Any] = RowIndex()
    charge = world.charges.by_id.get(charge_id)
    for refund in charge.refunds if charge is not None else ():
        if refund.id in index.by_id:
            few.add(refund)
    return few


def _row(record: Any, render: Render, shapes: Shapes) -> bytes:
    """The record's row, rendered once and kept until the record or the shapes change."""
    if record.row is None or record.row[0] is not shapes:
        record.row = (shapes, encode(render(record, shapes)))
    row: bytes = record.row[1]
    return row


def _limit(value: str | None) -> int:
    if value is None:
        return 10
    if not value.isdecimal() or not 1 <= int(value) <= 100:
        raise Refused(refusal(400, "Limit must be between 1 and 100.", code="processing_error", kind=None))
    return int(value)


def _bounds(request: Request) -> Bounds:
    """Dotted operators on ``created``; anything in brackets is Stripe's and overlooked."""
    bounds = Bounds()
    for name, value in request.params:
        field, _, operator = name.partition(".")
        if field != "created":
            continue
        at = _time(value)
        if operator in ("gt", "gte"):
            bounds = replace(bounds, since=max(bounds.since, at + (operator == "gt")))
        elif operator in ("lt", "lte"):
            bounds = replace(bounds, until=min(bounds.until, at + (operator == "lte")))
        elif operator == "":
            bounds = Bounds(at, at + 1)
        else:
            raise Refused(refusal(400, f"Unknown operator {operator}."))
    return bounds


def _time(value: str) -> int:
    if value.isdecimal():
        return int(value)
    try:
        return int(datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise Refused(refusal(400, "Timestamps are milliseconds or yyyy-MM-dd HH:mm:ss.")) from None


def _window(bounds: Bounds, shapes: Shapes, now: int) -> Bounds:
    until = min(bounds.until, now + 1)
    if shapes.window_limit is None or until - bounds.since <= _WINDOW_DAYS * _DAY_MS:
        return bounds
    if shapes.window_limit == "refuse":
        raise Refused(refusal(400, f"The time range may not exceed {_WINDOW_DAYS} days."))
    return replace(bounds, since=until - _WINDOW_DAYS * _DAY_MS)


def _cursor(
    index: RowIndex[Any], collection: Collection, request: Request, name: str, shapes: Shapes
) -> Any | None:
    cursor = request.param(name)
    if not cursor:
        return None
    record = index.by_id.get(cursor)
    if record is None and shapes.unknown_cursor != "restart":
        message = f"{collection.noun} with id {cursor} not found."
        raise Refused(refusal(shapes.unknown_cursor, message, code="resource_missing"))
    return record


def _filter(
    world: World, collection: Collection, request: Request, shapes: Shapes
) -> Callable[[Any], bool] | None:
    tests: list[Callable[[Any], bool]] = []
    customer = request.param("customer")
    if customer and collection.name != "refunds":
        tests.append(lambda record: record.customer is not None and record.customer.id == customer)
    if collection.name == "orders" and request.param("ids"):
        ids = {one for value in request.all("ids") for one in value.split(",")}
        tests.append(lambda record: record.id in ids)
    if shapes.visibility_lag_seconds:
        seen = world.now - shapes.visibility_lag_seconds * 1000
        tests.append(lambda record: record.created <= seen)
    if not tests:
        return None
    return lambda record: all(test(record) for test in tests)


def _has_more(shapes: Shapes, more: bool, full: bool, rows: list[bytes]) -> bool | None:
    if shapes.has_more == "missing":
        return None
    if shapes.has_more == "sometimes" and rows and crc32(rows[0]) % 4 == 0:
        return None
    return more or (shapes.has_more == "overlong" and full)
