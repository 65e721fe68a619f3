"""One JSON text for one content: what an order is compared by, and what is served.

The canonical form has sorted keys, exact numbers and no ``modifiedDate``, and lists lines and payments by their ids,
so that neither the order of keys nor that of a reordered answer looks like a change. The served form keeps Codat's
order of members and Clover's order of lines.

A payment keeps its ``modifiedDate`` as long as nothing else in it changes; everything that changed carries the
placeholder ``@loaded``, which whoever stores the document replaces by the time it is loaded.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from schemas.base import CodatModel
from schemas.commerce import Order, Payment
from schemas.times import wire_text
from transforms.model import MappedOrder, PreviousVersion

LOADED = "@loaded"
_latest = threading.local()


def canonical_json(model: CodatModel) -> bytes:
    """The canonical form of a record: equal bytes for equal content."""
    return _canonical(wire(model))


def _canonical(members: dict[str, Any]) -> bytes:
    members = {name: value for name, value in members.items() if name != "modifiedDate"}
    for name in ("payments", "orderLineItems"):
        if name in members:
            members[name] = sorted(map(_undated, members[name]), key=_by_id)
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


def _undated(members: dict[str, Any]) -> dict[str, Any]:
    if "modifiedDate" not in members:
        return members
    return {name: value for name, value in members.items() if name != "modifiedDate"}


def content_hash(order: Order) -> str:
    """Fingerprint of an order without its ``modifiedDate`` and those of its payments, hexadecimal."""
    members = wire(order)
    _latest.order, _latest.members = order, members
    return hashlib.sha256(_canonical(members)).hexdigest()


def payment_fingerprint(payment: Payment | Mapping[str, Any]) -> str:
    """Fingerprint of a payment without its ``modifiedDate``; of the record, or of its JSON members as served."""
    members = wire(payment) if isinstance(payment, Payment) else dict(payment)
    members.pop("modifiedDate", None)
    text = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def payment_dates(document: str | bytes) -> dict[str, tuple[str, str]]:
    """From a served order: payment id -> (fingerprint, modifiedDate), as ``PreviousVersion`` wants it."""
    served = orjson.loads(document)
    return {
        payment["id"]: (payment_fingerprint(payment), payment["modifiedDate"])
        for payment in served.get("payments", ())
        if payment.get("modifiedDate")
    }


def document(mapped: MappedOrder, previous: PreviousVersion | None) -> str:
    """The order as it is served, with ``@loaded`` wherever the time of loading belongs.

    Raises ValueError for an order that is held back.
    """
    if mapped.order is None:
        raise ValueError(f"order {mapped.order_id} is held back and has no document")
    # The order was taken apart for its fingerprint a moment ago; its members are good for the document too.
    fresh = getattr(_latest, "order", None) is not mapped.order
    members = wire(mapped.order) if fresh else _latest.members
    _latest.order = _latest.members = None
    known = previous.payment_dates if previous is not None else {}
    for payment in members["payments"]:
        kept = known.get(payment["id"])
        payment["modifiedDate"] = (
            LOADED if kept is None or kept[0] != payment_fingerprint(payment) else kept[1]
        )
    members["modifiedDate"] = LOADED
    return orjson.dumps(members).decode()


def wire(model: CodatModel) -> dict[str, Any]:
    """The members of a record for orjson: camelCase, None left out, dates as text, exact numbers."""
    values = model.__dict__
    found: dict[str, Any] = {}
    for name, alias in _names(type(model)):
        value = values[name]
        if value is None:
            continue
        write = _WRITERS.get(type(value))
        if write is not None:
            found[alias] = write(value)
        else:
            found[alias] = wire(value) if isinstance(value, CodatModel) else value
    return found


def _list(members: list[Any]) -> list[Any]:
    return [wire(member) if isinstance(member, CodatModel) else member for member in members]


@lru_cache(maxsize=64)
def _names(model: type[CodatModel]) -> tuple[tuple[str, str], ...]:
    return tuple((name, field.alias or name) for name, field in model.model_fields.items())


@lru_cache(maxsize=65_536)
def _number(amount: Decimal) -> orjson.Fragment:
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return orjson.Fragment(b"0" if text in ("-0", "") else text.encode())


_WRITERS: Mapping[type, Callable[[Any], Any]] = {
    str: str,
    Decimal: _number,
    datetime: lru_cache(maxsize=8_192)(wire_text),
    list: _list,
}


def _by_id(members: Mapping[str, Any]) -> str:
    return str(members["id"])
