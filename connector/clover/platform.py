"""Clover's platform REST v3, a second source where the token may read it: who the merchant is, what changed.

Uses a CloverClient made for the v3 host. Only what the Ecommerce API lacks is read here; what the records
mean is left to ``transforms``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from connector.clover.http.client import CloverClient
from connector.clover.http.envelope import unwrap
from connector.clover.http.responses import BadRequest, NotFound
from connector.clover.lists.window import Window
from connector.errors import CloverError, Deauthorized, PagingStuck, PermissionMissing

_PAGE = 1_000  # the largest v3 allows: docs.clover.com, Add pagination
_DEFAULT_PAGE = 100  # what v3 sends when it overlooks ``limit``
_NESTED = 100  # nested lists are cut here: docs.clover.com, Add pagination
_SLICE_DAYS = 89  # time filters may span 90 days: docs.clover.com, 90-day limits
_MOST_PAGES = 10_000

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class MerchantProfile:
    """Who the merchant is, in Clover's words; None where Clover does not say.

    country: ISO 3166 alpha-2. currency: ISO 4217. timezone: IANA name.
    """

    merchant_id: str
    name: str | None = None
    country: str | None = None
    currency: str | None = None
    timezone: str | None = None


def probe(client: CloverClient, merchant_id: str) -> bool:
    """Whether the token may read v3 and the merchant is there; a refusal is an answer and costs no refresh.

    Raises only what says nothing about it: Throttled, CloverUnavailable.
    """
    try:
        client.get_json(_path(merchant_id), permission="Read merchant", may_refresh=False)
    except (Deauthorized, PermissionMissing, NotFound, BadRequest):
        return False
    return True


def merchant_profile(client: CloverClient, merchant_id: str) -> MerchantProfile:
    """Name, country, currency and time zone of the merchant."""
    merchant = _record(client, _path(merchant_id), {"expand": "address"}, "Read merchant") or {}
    properties = merchant.get("properties")
    if not isinstance(properties, dict) or "timezone" not in properties:
        try:
            properties = _record(client, _path(merchant_id, "properties"), {}, "Read merchant") or {}
        except PermissionMissing:
            properties = {}
    address = merchant.get("address")
    return MerchantProfile(
        merchant_id=merchant_id,
        name=_text(merchant.get("name")),
        country=_text(address.get("country")) if isinstance(address, dict) else None,
        # The merchant's own defaultCurrency is often null; its properties know better.
        currency=_text(properties.get("defaultCurrency")) or _text(merchant.get("defaultCurrency")),
        timezone=_text(properties.get("timezone")),
    )


def modified(
    client: CloverClient, merchant_id: str, kind: Literal["orders", "payments"], window: Window
) -> Iterator[list[Row]]:
    """Pages of the records whose ``modifiedTime`` lies in the window, each id once; orders with their line items.

    The window must end in the past: a row that changes while the list is read leaves its place, and the rows
    behind it move up. What is missed then has a later ``modifiedTime`` or is in the next window's overlap.
    """
    return _in_window(client, merchant_id, kind, "modifiedTime", window)


def created_orders(client: CloverClient, merchant_id: str, window: Window) -> Iterator[list[Row]]:
    """Pages of the orders that were created in the window, each once, with their line items, at most 100 each."""
    return _in_window(client, merchant_id, "orders", "createdTime", window)


def _in_window(
    client: CloverClient, merchant_id: str, kind: str, time: str, window: Window
) -> Iterator[list[Row]]:
    permission = "Read orders" if kind == "orders" else "Read payments"
    expand = [("expand", "lineItems")] if kind == "orders" else []
    given: set[str] = set()
    for piece in window.split(_SLICE_DAYS):
        filters = [
            # Only >= and <= are undisputed (docs.clover.com, Apply filters): hence the last millisecond.
            ("filter", f"{time}>={piece.since_ms}"),
            ("filter", f"{time}<={piece.until_ms - 1}"),
        ]
        for rows in _pages(client, _path(merchant_id, kind), [*expand, *filters], permission):
            fresh = [row for row in rows if str(row.get("id")) not in given]
            given.update(str(row.get("id")) for row in fresh)
            if fresh:
                yield fresh


def platform_order(client: CloverClient, merchant_id: str, order_id: str) -> Row | None:
    """An order with its line items and discounts, all of them; None when it is gone."""
    order = _record(
        client,
        _path(merchant_id, "orders", order_id),
        {"expand": "lineItems,discounts,payments"},
        "Read orders",
    )
    if order is not None and is_cut(order):
        order["lineItems"] = {"elements": line_items(client, merchant_id, order_id)}
    return order


def platform_record(
    client: CloverClient, merchant_id: str, kind: Literal["payments", "refunds"], record_id: str
) -> Row | None:
    """A payment or a refund by its id, which names its order or its payment; None when it is gone."""
    expand = {"expand": "order"} if kind == "payments" else {"expand": "payment"}
    return _record(client, _path(merchant_id, kind, record_id), expand, "Read payments")


def line_items(client: CloverClient, merchant_id: str, order_id: str) -> list[Row]:
    """All line items of an order, from their own list; inside the order they are cut at 100."""
    path = _path(merchant_id, "orders", order_id, "line_items")
    return [row for rows in _pages(client, path, [], "Read orders") for row in rows]


def customers(client: CloverClient, merchant_id: str) -> Iterator[list[Row]]:
    """Pages of all customers with addresses, e-mails and phone numbers. Cards are never asked for.

    There is no filter by change, so this is always the whole list.
    """
    expand = [("expand", "addresses,emailAddresses,phoneNumbers")]
    yield from _pages(client, _path(merchant_id, "customers"), expand, "Read customers")


def customer(client: CloverClient, merchant_id: str, customer_id: str) -> Row | None:
    """One customer with addresses, e-mails and phone numbers; None when it is gone."""
    expand = {"expand": "addresses,emailAddresses,phoneNumbers"}  # three is the most: docs.clover.com, Expand
    return _record(client, _path(merchant_id, "customers", customer_id), expand, "Read customers")


def is_cut(order: Row) -> bool:
    """Whether a listed order may have more line items than it shows."""
    return len(nested(order, "lineItems")) >= _NESTED


def nested(record: Row, name: str) -> list[Row]:
    """The records of a nested collection ``{elements: [...]}``; empty when it was not expanded."""
    collection = record.get(name)
    elements = collection.get("elements") if isinstance(collection, dict) else None
    return [row for row in elements if isinstance(row, dict)] if isinstance(elements, list) else []


def _pages(
    client: CloverClient, path: str, params: list[tuple[str, str]], permission: str
) -> Iterator[list[Row]]:
    offset = 0
    met: set[str] = set()
    for _ in range(_MOST_PAGES):
        asked: list[tuple[str, str | int]] = [*params, ("limit", _PAGE), ("offset", offset)]
        found = unwrap(client.get_json(path, asked, permission=permission), path=path).rows
        rows = [row for row in found if isinstance(row, dict)]
        ids = {str(row.get("id")) for row in rows}
        if rows and ids <= met:
            raise PagingStuck(
                f"Clover's list GET {path} repeats itself and cannot be read to its end.", path=path
            )
        met |= ids
        if rows:
            yield rows
        # A short page ends the list, unless it is as long as pages get when ``limit`` is overlooked.
        if not found or (len(found) < _PAGE and len(found) != _DEFAULT_PAGE):
            return
        offset += len(found)
    raise PagingStuck(f"Clover's list GET {path} does not end.", path=path)


def _record(client: CloverClient, path: str, params: dict[str, str], permission: str) -> Row | None:
    try:
        body = client.get_json(path, params, permission=permission)
    except NotFound:
        return None
    if not isinstance(body, dict):
        raise CloverError(
            f"Clover answered GET {path} with something else than a record.", path=path, status=200
        )
    return body


def _path(*parts: str) -> str:
    return "/v3/merchants/" + "/".join(quote(part, safe="") for part in parts)


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
